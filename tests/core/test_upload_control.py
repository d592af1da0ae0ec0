"""Uploads steered by a person: paused, stopped, run twice, and with files attached."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BadInput, Busy
from core.upload.control import Control
from core.upload.nouns import RunState
from core.upload.picks import Attach
from core.upload.runner import run
from tests.core.upload_fakes import QUICK, Desk, FakeDestination, Store, finish, wait_until


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, studies=2, each=5)
    yield desk
    desk.close()


@pytest.fixture
def store() -> Store:
    return Store()


def test_pause_holds_and_resume_goes_on(desk: Desk, store: Store) -> None:
    control = Control()
    control.pause()
    work = run(desk.job(), FakeDestination(store), control, opener=desk.open, pace=QUICK)
    states = [next(work).state for _ in range(3)]
    assert states == [RunState.PAUSED] * 3 and not store.stored
    control.resume()
    assert finish(work).complete


def test_cancel_stops_within_a_file_and_keeps_the_ledger(desk: Desk, store: Store) -> None:
    control = Control()
    begun = threading.Event()

    def stall(_: str) -> None:
        begun.set()
        wait_until(lambda: control.cancelled)

    work = run(desk.job(), FakeDestination(store, before=stall), control, opener=desk.open, pace=QUICK)
    next(work)
    wait_until(lambda: begun.is_set() or next(work) is None)
    control.cancel()
    receipt = finish(work)
    assert receipt.cancelled and not receipt.complete and not store.stored
    (left,) = desk.ledger.unfinished()
    assert desk.upload(FakeDestination(store), desk.ledger.open_job(left.id)).complete


def test_closing_the_generator_stops_it(desk: Desk, store: Store) -> None:
    destination = FakeDestination(store)
    work = run(desk.job(), destination, opener=desk.open, pace=QUICK)
    next(work)
    work.close()
    assert destination.closed
    assert not [t for t in threading.enumerate() if t.name.startswith("upload ")]
    (left,) = desk.ledger.unfinished()
    assert desk.upload(FakeDestination(store), desk.ledger.open_job(left.id)).complete


def test_one_job_runs_once_at_a_time(desk: Desk, store: Store) -> None:
    job = desk.job()
    work = run(job, FakeDestination(store), opener=desk.open, pace=QUICK)
    next(work)
    assert not desk.ledger.unfinished()
    second = FakeDestination(store)
    with pytest.raises(Busy):
        finish(run(desk.ledger.open_job(job.id), second, opener=desk.open, pace=QUICK))
    assert second.closed and finish(work).complete


def test_attachments_are_sent_once_and_counted(desk: Desk, store: Store, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF-1.4 report")
    desk.attachments = [Attach("1.2.3.1", report)]
    receipt = desk.upload(FakeDestination(store))
    assert [s.attachments for s in receipt.studies] == [1, 0] and receipt.complete
    again = desk.upload(FakeDestination(store))
    assert again.complete and [name for name, _ in store.attached["1.2.3.1"]] == ["report.pdf"]


def test_a_missing_attachment_spoils_the_receipt(desk: Desk, store: Store, tmp_path: Path) -> None:
    desk.attachments = [Attach("1.2.3.1", tmp_path / "gone.pdf")]
    receipt = desk.upload(FakeDestination(store))
    assert not receipt.complete and receipt.studies[0].verified == 5
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == "" and failure.path.endswith("gone.pdf")


def test_a_study_that_is_not_sent_cannot_get_attachments(desk: Desk, tmp_path: Path) -> None:
    desk.attachments = [Attach("9.9", tmp_path / "x.pdf")]
    with pytest.raises(BadInput):
        desk.job()
