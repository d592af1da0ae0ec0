"""The demo's pictures of the desktop: its own windows, driven as a person would, without a display."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.demo_report import Report
from core.errors import KnownError
from core.media import sample_disc
from core.media.sample_disc import SampleDisc

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from ui.main_window import MainWindow
    from ui.models.study_node import Node
    from ui.uploads.transfers import Transfer
    from ui.widgets.study_panel import StudyPanel

SIZE = (1280, 800)
PATIENCE_S = 20.0
PICTURES = ("import.png", "send.png", "upload.png", "archive.png", "worklist.png", "viewer.png")

Widget = TypeVar("Widget", bound="QWidget")


def take(disc: SampleDisc, data: Path, pdf: Path, folder: Path, report: Report) -> list[Path]:
    """Read the disc in the window, send two studies, find one in the archive, look at it; pictures of all."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from app.commands import desktop

    folder.mkdir(parents=True, exist_ok=True)
    tour = Tour(disc, pdf, folder, report)
    with _qt_messages() as said:
        report.check("the desktop ends with", desktop.open_window(data, shown=tour.begin), 0)
    report.facts["qt_said"] = said
    if tour.error is not None:
        raise tour.error
    pictures = [folder / name for name in PICTURES]
    report.check("screenshots", [p.name for p in pictures if p.is_file()], list(PICTURES))
    return pictures


@contextmanager
def _qt_messages() -> Iterator[list[str]]:
    """What Qt says meanwhile, of fonts and locales: into the receipt and not between our own lines."""
    from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

    said: list[str] = []

    def note(_kind: QtMsgType, _context: QMessageLogContext, message: str) -> None:
        if not message.startswith("This plugin does not support"):  # there is no window manager
            said.append(message)

    before = qInstallMessageHandler(note)
    try:
        yield said
    finally:
        qInstallMessageHandler(before)


