"""The document comes out of its object as it went in."""

from __future__ import annotations

import io

import pytest

from core.dicom.encapsulated import encapsulated_document
from core.errors import NotDicom, NotFound
from core.media import samples


@pytest.mark.parametrize("tail", [b"", b" "])
def test_a_pdf_comes_out_without_padding(study: samples.SampleStudy, tail: bytes) -> None:
    pdf = samples.pdf_report(["Report"]) + tail
    ds = samples.encapsulated_pdf(study, pdf)
    ds.EncapsulatedDocumentLength = len(pdf)
    assert encapsulated_document(io.BytesIO(samples.part10(ds))) == pdf


def test_an_odd_pdf_without_its_length_loses_only_the_padding(study: samples.SampleStudy) -> None:
    pdf = samples.pdf_report(["Report"])
    pdf += b"\n" * (len(pdf) % 2 == 0)
    assert len(pdf) % 2 == 1
    assert encapsulated_document(io.BytesIO(samples.part10(samples.encapsulated_pdf(study, pdf)))) == pdf


def test_what_holds_no_document_says_so(study: samples.SampleStudy) -> None:
    with pytest.raises(NotFound):
        encapsulated_document(io.BytesIO(samples.part10(samples.ct_slice(study, size=16))))
    with pytest.raises(NotDicom):
        encapsulated_document(io.BytesIO(b"no DICOM at all" * 20))
