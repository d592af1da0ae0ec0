"""Sendings: their states in words, what each state offers, the receipt, and going on after a restart."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core.errors import Unreachable
from core.upload.nouns import Failure, RunState, StudyReceipt, UploadProgress, UploadReceipt
from tests.ui import fakes
from tests.ui.test_send import order_of
from ui.services import PastJob
from ui.tasks import Tasks
from ui.uploads.card import JobCard
from ui.uploads.page import SentPage
from ui.uploads.receipt_bar import ReceiptBar
from ui.uploads.transfers import State, Transfer, Transfers
from ui.uploads.words import (
    moment_text,
    numbers_text,
    receipt_page,
    receipt_sentence,
    sending_text,
    state_text,
)


@pytest.fixture
def uploads() -> fakes.FakeUploads:
    """Where fake jobs come from."""
    return fakes.FakeUploads()


@pytest.fixture
def board(qtbot: QtBot, jobs: Tasks, uploads: fakes.FakeUploads) -> Transfers:
    """All sendings."""
    return Transfers(uploads, jobs)


def until(qtbot: QtBot, transfer: Transfer, state: State) -> None:
    """Wait for a state."""
    qtbot.waitUntil(lambda: transfer.state is state, timeout=4000)


def offered(card: JobCard) -> set[str]:
    """The buttons one can see."""
    return {name for name, button in card.buttons.items() if not button.isHidden()}


def test_a_sending_runs_pauses_resumes_and_ends_checked(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    go = threading.Event()
    uploads.make = lambda order: _with(fakes.FakeJob(order), go=go)
    transfer = board.begin(order_of("Yamada"))
    card = JobCard(transfer)
    qtbot.addWidget(card)
    board.changed.connect(lambda _t: card.refresh())
    qtbot.waitUntil(lambda: transfer.progress is not None, timeout=4000)
    assert transfer.state is State.SENDING
    assert offered(card) == {"pause", "cancel"}
    assert card.numbers.text() == "1 of 3 · 24 MB/s · 4 s"
    board.pause(transfer)
    assert (uploads.begun[0].paused, card.state.text(), offered(card)) == (
        True,
        "Paused",
        {"resume", "cancel"},
    )
    board.resume(transfer)
    assert not uploads.begun[0].paused
    go.set()
    until(qtbot, transfer, State.DONE)
    assert card.state.text() == "Done and checked"
    assert offered(card) == {"receipt", "forget"}
    assert card.bar.value() == card.bar.maximum()


def test_a_lost_network_is_said_on_the_card_and_retry_goes_on(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    uploads.make = lambda order: fakes.FakeJob(order, fault=Unreachable("Nobody answers.", "Retry later."))
    transfer = board.begin(order_of("Yamada"))
    until(qtbot, transfer, State.BROKEN)
    card = JobCard(transfer)
    qtbot.addWidget(card)
    assert card.trouble.text.text() == "Nobody answers. Retry later."
    assert offered(card) == {"retry", "forget"}
    uploads.begun[0].fault = None
    board.go_on(transfer)
    until(qtbot, transfer, State.DONE)
    card.refresh()
    assert card.trouble.isHidden()


def test_what_is_missing_is_counted_and_the_disc_is_kept(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    uploads.make = lambda order: fakes.FakeJob(order, complete=False)
    transfer = board.begin(order_of("Yamada"))
    until(qtbot, transfer, State.FAILED)
    assert state_text(transfer) == "2 failed"
    bar = ReceiptBar()
    qtbot.addWidget(bar)
    bar.show_receipt(transfer, can_eject=True)
    assert "Keep the disc" in bar.sentence.text()
    assert not bar.eject_button.isEnabled()


def test_cancel_and_put_away(qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads) -> None:
    uploads.make = lambda order: _with(fakes.FakeJob(order), go=threading.Event())
    transfer = board.begin(order_of("Yamada"))
    until(qtbot, transfer, State.SENDING)
    assert board.busy == [transfer]
    board.cancel(transfer)
    until(qtbot, transfer, State.CANCELLED)
    board.forget(transfer)
    assert board.all == []


def test_a_ledger_that_cannot_be_written_is_said(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    def full(_order: Any) -> Any:
        raise Unreachable("The disk is full.")

    uploads.make = full
    transfer = board.begin(order_of("Yamada"))
    until(qtbot, transfer, State.BROKEN)
    uploads.make = fakes.FakeJob
    board.go_on(transfer)
    qtbot.waitUntil(lambda: bool(board.all) and board.all[0].state is State.DONE, timeout=4000)


def test_the_last_runs_jobs_stand_on_top_with_go_on(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    uploads.left = [fakes.FakeJob()]
    page = SentPage(board)
    qtbot.addWidget(page)
    page.show()
    found: list[Transfer] = []
    board.look_back(found.extend)
    qtbot.waitUntil(lambda: bool(found), timeout=2000)
    [transfer] = found
    card = page.cards[transfer.id]
    assert card.buttons["retry"].text() == "Go on"
    assert card.state.text() == "Not finished"
    assert not page._left_title.isHidden()
    card.buttons["retry"].click()
    until(qtbot, transfer, State.DONE)
    assert page._left_title.isHidden()
    board.forget(transfer)
    assert page.cards == {}


def test_giving_up_takes_a_left_job_off_the_ledger(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    uploads.left = [fakes.FakeJob()]
    found: list[Transfer] = []
    board.look_back(found.extend)
    qtbot.waitUntil(lambda: bool(found), timeout=2000)
    board.cancel(found[0])
    qtbot.waitUntil(lambda: uploads.left[0].forgotten, timeout=2000)
    assert board.all == []


def _with(job: fakes.FakeJob, **changes: Any) -> fakes.FakeJob:
    for name, value in changes.items():
        setattr(job, name, value)
    return job


def receipt(**changes: Any) -> UploadReceipt:
    """A receipt of one study of 412 images."""
    study = {"study_uid": "1.1", "expected": 412, "sent": 400, "already_there": 12, "verified": 412}
    return UploadReceipt("archive", (StudyReceipt(**(study | {"verified_by": "digest"} | changes)),), 3.0)


def test_the_receipt_says_when_the_disc_may_go() -> None:
    assert receipt_sentence(receipt()) == (
        "Sent 412 of 412 images to Local archive, all checked by content. Safe to eject."
    )
    assert "cannot prove the content" in receipt_sentence(receipt(verified_by="uid"))
    assert "Keep the disc" in receipt_sentence(receipt(verified=411))


def test_without_a_disc_the_receipt_speaks_of_none() -> None:
    good, bad = (
        receipt_sentence(receipt(), archived=True),
        receipt_sentence(receipt(verified=1), archived=True),
    )
    assert good == "Sent 412 of 412 images to Local archive, all checked by content."
    assert "disc" not in bad and "1 of 412" in bad
    job = _with(fakes.FakeJob(), sources=())
    assert "eject" not in receipt_page(Transfer("t", State.DONE, job=job, receipt=receipt()))


def test_the_receipt_is_saved_as_text_and_as_json(qtbot: QtBot, tmp_path: Path) -> None:
    lost = receipt(verified=411, failed=(Failure("1.2.3", "DICOM/IM7", "The file is damaged."),))
    transfer = Transfer("t", State.FAILED, job=fakes.FakeJob(), receipt=lost)
    bar = ReceiptBar()
    qtbot.addWidget(bar)
    bar.show_receipt(transfer, can_eject=False)
    bar.save(tmp_path / "receipt.txt")
    bar.save(tmp_path / "receipt.json")
    text = (tmp_path / "receipt.txt").read_text("utf-8")
    assert text == receipt_page(transfer)
    for words in ("MÜLLER, Anna", "CT Abdomen", "DICOM/IM7: The file is damaged."):
        assert words in text
    assert json.loads((tmp_path / "receipt.json").read_text("utf-8"))["studies"][0]["verified"] == 411
    with qtbot.waitSignal(bar.failed, timeout=500):
        bar.save(tmp_path / "no" / "folder" / "receipt.txt")


def test_numbers_say_what_is_waited_for() -> None:
    step = UploadProgress("1.1", 312, 412, 1, 2, 24e6, 4.0, RunState.WAITING, 3, note="Trying again in 8 s.")
    transfer = Transfer("t", State.WAITING, job=fakes.FakeJob(), progress=step)
    assert numbers_text(transfer) == "312 of 412 · 3 failed · Trying again in 8 s."
    assert state_text(transfer) == "Waiting for the network"
    assert sending_text(2, 24e6) == "2 sending · 24 MB/s"
    assert sending_text(0, 0) == ""
    assert sending_text(0, 0, 1) == "1 waiting for the network"
    assert sending_text(1, 24e6, 1) == "1 sending · 24 MB/s · 1 waiting for the network"


def test_a_sending_given_up_says_what_was_sent_and_claims_no_more() -> None:
    step = UploadProgress("1.1", 77, 80, 1, 2, 0.0, None, RunState.FAILED, 0)
    stopped = UploadReceipt("archive", (StudyReceipt("1.1", 80, 77, 0, 0, "digest"),), 3.0, cancelled=True)
    transfer = Transfer("t", State.CANCELLED, job=fakes.FakeJob(), progress=step, receipt=stopped)
    assert numbers_text(transfer) == "77 of 80"


def test_what_is_missing_names_its_reason_and_retry_comes_first(qtbot: QtBot) -> None:
    lost = tuple(Failure(f"1.{n}", f"IM{n}", "The file is no longer on the source.") for n in range(3))
    transfer = Transfer("t", State.FAILED, job=fakes.FakeJob(), receipt=receipt(verified=409, failed=lost))
    bar = ReceiptBar()
    qtbot.addWidget(bar)
    bar.show_receipt(transfer, can_eject=False)
    assert bar.note.text() == "⚠ 3 × The file is no longer on the source."
    assert not bar.retry_button.isHidden()
    assert bar.next_button.property("role") != "primary"
    with qtbot.waitSignal(bar.retry, timeout=500):
        bar.retry_button.click()
    bar.show_receipt(Transfer("t", State.DONE, job=fakes.FakeJob(), receipt=receipt()), can_eject=False)
    assert bar.retry_button.isHidden() and bar.note.isHidden()
    assert bar.next_button.property("role") == "primary"


def test_what_earlier_runs_sent_stays_on_record(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    good, bad = fakes.FakeJob(), _with(fakes.FakeJob(), id="2")
    lost = receipt(verified=411, failed=(Failure("1.2.3", "IM7", "The file is damaged."),))
    uploads.past = [PastJob(bad, 1.7e9, receipt=lost), PastJob(good, 1.6e9, receipt=receipt())]
    page = SentPage(board)
    qtbot.addWidget(page)
    page.show()
    qtbot.waitUntil(lambda: len(page.cards) == 2, timeout=2000)
    first, second = page.cards.values()
    assert (first.state.text(), offered(first)) == ("1 failed", {"retry", "receipt"})
    assert (second.state.text(), offered(second)) == ("Done and checked", {"receipt"})
    assert moment_text(1.7e9) in first.about.toolTip()
    assert not page._past_title.isHidden() and page._now_title.isHidden()
    first.buttons["retry"].click()
    until(qtbot, first.transfer, State.DONE)
    assert page._now.indexOf(first) == 0 and page._past.indexOf(first) < 0
    assert not page._now_title.isHidden()


def test_a_sending_of_this_run_is_not_shown_a_second_time(
    qtbot: QtBot, board: Transfers, uploads: fakes.FakeUploads
) -> None:
    transfer = board.begin(order_of("Yamada"))
    until(qtbot, transfer, State.DONE)
    again = _with(fakes.FakeJob(), id="2")
    uploads.past = [PastJob(uploads.begun[0], 1.7e9), PastJob(again, 1.6e9, cancelled=True)]
    board.remember()
    qtbot.waitUntil(lambda: len(board.all) == 2, timeout=2000)
    assert [t.state for t in board.all] == [State.DONE, State.CANCELLED]
    card = JobCard(board.all[1])
    qtbot.addWidget(card)
    assert offered(card) == {"retry"}