class Tour:
    """Walks through the window from within its event loop; waits for what a person would wait for."""

    def __init__(self, disc: SampleDisc, pdf: Path, folder: Path, report: Report) -> None:
        self._disc = disc
        self._pdf = pdf
        self._folder = folder
        self._report = report
        self.error: Exception | None = None

    def begin(self, window: MainWindow) -> None:
        """Start as soon as the window is on screen; it is closed at the end."""
        from PySide6.QtCore import QTimer

        self._window = window
        window.resize(*SIZE)
        QTimer.singleShot(0, window, self._run)

    def _run(self) -> None:
        try:
            self._import()
            self._send()
            self._archive()
            self._view()
        except Exception as error:  # a slot's exception would vanish in Qt; `take` raises it again
            self.error = error
        finally:
            for widget in self._top_level():
                widget.close()

    def _import(self) -> None:
        from ui.importing.session import Stage
        from ui.services import ArchiveState

        page = self._window.imports
        self._window.open_paths([self._disc.root])
        self._wait("the disc is read", lambda: page.session.stage is Stage.DONE)
        model, tree = page.session.model, page.scan.tree
        sent = {study.uid for study in self._disc.studies[:2]}
        for row in range(model.rowCount()):
            patient = model.node(model.index(row, 0))
            tree.setExpanded(model.index_of(patient), True)
            for study in patient.children:
                model.tick(study, _uid(study) in sent)
                if _uid(study) == self._disc.main.uid:
                    tree.setExpanded(model.index_of(study), True)
                    tree.setCurrentIndex(model.index_of(study))
        page.attach(self._pdf)
        picked = sorted(p.study.study_instance_uid for p in model.picked())
        self._report.check("studies ticked", picked, sorted(sent))
        self._wait_for_pictures(page.scan.panel)
        self._wait("the archive runs", lambda: self._window.services.archive.state is ArchiveState.RUNNING)
        self._rest()
        self._grab(self._window, "import.png")

    def _send(self) -> None:
        from ui.dialogs.send_sheet import SendSheet
        from ui.uploads.transfers import ENDED

        transfers = self._window.transfers
        ended: list[Transfer] = []

        def note(transfer: Transfer) -> None:
            if transfer.state in ENDED:
                ended.append(transfer)

        transfers.changed.connect(note)
        self._window.imports.send()
        sheet = self._wait_for(SendSheet)
        for tick in sheet.ticks:
            tick.setChecked(True)
        self._grab(sheet, "send.png")
        sheet.send_button.click()
        self._wait("the studies are sent", lambda: bool(ended))
        receipt = ended[0].receipt
        complete = receipt is not None and receipt.complete and receipt.safe_to_eject
        self._report.check("the desktop's own upload is complete", complete, True)
        self._grab(self._window, "upload.png")

    def _archive(self) -> None:
        from ui.archive.page import ArchivePage

        self._window.search()
        page = self._wait_for(ArchivePage)
        self._wait("the archive lists both studies", lambda: page.model.rowCount() == 2)
        page.list.choose(page.model.row_of("default", self._disc.main.uid))
        self._wait_for_pictures(page.panel)
        self._grab(self._window, "archive.png")
        self._worklist()
        self._window.search()
        page.open()

    def _worklist(self) -> None:
        """An entry made by the form: the same patient comes again, today."""
        from ui.main_window import Page
        from ui.worklist.entry_form import EntryForm
        from ui.worklist.page import WorklistPage

        self._window.show_page(Page.WORKLIST)
        page = self._wait_for(WorklistPage)
        self._wait("the worklist is there", lambda: page.new_button.isEnabled())
        page.new()
        form = self._wait_for(EntryForm)
        patient = self._disc.main.patient
        for keyword, value in {
            "PatientName": patient.name,
            "PatientID": patient.patient_id,
            "PatientBirthDate": patient.birth_date,
            "PatientSex": patient.sex,
            "AccessionNumber": "A-2026-0001",
            "Modality": "CT",
            "ScheduledStationAETitle": "CT1",
            "ScheduledProcedureStepDescription": "CT Abdomen, follow-up",
        }.items():
            form.fields[keyword].show_value(value)
        form.save()
        self._wait("the entry is on the worklist", lambda: page.model.rowCount() == 1)
        self._report.check("an entry made here is", page.model.entries[0].state, "SCHEDULED")
        self._wait("it is chosen", lambda: page.panel.entry is not None)
        page.messages.put_away()
        self._rest()
        self._grab(self._window, "worklist.png")

    def _view(self) -> None:
        from ui.viewer.window import ViewerWindow

        viewer = self._wait_for(ViewerWindow)
        viewer.resize(*SIZE)
        self._wait("the picture is there", lambda: viewer.active.picture is not None)
        viewer.active.go_to(viewer.active.total * 3 // 8)
        self._wait("that picture is there", lambda: not viewer.active.waiting)
        self._report.check("pictures of the series", viewer.active.total, sample_disc.AXIAL)
        self._rest()
        self._grab(viewer, "viewer.png")

    def _wait_for_pictures(self, panel: StudyPanel) -> None:
        """Until the panel shows the main study with a thumbnail, or a reason for none, of each series."""
        self._wait(
            "the study is shown", lambda: panel.study is not None and panel.study.uid == self._disc.main.uid
        )
        study = panel.study
        series = study.series if study is not None else ()
        self._wait(
            "its thumbnails are there", lambda: all(panel.thumbnails.get(s) is not None for s in series)
        )
        self._report.check("series shown", len(series), 3)
        self._rest()

    def _wait(self, what: str, until: Callable[[], bool]) -> None:
        from PySide6.QtWidgets import QApplication

        deadline = time.monotonic() + PATIENCE_S
        while not until():
            if time.monotonic() > deadline:
                raise KnownError(f"Waited too long until {what}.", "See the log file in the data folder.")
            QApplication.processEvents()
            time.sleep(0.005)

    def _wait_for(self, kind: type[Widget]) -> Widget:
        """The first visible widget of this kind."""

        def found() -> list[Widget]:
            every = [w for top in self._top_level() for w in (top, *top.findChildren(kind))]
            return [widget for widget in every if isinstance(widget, kind) and widget.isVisible()]

        self._wait(f"there is a {kind.__name__}", lambda: bool(found()))
        return found()[0]

    def _rest(self) -> None:
        """Let everything that is due be painted."""
        until = time.monotonic() + 0.3
        self._wait("it is painted", lambda: time.monotonic() > until)

    def _top_level(self) -> list[QWidget]:
        from PySide6.QtWidgets import QApplication

        return [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]

    def _grab(self, widget: QWidget, name: str) -> None:
        widget.grab().save(str(self._folder / name))


def _uid(study: Node) -> str:
    """Study Instance UID of a row that is a study."""
    from core.dicom.tree import Study

    return study.item.study_instance_uid if isinstance(study.item, Study) else ""
