"""Sending over a slow link that is paused, cut and mended: what the card says is what happens."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.media import samples
from tests.app.archive_process import ArchiveProcess
from tests.slow_link import SlowLink
from tests.ui.test_end_to_end import CANARY, opened
from ui.dialogs.decision import Decision
from ui.dialogs.send_sheet import SendSheet
from ui.importing.session import Stage
from ui.main_window import MainWindow
from ui.services import DestinationText
from ui.uploads.card import JobCard
from ui.uploads.transfers import State, Transfer

RATE = 3e6
IMAGES = 60


@pytest.fixture
def link(tmp_path: Path) -> Iterator[SlowLink]:
    """A slow way to an archive."""
    with ArchiveProcess(tmp_path / "clinic") as clinic, SlowLink(clinic.port, RATE) as link:
        yield link


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path, link: SlowLink) -> Iterator[MainWindow]:
    """The window with a disc read and the destination known."""
    samples.write_ct_series(
        samples.SampleStudy("slow", CANARY, "20240211", "CT", "A7"), tmp_path / "disc", IMAGES, size=512
    )
    with opened(tmp_path / "data", qapp) as made:
        made.services.destinations.save(DestinationText("Clinic", f"v3:http://127.0.0.1:{link.port}"), None)
        made.open_paths([tmp_path / "disc"])
        qtbot.waitUntil(lambda: made.imports.session.stage is Stage.DONE, timeout=20_000)
        yield made


def begin(qtbot: QtBot, window: MainWindow) -> tuple[Transfer, JobCard]:
    """Send everything to the clinic."""
    window.imports.send("Clinic")
    sheet = window.findChild(SendSheet)
    assert sheet is not None
    sheet.send_button.click()
    [transfer] = window.transfers.all
    qtbot.waitUntil(lambda: transfer.progress is not None, timeout=20_000)
    card = window.sending.card
    assert card is not None
    return transfer, card


def sent(transfer: Transfer) -> int:
    """How many images the destination has acknowledged."""
    return transfer.progress.sent if transfer.progress is not None else 0


def still_for(qtbot: QtBot, link: SlowLink, seconds: float) -> None:
    """Wait until nothing has gone over the link for so long."""
    last, since = link.passed, time.monotonic()

    def still() -> bool:
        nonlocal last, since
        if link.passed != last:
            last, since = link.passed, time.monotonic()
        return time.monotonic() - since > seconds

    qtbot.waitUntil(still, timeout=20_000)


def test_rate_pause_outage_and_retry(qtbot: QtBot, window: MainWindow, link: SlowLink) -> None:
    transfer, card = begin(qtbot, window)
    qtbot.waitUntil(
        lambda: re.search(r"[\d.]+ MB/s · \d+ s", card.numbers.text()) is not None, timeout=20_000
    )
    qtbot.waitUntil(lambda: sent(transfer) >= 15, timeout=30_000)
    step = transfer.progress
    assert step is not None and step.seconds_left is not None
    assert RATE * 0.5 < step.rate < RATE * 2
    honest = (step.bytes_total - step.bytes_sent) / step.rate
    assert step.seconds_left == pytest.approx(honest, rel=0.3)

    card.buttons["pause"].click()
    assert card.state.text() == "Paused"
    still_for(qtbot, link, 1.0)  # the files that were under way are through
    held = sent(transfer)
    assert held < IMAGES and card.state.text() == "Paused"
    assert "MB/s" not in card.numbers.text()

    card.buttons["resume"].click()
    qtbot.waitUntil(lambda: sent(transfer) > held, timeout=20_000)
    link.cut()
    qtbot.waitUntil(lambda: card.state.text() == "Waiting for the network", timeout=20_000)
    assert window.status.sending.text() == "1 waiting for the network"
    assert "cannot be reached" in card.numbers.text()
    link.mend()
    qtbot.waitUntil(lambda: transfer.state is State.SENDING, timeout=30_000)

    card.buttons["cancel"].click()
    question = window.findChild(Decision)
    assert question is not None
    question.yes_button.click()
    qtbot.waitUntil(lambda: transfer.state is State.CANCELLED, timeout=10_000)
    given_up = sent(transfer)
    assert card.numbers.text() == f"{given_up} of {IMAGES}"

    link.rate = 1e9
    card.buttons["retry"].click()
    qtbot.waitUntil(lambda: transfer.state is State.DONE, timeout=60_000)
    receipt = transfer.receipt
    assert receipt is not None and receipt.safe_to_eject
    study = receipt.studies[0]
    assert study.verified == IMAGES and study.already_there >= given_up
