"""Uploads by STOW-RS over real sockets: limits, silence, refusals, and what the archive says afterwards."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from core.errors import BadInput, NotFound, Unauthenticated
from core.media.attached import encapsulate
from core.net.answers import Answer
from core.net.credentials import Access, Credentials
from core.net.http import Timeouts
from core.net.store_answer import NotStored, read_answer
from core.upload.backoff import Pace
from core.upload.control import Control
from core.upload.nouns import UploadReceipt
from core.upload.picks import Attach
from core.upload.runner import run
from core.upload.stow import LEAST_BYTES, MOST_BYTES, StowDestination
from tests.core.stub_stow import StowStub
from tests.core.stub_v3 import Handler, serving
from tests.core.test_upload_destination import (
    HEADER,
    QUICK,
    V3Desk,
    cut_after_all,
    cut_half_way,
    five_hundred,
    full,
    out_of_service,
)
from tests.core.upload_fakes import finish

STUDY = "1.2.3.1"


class StowDesk(V3Desk):
    """The same files on their way to a DICOMweb archive."""

    def stow(
        self, stub: StowStub, *, access: Access = None, replace_there: bool = False, pace: Pace = QUICK
    ) -> UploadReceipt:
        times = Timeouts(connect_s=2, idle_s=0.5, answer_s=0.5)
        destination = StowDestination(stub.url, access, encapsulate, timeouts=times)
        return finish(run(self.job(replace=replace_there), destination, opener=self.open, pace=pace))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[StowDesk]:
    desk = StowDesk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture
def stub() -> Iterator[StowStub]:
    with serving(StowStub()) as stub:
        assert isinstance(stub, StowStub)
        yield stub


@pytest.fixture
def pdf(desk: StowDesk, tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.4 report")
    desk.attachments = [Attach(STUDY, path)]
    return path


def test_everything_arrives_and_is_asked_for(desk: StowDesk, stub: StowStub) -> None:
    receipt = desk.stow(stub)
    (study,) = receipt.studies
    assert receipt.complete and (study.sent, study.verified, study.verified_by) == (12, 12, "uid")
    assert not receipt.safe_to_eject
    assert stub.images == {
        each.header.sop_instance_uid: desk.locate(each.ref).read_bytes() for each in desk.picks[0].instances
    }
    assert 1 < stub.posts() < 12 and max(stub.sizes) <= MOST_BYTES + 4096
    again = desk.stow(stub)
    assert again.complete and again.studies[0].already_there == 12 and again.studies[0].sent == 0


def test_what_cannot_be_compared_is_sent_again_if_that_is_wished(desk: StowDesk, stub: StowStub) -> None:
    desk.stow(stub)
    before = stub.posts()
    assert desk.stow(stub, replace_there=True).studies[0].sent == 12 and stub.posts() > before


def test_requests_shrink_to_what_the_archive_takes(desk: StowDesk, stub: StowStub) -> None:
    stub.largest = 900_000  # two images
    receipt = desk.stow(stub, pace=replace(QUICK, connections=1))  # of several, one may come late
    assert receipt.complete and receipt.studies[0].verified == 12
    assert any(size > stub.largest for size in stub.sizes)
    assert max(stub.sizes[-4:]) <= stub.largest


def test_one_image_too_large_fails_alone(desk: StowDesk, stub: StowStub) -> None:
    found = desk.picks[0].instances
    large = desk.locate(found[3].ref).read_bytes() + bytes(300_000)
    desk.locate(found[3].ref).write_bytes(large)
    instances = (*found[:3], found[3]._replace(size=len(large)), *found[4:])
    desk.picks = [replace(desk.picks[0], instances=instances)]
    stub.largest = 600_000
    receipt = desk.stow(stub)
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == found[3].header.sop_instance_uid and "too large" in failure.reason
    assert receipt.studies[0].verified == 11 and not receipt.complete


def test_requests_shrink_when_the_archive_is_too_slow(stub: StowStub) -> None:
    release, silent = threading.Event(), threading.Semaphore(1)

    def hang(handler: Handler) -> bool:
        if handler.command != "POST" or not silent.acquire(blocking=False):
            return False
        release.wait(10)
        handler.reset()
        return True

    stub.fault = hang
    destination = StowDestination(stub.url, None, encapsulate, timeouts=Timeouts(answer_s=0.2))
    images = [
        (HEADER._replace(sop_instance_uid=f"1.{n}"), f"1.2 1.{n}\n".encode() + bytes(90_000)) for n in (1, 2)
    ]
    before = destination.small_bytes
    with pytest.raises(Exception, match="too long"):
        destination.send_together(lambda: iter(images))
    release.set()
    assert LEAST_BYTES // 2 <= destination.small_bytes < before
    destination.send_together(lambda: iter(images))
    assert set(stub.images) == {"1.1", "1.2"} and stub.posts() == 2
    destination.close()


def test_a_success_that_does_not_name_an_image_is_not_believed(desk: StowDesk, stub: StowStub) -> None:
    lost, kept = "1.2.3.1.4", "1.2.3.1.7"
    stub.silent_about, stub.forgets = {lost, kept}, {lost}
    receipt = desk.stow(stub)
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == lost and "did not say" in failure.reason
    assert receipt.studies[0].verified == 11 and not receipt.complete


def test_a_success_for_what_is_not_there_is_found_out(desk: StowDesk, stub: StowStub) -> None:
    stub.forgets = {"1.2.3.1.4"}
    receipt = desk.stow(stub)
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == "1.2.3.1.4" and "does not have it" in failure.reason


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (0xA900, "belongs elsewhere"), (0xC001, "make sense"), (0x0122, "kind of object"),
        (0x0124, "may not"), (0x0111, "another object"), (0x0110, "reason 0x0110"),
    ],
)  # fmt: skip
def test_a_refused_image_fails_alone(desk: StowDesk, stub: StowStub, reason: int, words: str) -> None:
    stub.reasons = {"1.2.3.1.4": reason}
    receipt = desk.stow(stub)
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == "1.2.3.1.4" and words in failure.reason
    assert receipt.studies[0].verified == 11 and not receipt.complete


def test_a_duplicate_that_is_there_counts_as_there(stub: StowStub) -> None:
    destination = StowDestination(stub.url, None, encapsulate)
    data = b"1.2 1.2.3\n"
    destination.send(HEADER, io.BytesIO(data), len(data))
    stub.reasons = {"1.2.3": 0x0111}
    assert destination.send(HEADER, io.BytesIO(data), len(data)).outcome == "already-there"
    destination.close()


def test_a_full_disk_is_waited_for(desk: StowDesk, stub: StowStub) -> None:
    stub.reasons = {"1.2.3.1.4": 0xA700}

    def freed(handler: Handler) -> bool:
        if len(stub.sizes) >= 5:
            stub.reasons = {}
        return False

    stub.fault = freed
    assert desk.stow(stub).complete


@pytest.mark.parametrize(("page", "paging"), [(5, True), (12, True), (1 << 20, False)])
def test_an_archive_may_page_as_it_likes(desk: StowDesk, stub: StowStub, page: int, paging: bool) -> None:
    stub.page, stub.paging = page, paging
    assert desk.stow(stub).complete


def test_the_login_goes_with_each_request_and_no_session_is_asked_for(desk: StowDesk) -> None:
    with serving(StowStub(login=("anna", "s3cret"))) as stub:
        assert isinstance(stub, StowStub)
        assert desk.stow(stub, access=Credentials("anna", "s3cret")).complete
        assert all(path.startswith("/dicom-web/studies") for _, path, _ in stub.requests)
        with pytest.raises(Unauthenticated):
            desk.stow(stub, access=Credentials("anna", "wrong"))


def test_a_document_becomes_an_object_of_the_study(desk: StowDesk, stub: StowStub, pdf: Path) -> None:
    assert desk.stow(stub).studies[0].attachments == 1
    (data,) = [data for data in stub.images.values() if data[128:132] == b"DICM"]
    ds = dcmread(io.BytesIO(data))
    assert ds.EncapsulatedDocument.rstrip(b"\0") == pdf.read_bytes() and ds.StudyInstanceUID == STUDY
    assert str(ds.PatientName) == "Probe^Paula=試験" and ds.PatientID == "P1" and ds.StudyDate == "20240211"
    count = len(stub.images)
    receipt = desk.stow(stub)
    assert receipt.complete and receipt.studies[0].attachments == 1
    assert len(stub.images) == count and stub.images[ds.SOPInstanceUID] == data


def test_only_documents_can_be_attached(desk: StowDesk, stub: StowStub, pdf: Path) -> None:
    pdf.write_bytes(b"a note")
    receipt = desk.stow(stub)
    (failure,) = receipt.studies[0].failed
    assert "Only PDF" in failure.reason and receipt.studies[0].verified == 12 and not receipt.complete


def test_what_is_no_dicomweb_is_told(desk: StowDesk, stub: StowStub) -> None:
    def nothing(handler: Handler) -> bool:
        handler.body()
        handler.answer(404, b"<html>", {"Content-Type": "text/html"})
        return True

    def page(handler: Handler) -> bool:
        handler.body()
        handler.answer(200, b"<html>", {"Content-Type": "text/html"})
        return True

    destination = StowDestination(stub.url, None, encapsulate)
    assert "answers" in destination.test()
    stub.fault = nothing
    for call in (destination.test, lambda: desk.stow(stub)):
        with pytest.raises(NotFound, match="no DICOMweb"):
            call()
    stub.fault = page
    with pytest.raises(Exception, match="not as a DICOMweb"):
        destination.test()
    destination.close()


def test_the_address_may_end_in_studies(stub: StowStub) -> None:
    destination = StowDestination(f"{stub.url}/studies/", None, encapsulate)
    assert destination.name == f"stow:{stub.url}" and destination.held("1.9", ["1"]) == {}
    destination.close()
    with pytest.raises(BadInput):
        StowDestination("ftp://h/x", None, encapsulate)


class Sometimes:
    """A fault for the first *times* requests that bring images."""

    def __init__(self, times: int, fault: Callable[[Handler], None]) -> None:
        self.left = times
        self.fault = fault
        self.lock = threading.Lock()

    def __call__(self, handler: Handler) -> bool:
        if handler.command != "POST":
            return False
        with self.lock:
            self.left -= 1
            if self.left < 0:
                return False
        self.fault(handler)
        return True


@pytest.mark.parametrize("fault", [five_hundred, out_of_service, cut_half_way, cut_after_all, full])
def test_passing_faults_of_the_archive(
    desk: StowDesk, stub: StowStub, fault: Callable[[Handler], None]
) -> None:
    stub.fault = Sometimes(4, fault)
    receipt = desk.stow(stub)
    assert receipt.complete and receipt.studies[0].sent == 12 and len(stub.images) == 12


def test_a_cancelled_upload_goes_on_where_it_was(desk: StowDesk, stub: StowStub) -> None:
    control, job = Control(), desk.job()

    def stop_half_way(handler: Handler) -> bool:
        if len(stub.images) >= 4:
            control.cancel()
        return False

    stub.fault = stop_half_way
    destination = StowDestination(stub.url, None, encapsulate)
    receipt = finish(run(job, destination, control, opener=desk.open, pace=QUICK))
    before = len(stub.images)
    assert receipt.cancelled and not receipt.complete and before >= 4
    stub.fault = lambda _: False
    again = finish(run(job, StowDestination(stub.url, None, encapsulate), opener=desk.open, pace=QUICK))
    (study,) = again.studies
    assert again.complete and study.verified == 12 and study.already_there == before


def test_failures_of_objects_without_uids_are_heard() -> None:
    told = {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}}
    answer = Answer(409, {"content-type": "application/dicom+json"}, json.dumps([told]).encode())
    assert read_answer(answer, "there").failed == (NotStored("", 0xC000),)
