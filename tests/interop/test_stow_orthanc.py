"""Orthanc's DICOMweb plugin: `stow` and `upload` send to it, it searches here, pulls from here and pushes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from app import cli
from app.commands import upload
from core.media.samples import (
    SamplePatient,
    SampleStudy,
    colour_photo,
    ct_slice,
    part10,
    ultrasound_cine,
    write_ct_series,
)
from tests.app.archive_process import ArchiveProcess
from tests.interop import orthanc as peer

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with peer.running(tmp_path_factory.mktemp("orthanc")) as url:
        yield url


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with ArchiveProcess(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture
def server(orthanc: str, archive: ArchiveProcess) -> str:
    """What Orthanc knows our archive by."""
    known = f"{orthanc}/dicom-web/servers/ours"
    httpx.put(known, json={"Url": f"{archive.url}/dicom-web"}, trust_env=False).raise_for_status()
    return known


def told(address: str, question: dict[str, Any]) -> Any:
    answer = httpx.post(address, json=question, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def objects(study: SampleStudy) -> list[bytes]:
    slices = [ct_slice(study, instance=number, size=32) for number in (1, 2, 3)]
    return [part10(ds) for ds in (*slices, ultrasound_cine(study), colour_photo(study))]


def held(orthanc: str) -> list[bytes]:
    there = httpx.get(f"{orthanc}/instances", trust_env=False).json()
    return [httpx.get(f"{orthanc}/instances/{each}/file", trust_env=False).content for each in there]


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
    there = held(orthanc)
    assert all(data in there for data in files)


def test_it_searches_and_pulls(orthanc: str, archive: ArchiveProcess, server: str) -> None:
    study = SampleStudy("pulled by orthanc")
    files = objects(study)
    for data in files:
        headers = {"content-type": "application/dicom"}
        httpx.post(
            f"{archive.url}/studies", content=data, headers=headers, trust_env=False
        ).raise_for_status()
    question = {"Uri": "/studies", "Arguments": {"0020000D": study.uid}}
    (found,) = told(f"{server}/qido", question)
    assert found["0020000D"]["Value"] == study.uid
    done = told(f"{server}/retrieve", {"Resources": [{"Study": study.uid}], "Synchronous": True})
    assert int(done["ReceivedInstancesCount"]) == len(files), done
    there = held(orthanc)
    assert all(data in there for data in files)


def test_it_pushes(orthanc: str, archive: ArchiveProcess, server: str) -> None:
    study = SampleStudy("pushed by orthanc")
    files = objects(study)
    own = [httpx.post(f"{orthanc}/instances", content=data, trust_env=False).json() for data in files]
    told(f"{server}/stow", {"Resources": [own[0]["ParentStudy"]], "Synchronous": True})
    accept = {"accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    answer = httpx.get(f"{archive.url}/studies/{study.uid}", headers=accept, trust_env=False)
    assert answer.status_code == 200 and all(data in answer.content for data in files)


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
