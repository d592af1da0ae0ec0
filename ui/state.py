"""What the window remembers between two runs: its place, and the last sources; kept in the data folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

RECENT = 5

DRAG_DOWN_DARKER = "viewer/drag-down-darker"
"""Key of the mouse habit of the viewer: "yes" or "no"."""


class WindowState:
    """An INI file of its own; what people set is elsewhere, and nothing is global to the machine."""

    def __init__(self, file: Path) -> None:
        self._store = QSettings(str(file), QSettings.Format.IniFormat)

    def blob(self, name: str) -> QByteArray | None:
        """A saved geometry or splitter, None if there is none."""
        value = self._store.value(name)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def keep_blob(self, name: str, value: QByteArray) -> None:
        """Remember a geometry or splitter."""
        self._store.setValue(name, value)

    def text(self, name: str, default: str = "") -> str:
        """A remembered word."""
        value = self._store.value(name, default)
        return value if isinstance(value, str) else default

    def keep_text(self, name: str, value: str) -> None:
        """Remember a word."""
        self._store.setValue(name, value)

    @property
    def recent(self) -> list[Path]:
        """The last sources that were opened, newest first; some may be gone by now."""
        value = self._store.value("recent", [])
        names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return [Path(name) for name in names if isinstance(name, str) and name][:RECENT]

    def opened(self, sources: Sequence[Path]) -> None:
        """Remember that these were opened."""
        first = [str(path) for path in sources[:1]]
        rest = [str(path) for path in self.recent if str(path) not in first]
        self._store.setValue("recent", (first + rest)[:RECENT])

    def save(self) -> None:
        """Write it to disk now."""
        self._store.sync()
