"""Discs that are empty, closed to us, or pulled out: said in place, and never taken for whole."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core.media import samples
from core.scan.scanner import Scan, Scanner, ScanProgress
from tests.ui import fakes
from ui.importing.page import ImportPage
from ui.importing.session import Stage
from ui.tasks import Tasks

ANNA = samples.SampleStudy("a", fakes.ANNA, "20240211", "CT Abdomen", "1")


class PulledOut(Scanner):
    """Reads a disc that is gone once the first image was found."""

    def __init__(self, paths: Sequence[Path], disc: Path) -> None:
        super().__init__(paths)
        self._disc = disc

    def run(self) -> Generator[ScanProgress, None, Scan]:
        """As ever, but for the disc."""
        work = super().run()
        yield next(work)
        self._disc.rename(self._disc.with_name("pulled"))
        return (yield from work)


@pytest.fixture
def page(qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path) -> Iterator[ImportPage]:
    """The page over the real scanner."""
    made = ImportPage(fakes.services(tmp_path / "data", tasks, jobs, scanner=Scanner))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    yield made
    made.session.stop()


def read(qtbot: QtBot, page: ImportPage, path: Path) -> None:
    """Open *path* and wait for the end."""
    page.open([path])
    qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=20_000)


def test_an_empty_disc_is_not_whole(qtbot: QtBot, page: ImportPage, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    read(qtbot, page, tmp_path / "empty")
    assert page.scan.footer.complete.text().startswith("There is nothing on it.")
    assert page.scan.source.again_button.isVisible()


def test_a_disc_without_images_says_what_is_on_it(qtbot: QtBot, page: ImportPage, tmp_path: Path) -> None:
    (tmp_path / "AUTORUN.INF").write_text("[autorun]")
    (tmp_path / "README.TXT").write_text("hello")
    read(qtbot, page, tmp_path)
    assert page.scan.footer.complete.text() == "No images among 2 files · 2 skipped, none of them images"
    [group] = page.scan.panel.left_out._groups()
    assert page.scan.panel.left_out.isVisible()
    assert [group.child(n).text(0) for n in range(2)] == ["AUTORUN.INF", "README.TXT"]


def test_a_whole_disc_is_not_offered_to_be_read_again(qtbot: QtBot, page: ImportPage, tmp_path: Path) -> None:
    samples.write_ct_series(ANNA, tmp_path / "A", 2, size=16)
    read(qtbot, page, tmp_path)
    assert not page.scan.source.again_button.isVisible()


def test_what_is_not_there_is_said_and_not_remembered(qtbot: QtBot, page: ImportPage, tmp_path: Path) -> None:
    page.open([tmp_path / "gone"])
    qtbot.waitUntil(page.messages.isVisible, timeout=5000)
    assert page.messages.text.text().startswith("There is nothing at")
    assert page.stack.currentWidget() is page.start
    assert page._services.state.recent == []


def test_what_may_not_be_opened_is_said(
    qtbot: QtBot, page: ImportPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, asked = tmp_path / "closed" / "disc", os.stat

    def stat(path: Any, *rest: Any, **named: Any) -> Any:
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return asked(path, *rest, **named)

    monkeypatch.setattr(os, "stat", stat)
    page.open([closed])
    qtbot.waitUntil(page.messages.isVisible, timeout=5000)
    assert "may not be opened. Ask for permission to read it." in page.messages.text.text()
    assert page.stack.currentWidget() is page.start


def test_a_disc_pulled_out_while_it_is_read_is_not_whole(
    qtbot: QtBot, page: ImportPage, tmp_path: Path
) -> None:
    disc = tmp_path / "disc"
    for n in range(400):
        path = disc / f"S{n // 50}" / f"IM{n:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(samples.part10(samples.ct_slice(ANNA, instance=n + 1, size=8)))
    page.session._services = fakes.services(
        tmp_path / "data",
        page._services.tasks,
        page._services.jobs,
        scanner=lambda paths: PulledOut(paths, disc),
    )
    read(qtbot, page, disc)
    scan = page.session.scan
    assert scan is not None
    assert not scan.receipt.complete
    assert 0 < scan.receipt.instances < 400
    assert scan.receipt.damaged == len(scan.skipped)
    assert scan.receipt.instances + len(scan.skipped) == scan.receipt.files
    assert "cannot be read" in page.scan.footer.complete.text()
    assert page.scan.source.again_button.isVisible()
