"""`filmjacket upload` from the outside: options, exit codes, receipts; against an archive of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.commands import upload
from core.errors import BadInput, KnownError, NotFound, Unreachable
from core.media.attached import encapsulate
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, write_ct_series
from core.net.v3_client import V3Client
from core.upload import backoff
from core.upload.stow import StowDestination
from tests.app.archive_process import ArchiveProcess, filmjacket, here

ANNA = SampleStudy("anna", SamplePatient("CANARY^ANNA", "CANARY-1"))
BERT = SampleStudy("bert", SamplePatient("CANARY^BERT", "CANARY-2"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with ArchiveProcess(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    write_ct_series(ANNA, tmp_path / "disc/anna", 3, size=32)
    write_ct_series(BERT, tmp_path / "disc/bert", 2, size=32)
    (tmp_path / "disc/readme.txt").write_text("no image")
    return tmp_path / "disc"


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.4 report")
    return path


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FILMJACKET_LOGIN", "FILMJACKET_PASSWORD", "FILMJACKET_DATA"):
        monkeypatch.delenv(name, raising=False)


def receipt_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def test_the_whole_disc_and_then_nothing_more(
    archive: ArchiveProcess, disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"v3:{archive.url}"
    assert upload.run([disc], to=to, namespace="whole", data=tmp_path / "d", as_json=True) == 0
    document = receipt_of(capsys)
    assert document["complete"] and document["destination"] == to
    found = {
        s["study_uid"]: (s["expected"], s["sent"], s["verified"], s["verified_by"])
        for s in document["studies"]
    }
    assert found == {ANNA.uid: (3, 3, 3, "digest"), BERT.uid: (2, 2, 2, "digest")}
    assert upload.run([disc], to=to, namespace="whole", data=tmp_path / "d", as_json=True) == 0
    again = receipt_of(capsys)
    assert [(s["sent"], s["already_there"]) for s in again["studies"]] in ([(0, 3), (0, 2)], [(0, 2), (0, 3)])


def test_one_study_with_an_attachment_sent_once(
    archive: ArchiveProcess, disc: Path, pdf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        code = upload.run(
            [disc], to=f"v3:{archive.url}", study=[ANNA.uid], namespace="one", attach=[pdf], resume=True,
            data=tmp_path / "d", as_json=True,
        )  # fmt: skip
        (study,) = receipt_of(capsys)["studies"]
        assert code == 0 and study["attachments"] == 1
    with V3Client(archive.url) as client:
        (attached,) = client.study_detail("one", ANNA.uid).attachments
        with client.attachment("one", ANNA.uid, attached.id, attached.version) as pieces:
            assert b"".join(pieces) == pdf.read_bytes()
        assert attached.name == "report.pdf" and attached.content_type == "application/pdf"
        assert client.search(namespace="one").total == 1


def test_a_zip_file_is_a_source_like_any_other(
    archive: ArchiveProcess, disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", disc))
    code = upload.run([packed], to=f"v3:{archive.url}", namespace="zip", data=tmp_path / "d", as_json=True)
    assert code == 0 and sum(s["verified"] for s in receipt_of(capsys)["studies"]) == 5


def test_another_file_under_the_same_uid_spoils_the_receipt(
    archive: ArchiveProcess, disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = part10(ct_slice(ANNA, instance=2, size=32, PatientComments="planted"))
    (tmp_path / "planted").write_bytes(planted)
    with V3Client(archive.url) as client, (tmp_path / "planted").open("rb") as data:
        client.store("planted", data, len(planted))
    arguments: dict[str, Any] = {"to": f"v3:{archive.url}", "namespace": "planted", "data": tmp_path / "d"}
    assert upload.run([disc], **arguments, as_json=True) == 1
    document = receipt_of(capsys)
    assert not document["complete"]
    (failure,) = [f for s in document["studies"] for f in s["failed"]]
    assert failure["path"].endswith("IM000002") and "another file" in failure["reason"]
    assert upload.run([disc], **arguments) == 1
    assert "not sent" in (said := capsys.readouterr().out) and "Safe to eject" not in said
    assert upload.run([disc], **arguments, replace=True, as_json=True) == 0
    assert receipt_of(capsys)["complete"]


def test_people_read_sentences(
    archive: ArchiveProcess, disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upload.run([disc], to=f"v3:{archive.url}", namespace="text", data=tmp_path / "d") == 0
    said = capsys.readouterr()
    assert "3 of 3 images" in said.out and "Safe to eject." in said.out and not said.err


def test_nothing_to_upload(
    archive: ArchiveProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    code = upload.run([tmp_path / "empty"], to=f"v3:{archive.url}", data=tmp_path / "d", as_json=True)
    said = capsys.readouterr()
    assert code == 1 and json.loads(said.out)["complete"] is False and "no images" in said.err


def exit_code(error: KnownError) -> object:
    return getattr(error, "exit_code", None)


def test_wrong_usage_names_the_problem(disc: Path, pdf: Path, tmp_path: Path) -> None:
    to, data = "v3:http://127.0.0.1:9", tmp_path / "d"
    for arguments, words in (
        ({"attach": [pdf]}, "2 are picked"),
        ({"attach": [tmp_path / "none.pdf"]}, "not there"),
        ({"study": ["1.2.3"]}, "no study"),
        ({"namespace": "a b"}, "namespace"),
    ):
        with pytest.raises(BadInput, match=words) as caught:
            upload.run([disc], to=to, data=data, **arguments)
        assert exit_code(caught.value) == 2
    for form in ("share:https://h/share/x",):
        with pytest.raises(BadInput, match="in this version") as caught:
            upload.run([disc], to=form, data=data)
        assert exit_code(caught.value) == 2
    with pytest.raises(NotFound):
        upload.run([disc], to="nowhere", data=data)


def test_nobody_there_keeps_the_ledger_and_prints_what_is_known(
    archive: ArchiveProcess,
    disc: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setattr(backoff.Outage, "hopeless", lambda self, now, pace: now - self.since > 0.3)
    with pytest.raises(Unreachable) as caught:
        upload.run([disc], to=f"v3:{url}", data=tmp_path / "d", as_json=True)
    assert caught.value.remedy
    document = receipt_of(capsys)
    assert not document["complete"] and sum(s["expected"] for s in document["studies"]) == 5


def test_the_archive_in_the_data_folder(disc: Path, tmp_path: Path) -> None:
    done = filmjacket("upload", disc, "--to", "archive", "--data", tmp_path / "d", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["complete"] and document["destination"] == "archive"
    checked = here("check", "--data", tmp_path / "d", "--json")
    assert checked.returncode == 0, checked.stdout


def test_exit_codes_of_the_program(disc: Path, tmp_path: Path) -> None:
    wrong = filmjacket("upload", disc, "--to", "share:http://h/share/x", "--data", tmp_path / "d")
    assert wrong.returncode == 2 and "in this version" in wrong.stderr and not wrong.stdout
    assert "Traceback" not in wrong.stderr
    gone = here("upload", disc / "not there", "--to", "archive", "--data", tmp_path / "d", "--json")
    assert gone.returncode == 3 and "There is nothing at" in gone.stderr and not gone.stdout


def test_no_patient_reaches_a_log(archive: ArchiveProcess, disc: Path, tmp_path: Path) -> None:
    data = tmp_path / "d"
    done = here("upload", disc, "--to", f"v3:{archive.url}", "--namespace", "log", "--data", data, "-v")
    assert done.returncode == 0
    logs = [path.read_text("utf-8") for folder in (data, archive.data) for path in folder.glob("logs/*")]
    assert "CANARY" not in done.stderr and not any("CANARY" in text for text in logs)


def test_a_dicomweb_archive_as_destination(
    archive: ArchiveProcess, disc: Path, pdf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"stow:{archive.url}/api/v3/storage/dicomweb/stow"
    with closing(StowDestination(to.removeprefix("stow:"), None, encapsulate)) as new:
        assert "new there" in new.test()
    for before in (0, 3):
        code = upload.run(
            [disc], to=to, study=[ANNA.uid], attach=[pdf], data=tmp_path / "d", as_json=True
        )  # fmt: skip
        document = receipt_of(capsys)
        (study,) = document["studies"]
        assert code == 0 and document["complete"] and study["attachments"] == 1
        assert (study["already_there"], study["verified"], study["verified_by"]) == (before, 3, "uid")
    with V3Client(archive.url) as client:
        detail = client.study_detail("stow", ANNA.uid)
        by_modality = {each.modality: len(each.images) for each in detail.series}
        assert by_modality == {"CT": 3, "DOC": 1} and detail.study.patient_id == ANNA.patient.patient_id
        image = next(each for each in detail.series if each.modality == "CT").images[0]
        with client.payload("stow", ANNA.uid, image.image_uid, image.version) as pieces:
            stored = b"".join(pieces)
    assert stored in [path.read_bytes() for path in (disc / "anna").rglob("*") if path.is_file()]
    assert upload.run([disc], to=to, data=tmp_path / "d") == 0
    said = capsys.readouterr().out
    assert "not compared byte for byte" in said and "Safe to eject" not in said
    with pytest.raises(BadInput, match="namespaces") as caught:
        upload.run([disc], to=to, namespace="other", data=tmp_path / "d")
    assert exit_code(caught.value) == 2
