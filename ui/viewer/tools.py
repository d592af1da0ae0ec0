"""The one row of tools over the pictures."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QToolButton, QWidget

from ui.viewer.commands import BY_NAME, Do
from ui.viewer.gestures import Tool
from ui.viewer.look import light_icon
from ui.viewer.picture import Choice
from ui.viewer.presets import choices
from ui.viewer.viewport import Viewport

TOOL_OF = {
    Do.TOOL_WINDOW: Tool.WINDOW,
    Do.TOOL_SCROLL: Tool.SCROLL,
    Do.TOOL_ZOOM: Tool.ZOOM,
    Do.TOOL_PAN: Tool.PAN,
}
GROUPS: tuple[tuple[Do, ...], ...] = (
    tuple(TOOL_OF),
    (Do.FIT, Do.ACTUAL_SIZE, Do.ROTATE_BACK, Do.ROTATE, Do.FLIP, Do.FLIP_UP_DOWN, Do.INVERT),
    (Do.CINE, Do.ANNOTATIONS, Do.RESET),
    (Do.LAYOUT_1, Do.LAYOUT_2, Do.LAYOUT_4),
    (Do.FULL_SCREEN, Do.KEYS),
)
CHECKABLE = {*TOOL_OF, Do.INVERT, Do.CINE, Do.LAYOUT_1, Do.LAYOUT_2, Do.LAYOUT_4, Do.FULL_SCREEN, Do.FIT}


class ViewerTools(QFrame):
    """Buttons for the commands, and the list of windows.

    Signals:
        wanted(str): a command of `Do`.
        choiceWanted(object): a `Choice` of window.
    """

    wanted = Signal(str)
    choiceWanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("viewerTools")
        self.buttons: dict[Do, QToolButton] = {}
        self._play, self._pause = light_icon("ph.play"), light_icon("ph.pause")
        self.patient = QLabel(self)
        self.patient.setObjectName("viewerPatient")
        self.patient.setTextFormat(Qt.TextFormat.PlainText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(2)
        for number, group in enumerate(GROUPS):
            if number:
                layout.addWidget(self._line())
            for do in group:
                layout.addWidget(self._button(do))
            if number == 0:
                layout.addWidget(self._presets())
        layout.addStretch(1)

    def _line(self) -> QWidget:
        line = QFrame(self)
        line.setFixedSize(13, 24)
        line.setFrameShape(QFrame.Shape.VLine)
        line.setFrameShadow(QFrame.Shadow.Plain)
        line.setProperty("role", "toolLine")
        return line

    def _button(self, do: Do) -> QToolButton:
        command = BY_NAME[do]
        button = QToolButton(self)
        button.setIcon(light_icon(command.icon))
        button.setIconSize(QSize(20, 20))
        button.setToolTip(command.hint)
        button.setAccessibleName(command.title)
        button.setCheckable(do in CHECKABLE)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: self.wanted.emit(do))
        self.buttons[do] = button
        return button

    def _presets(self) -> QToolButton:
        self.presets = QToolButton(self)
        self.presets.setIcon(light_icon("ph.sliders-horizontal"))
        self.presets.setIconSize(QSize(20, 20))
        self.presets.setToolTip(self.tr("Brightness presets (0 to 9)"))
        self.presets.setAccessibleName(self.tr("Brightness presets"))
        self.presets.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.presets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.presets)
        menu.aboutToShow.connect(lambda: self._fill(menu))
        self.presets.setMenu(menu)
        self._port: Viewport | None = None
        return self.presets

    def _fill(self, menu: QMenu) -> None:
        menu.clear()
        fill_presets(menu, self._port, self.choiceWanted.emit)

    def show_state(self, port: Viewport, tiles: int, *, full_screen: bool) -> None:
        """Let the buttons say how the active tile stands."""
        self._port = port
        for do, tool in TOOL_OF.items():
            self.buttons[do].setChecked(port.tool is tool)
        self.buttons[Do.INVERT].setChecked(port.inverted)
        self.buttons[Do.FIT].setChecked(port.camera.fits)
        self.buttons[Do.CINE].setChecked(port.player.playing)
        self.buttons[Do.CINE].setEnabled(port.total > 1)
        self.buttons[Do.CINE].setIcon(self._pause if port.player.playing else self._play)
        pause = self.tr("Pause (C); faster and slower with . and ,")
        self.buttons[Do.CINE].setToolTip(pause if port.player.playing else BY_NAME[Do.CINE].hint)
        for do, count in ((Do.LAYOUT_1, 1), (Do.LAYOUT_2, 2), (Do.LAYOUT_4, 4)):
            self.buttons[do].setChecked(tiles == count)
        self.buttons[Do.FULL_SCREEN].setChecked(full_screen)
        self.presets.setEnabled(bool(choices(port.picture)))


def fill_presets(menu: QMenu, port: Viewport | None, choose: Callable[[Choice], object]) -> None:
    """Put the windows of the shown picture into *menu*; *choose* takes the `Choice`."""
    picture = port.picture if port is not None else None
    for label, choice, key in choices(picture):
        hint = f"\t{BY_NAME[key].keys[0]}" if key is not None else ""  # shown like a shortcut, and is none
        action = menu.addAction(label.replace("&", "&&") + hint)
        action.setCheckable(True)
        action.setChecked(port is not None and same(port.choice, choice))
        action.triggered.connect(lambda _on=False, wanted=choice: choose(wanted))


def same(one: Choice, other: Choice) -> bool:
    """Whether both mean the same window, by whatever name."""
    if one.fixed or other.fixed:
        return (one.center, one.width) == (other.center, other.width)
    return one.file_number == other.file_number
