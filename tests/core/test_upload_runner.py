"""Uploads to a destination in memory: what is sent, what is proven, and what the receipt says."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from core.dicom.refs import FileRef
from core.errors import BadInput, Conflict, Denied, KnownError, StorageFault, Unauthenticated, Unreachable
from core.upload.backoff import Pace
from core.upload.ledger import Ledger
from core.upload.nouns import JobState, RunState, UploadProgress, UploadReceipt
from core.upload.picks import Order
from core.upload.runner import Conclude, run
from tests.core.upload_fakes import QUICK, Desk, FakeDestination, Store, finish


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, studies=2, each=5)
    yield desk
    desk.close()


@pytest.fixture
def store() -> Store:
    return Store()


def test_everything_is_sent_once_and_verified_by_digest(desk: Desk, store: Store) -> None:
    seen: list[UploadProgress] = []
    receipt = desk.upload(FakeDestination(store), seen=seen)
    assert receipt.complete and receipt.safe_to_eject
    assert [(s.expected, s.sent, s.already_there, s.verified, s.verified_by) for s in receipt.studies] == [
        (5, 5, 0, 5, "digest")
    ] * 2
    assert sorted(store.stored) == sorted(set(store.stored)) and len(store.stored) == 10
    assert seen[-1].state is RunState.DONE and seen[-1].sent == seen[-1].expected == 10
    assert seen[-1].bytes_sent == seen[-1].bytes_total
    assert desk.ledger.jobs()[0].state is JobState.DONE and desk.ledger.jobs()[0].there == 10


def test_a_second_upload_finds_everything_there(desk: Desk, store: Store) -> None:
    desk.upload(FakeDestination(store))
    receipt = desk.upload(FakeDestination(store))
    assert receipt.complete and len(store.stored) == 10
    assert [(s.sent, s.already_there, s.verified) for s in receipt.studies] == [(0, 5, 5)] * 2


def test_without_digests_it_says_verified_by_uid_and_never_safe_to_eject(desk: Desk, store: Store) -> None:
    receipt = desk.upload(FakeDestination(store, gives_digest=False))
    assert receipt.complete and not receipt.safe_to_eject
    assert {s.verified_by for s in receipt.studies} == {"uid"}


def test_digests_that_turn_out_to_be_ours_are_used(desk: Desk, store: Store) -> None:
    receipt = desk.upload(FakeDestination(store, gives_digest=None))
    assert receipt.safe_to_eject
    again = desk.upload(FakeDestination(store, gives_digest=None))
    assert again.safe_to_eject and len(store.stored) == 10


class Foreign(FakeDestination):
    """Gives versions of its own making."""

    def _shown(self, data: bytes) -> str:
        return f"v{len(data)}"


def test_digests_of_another_make_count_by_uid(desk: Desk, store: Store) -> None:
    for _ in range(2):
        receipt = desk.upload(Foreign(store, gives_digest=None))
        assert receipt.complete and {s.verified_by for s in receipt.studies} == {"uid"}
    assert len(store.stored) == 10


@pytest.mark.parametrize("gives_digest", [True, None])
def test_another_file_planted_before_is_not_overwritten(
    desk: Desk, store: Store, gives_digest: bool | None
) -> None:
    store.images["1.2.3.1", "1.2.3.1.3"] = b"planted"
    receipt = desk.upload(FakeDestination(store, gives_digest=gives_digest))
    assert not receipt.complete and not receipt.safe_to_eject
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == "1.2.3.1.3" and "another file" in failure.reason
    assert store.images["1.2.3.1", "1.2.3.1.3"] == b"planted"
    assert receipt.studies[1].complete
    assert desk.ledger.jobs()[0].state is JobState.FAILED


def test_with_replace_it_is(desk: Desk, store: Store) -> None:
    store.images["1.2.3.1", "1.2.3.1.3"] = b"planted"
    receipt = desk.upload(FakeDestination(store), desk.job(replace=True))
    assert receipt.complete and receipt.studies[0].sent == 5
    assert store.images["1.2.3.1", "1.2.3.1.3"] == (desk.folder / "1-3").read_bytes()


def test_another_file_planted_after_sending_spoils_the_receipt(desk: Desk, store: Store) -> None:
    def plant() -> None:
        if ("1.2.3.1", "1.2.3.1.3") in store.images:
            store.images["1.2.3.1", "1.2.3.1.3"] = b"planted"

    receipt = desk.upload(FakeDestination(store, after_held=plant))
    assert not receipt.complete
    assert [failure.sop_uid for failure in receipt.studies[0].failed] == ["1.2.3.1.3"]
    assert receipt.studies[0].verified == 4


def test_what_vanished_after_sending_is_sent_again_once(desk: Desk, store: Store) -> None:
    lost: list[str] = []

    def lose() -> None:
        if not lost and ("1.2.3.1", "1.2.3.1.2") in store.images:
            lost.append("once")
            store.lose("1.2.3.1", "1.2.3.1.2")

    receipt = desk.upload(FakeDestination(store, after_held=lose))
    assert receipt.complete and store.stored.count("1.2.3.1.2") == 2


def test_what_vanishes_always_fails(desk: Desk, store: Store) -> None:
    receipt = desk.upload(FakeDestination(store, after_held=lambda: store.lose("1.2.3.1", "1.2.3.1.2")))
    (failure,) = receipt.studies[0].failed
    assert "does not have it" in failure.reason and store.stored.count("1.2.3.1.2") == 2


def test_a_refused_file_fails_with_its_reason_and_blocks_nothing(desk: Desk, store: Store) -> None:
    def refuse(uid: str) -> None:
        if uid == "1.2.3.2.1":
            raise BadInput("It is no DICOM.")

    receipt = desk.upload(FakeDestination(store, before=refuse))
    (failure,) = receipt.studies[1].failed
    assert (failure.sop_uid, failure.path, failure.reason) == ("1.2.3.2.1", "2-1", "It is no DICOM.")
    assert receipt.studies[1].verified == 4 and receipt.studies[0].complete


def test_a_passing_fault_is_tried_again(desk: Desk, store: Store) -> None:
    left = {"1.2.3.1.1": 2, "1.2.3.1.2": 5}
    lock = threading.Lock()

    def hiccup(uid: str) -> None:
        with lock:
            if left.get(uid, 0):
                left[uid] -= 1
                raise KnownError("A fault of its own (HTTP 500).")

    receipt = desk.upload(FakeDestination(store, before=hiccup))
    assert receipt.complete and left == {"1.2.3.1.1": 0, "1.2.3.1.2": 0}


def test_a_lasting_fault_of_one_file_ends_with_its_reason(desk: Desk, store: Store) -> None:
    calls: list[str] = []

    def fault(uid: str) -> None:
        if uid == "1.2.3.1.1":
            calls.append(uid)
            raise KnownError("A fault of its own (HTTP 500).")

    receipt = desk.upload(FakeDestination(store, before=fault))
    assert [f.reason for f in receipt.studies[0].failed] == ["A fault of its own (HTTP 500)."]
    assert len(calls) == 2 * QUICK.attempts


def test_one_file_that_breaks_every_connection_does_not_end_the_upload(desk: Desk, store: Store) -> None:
    def reset(uid: str) -> None:
        if uid == "1.2.3.1.1":
            raise Unreachable("fake:1 dropped the connection.")

    receipt = desk.upload(FakeDestination(store, before=reset))
    assert [f.sop_uid for f in receipt.studies[0].failed] == ["1.2.3.1.1"]
    assert receipt.studies[0].verified == 4 and receipt.studies[1].complete


def test_an_unreadable_file_is_tried_once_more_at_the_end(desk: Desk, store: Store) -> None:
    tries: list[str] = []

    def scratched(ref: FileRef) -> BinaryIO:
        tries.append(ref.path)
        if ref.path == "1-1" and tries.count("1-1") == 1:
            raise OSError(5, "Input/output error")
        return desk.open(ref)

    receipt = desk.upload(FakeDestination(store), opener=scratched)
    assert receipt.complete and tries[-1] == "1-1"


class Scratched:
    """A file whose first kilobyte can be read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if self._file.tell() >= 1024:
            raise OSError(5, "Input/output error")
        return self._file.read(min(size, 1024))

    def fileno(self) -> int:
        return self._file.fileno()

    def __enter__(self) -> Scratched:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def test_a_scratched_file_fails_and_the_rest_is_sent(desk: Desk, store: Store) -> None:
    def opener(ref: FileRef) -> BinaryIO:
        file = desk.open(ref)
        return Scratched(file) if ref.path == "1-1" else file  # type: ignore[return-value] # enough of one

    seen: list[UploadProgress] = []
    receipt = desk.upload(FakeDestination(store, piece=512), opener=opener, seen=seen)
    (failure,) = receipt.studies[0].failed
    assert "could not be read" in failure.reason and receipt.studies[0].verified == 4
    assert "1.2.3.1.1" not in store.stored
    assert all(0 <= p.bytes_sent <= p.bytes_total for p in seen)


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "remove"])
def test_a_file_changed_since_the_scan_is_not_sent(desk: Desk, store: Store, change: str) -> None:
    job = desk.job()
    victim = desk.folder / "1-4"
    if change == "remove":
        victim.unlink()
    else:
        data = victim.read_bytes()
        victim.write_bytes({"grow": data + b"x", "shrink": data[:-1], "touch": data[::-1]}[change])
    receipt = desk.upload(FakeDestination(store), job)
    (failure,) = receipt.studies[0].failed
    assert ("no longer" if change == "remove" else "changed") in failure.reason
    assert "1.2.3.1.4" not in store.stored and receipt.studies[0].verified == 4


