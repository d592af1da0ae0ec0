"""The made-up objects are valid, repeatable, and what the sample disc promises lies on it."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from core.media import phantom, sample_disc, samples
from core.media.sample_disc import SampleDisc
from core.media.samples import SampleStudy


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> SampleDisc:
    return sample_disc.build(tmp_path_factory.mktemp("disc") / "SAMPLE DISC")


def _files(root: Path) -> dict[str, Path]:
    return {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}


def test_the_disc_holds_what_it_says(disc: SampleDisc) -> None:
    files = _files(disc.root)
    assert len(files) == disc.files
    assert set(disc.junk) <= set(files) and set(disc.not_listed) <= set(files)
    assert disc.damaged in files and disc.missing not in files
    apart = {*disc.junk, disc.damaged, disc.duplicate, "DICOMDIR"}
    studies = Counter(
        str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)
        for name, path in files.items()
        if name not in apart
    )
    assert studies == disc.instances
    assert set(studies) == {study.uid for study in disc.studies}


def test_the_disc_is_the_same_every_time(disc: SampleDisc, tmp_path: Path) -> None:
    again = sample_disc.build(tmp_path / "again")
    first = {name: path.read_bytes() for name, path in _files(disc.root).items()}
    second = {name: path.read_bytes() for name, path in _files(again.root).items()}
    assert first == second


def test_the_dicomdir_lists_the_missing_file_and_not_the_later_ones(disc: SampleDisc) -> None:
    listed = [
        Path(*record.ReferencedFileID).as_posix()
        for record in dcmread(disc.root / "DICOMDIR").DirectoryRecordSequence
        if "ReferencedFileID" in record
    ]
    assert disc.missing in listed and disc.damaged in listed
    assert not {*disc.not_listed, disc.duplicate} & set(listed)
    present = sum(disc.instances.values()) - len(disc.not_listed)
    assert len(listed) == len(set(listed)) == present + 2
    assert [name for name in listed if not (disc.root / name).is_file()] == [disc.missing]


def test_the_damaged_file_ends_inside_its_pixels(disc: SampleDisc) -> None:
    ds = dcmread(disc.root / disc.damaged, defer_size=1024)
    assert (disc.root / disc.damaged).stat().st_size < ds.Rows * ds.Columns * 2
    with pytest.raises((ValueError, EOFError, OSError)):
        _ = ds.pixel_array


def test_every_name_on_the_disc_reads_as_written(disc: SampleDisc) -> None:
    names = {
        str(dcmread(path, stop_before_pixels=True).PatientName)
        for name, path in _files(disc.root).items()
        if name not in disc.junk and name != "DICOMDIR"
    }
    assert names == {study.patient.name for study in disc.studies}


@pytest.mark.parametrize(
    ("ds", "shape"),
    [
        (samples.ct_slice(SampleStudy(), size=32), (32, 32)),
        (samples.ultrasound_cine(SampleStudy(), frames=3, size=32), (3, 32, 32)),
        (samples.colour_photo(SampleStudy(), size=32), (32, 32, 3)),
    ],
    ids=["CT", "multi-frame", "colour"],
)
def test_made_up_pixels_read_back(ds: samples.Dataset, shape: tuple[int, ...]) -> None:
    back = dcmread(io.BytesIO(samples.part10(ds)))
    assert back.pixel_array.shape == shape
    assert back.pixel_array.max() > back.pixel_array.min()


def test_a_uid_depends_on_its_seed_alone() -> None:
    assert samples.uid("a", 1) == samples.uid("a", 1) != samples.uid("a", 2)
    assert len(samples.uid("x" * 500)) <= 64


def test_the_phantom_has_skin_air_and_bone() -> None:
    for cut in (phantom.axial(64, 0.3), phantom.coronal(64, 0.3)):
        assert cut.min() == phantom.AIR and cut.max() > 100
    assert not np.array_equal(phantom.axial(64, 0.3), phantom.axial(64, -0.6))


def test_a_report_is_one_page_that_says_its_lines() -> None:
    import pypdfium2

    document = pypdfium2.PdfDocument(samples.pdf_report(["Findings (none)", "Müller"]))
    page = document[0]
    textpage = page.get_textpage()
    text = textpage.get_text_range()
    textpage.close()
    page.close()
    pages = len(document)
    document.close()
    assert pages == 1 and "Findings" in text and "Müller" in text


@pytest.mark.interop
def test_dicom3tools_finds_no_error_on_the_disc(disc: SampleDisc) -> None:
    verifier = shutil.which("dciodvfy")
    if verifier is None:
        pytest.skip("dicom3tools is not installed")
    series = {path.parent: path for name, path in _files(disc.root).items() if name.startswith("PT")}
    assert len(series) == 6
    for path in series.values():
        said = subprocess.run([verifier, str(path)], capture_output=True, text=True, check=False).stderr
        assert "Error" not in said, f"{path.relative_to(disc.root)}: {said}"
