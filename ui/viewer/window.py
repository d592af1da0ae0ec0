"""The viewer: a dark window of its own with series at the left, tools on top, pictures in the middle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QVBoxLayout, QWidget

from core.errors import KnownError, Unreachable
from ui.messages import MessageBar, of_error
from ui.models.study_view import StudyView
from ui.state import WindowState
from ui.tasks import Tasks
from ui.viewer.actions import Actions
from ui.viewer.commands import BY_NAME, Do, command_of
from ui.viewer.corners import Density
from ui.viewer.look import dress
from ui.viewer.picture import Choice, Frames
from ui.viewer.strip import SeriesStrip
from ui.viewer.tiles import Tiles
from ui.viewer.tools import ViewerTools, fill_presets
from ui.viewer.viewport import Viewport
from ui.widgets.opening import Opener
from ui.widgets.thumbnails import Thumbnails

if TYPE_CHECKING:
    from core.imaging.budget import Budget
    from core.imaging.stack import Stack

DRAG_SETTING = "viewer/drag-down-darker"
GEOMETRY_SETTING = "viewer/geometry"
MENU = (Do.FIT, Do.ACTUAL_SIZE, Do.ROTATE, Do.ROTATE_BACK, Do.FLIP, Do.FLIP_UP_DOWN, Do.INVERT, Do.RESET)


class ViewerWindow(QWidget):
    """Shows one study of one patient; *stacks* gives a series' pictures and may be slow.

    Signals:
        closed(): the window was closed and has let go of all files.
    """

    closed = Signal()

    def __init__(
        self,
        study: StudyView,
        stacks: Callable[[str], Stack],
        tasks: Tasks,
        parent: QWidget | None = None,
        *,
        state: WindowState | None = None,
        opener: Opener | None = None,
        budget: Budget | None = None,
        on_closing: Callable[[], None] | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.study = study
        self._stacks = stacks
        self._tasks = tasks
        self._state = state
        self._opener = opener or Opener()
        self._budget = budget
        self._on_closing = on_closing
        self._on_closed = on_closed
        self._loading: dict[Viewport, str] = {}
        self._gone = False
        self._frames: list[Frames] = []
        self.density = Density.ALL
        self.thumbnails = Thumbnails(tasks, self)
        self.strip = SeriesStrip(self.thumbnails, self)
        self.tools = ViewerTools(self)
        self.messages = MessageBar(self)
        self.tiles = Tiles(self._new_port, self)
        self.notice = QLabel(self.tr("Not for primary diagnosis"), self)
        self.actions_ = Actions(self)
        self._build()
        self.show_study(study)

    def _build(self) -> None:
        self.setObjectName("viewer")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dress(self)
        self.resize(1280, 860)
        self.notice.setObjectName("viewerNotice")
        self.notice.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.tools.wanted.connect(lambda name: self.do(Do(name)))
        self.tools.choiceWanted.connect(lambda choice: self.active.set_choice(choice))
        self.strip.chosen.connect(lambda uid: self.open_series(uid))
        self.tiles.changed.connect(self._show_state)
        self.tiles.activated.connect(lambda _port: self._mark())
        middle = QVBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.messages)
        middle.addWidget(self.tiles, 1)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.strip)
        row.addLayout(middle, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tools)
        layout.addLayout(row, 1)
        layout.addWidget(self.notice)
        geometry = self._state.blob(GEOMETRY_SETTING) if self._state is not None else None
        if geometry is not None:
            self.restoreGeometry(geometry)
        self.active.setFocus()
        self._show_state()

    def _new_port(self) -> Viewport:
        port = Viewport(self)
        port.density = self.density
        port.down_is_brighter = self._down_is_brighter()
        port.menuWanted.connect(partial(self._menu, port))
        port.documentWanted.connect(partial(self._open_document, port))
        port.enlarged.connect(partial(self._enlarge, port))
        return port

    @property
    def active(self) -> Viewport:
        """The tile that tools and keys mean."""
        return self.tiles.active

    # Study and series

    def show_study(self, study: StudyView) -> None:
        """List the series of *study*; while a disc is read the same study comes again with more of them."""
        self.study = study
        self.strip.show_study(study)
        what = " · ".join(part for part in (study.title, study.shown_date) if part)
        parts = (study.patient.banner, what, study.origin)
        self.setWindowTitle(" — ".join(part for part in parts if part))

    def open_series(self, uid: str, port: Viewport | None = None) -> None:
        """Show a series in *port* (default: the active tile) as soon as it can be read."""
        target = port or self.active
        if target.series_uid == uid or self._loading.get(target) == uid:
            return
        self._loading[target] = uid
        target.say(self.tr("Opening the series…"))
        self.messages.put_away()
        self._tasks.call(
            partial(self._make_frames, uid),
            done=partial(self._opened, target, uid),
            failed=partial(self._not_opened, target, uid),
        )
        self._mark()

    def _make_frames(self, uid: str) -> Frames:
        from ui.viewer.stack_frames import StackFrames  # numpy and codecs: only where pictures are shown

        stack = self._stacks(uid)
        if self._budget is not None:
            stack.share(self._budget)
        frames = StackFrames(stack)
        if self._gone:  # closed meanwhile: nobody will ask for it
            frames.close()
        return frames

    def _opened(self, port: Viewport, uid: str, frames: Frames) -> None:
        if self._gone or self._loading.get(port) != uid or port not in self.tiles.ports:
            frames.close()
            return
        del self._loading[port]
        self._frames.append(frames)
        port.show_frames(frames, uid)
        self._mark()
        if port is self.active and self.focusWidget() is not self.strip:
            port.setFocus()

    def _not_opened(self, port: Viewport, uid: str, error: Exception) -> None:
        if self._gone or self._loading.get(port) != uid:
            return
        del self._loading[port]
        if port in self.tiles.ports:
            known = isinstance(error, KnownError)
            port.say(str(error) if known else self.tr("This series cannot be opened."), failed=True)
        self.messages.show_message(
            of_error(error),
            action=self.tr("Try again") if isinstance(error, Unreachable) else "",
            on_action=lambda: self.open_series(uid, port if port in self.tiles.ports else None),
        )

    def step_series(self, by: int) -> None:
        """The next or previous series in the active tile."""
        rows = self.strip.series.rowCount()
        if not rows:
            return
        current = self._loading.get(self.active, self.active.series_uid)
        row = self.strip.series.row_of(current) + by
        if 0 <= row < rows:
            self.open_series(self.strip.series.series(row).uid)

    def _mark(self) -> None:
        current = self._loading.get(self.active, self.active.series_uid)
        self.strip.mark(current, {port.series_uid for port in self.tiles.ports})

    # Commands

    def do(self, command: Do) -> None:
        """Carry out one command of the table."""
        self.actions_.run(command)
        self._show_state()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Every key of the table; others go on."""
        command = command_of(event)
        if command is None:
            super().keyPressEvent(event)
        else:
            self.do(command)

    def set_layout(self, count: int) -> None:
        """Show 1, 2 or 4 pictures; new tiles get the series that follow."""
        row = self.strip.series.row_of(self.active.series_uid)
        for port in self.tiles.set_count(count):
            row += 1
            if row < self.strip.series.rowCount():
                self.open_series(self.strip.series.series(row).uid, port)
            else:
                port.say(self.tr("Choose a series at the left"))
        self._loading = {port: uid for port, uid in self._loading.items() if port in self.tiles.ports}
        self._mark()
        self._show_state()

    def set_density(self, density: Density) -> None:
        """Write more or less on all pictures."""
        self.density = density
        for port in self.tiles.ports:
            port.set_density(density)

    def set_full_screen(self, on: bool) -> None:
        """Fill the screen with pictures, or go back."""
        self.strip.setVisible(not on)
        self.tools.setVisible(not on)
        self.setWindowState(
            self.windowState() | Qt.WindowState.WindowFullScreen
            if on
            else self.windowState() & ~Qt.WindowState.WindowFullScreen
        )

    def next_region(self) -> None:
        """Move the keyboard from series to tools to picture."""
        if self.focusWidget() is self.strip:
            self.tools.buttons[Do.TOOL_WINDOW].setFocus(Qt.FocusReason.TabFocusReason)
        elif self.tools.isAncestorOf(self.focusWidget() or self):
            self.active.setFocus(Qt.FocusReason.TabFocusReason)
        else:
            self.strip.setFocus(Qt.FocusReason.TabFocusReason)

    def _show_state(self) -> None:
        self.tools.show_state(self.active, self.tiles.count, full_screen=self.isFullScreen())

    def _enlarge(self, port: Viewport) -> None:
        if self.tiles.count > 1:
            self.tiles.show_alone(None if self.tiles.alone is port else port)
        else:
            self.do(Do.FULL_SCREEN)

    # Menu

    def _menu(self, port: Viewport, at: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        fill_presets(menu, port, self._choose)
        menu.addSeparator()
        for do in MENU:
            action = menu.addAction(f"{BY_NAME[do].title}\t{BY_NAME[do].keys[0]}")
            action.triggered.connect(lambda _on=False, wanted=do: self.do(wanted))
        menu.addSeparator()
        direction = menu.addAction(self.tr("Dragging down makes darker"))
        direction.setCheckable(True)
        direction.setChecked(not self._down_is_brighter())
        direction.toggled.connect(self._set_down_darker)
        menu.popup(at)

    def _choose(self, choice: Choice) -> None:
        self.active.set_choice(choice)

    def _down_is_brighter(self) -> bool:
        return self._state is None or self._state.text(DRAG_SETTING) != "yes"

    def _set_down_darker(self, darker: bool) -> None:
        if self._state is not None:
            self._state.keep_text(DRAG_SETTING, "yes" if darker else "no")
        for port in self.tiles.ports:
            port.down_is_brighter = not darker

    # Documents

    def _open_document(self, port: Viewport) -> None:
        picture, frames, series = port.picture, port.frames, self.study.find(port.series_uid)
        if picture is None or frames is None or series is None:
            return
        self._tasks.call(
            partial(frames.document, picture),
            done=partial(self._document_read, series.description or series.modality),
            failed=self._document_failed,
        )

    def _document_read(self, name: str, data: bytes) -> None:
        if self._gone:
            return
        try:
            self._opener.open(self, name, "application/pdf", data)
        except KnownError as error:
            self.messages.show_error(error)

    def _document_failed(self, error: Exception) -> None:
        if not self._gone:
            self.messages.show_error(error)

    # Going

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop decoding and let go of every file."""
        if not self._gone:
            self._gone = True
            if self._state is not None and not self.isFullScreen():
                self._state.keep_blob(GEOMETRY_SETTING, self.saveGeometry())
            self._loading.clear()
            self.thumbnails.forget()
            for port in self.tiles.ports:
                port.release()
            if self._on_closing is not None:
                self._on_closing()
            Thread(target=_finish, args=(self._frames, self._on_closed), name="viewer-close").start()
            self.closed.emit()
        super().closeEvent(event)


def _finish(frames: list[Frames], then: Callable[[], None] | None) -> None:
    """Wait for the last file to be closed, then let the source go; a slow disc must not hold the window."""
    for each in frames:
        each.wait_closed()
    if then is not None:
        then()
