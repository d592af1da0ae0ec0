"""The `Destination` port: one contract over the one in memory and over V3 archives, ours and another's."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.dicom.ports import Sent
from core.dicom.refs import Header
from core.errors import Denied, NotFound, SourceFault, Unauthenticated, Unreachable
from core.media.attached import encapsulate
from core.net.credentials import Credentials
from core.net.http import Timeouts
from core.upload.backoff import Pace
from core.upload.destination import Destination
from core.upload.nouns import RunState, UploadReceipt
from core.upload.runner import run
from core.upload.stow import StowDestination
from core.upload.v3 import V3Destination
from tests.core.stub_stow import StowStub
from tests.core.stub_v3 import Handler, Stub, digest, serving
from tests.core.upload_fakes import Desk, FakeDestination, Store, finish

HEADER = Header("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2", "1.2.0", "1.2.840.10008.1.2.1")
DATA = b"1.2 1.2.3\n" + bytes(300_000)
QUICK = Pace(first_delay_s=0.001, longest_delay_s=0.005, patience_s=5.0, progress_every_s=0.0)


@dataclass
class Case:
    destination: Destination
    away: Callable[[], None]
    digest: Callable[[bytes], str] = digest  # as the destination gives it


@pytest.fixture(params=["memory", "ours", "foreign", "stow"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with ExitStack() as stack:
        if request.param == "memory":
            fake = FakeDestination(Store(), small_bytes=1 << 20)
            yield Case(fake, lambda: setattr(fake, "down", True))
            return
        web = request.param == "stow"
        ours = request.param == "ours"
        stub = StowStub() if web else Stub(desktop=ours, together=ours)
        stack.enter_context(serving(stub))
        destination: Destination = V3Destination(stub.url, None, "default")
        if web:
            destination = StowDestination(stub.url, None, encapsulate)
        stack.callback(destination.close)

        def reset(handler: Handler) -> bool:
            handler.reset()
            return True

        yield Case(destination, lambda: setattr(stub, "fault", reset), (lambda _: "") if web else digest)


@pytest.mark.parametrize("case", ["memory", "ours", "stow"], indirect=True)
def test_what_was_sent_together_is_held_with_its_digest(case: Case) -> None:
    case.destination.held("1.2", [])  # the question tells whether it is one of ours
    other = b"1.2 1.2.4\n" + bytes(100)
    images = [(HEADER, DATA), (HEADER._replace(sop_instance_uid="1.2.4"), other)]
    assert case.destination.small_bytes > len(other)
    sent = case.destination.send_together(lambda: iter(images))
    assert [each.digest for each in sent if isinstance(each, Sent)] == [case.digest(DATA), case.digest(other)]
    held = case.destination.held("1.2", ["1.2.3", "1.2.4"])
    assert held == {"1.2.3": case.digest(DATA), "1.2.4": case.digest(other)}


@pytest.mark.parametrize("case", ["foreign"], indirect=True)
def test_a_server_that_takes_one_by_one_gets_them_one_by_one(case: Case) -> None:
    case.destination.held("1.2", [])
    assert case.destination.small_bytes == 0


def test_of_an_unknown_study_nothing_is_held(case: Case) -> None:
    assert case.destination.held("1.2", ["1.2.3"]) == {}
    assert case.destination.attachments_held("1.2") == set()


def test_what_was_sent_is_held_with_its_digest(case: Case) -> None:
    sent = case.destination.send(HEADER, io.BytesIO(DATA), len(DATA))
    assert sent.digest == case.digest(DATA)
    assert case.destination.held("1.2", ["1.2.3", "1.2.4"]) == {"1.2.3": case.digest(DATA)}


def test_an_attachment_is_held_after(case: Case, tmp_path: Path) -> None:
    case.destination.send(HEADER, io.BytesIO(DATA), len(DATA))
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.4")
    given = case.destination.attach("1.2", path, "report.pdf", "application/pdf")
    assert given in case.destination.attachments_held("1.2")
    assert case.destination.gives_digest is False or given == digest(b"%PDF-1.4")


def test_a_peer_that_is_away_is_unreachable(case: Case) -> None:
    case.destination.reachable()
    assert case.destination.test().endswith(".")
    case.away()
    for call in (
        case.destination.reachable,
        case.destination.test,
        lambda: case.destination.held("1.2", ["1.2.3"]),
        lambda: case.destination.send(HEADER, io.BytesIO(DATA), len(DATA)),
    ):
        with pytest.raises(Unreachable):
            call()


def test_whether_digests_are_ours_is_known_of_our_own_archive() -> None:
    for desktop, known in ((True, True), (False, None)):
        with serving(Stub(desktop=desktop)) as stub:
            destination = V3Destination(stub.url, None, "default")
            assert destination.gives_digest is known
            destination.close()


# whole uploads over real sockets


class V3Desk(Desk):
    """Files whose first line names study and image, as the stub reads them."""

    def __init__(self, tmp_path: Path, each: int = 12, size: int = 400_000) -> None:
        super().__init__(tmp_path, 1, each, size=400)
        found = []
        for n, one in enumerate(self.picks[0].instances):
            data = f"1.2.3.1 {one.header.sop_instance_uid}\n".encode() + bytes([n]) * size
            self.locate(one.ref).write_bytes(data)
            found.append(one._replace(size=len(data)))
        self.picks = [type(self.picks[0])(self.picks[0].header, tuple(found))]

    def to(self, stub: Stub, pace: Pace = QUICK, access: Credentials | None = None) -> UploadReceipt:
        times = Timeouts(connect_s=2, idle_s=1, answer_s=1)
        destination = V3Destination(stub.url, access, "default", timeouts=times)
        return finish(run(self.job(), destination, opener=self.open, pace=pace))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[V3Desk]:
    desk = V3Desk(tmp_path)
    yield desk
    desk.close()


class Sometimes:
    """A fault for the first *times* requests that bring images."""

    def __init__(self, times: int, fault: Callable[[Handler], None]) -> None:
        self.left = times
        self.fault = fault
        self.lock = threading.Lock()

    def __call__(self, handler: Handler) -> bool:
        if not handler.path.endswith(("/image", "/images")):
            return False
        with self.lock:
            self.left -= 1
            if self.left < 0:
                return False
        self.fault(handler)
        return True


def five_hundred(handler: Handler) -> None:
    handler.body()
    handler.error(500, 20, "Store operation failed")


def out_of_service(handler: Handler) -> None:
    handler.body()
    handler.answer(503, {}, {"Retry-After": "0"})


def cut_half_way(handler: Handler) -> None:
    handler.body(150_000)
    handler.reset()


def cut_after_all(handler: Handler) -> None:
    handler.body()
    handler.reset()


def full(handler: Handler) -> None:
    handler.body()
    handler.error(507, 20, "The disk is full.")


@pytest.mark.parametrize("fault", [five_hundred, out_of_service, cut_half_way, cut_after_all, full])
@pytest.mark.parametrize("kind", ["foreign", "ours", "together"])
def test_passing_faults_of_the_peer(desk: V3Desk, fault: Callable[[Handler], None], kind: str) -> None:
    with serving(Stub(desktop=kind != "foreign", together=kind == "together")) as stub:
        stub.fault = Sometimes(5, fault)
        receipt = desk.to(stub)
        assert receipt.safe_to_eject and receipt.studies[0].sent == 12
        assert len(stub.images) == 12


# refusals and lasting faults


def test_an_answer_that_hangs_is_tried_again(desk: V3Desk) -> None:
    release = threading.Event()

    def hang(handler: Handler) -> None:
        release.wait(10)
        handler.reset()

    with serving(Stub()) as stub:
        stub.fault = Sometimes(1, hang)
        assert desk.to(stub).complete
        release.set()


def test_a_refusal_fails_the_one_file(desk: V3Desk) -> None:
    def too_large(handler: Handler) -> None:
        handler.body()
        handler.error(413, 19, "Payload too large")

    with serving(Stub()) as stub:
        stub.fault = Sometimes(1, too_large)
        receipt = desk.to(stub)
    (failure,) = receipt.studies[0].failed
    assert "too large" in failure.reason and receipt.studies[0].verified == 11 and not receipt.complete


def test_bytes_changed_on_the_way_are_noticed(desk: V3Desk) -> None:
    with serving(Stub()) as stub:
        damaged = {"1.2.3.1.3"}

        def spoil(data: bytes) -> str:
            uid = data.split(b"\n", 1)[0].decode().split()[1]
            return digest(data + b"!") if uid in damaged else digest(data)

        stub.version_of = spoil
        receipt = desk.to(stub)
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == "1.2.3.1.3" and "other bytes" in failure.reason


def test_versions_of_another_make_count_by_uid(desk: V3Desk) -> None:
    with serving(Stub(desktop=False)) as stub:
        stub.version_of = lambda data: f"sha1-{len(data)}"
        receipt = desk.to(stub)
        assert receipt.complete and receipt.studies[0].verified_by == "uid" and not receipt.safe_to_eject
        posts = stub.posts()
        again = desk.to(stub)
        assert again.complete and again.studies[0].already_there == 12 and stub.posts() == posts


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("code", [401, 403])
def test_an_account_that_may_not_ends_the_run(desk: V3Desk, code: int, together: bool) -> None:
    def refuse(handler: Handler) -> None:
        handler.body()
        handler.error(code, 2, "No.")

    with serving(Stub(together=together)) as stub:
        stub.fault = Sometimes(100, refuse)
        with pytest.raises(Unauthenticated if code == 401 else Denied) as caught:
            desk.to(stub)
        assert caught.value.remedy and desk.ledger.unfinished()


@pytest.mark.parametrize("together", [True, False])
def test_a_session_that_ends_midway_is_renewed(desk: V3Desk, together: bool) -> None:
    with serving(Stub(login=("anna", "s3cret"), together=together)) as stub:

        def expire(handler: Handler) -> bool:
            if len(stub.images) >= 5 and "sid-1" in stub.sids:
                stub.sids = {"sid-0"}
            return False

        stub.fault = expire
        receipt = desk.to(stub, access=Credentials("anna", "s3cret"))
        assert receipt.safe_to_eject and len(stub.sids) >= 2


def test_an_address_without_v3_storage_is_told(desk: V3Desk) -> None:
    def nothing(handler: Handler) -> bool:
        handler.body()
        handler.answer(404, b"<html>", {"Content-Type": "text/html"})
        return True

    with serving(Stub()) as stub:
        stub.fault = nothing
        with pytest.raises(NotFound, match="no V3 storage"):
            desk.to(stub)


def test_a_file_that_holds_another_image_is_refused(desk: V3Desk) -> None:
    with serving(Stub()) as stub:
        destination = V3Destination(stub.url, None, "default")
        other = HEADER._replace(sop_instance_uid="9.9")
        with pytest.raises(SourceFault):
            destination.send(other, io.BytesIO(DATA), len(DATA))
        destination.close()


def test_refused_first_and_there_later(desk: V3Desk) -> None:
    with serving(Stub()) as stub:
        away = {"yes": True}

        def refuse(handler: Handler) -> bool:
            if away["yes"]:
                handler.reset()
            return away["yes"]

        stub.fault = refuse
        destination = V3Destination(stub.url, None, "default")
        waited = False
        work = run(desk.job(), destination, opener=desk.open, pace=QUICK)
        for progress in work:
            if progress.state is RunState.WAITING:
                waited = True
                away["yes"] = False
        assert waited and len(stub.images) == 12


def test_nobody_there_within_patience(desk: V3Desk) -> None:
    with serving(Stub()) as stub:
        url = stub.url
    destination = V3Destination(url, None, "default")
    impatient = Pace(first_delay_s=0.01, longest_delay_s=0.02, patience_s=0.1)
    with pytest.raises(Unreachable) as caught:
        finish(run(desk.job(), destination, opener=desk.open, pace=impatient))
    assert caught.value.remedy
    assert desk.ledger.open_job(desk.ledger.unfinished()[0].id).last_receipt() is not None
