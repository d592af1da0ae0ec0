"""File names that are no text: shown on one line, stored in any database, found again unchanged."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dicom.file_names import shown, storable, stored
from core.media.samples import SampleStudy
from core.scan.zip_files import ZipFiles
from core.upload.ledger import Ledger
from core.upload.local_files import LocalFiles
from core.upload.picks import Attach, Order, Pick
from core.upload.runner import run
from tests.core.scanning import scanned, slices
from tests.core.upload_fakes import QUICK, FakeDestination, Store, finish

posix = pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")


@posix
@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name))
def test_every_name_comes_back_from_a_database(name: bytes) -> None:
    path = os.fsdecode(name)
    text = storable(path)
    text.encode("utf-8")
    assert stored(text) == path
    assert shown(path).isprintable() and shown(path).encode("utf-8")


@pytest.mark.parametrize("name", ["plain", "Ümläut ✓", "a b/c.dcm", ""])
def test_what_is_text_stays_as_it_is(name: str) -> None:
    assert shown(name) == storable(name) == stored(name) == name


@posix
def test_a_disc_with_names_that_are_no_text_is_uploaded(tmp_path: Path) -> None:
    disc = tmp_path / os.fsdecode(b"d\xefsc")
    try:
        disc.mkdir()
    except OSError:
        pytest.skip("this file system takes text only")
    for number, data in enumerate(slices(SampleStudy(), 3).values()):
        (disc / os.fsdecode(b"M\xfcller\n%d" % number)).write_bytes(data)
    report = disc / os.fsdecode(b"\xfcber.pdf")
    report.write_bytes(b"%PDF-1.4")
    scan, store = scanned(disc), Store()
    picks = [Pick.of(study) for _, study in scan.tree.studies()]
    attach = Attach(picks[0].study_uid, report)
    lost = next(iter(scan.tree.refs()))
    with Ledger(tmp_path / "client.db") as ledger:
        job = ledger.create(Order([disc], "fake", picks, [attach]), scan.sources[0].file)
        hidden = scan.sources[0].file(lost).rename(tmp_path / "hidden")
        receipt = finish(run(job, FakeDestination(store), opener=scan.open, pace=QUICK))
        (failure,) = receipt.studies[0].failed
        assert failure.path == shown(lost.path) != lost.path and failure.path.isprintable()
        hidden.rename(scan.sources[0].file(lost))
    with Ledger(tmp_path / "client.db") as ledger, closing(ZipFiles()) as zip_files:
        found = ledger.find_resumable([disc], "fake", "default")
        assert found is not None
        files = LocalFiles(found, zip_files.open)
        receipt = finish(run(found, FakeDestination(store), opener=files.open, pace=QUICK))
        assert receipt.complete and receipt.studies[0].verified == 3 and receipt.studies[0].attachments == 1
        (item,) = found.attachments()
        assert Path(item.path) == report and item.name.isprintable()
