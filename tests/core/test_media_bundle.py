"""Media as they are written: a DICOMDIR others read, whole files only, names every system takes."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from core.dicom.digest import new_hash, version_of
from core.dicom.refs import FileRef
from core.errors import NotRenderable, StorageFault
from core.media import iso, readback, samples
from core.media.bundle import Bundle, Paper, Plan
from core.media.changing import Changes, Item
from core.media.samples import SamplePatient, SampleStudy, ct_slice, encapsulated_pdf, part10
from core.media.targets import FolderTarget, IsoTarget, Target, ZipTarget
from core.scan.scanner import Scan, Scanner

ANNA = SampleStudy(seed="bundle a", patient=SamplePatient("Müller^Anna", "A-1", "19500301", "F"))
TAROU = SampleStudy(seed="bundle t", patient=SamplePatient("Yamada^Tarou=山田^太郎", "T-2", "19620817", "M"))
PLAN = Plan("1.0")


def item(ds: Dataset | bytes, name: str = "object", path: Path | None = None) -> Item:
    data = ds if isinstance(ds, bytes) else part10(ds)
    if path is not None:
        path.write_bytes(data)
    digest = new_hash()
    digest.update(data)
    return Item(name, len(data), lambda: io.BytesIO(data), path, version_of(digest))


def several(tmp_path: Path) -> list[Item]:
    pdf = encapsulated_pdf(ANNA, samples.pdf_report(["nothing"]))
    made = [
        *(ct_slice(ANNA, instance=n, size=32) for n in (1, 2, 3)),
        ct_slice(ANNA, series=2, size=32),
        samples.ultrasound_cine(TAROU, size=32),
    ]
    return [*(item(ds, f"o{n}") for n, ds in enumerate(made)), item(pdf, "pdf", tmp_path / "pdf.dcm")]


def picture(what: Item, frame: int) -> Future[bytes]:
    future: Future[bytes] = Future()
    future.set_result(b"\xff\xd8 picture %d" % frame)
    return future


def made(
    items: Iterable[Item], target: Target, plan: Plan = PLAN, papers: list[Paper] | None = None
) -> tuple[Bundle, bytes]:
    bundle = Bundle(plan, items, papers or [], picture, target)
    try:
        return bundle, b"".join(bundle.run())
    finally:
        target.close()


def zipped(items: Iterable[Item], plan: Plan = PLAN, papers: list[Paper] | None = None) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(made(items, ZipTarget(), plan, papers)[1]))


def scanned(path: Path) -> Scan:
    scanner = Scanner([path], workers=0)
    for _ in scanner.run():
        pass
    return scanner.result


def _read(found: Scan, ref: FileRef) -> bytes:
    with found.open(ref) as file:
        return file.read()


def from_iso(image: Path, folder: Path) -> Path:
    with iso.opened(image) as opened:
        for name, inside in iso.names(opened).items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                opened.get_file_from_iso_fp(out, iso_path=inside)
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip", "iso"])
@pytest.mark.parametrize("flat", [False, True])
def test_what_is_written_is_scanned_as_complete_and_holds_the_same_bytes(
    tmp_path: Path, kind: str, flat: bool
) -> None:
    items, place = several(tmp_path), tmp_path / "out"
    if kind == "folder":
        place.mkdir()
        bundle, _ = made(items, FolderTarget(place), replace(PLAN, flat=flat))
    else:
        target: Target = ZipTarget() if kind == "zip" else IsoTarget("IMAGES", tmp_path / "space")
        bundle, data = made(items, target, replace(PLAN, flat=flat))
        place = tmp_path / f"out.{kind}"
        place.write_bytes(data)
    readback.prove(place, kind, bundle.written)
    assert not bundle.failures
    found = scanned(from_iso(place, tmp_path / "unpacked") if kind == "iso" else place)
    assert found.receipt.complete
    assert (found.receipt.instances, found.receipt.not_listed, found.receipt.listed_but_missing) == (6, 0, 0)
    with_bytes = {one.open().read() for one in items}
    assert with_bytes == {
        _read(found, each.ref)
        for patient in found.tree.patients.values()
        for study in patient.studies.values()
        for series in study.series.values()
        for each in series.instances
    }
    assert not list((tmp_path / "space").glob("*")) if kind == "iso" else True


def test_the_dicomdir_is_read_by_others(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    made(several(tmp_path), FolderTarget(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fileset = FileSet(folder / "DICOMDIR")
    assert len(fileset) == 6
    assert fileset.find_values("PatientID") == ["A-1", "T-2"]
    assert sorted(str(name) for name in fileset.find_values("PatientName")) == [
        "Müller^Anna",
        "Yamada^Tarou=山田^太郎",
    ]
    for instance in fileset:
        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID
    fileset._stage["t"].cleanup()
    kinds = {record.DirectoryRecordType for record in dcmread(folder / "DICOMDIR").DirectoryRecordSequence}
    assert kinds == {"PATIENT", "STUDY", "SERIES", "IMAGE", "ENCAP DOC"}
    if shutil.which("dciodvfy"):
        told = subprocess.run(
            ["dciodvfy", str(folder / "DICOMDIR")], capture_output=True, text=True, check=False
        ).stderr
        assert "Error" not in told, told
    if shutil.which("dcdirdmp"):
        dump = subprocess.run(
            ["dcdirdmp", str(folder / "DICOMDIR")], capture_output=True, text=True, check=True
        )
        assert dump.stderr.count("IMAGE") >= 5 or dump.stdout.count("IMAGE") >= 5


def test_every_name_suits_a_disc_and_tells_nothing(tmp_path: Path) -> None:
    paper = Paper("Müller Anna.pdf", "application/pdf", 3, lambda: io.BytesIO(b"pdf"))
    with zipped(several(tmp_path), papers=[paper]) as medium:
        names = medium.namelist()
        assert medium.testzip() is None
        assert all(each.compress_type == zipfile.ZIP_STORED for each in medium.infolist())
    for name in names:
        assert all(iso.NAME.fullmatch(part) for part in name.split("/")), name
    assert {"DICOMDIR", "README.TXT", "INDEX.HTM", "DOCS/D000001.PDF", "DOCS/D000002.PDF"} < set(names)
    assert len([name for name in names if name.startswith("IHE_PDI/")]) == 4 + 12
    assert len([name for name in names if name.startswith("DICOM/")]) == 6


def test_the_page_names_patients_and_leads_to_files_that_are_there(tmp_path: Path) -> None:
    paper = Paper("<b>.pdf", "application/pdf", 3, lambda: io.BytesIO(b"pdf"))
    with zipped(several(tmp_path), papers=[paper]) as medium:
        page = medium.read("INDEX.HTM").decode()
        names = set(medium.namelist())
    assert "Müller Anna" in page and "&lt;b&gt;.pdf" in page and "<b>" not in page
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert links and set(links) <= names


def test_one_bad_object_costs_only_itself(tmp_path: Path) -> None:
    good = several(tmp_path)

    def gone() -> io.BytesIO:
        raise FileNotFoundError

    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 2 << 20:
                raise OSError("scratched")
            return super().read(size)

    large = part10(ct_slice(ANNA, instance=9, size=1600))
    changed_later = replace(item(ct_slice(ANNA, instance=8, size=32), "other bytes"), version="x" * 27)
    bad = [
        item(b"no DICOM at all", "junk"),
        Item("gone", 5, gone),
        item(part10(ct_slice(ANNA, instance=7, size=32))[:-100], "cut"),
        Item("scratched", len(large), lambda: Breaks(large)),
        changed_later,
    ]
    bundle, data = made([bad[0], good[0], *bad[1:], *good[1:]], ZipTarget())
    assert [one.name for one in bundle.failures] == ["junk", "gone", "cut", "scratched", "other bytes"]
    place = tmp_path / "bad.zip"
    place.write_bytes(data)
    readback.prove(place, "zip", bundle.written)
    found = scanned(place)
    assert found.receipt.complete and found.receipt.instances == 6
    with zipfile.ZipFile(place) as medium:
        told = medium.read("ERROR.txt").decode()
    assert told.count("\r\n") == 5 and "scratched: The file cannot be read." in told


def test_careful_leaves_the_page_out_after_a_failure(tmp_path: Path) -> None:
    with zipped([*several(tmp_path), item(b"junk")], replace(PLAN, careful=True)) as medium:
        assert "INDEX.HTM" not in medium.namelist()
    with zipped(several(tmp_path), replace(PLAN, careful=True)) as medium:
        assert "INDEX.HTM" in medium.namelist()


def test_a_picture_that_cannot_be_made_is_told_and_the_image_is_there(tmp_path: Path) -> None:
    def failing(what: Item, frame: int) -> Future[bytes]:
        future: Future[bytes] = Future()
        future.set_exception(NotRenderable("No decoder."))
        return future

    cine = item(samples.ultrasound_cine(ANNA, size=32), "cine")
    bundle = Bundle(PLAN, [*several(tmp_path)[:1], cine], [], failing, ZipTarget())
    medium = zipfile.ZipFile(io.BytesIO(b"".join(bundle.run())))
    assert "DICOM/PT000001/ST000001/SE000001/IM000001" in medium.namelist()
    assert [one.name for one in bundle.failures] == ["picture of o0", "picture of cine"]
    assert "without a picture" in medium.read("INDEX.HTM").decode()


def test_wrapped_documents_lie_unwrapped_beside_and_inside_only_if_wanted(tmp_path: Path) -> None:
    with zipped(several(tmp_path), replace(PLAN, wrapped=False)) as medium:
        assert medium.read("DOCS/D000001.PDF").startswith(b"%PDF-1.4")
        assert len([name for name in medium.namelist() if name.startswith("DICOM/")]) == 5


def test_pictures_alone(tmp_path: Path) -> None:
    with zipped(several(tmp_path), replace(PLAN, dicom=False)) as medium:
        names = medium.namelist()
    assert (
        "INDEX.HTM" in names
        and "DOCS/D000001.PDF" in names
        and not [name for name in names if name.startswith("DICOM")]
    )


def test_anonymized_at_any_depth_with_the_same_pixels(tmp_path: Path) -> None:
    ds = ct_slice(ANNA, size=32)
    inner = Dataset()
    inner.PatientID, inner.AccessionNumber = "A-1", "998877"
    ds.RequestAttributesSequence = [inner]
    changes = Changes(values={0x00100010: "Größe^X", 0x00100020: "ANON"}, removed=frozenset({0x00080050}))
    paper = Paper("report.pdf", "application/pdf", 3, lambda: io.BytesIO(b"pdf"))
    with zipped([item(ds)], replace(PLAN, changes=changes), [paper]) as medium:
        out = dcmread(io.BytesIO(medium.read("DICOM/PT000001/ST000001/SE000001/IM000001")))
        everything = b"".join(medium.read(name) for name in medium.namelist())
        assert not [name for name in medium.namelist() if name.startswith("DOCS")]
    assert (out.PatientName, out.PatientID) == ("Größe^X", "ANON")
    assert "AccessionNumber" not in out and out.RequestAttributesSequence[0].PatientID == "ANON"
    assert "AccessionNumber" not in out.RequestAttributesSequence[0]
    assert out.PixelData == ds.PixelData
    assert b"A-1" not in everything and b"998877" not in everything and "Müller".encode() not in everything


def test_an_object_without_file_meta_gets_one(tmp_path: Path) -> None:
    ds = ct_slice(ANNA, size=32)
    data = part10(ds)
    bare = data[132:]
    length = int.from_bytes(bare[8:12], "little")
    with zipped([Item("bare", len(bare) - 12 - length, lambda: io.BytesIO(bare[12 + length :]))]) as medium:
        out = dcmread(io.BytesIO(medium.read("DICOM/PT000001/ST000001/SE000001/IM000001")))
    assert out.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert out.PixelData == ds.PixelData and out.SOPInstanceUID == ds.SOPInstanceUID


def test_memory_stays_bounded_and_bytes_come_while_reading(tmp_path: Path) -> None:
    taken = 0

    def many() -> Iterator[Item]:
        nonlocal taken
        for n in range(1, 6):
            taken = n
            yield item(ct_slice(ANNA, instance=n, size=1024))

    stream = Bundle(PLAN, many(), [], picture, ZipTarget()).run()
    longest = max(len(next(stream)) for _ in range(4))
    assert taken < 5 and longest < 3 << 20
    stream.close()


def test_a_changed_medium_is_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    bundle, _ = made(several(tmp_path), FolderTarget(folder))
    victim = folder / "DICOM/PT000001/ST000001/SE000001/IM000002"
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    with pytest.raises(StorageFault):
        readback.prove(folder, "folder", bundle.written)
