"""Downloads of a study over HTTP: ZIP files and disc images, what they hold, what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from core.dicom.refs import FileRef
from core.media import iso
from core.media.samples import SampleStudy, ct_slice, encapsulated_pdf, part10, pdf_report
from core.scan.scanner import Scanner
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, Served, Stored, store

LOADED = SampleStudy(seed="downloaded", patient=CANARY, accession_number="CANARYACC", description="CT")


@pytest.fixture(scope="module")
def loaded(served: Served) -> Stored:
    """A study with a picture, a loop, colours, a wrapped document and an attachment."""
    stored = store(served, LOADED)
    with served.client() as client:
        wrapped = part10(encapsulated_pdf(LOADED, pdf_report(["nothing"])))
        url = f"/api/v3/storage/namespace/{NAMESPACE}/image"
        client.post(url, content=wrapped).raise_for_status()
        files = {"data": ("Bericht.pdf", b"%PDF-1.4 attached", "application/pdf")}
        form = {"uploaded_by": "Rita"}
        client.post(f"{stored.path}/attachment", files=files, data=form).raise_for_status()
    return stored


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client(timeout=60) as found:
        yield found


def medium(answer: httpx.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def dicom(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("DICOM/")]


def test_a_zip_that_opens_and_scans_as_complete(client: httpx.Client, loaded: Stored, tmp_path: Path) -> None:
    answer = client.get(f"{loaded.path}/download", params={"bundle": "dicom", "include_wrapped_dicoms": "1"})
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="study.zip"'
    place = tmp_path / "study.zip"
    place.write_bytes(answer.content)
    with medium(answer) as packed:
        names = packed.namelist()
        assert packed.testzip() is None and "ERROR.txt" not in names
        assert {"DICOMDIR", "README.TXT", "INDEX.HTM"} < set(names)
        assert packed.read("IHE_PDI/S000001/I000001.JPG").startswith(b"\xff\xd8")
        assert len([name for name in names if name.startswith("IHE_PDI/")]) == 14
        documents = [packed.read(name) for name in names if name.startswith("DOCS/")]
    assert b"%PDF-1.4 attached" in documents and len(documents) == 2
    scanner = Scanner([place], workers=0)
    for _ in scanner.run():
        pass
    found = scanner.result
    assert found.receipt.complete and found.receipt.instances == 4
    with found.open(FileRef("study.zip", dicom(names)[0])) as file:
        assert file.read() in loaded.files.values()


def test_by_default_wrapped_documents_come_unwrapped_only(client: httpx.Client, loaded: Stored) -> None:
    with medium(client.get(f"{loaded.path}/download", params={"bundle": "dicom"})) as packed:
        assert len(dicom(packed.namelist())) == 3
        assert len([name for name in packed.namelist() if name.startswith("DOCS/")]) == 2


def test_a_disc_image(client: httpx.Client, served: Served, loaded: Stored, tmp_path: Path) -> None:
    answer = client.get(f"{loaded.path}/download", params={"bundle": "iso", "exclude_viewer": "1"})
    assert answer.status_code == 200 and 'filename="study.iso"' in answer.headers["content-disposition"]
    place = tmp_path / "study.iso"
    place.write_bytes(answer.content)
    with iso.opened(place) as image:
        names = iso.names(image)
    assert "DICOMDIR" in names and "INDEX.HTM" not in names and len(dicom(list(names))) == 3
    assert not list((served.data / "archive" / "media").iterdir())


@pytest.mark.parametrize("bundle", ["osx", "win", "image"])
def test_other_bundles(client: httpx.Client, loaded: Stored, bundle: str) -> None:
    answer = client.post(f"{loaded.path}/download", data={"bundle": bundle, "flat_directory": "1"})
    with medium(answer) as packed:
        names = packed.namelist()
    assert "INDEX.HTM" in names and "README.TXT" in names
    assert dicom(names) == ([] if bundle == "image" else [f"DICOM/IM00000{n}" for n in (1, 2, 3)])


def test_only_what_was_asked_for(client: httpx.Client, loaded: Stored) -> None:
    uid = loaded.images["ct"]["image_uid"]
    with medium(client.get(f"{loaded.path}/download", params={"image_uid": uid})) as packed:
        names = packed.namelist()
        assert packed.read(dicom(names)[0]) == loaded.files["ct"]
    assert len(dicom(names)) == 1 and not [name for name in names if name.startswith("DOCS/")]


def test_anonymized(client: httpx.Client, loaded: Stored) -> None:
    tags = f"{0x00100010}=No^Body,{0x00100020}=X, 1,{0x00080050}=__DELETE__"
    with medium(client.get(f"{loaded.path}/download", params={"anonymize_tags": tags})) as packed:
        everything = b"".join(packed.read(name) for name in packed.namelist())
        out = dcmread(io.BytesIO(packed.read(dicom(packed.namelist())[0])))
    assert (out.PatientName, out.PatientID) == ("No^Body", "X, 1") and "AccessionNumber" not in out
    assert CANARY.patient_id.encode() not in everything and b"CANARYACC" not in everything


def test_the_values_of_an_overlay_reach_files_directory_and_page(
    client: httpx.Client, loaded: Stored
) -> None:
    order = {"patient_name": "Über^Lay", "patient_mrn": "OVER-1"}
    client.put(f"{loaded.path}/order/his", json=order).raise_for_status()
    query = {"phi_namespace": "his", "image_uid": loaded.images["ct"]["image_uid"]}
    with medium(client.get(f"{loaded.path}/download", params=query)) as packed:
        out = dcmread(io.BytesIO(packed.read(dicom(packed.namelist())[0])))
        assert "Über^Lay".encode() in packed.read("DICOMDIR") and b"OVER-1" in packed.read("INDEX.HTM")
    assert (out.PatientName, out.PatientID) == ("Über^Lay", "OVER-1")
    assert out.PixelData == dcmread(io.BytesIO(loaded.files["ct"])).PixelData


def test_one_file_lost_from_the_disk_is_told_inside(
    client: httpx.Client, served: Served, tmp_path: Path
) -> None:
    study = SampleStudy(seed="half lost", patient=CANARY)
    stored = store(served, study)
    victim = stored.files["ct"]
    for path in (served.data / "archive").rglob("*"):
        if path.is_file() and path.stat().st_size == len(victim) and path.read_bytes() == victim:
            path.unlink()
    with medium(client.get(f"{stored.path}/download", params={"stop_on_failure": "1"})) as packed:
        told = packed.read("ERROR.txt").decode()
        names = packed.namelist()
    assert stored.images["ct"]["image_uid"] in told and told.count("\n") == 1
    assert len(dicom(names)) == 2 and "INDEX.HTM" not in names


def test_folders_named_as_trials_have_them(client: httpx.Client, served: Served) -> None:
    study = SampleStudy(seed="trial", patient=CANARY)
    url = f"/api/v3/storage/namespace/{NAMESPACE}/image"
    said = {"ClinicalTrialTimePointID": "WEEK 12", "SeriesTime": "101112.5", "StudyDate": "20240305"}
    for series in (1, 2):
        for instance in (1, 2):
            more = {**said, "SeriesDescription": "../Axial: thin"}
            client.post(url, content=part10(ct_slice(study, series=series, instance=instance, **more)))
    path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}/download"
    with medium(client.get(path, params={"roche_directory": "1", "exclude_viewer": "1"})) as packed:
        names = set(packed.namelist())
    first = "20240305-WEEK_12/CT/101112.5-Axial__thin"
    files = {f"{folder}/IMG000{n}.dcm" for folder in (first, f"{first}_2") for n in (1, 2)}
    assert names == files | {"README.TXT"}
    flat = {"roche_directory": "1", "flat_directory": "1", "exclude_viewer": "1"}
    with medium(client.get(path, params=flat)) as packed:
        assert set(packed.namelist()) == {f"IMG000{n}.dcm" for n in (1, 2, 3, 4)} | {"README.TXT"}


def test_objects_in_another_transfer_syntax(client: httpx.Client, loaded: Stored) -> None:
    """What cannot be had in it is named in ERROR.txt."""
    rle, baseline = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
    for wanted, count in ((rle, 3), (baseline, 2)):
        query = {"transfer_syntax": wanted, "exclude_viewer": "1"}
        with medium(client.get(f"{loaded.path}/download", params=query)) as packed:
            names = packed.namelist()
            read = [dcmread(io.BytesIO(packed.read(name))) for name in dicom(names)]
            assert {ds.file_meta.TransferSyntaxUID for ds in read} == {wanted} and len(read) == count
            if wanted == baseline:
                assert loaded.images["ct"]["image_uid"] in packed.read("ERROR.txt").decode()
            else:
                stored = dcmread(io.BytesIO(loaded.files["ct"]))
                (ct,) = (ds for ds in read if ds.SOPInstanceUID == stored.SOPInstanceUID)
                assert (ct.pixel_array == stored.pixel_array).all()


def test_moving_pictures(client: httpx.Client, loaded: Stored) -> None:
    """The loop of twelve frames by itself; the slices of a named series as one."""
    for form, begins in (("avi", b"RIFF"), ("mp4", b"\0\0\0\x18ftypisom")):
        query = {"video_format": form, "exclude_viewer": "1"}
        with medium(client.get(f"{loaded.path}/download", params=query)) as packed:
            (name,) = [name for name in packed.namelist() if name.startswith("VIDEO/")]
            video = packed.read(name)
        assert name == f"VIDEO/V000001.{form.upper()}" and video.startswith(begins)
        assert video.count(b"\xff\xd8\xff") == 12
    series = dcmread(io.BytesIO(loaded.files["ct"])).SeriesInstanceUID
    with medium(client.get(f"{loaded.path}/download", params={"video_series_uids": series})) as packed:
        (name,) = [name for name in packed.namelist() if name.startswith("VIDEO/")]
        assert name.endswith(".AVI") and packed.read(name).count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"bundle": "tar"}, 400),
        ({"series_uid": "1.2.3"}, 404),
        ({"image_uid": "1.2.3"}, 404),
        ({"roche_directory": "1", "bundle": "iso"}, 400),
        ({"transfer_syntax": "jpeg"}, 400),
        ({"video_format": "webm"}, 400),
        ({"video_series_uids": "1.2.3"}, 404),
        ({"exclude_viewer": "maybe"}, 400),
        ({"anonymize_tags": "PatientName=x"}, 412),
        ({"anonymize_tags": f"{0x0020000D}=1.2"}, 400),
        ({"anonymize_tags": f"{0x00080018}=__DELETE__"}, 400),
        ({"anonymize_tags": "99999999999=x"}, 412),
        ({"phi_namespace": "no such"}, 403),
    ],
)
def test_refused(served: Served, loaded: Stored, query: dict[str, str], status: int) -> None:
    with served.client("limited") as client:
        answer = client.get(f"{loaded.path}/download", params=query)
    assert answer.status_code == status and answer.json()["message"]


def test_who_may_not(served: Served, loaded: Stored, client: httpx.Client) -> None:
    assert client.get(f"{loaded.path}x/download").status_code == 404
    with served.client("modality") as modality:
        assert modality.get(f"{loaded.path}/download").status_code == 403
    with served.anonymous() as nobody:
        assert nobody.get(f"{loaded.path}/download").status_code == 401
    assert client.head(f"{loaded.path}/download").headers["content-type"] == "application/zip"
    assert client.post(f"{loaded.path}/download", json={"bundle": "iso"}).status_code == 415


def test_one_who_leaves_half_way_keeps_nothing_busy(served: Served, loaded: Stored) -> None:
    with served.client() as client:
        with client.stream("GET", f"{loaded.path}/download", params={"bundle": "dicom"}) as answer:
            next(answer.iter_raw(1000))
        assert client.get("/healthz").status_code == 200
        assert client.get(f"{loaded.path}/download").status_code == 200
