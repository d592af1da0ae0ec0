"""What a key does in the viewer: one table, shown in hints and in the list of keys, walked by the tests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence


class Do(StrEnum):
    """Everything the viewer can be told."""

    NEXT_IMAGE = "next-image"
    PREVIOUS_IMAGE = "previous-image"
    TEN_ON = "ten-on"
    TEN_BACK = "ten-back"
    FIRST_IMAGE = "first-image"
    LAST_IMAGE = "last-image"
    NEXT_SERIES = "next-series"
    PREVIOUS_SERIES = "previous-series"
    NEXT_VIEWPORT = "next-viewport"
    TOOL_WINDOW = "tool-window"
    TOOL_SCROLL = "tool-scroll"
    TOOL_ZOOM = "tool-zoom"
    TOOL_PAN = "tool-pan"
    ZOOM_IN = "zoom-in"
    ZOOM_OUT = "zoom-out"
    FIT = "fit"
    ACTUAL_SIZE = "actual-size"
    ROTATE = "rotate"
    ROTATE_BACK = "rotate-back"
    FLIP = "flip"
    FLIP_UP_DOWN = "flip-up-down"
    INVERT = "invert"
    CINE = "cine"
    FASTER = "faster"
    SLOWER = "slower"
    ANNOTATIONS = "annotations"
    RESET = "reset"
    FULL_SCREEN = "full-screen"
    LAYOUT_1 = "layout-1"
    LAYOUT_2 = "layout-2"
    LAYOUT_4 = "layout-4"
    NEXT_REGION = "next-region"
    KEYS = "keys"
    CLOSE = "close"
    PRESET_AUTO = "preset-auto"
    PRESET_FILE_1 = "preset-file-1"
    PRESET_FILE_2 = "preset-file-2"
    PRESET_3 = "preset-3"
    PRESET_4 = "preset-4"
    PRESET_5 = "preset-5"
    PRESET_6 = "preset-6"
    PRESET_7 = "preset-7"
    PRESET_8 = "preset-8"
    PRESET_9 = "preset-9"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do, how it is called, and its keys in the portable spelling of Qt."""

    do: Do
    text: str
    keys: tuple[str, ...]
    icon: str = ""

    @property
    def title(self) -> str:
        """The name in the person's language."""
        return QCoreApplication.translate("ViewerCommands", self.text)

    @property
    def hint(self) -> str:
        """Name and first key: what a tool shows on hover."""
        if not self.keys:
            return self.title
        key = QKeySequence(self.keys[0]).toString(QKeySequence.SequenceFormat.NativeText)
        return f"{self.title} ({key})"


COMMANDS: tuple[Command, ...] = (
    Command(Do.NEXT_IMAGE, "Next image", ("Down",)),
    Command(Do.PREVIOUS_IMAGE, "Previous image", ("Up",)),
    Command(Do.TEN_ON, "Ten images on", ("Shift+Down",)),
    Command(Do.TEN_BACK, "Ten images back", ("Shift+Up",)),
    Command(Do.FIRST_IMAGE, "First image", ("Home",)),
    Command(Do.LAST_IMAGE, "Last image", ("End",)),
    Command(Do.NEXT_SERIES, "Next series", ("PgDown", "Right")),
    Command(Do.PREVIOUS_SERIES, "Previous series", ("PgUp", "Left")),
    Command(Do.NEXT_VIEWPORT, "Next picture", ("Tab",)),
    Command(Do.TOOL_WINDOW, "Brightness and contrast", ("W",), "ph.circle-half"),
    Command(Do.TOOL_SCROLL, "Scroll through images", ("S",), "ph.stack"),
    Command(Do.TOOL_ZOOM, "Zoom", ("Z",), "ph.magnifying-glass-plus"),
    Command(Do.TOOL_PAN, "Move", ("T",), "ph.hand"),
    Command(Do.ZOOM_IN, "Larger", ("+", "=")),
    Command(Do.ZOOM_OUT, "Smaller", ("-",)),
    Command(Do.FIT, "Fit to window", ("F",), "ph.arrows-out"),
    Command(Do.ACTUAL_SIZE, "One image pixel, one screen pixel", ("O",), "ph.number-square-one"),
    Command(Do.ROTATE, "Rotate right", ("R",), "ph.arrow-clockwise"),
    Command(Do.ROTATE_BACK, "Rotate left", ("Shift+R",), "ph.arrow-counter-clockwise"),
    Command(Do.FLIP, "Mirror left and right", ("H",), "ph.arrows-left-right"),
    Command(Do.FLIP_UP_DOWN, "Mirror up and down", ("Shift+H",), "ph.arrows-down-up"),
    Command(Do.INVERT, "Negative", ("N",), "ph.selection-inverse"),
    Command(Do.CINE, "Play", ("C",), "ph.play"),
    Command(Do.FASTER, "Play faster", (".",)),
    Command(Do.SLOWER, "Play slower", (",",)),
    Command(Do.ANNOTATIONS, "Text on the picture: all, little, patient only", ("I", "Space"), "ph.text-t"),
    Command(Do.RESET, "Reset view", ("Esc",), "ph.arrow-u-up-left"),
    Command(Do.FULL_SCREEN, "Full screen", ("F11",), "ph.corners-out"),
    Command(Do.LAYOUT_1, "One picture", ("Ctrl+1",), "ph.square"),
    Command(Do.LAYOUT_2, "Two side by side", ("Ctrl+2",), "ph.columns"),
    Command(Do.LAYOUT_4, "Four pictures", ("Ctrl+4",), "ph.squares-four"),
    Command(Do.NEXT_REGION, "Go to series, tools, picture", ("F6",)),
    Command(Do.KEYS, "Keys and mouse", ("F1", "?"), "ph.keyboard"),
    Command(Do.CLOSE, "Close viewer", ("Ctrl+W",)),
    Command(Do.PRESET_AUTO, "Automatic brightness", ("0",)),
    Command(Do.PRESET_FILE_1, "As the image says", ("1",)),
    Command(Do.PRESET_FILE_2, "As the image says, second choice", ("2",)),
    Command(Do.PRESET_3, "Third preset", ("3",)),
    Command(Do.PRESET_4, "Fourth preset", ("4",)),
    Command(Do.PRESET_5, "Fifth preset", ("5",)),
    Command(Do.PRESET_6, "Sixth preset", ("6",)),
    Command(Do.PRESET_7, "Seventh preset", ("7",)),
    Command(Do.PRESET_8, "Eighth preset", ("8",)),
    Command(Do.PRESET_9, "Ninth preset", ("9",)),
)

BY_NAME: dict[Do, Command] = {command.do: command for command in COMMANDS}
PRESET_KEYS = (
    Do.PRESET_3, Do.PRESET_4, Do.PRESET_5, Do.PRESET_6, Do.PRESET_7, Do.PRESET_8, Do.PRESET_9,
)  # fmt: skip


def _by_key() -> dict[str, Do]:
    return {QKeySequence(key).toString(): c.do for c in COMMANDS for key in c.keys}


def command_of(event: QKeyEvent, table: dict[str, Do] | None = None) -> Do | None:
    """What this key means, None if nothing. The number pad counts like the digits."""
    known = table if table is not None else _by_key()
    kept = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    key = Qt.Key(event.key())
    found = known.get(QKeySequence(int(key) | kept.value).toString())
    if found is None and kept == Qt.KeyboardModifier.ShiftModifier and event.text():
        found = known.get(QKeySequence(event.text()).toString())  # "+", "?": Shift is part of the sign
    return found


KEY_TABLE = _by_key()
