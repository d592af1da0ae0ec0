"""Fixtures of the window's tests: no screen needed, one doorway a test that must leave no thread behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from ui.tasks import Tasks


@pytest.fixture
def tasks(qtbot: QtBot) -> Iterator[Tasks]:
    """A doorway to background work that is shut at the end of the test."""
    made = Tasks(2)
    yield made
    made.shutdown()
    assert not [t for t in threading.enumerate() if t.name.startswith("task")], "dangling"


@pytest.fixture
def jobs(qtbot: QtBot) -> Iterator[Tasks]:
    """A second doorway, for scans and sendings."""
    made = Tasks(3)
    yield made
    made.shutdown()
