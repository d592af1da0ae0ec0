"""Uploads to a DICOM Service: each object by its form, proven by its search, refusals told one by one."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from core.dicom.refs import FileRef
from core.dicom.stored_object import read_object
from core.errors import BadInput, Conflict, KnownError, NotFound, Unauthenticated, Unreachable
from core.media.attached import encapsulate
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, pdf_report
from core.net.credentials import Credentials
from core.scan.scanner import Scanner
from core.upload.exams import ExamsDestination, Whose
from core.upload.ledger import Ledger
from core.upload.nouns import JobState, UploadReceipt
from core.upload.picks import Attach, Order, Pick
from core.upload.runner import run
from tests.core.upload_fakes import QUICK
from tests.server.conftest import PASSWORDS, Served

STUDY = SampleStudy("exams sent", SamplePatient("Sent^By Exams", "EX 1/ä"), "20240211", "CT Abdomen")


def destination(served: Served, login: str = "staff", whose: Whose = lambda _: "") -> ExamsDestination:
    return ExamsDestination(served.url, Credentials(login, PASSWORDS[login]), encapsulate, whose=whose)


def finish(work: Any) -> UploadReceipt:
    try:
        while True:
            next(work)
    except StopIteration as end:
        receipt: UploadReceipt = end.value
        return receipt


def disc(folder: Path, study: SampleStudy, count: int) -> Any:
    folder.mkdir()
    for number in range(1, count + 1):
        (folder / f"IM{number}").write_bytes(part10(ct_slice(study, instance=number, size=32)))
    work = Scanner([folder]).run()
    try:
        while True:
            next(work)
    except StopIteration as end:
        return end.value


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "client.db")) as ledger:
        yield ledger


def test_a_study_and_a_report_arrive_and_are_proven(served: Served, ledger: Ledger, tmp_path: Path) -> None:
    scan = disc(tmp_path / "disc", STUDY, 5)
    pdf = tmp_path / "letter.pdf"
    pdf.write_bytes(pdf_report(["A letter"]))
    picks = [Pick.of(study) for _, study in scan.tree.studies()]
    order = Order([tmp_path / "disc"], "exams:x", picks, [Attach(STUDY.uid, pdf)])
    job = ledger.create(order, scan.local_path)
    receipt = finish(run(job, destination(served, whose=job.patient_id), opener=scan.open, pace=QUICK))
    (study,) = receipt.studies
    assert receipt.complete and not receipt.safe_to_eject and job.state is JobState.DONE
    assert (study.sent, study.already_there, study.verified, study.verified_by) == (5, 0, 5, "uid")
    assert study.attachments == 1
    with served.client("viewer") as client:
        query = {"patientID": STUDY.patient.patient_id}
        series = client.get(f"/exams/studies/{STUDY.uid}/series", params=query).json()
        assert sorted(each["00080060"]["Value"][0] for each in series) == ["CT", "DOC"]
    again = ledger.create(order, scan.local_path)
    receipt = finish(run(again, destination(served, whose=again.patient_id), opener=scan.open, pace=QUICK))
    assert receipt.complete and receipt.studies[0].already_there == 5


def test_who_has_no_id_is_proven_object_by_object(served: Served, ledger: Ledger, tmp_path: Path) -> None:
    nobody = SampleStudy("exams nobody", SamplePatient("No^Id", ""))
    scan = disc(tmp_path / "disc", nobody, 2)
    picks = [Pick.of(study) for _, study in scan.tree.studies()]
    job = ledger.create(Order([tmp_path / "disc"], "exams:x", picks), scan.local_path)
    receipt = finish(run(job, destination(served, whose=job.patient_id), opener=scan.open, pace=QUICK))
    assert receipt.complete and receipt.studies[0].verified == 2
    with closing(destination(served)) as there, pytest.raises(KnownError, match="no ID"):
        there.attach(nobody.uid, tmp_path / "x.pdf", "x", "application/pdf")


def test_what_is_no_object_is_refused_alone(served: Served, ledger: Ledger, tmp_path: Path) -> None:
    study = SampleStudy("exams partly", SamplePatient("Part^Ly", "EX2"))
    scan = disc(tmp_path / "disc", study, 3)
    picks = [Pick.of(each) for _, each in scan.tree.studies()]
    job = ledger.create(Order([tmp_path / "disc"], "exams:x", picks), scan.local_path)

    def opened(ref: FileRef) -> Any:
        with scan.open(ref) as file:
            data = file.read()
        return io.BytesIO(bytes(len(data)) if ref.path.endswith("2") else data)

    receipt = finish(run(job, destination(served, whose=job.patient_id), opener=opened, pace=QUICK))
    (failure,) = receipt.studies[0].failed
    assert receipt.studies[0].verified == 2 and "HTTP 422" in failure.reason and failure.path == "IM2"
    assert job.state is JobState.FAILED


def test_the_test_button_tells_who_answers(served: Served) -> None:
    with closing(destination(served, "viewer")) as there:
        assert there.test() == f"The DICOM Service at 127.0.0.1:{served.port} answers."
        there.reachable()
        assert there.held("1.2.3", ["1.2.3.4"]) == {} and there.held("1.2.3", []) == {}
    refused = ExamsDestination(served.url, Credentials("staff", "wrong"), encapsulate, whose=lambda _: "")
    with closing(refused), pytest.raises(Unauthenticated):
        refused.test()
    elsewhere = ExamsDestination(f"{served.url}/nowhere", None, encapsulate, whose=lambda _: "P")
    data = part10(ct_slice(STUDY, size=32))
    header = read_object(io.BytesIO(data), len(data)).header
    with closing(elsewhere):
        for attempt in (elsewhere.test, lambda: elsewhere.send(header, io.BytesIO(data), len(data))):
            with pytest.raises((NotFound, Unauthenticated)):
                attempt()
    with pytest.raises(Unreachable):
        elsewhere.reachable()  # it is closed


class Other(BaseHTTPRequestHandler):
    """A service of somebody else: it knows PatientId alone, and answers as it is told."""

    answers: ClassVar[dict[str, tuple[int, Any]]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        query = parse_qs(urlsplit(self.path).query)
        status, value = self.answers["GET"] if "PatientId" in query else (400, {})
        self._send(status, value)

    def do_HEAD(self) -> None:
        self._send(404, None)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(*self.answers["POST"])

    def _send(self, status: int, value: Any) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def other() -> Iterator[str]:
    Other.answers, Other.asked = {"GET": (200, [])}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/exams"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_another_service_is_asked_in_its_spelling_and_believed_no_more_than_it_says(other: str) -> None:
    data = part10(ct_slice(STUDY, size=32))
    header = read_object(io.BytesIO(data), len(data)).header
    named = {"00081155": {"vr": "UI", "Value": [header.sop_instance_uid]}}
    failed = {"00081198": {"vr": "SQ", "Value": [{**named, "00081197": {"vr": "US", "Value": [0xA900]}}]}}
    with closing(ExamsDestination(other, None, encapsulate, whose=lambda _: "P&1")) as there:
        assert "answers" in there.test()
        assert [urlsplit(path).query for path in Other.asked] == [
            "patientID=FILMJACKET%20TEST", "PatientId=FILMJACKET%20TEST",
        ]  # fmt: skip
        for answer, error in (
            ((200, []), KnownError),
            ((200, [{"00081199": {"vr": "SQ", "Value": []}}]), KnownError),
            ((200, [failed]), Conflict),
            ((422, {}), BadInput),
            ((500, {}), KnownError),
        ):
            Other.answers["POST"] = answer
            with pytest.raises(error):
                there.send(header, io.BytesIO(data), len(data))
        Other.answers["POST"] = (200, [{"00081199": {"vr": "SQ", "Value": [named]}}])
        there.send(header, io.BytesIO(data), len(data))
        assert there.held(STUDY.uid, [header.sop_instance_uid]) == {}  # it took it, and lists nothing
        assert Other.asked[-1].endswith("?PatientId=P%261")
        Other.answers["GET"] = (500, {})
        with pytest.raises(KnownError):
            there.held(STUDY.uid, [header.sop_instance_uid])
        Other.answers["GET"] = (200, {"no": "list"})
        with pytest.raises(KnownError, match="not as a DICOM Service"):
            there.test()
