"""While and after a disc is read: the tree, the selected study, what is complete, and what to do with it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.importing.session import ScanSession, Stage
from ui.importing.tree_view import DiscTree
from ui.importing.words import completeness, progress_text, sum_text
from ui.messages import Kind
from ui.picture import Picture
from ui.tasks import Tasks
from ui.widgets.banner import ElidedLabel
from ui.widgets.study_panel import StudyPanel


class SourceLine(QWidget):
    """Icon and name of the source, how far it is, Stop or Close.

    Signals: `stop()`, `leave()`, `again()`.
    """

    stop = Signal()
    leave = Signal()
    again = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = Picture(28, self, name="disc", role="primary")
        self.name = ElidedLabel(self)
        self.name.setProperty("role", "heading")
        self.progress = QLabel(self)
        self.progress.setProperty("role", "muted")
        self.stop_button = QPushButton(icon("ph.stop-fill", before_text=True), self.tr("Stop"), self)
        self.again_button = QPushButton(
            icon("ph.arrow-clockwise", before_text=True), self.tr("Read again"), self
        )
        self.leave_button = QPushButton(icon("ph.x", before_text=True), self.tr("Close"), self)
        self.leave_button.setToolTip(self.tr("Close this disc and choose another"))
        self.stop_button.clicked.connect(lambda: self.stop.emit())
        self.again_button.clicked.connect(lambda: self.again.emit())
        self.leave_button.clicked.connect(lambda: self.leave.emit())
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Reading the disc"))
        line = QHBoxLayout()
        line.setSpacing(12)
        line.addWidget(self._icon)
        line.addWidget(self.name, 1)
        line.addWidget(self.progress)
        for button in (self.stop_button, self.again_button, self.leave_button):
            line.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(line)
        layout.addWidget(self.bar)

    def show_session(self, session: ScanSession) -> None:
        """Say where the reading stands."""
        reading = session.stage is Stage.READING
        self.name.setText(session.name)
        self.name.setToolTip("\n".join(map(str, session.paths)))
        step = session.progress
        self.progress.setText(progress_text(step))
        self.stop_button.setVisible(reading)
        self.again_button.setVisible(session.worth_reading_again)
        self.leave_button.setVisible(not reading)
        state = (
            "" if reading else "idle"
        )  # clear and not hidden: nothing below it jumps when the reading ends
        if self.bar.property("state") != state:
            self.bar.setProperty("state", state)
            self.bar.style().unpolish(self.bar)
            self.bar.style().polish(self.bar)
        total = step.files_total if step is not None else None
        with painted_later(self.bar):
            if not reading:
                self.bar.setRange(0, 1)
                self.bar.setValue(0)
            elif total:
                self.bar.setRange(0, total)
                self.bar.setValue(min(step.files_read if step is not None else 0, total))
            else:
                self.bar.setRange(0, 0)


@contextmanager
def painted_later(bar: QProgressBar) -> Generator[None, None, None]:
    """A bar whose new value is painted in the next turn: by itself it repaints the window at once."""
    bar.setUpdatesEnabled(False)
    try:
        yield
    finally:
        bar.setUpdatesEnabled(True)


class Footer(QWidget):
    """The completeness line, the sum of what is ticked, and the page's actions.

    Signals: `attach()`, `view()`, `send()`.
    """

    attach = Signal()
    view = Signal()
    send = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mark = Picture(18, self)
        self.complete = QLabel(self)
        self.complete.setWordWrap(True)
        self.sum = QLabel(self)
        self.sum.setProperty("role", "muted")
        self.attach_button = QPushButton(icon("ph.paperclip", before_text=True), self.tr("Attach PDF…"), self)
        self.view_button = QPushButton(icon("ph.eye", before_text=True), self.tr("View"), self)
        self.send_button = QToolButton(self)
        self.send_button.setProperty("role", "primary")
        self.send_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.send_button.setIcon(icon("ph.paper-plane-tilt-fill", "on_primary", before_text=True))
        self.send_button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self.send_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.attach_button.clicked.connect(lambda: self.attach.emit())
        self.view_button.clicked.connect(lambda: self.view.emit())
        self.send_button.clicked.connect(lambda: self.send.emit())
        above = QHBoxLayout()
        above.setSpacing(8)
        above.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        above.addWidget(self.complete, 1)
        below = QHBoxLayout()
        below.setSpacing(8)
        below.addWidget(self.sum)
        below.addStretch(1)
        for button in (self.attach_button, self.view_button, self.send_button):
            below.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(above)
        layout.addLayout(below)

    def show_session(self, session: ScanSession, *, study_chosen: bool) -> None:
        """Say what is complete and what is ticked, and which actions make sense."""
        kind, words = self._completeness(session)
        name, role = {
            Kind.GOOD: ("ph.check-circle-fill", "good"),
            Kind.WARN: ("ph.warning-fill", "warn"),
        }.get(kind, ("ph.spinner", "muted"))
        self._mark.show_icon(name, role)
        self.complete.setText(words)
        picked = session.model.picked()
        uids = {p.study.study_instance_uid for p in picked}
        files = sum(len(paths) for uid, paths in session.attachments.items() if uid in uids)
        self.sum.setText(sum_text(picked, files))
        self.send_button.setEnabled(bool(picked) and session.stage is not Stage.READING)
        self.attach_button.setEnabled(study_chosen)
        self.view_button.setEnabled(study_chosen)

    def _completeness(self, session: ScanSession) -> tuple[Kind, str]:
        match session.stage:
            case Stage.DONE if session.scan is not None:
                return completeness(session.scan.receipt, session.skipped)
            case Stage.STOPPED:
                return Kind.WARN, self.tr(
                    "Stopped. Not everything was read: what is missing here cannot be sent."
                )
            case Stage.FAILED:
                return Kind.WARN, self.tr("The reading ended early. What was found until then is shown.")
        return Kind.INFO, self.tr("Reading…")


class ScanPage(QWidget):
    """Source line over tree and study panel over footer."""

    def __init__(self, session: ScanSession, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = SourceLine(self)
        self.tree = DiscTree(session.model, self)
        self.panel = StudyPanel(tasks, self)
        self.footer = Footer(self)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.splitter.setHandleWidth(12)
        self.splitter.setChildrenCollapsible(False)
        self.tree.setMinimumWidth(400)
        frame = QFrame(self)
        frame.setProperty("role", "card")
        inside = QVBoxLayout(frame)
        inside.setContentsMargins(1, 1, 1, 1)
        inside.addWidget(self.panel)
        self.splitter.addWidget(self.tree)
        self.splitter.addWidget(frame)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([540, 560])
        self._below = QVBoxLayout()
        self._below.setSpacing(12)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 16, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(self.source)
        layout.addWidget(self.splitter, 1)
        layout.addLayout(self._below)
        layout.addWidget(self.footer)

    def add_below(self, widget: QWidget) -> None:
        """Room between the tree and the footer: a sending and its receipt."""
        self._below.addWidget(widget)
