"""The dialog that adds files to the images of a study: whose, which, progress, stopping, refusals."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog, QFileDialog
from pytestqt.qtbot import QtBot

from core.errors import KnownError
from core.net.adding import Added, AddProgress, Naming, Stopped
from tests.plain_files import every_kind
from tests.ui.viewing import FakeClient, row, services_of
from ui.archive.page import ArchivePage
from ui.dialogs import add_files
from ui.dialogs.add_files import AddFilesDialog, AddTarget
from ui.models.study_view import PatientText
from ui.tasks import Tasks
from ui.widgets.chosen_files import ChosenFiles

ANNA = PatientText("Müller^Anna", "12345", "19500301", "F")


class FakeSending:
    """Goes on until *go*; then it is done, or fails with *fault*."""

    def __init__(self, files: Sequence[Path], naming: Naming, fault: Exception | None = None) -> None:
        self.files, self.naming, self.fault = list(files), naming, fault
        self.go = threading.Event()
        self.stopped = self.too_late = False

    def run(self) -> Generator[AddProgress, None, Added]:
        """Half of it, until it may go on."""
        while not self.go.wait(0.005):
            if self.stopped:
                raise Stopped
            yield AddProgress(100 if self.too_late else 50, 100, 1, 3.0)
        if self.fault is not None:
            raise self.fault
        return Added("1.2.3", tuple(f"1.{n}" for n, _ in enumerate(self.files)))

    def stop(self) -> bool:
        """Stop, unless it is too late."""
        self.stopped = not self.too_late
        return self.stopped


class Sendings:
    """Those that were begun; *fault* is what the next fails with."""

    def __init__(self) -> None:
        self.begun: list[FakeSending] = []
        self.fault: Exception | None = None

    def begin(self, files: Sequence[Path], naming: Naming) -> FakeSending:
        """One more."""
        self.begun.append(FakeSending(files, naming, self.fault))
        return self.begun[-1]


@pytest.fixture
def sendings() -> Sendings:
    return Sendings()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, data in every_kind().items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in every_kind()]


@pytest.fixture
def dialog(qtbot: QtBot, tasks: Tasks, sendings: Sendings) -> AddFilesDialog:
    made = AddFilesDialog(AddTarget(ANNA, "CT Abdomen · 2024-02-11 · Acc 7", sendings.begin), tasks)
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress shows after less time."""
    monkeypatch.setattr(add_files, "SHOW_AFTER_MS", 100)
    monkeypatch.setattr(add_files, "STOP_AFTER_MS", 300)


def listed(dialog: AddFilesDialog) -> list[str]:
    rows = dialog.chosen.list
    return [rows.item(n).text() for n in range(rows.count())]


def fill(qtbot: QtBot, dialog: AddFilesDialog, files: Sequence[Path]) -> None:
    dialog.chosen.add(files)
    qtbot.waitUntil(lambda: len(dialog.chosen.files) == len(files))


def test_it_names_the_patient_before_anything_is_done(dialog: AddFilesDialog) -> None:
    assert "MÜLLER, Anna" in dialog.banner.text() and "12345" in dialog.banner.text()
    assert "1950" in dialog.banner.text() and "CT Abdomen" in dialog.what.text()
    assert not dialog.add_button.isEnabled() and not dialog.pictures.isEnabled()


def test_kind_and_size_of_each_file(qtbot: QtBot, dialog: AddFilesDialog, files: list[Path]) -> None:
    fill(qtbot, dialog, files)
    kinds = [text.splitlines()[1].split(" · ")[0] for text in listed(dialog)]
    assert kinds == ["PDF", "Picture", "Picture", "Picture", "Video", "Video"]
    assert dialog.add_button.text() == "Add 6 files" and dialog.pictures.isEnabled()
    dialog.chosen.list.setCurrentRow(0)
    dialog.chosen.list.setFocus()
    qtbot.waitUntil(dialog.chosen.list.hasFocus)
    qtbot.keyClick(dialog.chosen.list, Qt.Key.Key_Delete)
    assert dialog.add_button.text() == "Add 5 files"
    dialog.chosen.list.selectAll()
    dialog.chosen.remove_button.click()
    assert not dialog.add_button.isEnabled() and not dialog.pictures.isEnabled()
    fill(qtbot, dialog, files[:1])
    dialog.chosen.add(files[:1])
    qtbot.wait(50)
    assert dialog.add_button.text() == "Add 1 file", "the same file is listed once"


def test_what_cannot_be_added_is_named(qtbot: QtBot, dialog: AddFilesDialog, tmp_path: Path) -> None:
    notes = tmp_path / "notes.docx"
    notes.write_bytes(b"PK\3\4" + bytes(50))
    dialog.chosen.add([notes, tmp_path / "gone.pdf"])
    qtbot.waitUntil(dialog.messages.isVisible)
    said = dialog.messages.text.text()
    assert said.startswith("notes.docx: The file is no PDF") and "1 more was left out" in said
    assert not dialog.chosen.files


