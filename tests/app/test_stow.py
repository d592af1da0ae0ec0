"""`filmjacket stow` from the outside: the documented lines as written, against an archive of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from imagecodecs import jpeg8_encode

from app import cli
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10
from core.upload.backoff import Pace
from tests.app.archive_process import ArchiveProcess
from tests.core.stub_stow import StowStub
from tests.core.stub_v3 import Handler, serving
from tests.plain_files import png

STUDY = SampleStudy("stow", SamplePatient("CANARY^STOW", "CANARY-3"))
JPEG = jpeg8_encode(np.arange(64 * 48, dtype=np.uint8).reshape(48, 64))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with ArchiveProcess(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture
def url(archive: ArchiveProcess) -> str:
    return f"{archive.url}/dcm4chee-arc/aets/DCM4CHEE/rs/studies"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FILMJACKET_LOGIN", "FILMJACKET_PASSWORD", "FILMJACKET_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("img.jpeg", "img1.jpeg", "img2.jpg", "img3.jpeg"):
        (tmp_path / name).write_bytes(JPEG)
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4 report")
    for number in (1, 2):
        (tmp_path / f"object{number}.dcm").write_bytes(part10(ct_slice(STUDY, instance=number, size=16)))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def metadata_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(document["studies"][0] + "/metadata", trust_env=False).json()
    return found


def test_a_picture_with_an_attribute(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stow", "-m", "PatientName=John^Doe", "-u", url, "img.jpeg", "--json"]) == 0
    document = told(capsys)
    assert document["complete"] and document["sent"] == document["held"] == 1 and not document["failed"]
    (model,) = metadata_of(document)
    assert model["00100010"]["Value"] == [{"Alphabetic": "John^Doe"}]
    assert model["00280010"]["Value"] == [48] and model["00080060"]["Value"] == ["OT"]


def test_photographs_as_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["-t", "json", "--xc", "-m", "PatientID=P1", "-u", url, "img1.jpeg", "img2.jpg", "img3.jpeg"]
    assert cli.main(["stow", *line, "--json"]) == 0
    models = metadata_of(told(capsys))
    assert len(models) == 3
    assert {model["00080016"]["Value"][0] for model in models} == {"1.2.840.10008.5.1.4.1.1.77.1.4"}
    assert {model["00100020"]["Value"][0] for model in models} == {"P1"}
    assert sorted(model["00200013"]["Value"][0] for model in models) == [1, 2, 3]


def test_dicom_files_go_as_they_are(
    archive: ArchiveProcess, url: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stow", "-u", url, "object1.dcm", "object2.dcm"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 of 2 objects stored") and "2 of them are listed there" in said
    found = httpx.get(f"{archive.url}/dicom-web/studies/{STUDY.uid}", trust_env=False)
    assert all((folder / f"object{number}.dcm").read_bytes() in found.content for number in (1, 2))


def test_a_mixed_folder_as_xml(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "notes.txt").write_text("nothing to send")
    line = ["-t", "xml", "-s", "RequestAttributesSequence/ScheduledProcedureStepID=7", "--url", url]
    for number in (1, 2):
        (folder / f"object{number}.dcm").unlink()
    assert cli.main(["stow", *line, str(folder), "--json"]) == 0
    document = told(capsys)
    assert document["sent"] == 5 and len(document["stored"]) == 5
    assert {m["00400275"]["Value"][0]["00400009"]["Value"][0] for m in metadata_of(document)} == {"7"}


def test_files_for_a_study_that_is_there_need_no_attributes(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stow", "-u", url, "object1.dcm", "--json"]) == 0
    told(capsys)
    assert cli.main(["stow", "-u", f"{url}/{STUDY.uid}", "img.jpeg", "report.pdf", "--json"]) == 0
    document = told(capsys)
    assert document["complete"] and len(document["stored"]) == 2
    found = {model["00080018"]["Value"][0]: model for model in metadata_of(document)}
    for sop_uid in document["stored"]:
        assert found[sop_uid]["00100020"]["Value"] == ["CANARY-3"]
        assert found[sop_uid]["00080050"]["Value"] == [STUDY.accession_number]


def test_some_stored_and_some_not(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    assert cli.main(["stow", "-u", url, "img.jpeg", "broken.jpg", "--json"]) == 1
    document = told(capsys)
    assert not document["complete"] and len(document["stored"]) == 1
    assert document["failed"][0]["reason"] == "0xA900" and document["failed"][0]["sop_uid"]
    assert document["failed"][0]["path"] == "broken.jpg"


def test_every_file_that_is_not_stored_is_named(
    url: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "no.dcm").write_bytes(b"no DICOM")
    (folder / "cut.dcm").write_bytes((folder / "object1.dcm").read_bytes()[:-9])
    assert cli.main(["stow", "-u", url, "object2.dcm", "no.dcm", "cut.dcm"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("1 of 3 objects stored") and said.out.count("not stored: ") == 2
    assert "not stored: no.dcm: " in said.out and "not stored: cut.dcm: " in said.out
    assert "This is no DICOM file." in said.err and "ends before" in said.err


def test_files_that_hold_the_same_object(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "copy.dcm").write_bytes((folder / "object1.dcm").read_bytes())
    assert cli.main(["stow", "-u", url, "object1.dcm", "copy.dcm"]) == 0
    assert "2 of 2" in (said := capsys.readouterr().out) and "stored once" in said


def test_a_picture_is_what_it_holds_whatever_its_name_says(
    url: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "img.jpeg").write_bytes(png())
    assert cli.main(["stow", "-u", url, "img.jpeg", "--json"]) == 0
    assert told(capsys)["complete"]


def test_what_an_archive_refuses_together_goes_in_parts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [folder / f"object{number}.dcm" for number in (1, 2)]
    (folder / "huge.dcm").write_bytes(part10(ct_slice(STUDY, instance=3, size=256)))
    with serving(StowStub()) as stub:
        assert isinstance(stub, StowStub)
        stub.largest = good[0].stat().st_size + 1000
        line = ["stow", "-u", stub.url, "object1.dcm", "huge.dcm", "object2.dcm", "--json"]
        assert cli.main(line) == 1
        assert sorted(stub.images.values()) == sorted(path.read_bytes() for path in good)
        document = told(capsys)
        assert (document["sent"], document["held"]) == (3, 2) and not document["complete"]
        assert [each["path"] for each in document["failed"]] == ["huge.dcm"]
        assert cli.main(["stow", "-u", stub.url, "huge.dcm", "huge.dcm"]) == 1
    assert "413" in capsys.readouterr().err


def test_an_archive_that_is_away_is_tried_again(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "app.commands.stow.PACE", Pace(first_delay_s=0.01, longest_delay_s=0.02, patience_s=5)
    )
    with serving(StowStub()) as stub:
        refusals = iter(range(3))

        def away(handler: Handler) -> bool:
            if handler.command == "POST" and next(refusals, None) is not None:
                handler.reset()
                return True
            return False

        stub.fault = away
        assert cli.main(["stow", "-u", f"{stub.url}/studies", "object1.dcm", "--json"]) == 0
        assert list(stub.images.values()) == [(folder / "object1.dcm").read_bytes()]
    assert told(capsys)["complete"]


def test_an_object_that_is_not_there_afterwards_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(StowStub()) as stub:
        assert isinstance(stub, StowStub)
        stub.forgets = {ct_slice(STUDY, instance=1, size=16).SOPInstanceUID}
        line = ["stow", "-u", stub.url, "object1.dcm", "object2.dcm", "--json"]
        assert cli.main(line) == 1
    document = told(capsys)
    assert len(document["stored"]) == 2 and document["held"] == 1 and not document["complete"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (2, ["img.jpeg"]),
        (2, ["-u", "URL", "absent.jpg"]),
        (2, ["-u", "URL", "-t", "yaml", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "NoSuchThing=1", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "PatientName", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "PixelData=1", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "=1", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "StudyDate=yesterday", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "InstanceNumber=first", "img.jpeg"]),
        (2, ["-u", "URL", "-m", "PatientID=1", "object1.dcm"]),
        (2, ["-u", "user:secret", "img.jpeg"]),
        (3, ["-u", "http://127.0.0.1:1/rs/studies", "img.jpeg"]),
        (1, ["-u", "URL/../nothing", "img.jpeg"]),
    ],
)
def test_what_goes_wrong_is_said(
    url: str,
    code: int,
    line: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.commands.stow.PACE", Pace(patience_s=0.0))
    assert cli.main(["stow", *(each.replace("URL", url) for each in line)]) == code
    said = capsys.readouterr()
    assert said.err.strip() and "Traceback" not in said.err and "secret" not in said.err and not said.out
