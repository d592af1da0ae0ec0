"""What can be no DICOM file is known by its first bytes; what can be read never is said to be none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from core.dicom.file_format import META_BYTES, check_beginning
from core.dicom.stored_object import read_object
from core.errors import BadInput, NotDicom
from core.media.samples import SampleStudy, ct_slice, part10

OPENING = b"\0" * 128 + b"DICM"
META = b"\x02\0\x10\0UI\x14\0001.2.840.10008.1.2.1\0"
NONE = {
    "words": b"this is no DICOM object",
    "nothing": b"",
    "an opening and nonsense": OPENING + b"\x4e\x92" + random.Random(1).randbytes(200),
    "file meta and nonsense": OPENING + META + b"\x4e\x92" + random.Random(2).randbytes(200),
}
PERHAPS = {
    "an opening": OPENING,
    "file meta": OPENING + META,
    "file meta cut off": OPENING + META[:-5],
    "another order": OPENING + META + b"\x10\0\x20\0LO\4\0ABCD\x08\0\x60\0CS\2\0CT",
}


@pytest.mark.parametrize("name", NONE)
def test_none_by_its_first_bytes(name: str) -> None:
    with pytest.raises(NotDicom):
        check_beginning(NONE[name])


@pytest.mark.parametrize("name", PERHAPS)
def test_what_may_still_be_one_is_read_on(name: str) -> None:
    check_beginning(PERHAPS[name])
    assert len(PERHAPS[name]) < META_BYTES


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_objects_of_every_kind_begin_as_they_must(syntax: str) -> None:
    ds = ct_slice(SampleStudy(), size=8)
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = ds.PixelData[1:] + b"\0"
    data = part10(ds)
    for beginning in (data, data[128 + 4 :], data[:META_BYTES], data[:150]):
        check_beginning(beginning)
    assert data.index(b"DICM") == 128


def test_real_files_that_can_be_read_begin_so(testdata: Path) -> None:
    read = 0
    for path in sorted(testdata.rglob("*")):
        if not path.is_file():
            continue
        try:
            read_object(path)
        except BadInput:
            continue
        with path.open("rb") as file:
            check_beginning(file.read(META_BYTES))
        read += 1
    assert read > 100