def test_the_network_coming_back_lets_the_upload_go_on(desk: Desk, store: Store) -> None:
    destination = FakeDestination(store)
    states: set[RunState] = set()

    def cut(_: str) -> None:
        if len(store.stored) >= 3:
            destination.down = True
            raise Unreachable("fake:1 dropped the connection.")

    destination.before = cut
    work = run(desk.job(), destination, opener=desk.open, pace=QUICK)
    for progress in work:
        states.add(progress.state)
        if progress.state is RunState.WAITING and destination.pings >= 2:
            assert "dropped" in progress.note or "reached" in progress.note
            destination.before = lambda _: None
            destination.down = False
    assert RunState.WAITING in states and len(set(store.stored)) == 10
    assert desk.ledger.jobs()[0].state is JobState.DONE


@pytest.mark.parametrize("error", [Unreachable, StorageFault])
def test_patience_runs_out_and_the_ledger_is_kept(desk: Desk, store: Store, error: type[KnownError]) -> None:
    def cut(_: str) -> None:
        if len(store.stored) >= 3:
            raise error("No.", "Go on later.")

    impatient = Pace(first_delay_s=0.001, longest_delay_s=0.002, patience_s=0.05, attempts=1000)
    with pytest.raises(error):
        desk.upload(FakeDestination(store, before=cut), pace=impatient)
    (left,) = desk.ledger.unfinished()
    assert left.state is JobState.OPEN and left.expected == 10
    receipt = desk.upload(FakeDestination(store), desk.ledger.open_job(left.id))
    assert receipt.complete and len(store.stored) == 10
    assert sum(s.already_there for s in receipt.studies) + sum(s.sent for s in receipt.studies) == 10
    assert sum(s.already_there for s in receipt.studies) >= 3