def test_choosing_offers_what_will_do(
    qtbot: QtBot, dialog: AddFilesDialog, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def choose(_parent: Any, _title: str, _folder: str, kinds: str) -> tuple[list[str], str]:
        asked.append(kinds)
        return [str(files[0])], ""

    monkeypatch.setattr(QFileDialog, "getOpenFileNames", choose)
    dialog.chosen.choose_button.click()
    qtbot.waitUntil(lambda: dialog.chosen.files == files[:1])
    assert all(f"*.{ending}" in asked[0] for ending in ("pdf", "jpg", "png", "jp2", "mp4", "mpg"))


def test_sending_says_what_was_typed_and_closes(
    qtbot: QtBot, dialog: AddFilesDialog, files: list[Path], sendings: Sendings
) -> None:
    fill(qtbot, dialog, files)
    qtbot.keyClicks(dialog.title, " Wound ")
    dialog.pictures.setCurrentIndex(1)
    with qtbot.waitSignal(dialog.added) as told:
        qtbot.keyClick(dialog, Qt.Key.Key_Return)
        assert not dialog.chosen.isEnabled() and not dialog.add_button.isEnabled()
        sendings.begun[0].go.set()
    assert told.args is not None and len(told.args[0].stored) == 6
    assert sendings.begun[0].files == files and sendings.begun[0].naming == Naming("Wound", True)
    assert dialog.result() == QDialog.DialogCode.Accepted


def test_photographs_are_said_of_pictures_only(
    qtbot: QtBot, dialog: AddFilesDialog, files: list[Path], sendings: Sendings
) -> None:
    dialog.pictures.setCurrentIndex(1)
    fill(qtbot, dialog, files[:1])
    dialog.add_button.click()
    assert sendings.begun[0].naming == Naming("", False)
    sendings.begun[0].go.set()
    qtbot.waitUntil(lambda: not dialog.isVisible())


@pytest.mark.usefixtures("quick")
def test_progress_comes_late_and_stop_later(
    qtbot: QtBot, dialog: AddFilesDialog, files: list[Path], sendings: Sendings
) -> None:
    fill(qtbot, dialog, files)
    dialog.add_button.click()
    assert not dialog.progress.isVisible()
    qtbot.waitUntil(dialog.progress.isVisible)
    qtbot.waitUntil(dialog.stop_button.isVisible)
    qtbot.waitUntil(lambda: dialog.numbers.text().endswith("· 3 s"))
    assert dialog.numbers.text().startswith("1 of 6 · ") and dialog.progress.value() == 500
    dialog.stop_button.click()
    qtbot.waitUntil(dialog.messages.isVisible)
    assert dialog.messages.text.text() == "Stopped. Nothing was added."
    assert dialog.isVisible() and dialog.chosen.files == files and dialog.add_button.isEnabled()
    assert not dialog.progress.isVisible() and not dialog.stop_button.isVisible()
    dialog.add_button.click()
    sendings.begun[1].too_late = True
    qtbot.waitUntil(lambda: "storing" in dialog.numbers.text() and dialog.stop_button.isVisible())
    assert not dialog.stop_button.isEnabled()
    sendings.begun[1].go.set()
    qtbot.waitUntil(lambda: not dialog.isVisible())


def test_escape_while_sending_stops_first(
    qtbot: QtBot, dialog: AddFilesDialog, files: list[Path], sendings: Sendings
) -> None:
    fill(qtbot, dialog, files)
    dialog.add_button.click()
    dialog.close()
    assert dialog.isVisible() and sendings.begun[0].stopped
    qtbot.waitUntil(lambda: not dialog.isVisible())
    assert dialog.result() == QDialog.DialogCode.Rejected


def test_a_refusal_stays_in_place(
    qtbot: QtBot, dialog: AddFilesDialog, files: list[Path], sendings: Sendings
) -> None:
    sendings.fault = KnownError("clip.mp4: The video is cut off or damaged.", "Copy it again.")
    fill(qtbot, dialog, files)
    dialog.add_button.click()
    sendings.begun[0].go.set()
    qtbot.waitUntil(dialog.messages.isVisible)
    assert "clip.mp4: The video is cut off" in dialog.messages.text.text()
    assert dialog.isVisible() and dialog.chosen.files == files and dialog.add_button.isEnabled()


def test_files_are_dropped_onto_the_panel_of_a_study(
    qtbot: QtBot, tasks: Tasks, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = FakeClient([row(n) for n in range(3)])
    page = ArchivePage(services_of(client, tasks))
    qtbot.addWidget(page)
    page.show()
    qtbot.waitUntil(lambda: page.panel.study is not None)
    chosen = page.model.row(page.list.row)
    sendings = Sendings()
    begun: list[tuple[str, str]] = []

    def adding(namespace: str, study_uid: str, paths: Sequence[Path], naming: Naming) -> FakeSending:
        begun.append((namespace, study_uid))
        return sendings.begin(paths, naming)

    monkeypatch.setattr(page._calls, "adding", adding)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in files])
    flags = (Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(9, 9), *flags)
    page.panel.dragEnterEvent(enter)
    assert enter.isAccepted()
    page.panel.dropEvent(QDropEvent(QPoint(9, 9), *flags))
    dialog = page.findChild(AddFilesDialog)
    assert dialog is not None and chosen.patient_id in dialog.banner.text()
    qtbot.waitUntil(lambda: dialog.chosen.files == files)
    page.list.choose((page.list.row + 1) % 3)
    dialog.add_button.click()
    sendings.begun[0].go.set()
    qtbot.waitUntil(page.messages.isVisible)
    assert begun == [(chosen.namespace, chosen.study_uid)], "the study that was asked about"
    assert page.messages.text.text().startswith("6 files were added to the images of MÜLLER")


def test_a_dialog_closed_while_files_are_looked_at(qtbot: QtBot, tasks: Tasks, files: list[Path]) -> None:
    chosen = ChosenFiles(tasks)
    chosen.add(files)
    chosen.deleteLater()
    qtbot.wait(50)
    qtbot.waitUntil(lambda: tasks.busy == 0)
