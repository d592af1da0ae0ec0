"""Discs with a DICOMDIR: what it names and what is there are compared, and a bad one hides nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.media.samples import SampleStudy, ct_slice, write
from core.scan.dicomdir import read_dicomdir
from tests.core.scanning import reasons, scanned, taken, write_disc

VARIANTS = ("bigEnd", "empty.dcm", "implicit", "nooffset", "nopatient", "reordered")


@pytest.fixture
def disc(tmp_path: Path, study: SampleStudy) -> Path:
    """A disc of four slices with its DICOMDIR."""
    return write_disc(study, tmp_path / "disc", 4)


def slices(disc: Path) -> list[Path]:
    return sorted(path for path in disc.rglob("*") if path.is_file() and path.name != "DICOMDIR")


def test_a_whole_disc_is_complete(disc: Path) -> None:
    result = scanned(disc)
    assert reasons(result) == {"DICOMDIR": "dicomdir"}
    receipt = result.receipt
    assert (receipt.files, receipt.instances, receipt.listed_but_missing, receipt.not_listed) == (5, 4, 0, 0)
    assert receipt.complete


def test_a_named_file_that_is_gone_is_missed(disc: Path) -> None:
    gone = slices(disc)[1]
    gone.unlink()
    result = scanned(disc)
    assert result.missing == [gone.relative_to(disc).as_posix()]
    assert result.receipt.listed_but_missing == 1
    assert not result.receipt.complete


def test_a_file_that_is_not_named_is_taken_and_counted(disc: Path, study: SampleStudy) -> None:
    write(ct_slice(study, instance=9, size=16), disc / "EXTRA" / "IM9")
    (disc / "README.TXT").write_text("junk is not counted")
    receipt = scanned(disc).receipt
    assert (receipt.instances, receipt.not_listed, receipt.complete) == (5, 1, True)


def test_a_damaged_named_file_is_damaged_and_not_missing(disc: Path) -> None:
    cut = slices(disc)[0]
    cut.write_bytes(cut.read_bytes()[:-10])
    result = scanned(disc)
    assert reasons(result)[cut.relative_to(disc).as_posix()] == "truncated"
    assert (result.receipt.listed_but_missing, result.receipt.damaged) == (0, 1)


@pytest.mark.parametrize("spelling", ["lower", "version", "moved"])
def test_names_that_a_copy_has_changed_are_recognised(disc: Path, spelling: str) -> None:
    for path in slices(disc):
        if spelling == "lower":
            path.rename(path.with_name(path.name.lower()))
        elif spelling == "version":
            path.rename(path.with_name(path.name + ".;1"))
        else:
            path.rename(disc / f"{path.name}.dcm")
    if spelling != "moved":
        (disc / "DICOMDIR").rename(disc / ("dicomdir" if spelling == "lower" else "DICOMDIR;1"))
    receipt = scanned(disc).receipt
    assert (receipt.instances, receipt.listed_but_missing, receipt.not_listed) == (4, 0, 0)
    assert receipt.complete


def test_the_dicomdir_itself_stands_for_its_disc(disc: Path) -> None:
    assert scanned(disc / "DICOMDIR").receipt == scanned(disc).receipt


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.95])
def test_a_dicomdir_cut_off_hides_no_file(disc: Path, share: float) -> None:
    toc = disc / "DICOMDIR"
    data = toc.read_bytes()
    toc.write_bytes(data[: int(len(data) * share)])
    result = scanned(disc)
    assert len(taken(result)) == 4
    assert reasons(result)["DICOMDIR"] in ("truncated", "unreadable")
    assert not result.receipt.complete


def test_a_dicomdir_of_nonsense_hides_no_file(disc: Path) -> None:
    toc = disc / "DICOMDIR"
    data = toc.read_bytes()
    for noise in (b"not a directory at all", data[:200] + bytes(range(256)) * 8, b"\0" * 500):
        toc.write_bytes(noise)
        result = scanned(disc)
        assert len(taken(result)) == 4
        assert reasons(result)["DICOMDIR"] in {"truncated", "unreadable"}
        assert not result.receipt.complete


def test_inactive_records_are_not_missed(disc: Path) -> None:
    toc = disc / "DICOMDIR"
    data = toc.read_bytes()
    slices(disc)[-1].unlink()
    in_use = b"\x04\x00\x10\x14US\x02\x00\xff\xff"
    at = data.rindex(in_use)
    toc.write_bytes(data[: at + 8] + b"\0\0" + data[at + 10 :])
    assert scanned(disc).receipt.listed_but_missing == 0


def test_reading_records_one_by_one(disc: Path) -> None:
    data = (disc / "DICOMDIR").read_bytes()
    listing = read_dicomdir(data)
    assert listing.whole
    assert [one.path for one in listing.listed] == [
        path.relative_to(disc).as_posix() for path in slices(disc)
    ]
    part = read_dicomdir(data[: len(data) * 2 // 3])
    assert not part.whole
    assert 0 < len(part.listed) < 4
    assert listing.listed[: len(part.listed)] == part.listed


@pytest.mark.parametrize("variant", VARIANTS)
def test_odd_dicomdirs_of_a_real_disc(testdata: Path, tmp_path: Path, variant: str) -> None:
    disc = tmp_path / "disc"
    shutil.copytree(testdata / "cd-dicomdir-small", disc, ignore=shutil.ignore_patterns("DICOMDIR"))
    shutil.copy(testdata / "broken" / "dicomdir-variants" / f"DICOMDIR-{variant}", disc / "DICOMDIR")
    result = scanned(disc)
    receipt = result.receipt
    assert reasons(result) == {"DICOMDIR": "dicomdir"}
    assert (receipt.instances, receipt.listed_but_missing, receipt.complete) == (31, 0, True)
    assert receipt.not_listed == (31 if variant == "empty.dcm" else 0)
    (disc / "77654033" / "CR1" / "6154").unlink()
    if variant != "empty.dcm":
        assert scanned(disc).missing == ["77654033/CR1/6154"]


@pytest.mark.parametrize(
    ("disc", "instances"), [("cd-dicomdir-small", 31), ("cd-dicomdir-charsets", 11), ("cd-dicomdir-pdi", 62)]
)
def test_real_discs_are_complete(testdata: Path, disc: str, instances: int) -> None:
    receipt = scanned(testdata / disc).receipt
    assert (receipt.instances, receipt.listed_but_missing, receipt.not_listed) == (instances, 0, 0)
    assert receipt.complete