@pytest.mark.parametrize("error", [Unauthenticated, Denied])
def test_a_refused_login_ends_the_run_at_once(desk: Desk, store: Store, error: type[KnownError]) -> None:
    def deny(_: str) -> None:
        raise error("No.")

    destination = FakeDestination(store, before=deny)
    with pytest.raises(error):
        desk.upload(destination)
    assert destination.closed and desk.ledger.unfinished()


def test_a_bug_is_not_swallowed(desk: Desk, store: Store) -> None:
    def bug(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.upload(FakeDestination(store, before=bug))


def test_no_more_connections_than_asked_for(desk: Desk, store: Store) -> None:
    together = threading.Barrier(3)

    def meet(_: str) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(timeout=0.2)

    destination = FakeDestination(store, before=meet)
    receipt = desk.upload(destination, pace=Pace(connections=3))
    assert receipt.complete and destination.most_at_work == 3


def test_progress_is_not_more_often_than_ten_times_a_second(desk: Desk, store: Store) -> None:
    seen: list[UploadProgress] = []
    receipt = desk.upload(FakeDestination(store), pace=Pace(), seen=seen)
    assert len(seen) <= receipt.seconds * 10 + 2
    assert {each.study_uid for each in seen} <= {"1.2.3.1", "1.2.3.2"}


def test_the_receipt_document(desk: Desk, store: Store) -> None:
    document = desk.upload(FakeDestination(store)).to_json()
    assert list(document) == ["destination", "studies", "complete", "seconds"]
    assert list(document["studies"][0]) == [
        "study_uid",
        "expected",
        "sent",
        "already_there",
        "verified",
        "verified_by",
        "failed",
        "attachments",
    ]
    assert desk.ledger.open_job(desk.ledger.jobs()[0].id).last_receipt() == document


def test_what_must_be_done_at_the_end_keeps_the_job_open_until_it_is(desk: Desk, store: Store) -> None:
    told: list[bool] = []

    def refuse(receipt: UploadReceipt) -> None:
        told.append(receipt.complete)
        raise Conflict("not now")

    def drive(conclude: Conclude) -> UploadReceipt:
        work = run(job, FakeDestination(store), opener=desk.open, pace=QUICK, conclude=conclude)
        return finish(work)

    job = desk.ledger.create(Order([desk.folder], "fake", desk.picks, entry="1.2.3"), desk.locate)
    assert desk.ledger.open_job(job.id).entry == "1.2.3"
    with pytest.raises(Conflict, match="not now"):
        drive(refuse)
    assert told == [True] and [each.id for each in desk.ledger.unfinished()] == [job.id]
    assert drive(lambda receipt: told.append(receipt.complete)).complete
    assert told == [True, True] and not desk.ledger.unfinished()
    assert len(store.stored) == 10  # nothing went twice


def test_a_ledger_of_before_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "client.db"
    with Ledger(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.execute("ALTER TABLE upload_jobs DROP COLUMN entry")
        old.execute("UPDATE meta SET version = 1 WHERE part = 'upload'")
        old.execute(
            'INSERT INTO upload_jobs (created, updated, destination, namespace, sources, state, "replace",'
            " owner_pid, owner_started, receipt)"
            " VALUES (1, 1, 'archive', 'default', '[]', 'open', 0, 0, 0, '')"
        )
    with Ledger(path) as ledger:
        [job] = ledger.unfinished()
        assert ledger.open_job(job.id).entry == ""
