"""`filmjacket stow`, uploads and Orthanc's DICOMweb plugin: DICOM files arrive there byte for byte."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from app import cli
from app.commands import upload
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, write_ct_series

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("form", ["", "json", "xml"])
def test_files_arrive(orthanc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    study = SampleStudy(f"to orthanc {form}")
    files = [part10(ct_slice(study, instance=number, size=32)) for number in (1, 2, 3)]
    for number, data in enumerate(files):
        (tmp_path / f"object{number}.dcm").write_bytes(data)
    line = ["stow", "-u", f"{orthanc}/dicom-web/studies", "--json", *(["-t", form] if form else [])]
    assert cli.main([*line, *(str(path) for path in sorted(tmp_path.glob("*.dcm")))]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["complete"] and len(document["stored"]) == document["held"] == 3
    held = httpx.get(f"{orthanc}/instances", trust_env=False).json()
    there = [httpx.get(f"{orthanc}/instances/{each}/file", trust_env=False).content for each in held]
    assert all(data in there for data in files)


def files_at(orthanc: str, study_uid: str) -> list[bytes]:
    """Every stored file of the study."""
    (study,) = httpx.post(f"{orthanc}/tools/lookup", content=study_uid, trust_env=False).json()
    held = httpx.get(f"{orthanc}/studies/{study['ID']}/instances", trust_env=False).json()
    urls = [f"{orthanc}/instances/{each['ID']}/file" for each in held]
    return [httpx.get(url, trust_env=False).content for url in urls]


def test_an_upload_is_held_afterwards(
    orthanc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = SampleStudy("upload to orthanc", SamplePatient("MÜLLER^Änne", "INTEROP-7"))
    write_ct_series(study, tmp_path / "disc", 40, size=128)
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(b"%PDF-1.4 report")
    to = f"stow:{orthanc}/dicom-web"
    for before in (0, 40):
        assert upload.run([tmp_path / "disc"], to=to, attach=[pdf], data=tmp_path / "d", as_json=True) == 0
        document = json.loads(capsys.readouterr().out)
        (told,) = document["studies"]
        assert document["complete"] and told["attachments"] == 1 and told["verified_by"] == "uid"
        assert (told["already_there"], told["verified"]) == (before, 40)
    there = files_at(orthanc, study.uid)
    sent = [path.read_bytes() for path in (tmp_path / "disc").rglob("*") if path.is_file()]
    assert len(there) == 41 and all(data in there for data in sent)
    document_there = dcmread(io.BytesIO(next(data for data in there if data not in sent)))
    assert document_there.PatientName == "MÜLLER^Änne" and document_there.PatientID == "INTEROP-7"
    assert document_there.EncapsulatedDocument.rstrip(b"\0") == pdf.read_bytes()
