"""Opens a document with the program the person has for it; never runs anything."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QTemporaryDir, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QWidget

from core.errors import KnownError, StorageFault

LONGEST_STEM = 80


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that is harmless to open: what it is called, and how it begins."""

    content_type: str
    suffix: str
    beginnings: tuple[bytes, ...]


OPENABLE = (
    Kind("application/pdf", ".pdf", (b"%PDF-",)),
    Kind("image/jpeg", ".jpg", (b"\xff\xd8\xff",)),
    Kind("image/png", ".png", (b"\x89PNG\r\n\x1a\n",)),
    Kind("text/plain", ".txt", ()),
)


def kind_of(content_type: str, data: bytes) -> Kind | None:
    """Which harmless kind *data* is, by its name and its bytes; None if it is none and must only be saved."""
    bare = content_type.split(";", 1)[0].strip().lower()
    for kind in OPENABLE:
        if kind.content_type == bare and kind.beginnings:
            return kind if any(b in data[:1024] for b in kind.beginnings) else None
    if bare == "text/plain" and b"\0" not in data:
        return OPENABLE[-1]
    return None


def safe_name(name: str, suffix: str = "") -> str:
    """A file name without folders, signs that mean something to a system, or a second suffix."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    stem = plain[: -len(Path(plain).suffix)] if suffix and Path(plain).suffix else plain
    stem = re.sub(r"[^\w .()+-]|[\u202a-\u202e\u2066-\u2069]", "_", stem).strip(" .")
    return (stem[:LONGEST_STEM].strip(" .") or "document") + suffix


class Opener:
    """Writes a document into a temporary folder that lives as long as the program, and opens it there."""

    def __init__(self) -> None:
        self._folder: QTemporaryDir | None = None
        self._serial = 0

    def open(self, parent: QWidget, name: str, content_type: str, data: bytes) -> Path | None:
        """Open it if it is harmless, else let the person save it; None if they did not. Raises KnownError."""
        kind = kind_of(content_type, data)
        if kind is None:
            return self.save_as(parent, name, data)
        path = self._place(safe_name(name, kind.suffix), data)
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            raise KnownError(
                _tr("No program on this computer opens this kind of file."),
                _tr("Install one, for instance a PDF reader."),
            )
        return path

    def save_as(self, parent: QWidget, name: str, data: bytes) -> Path | None:
        """Ask where to keep it, and keep it there."""
        title = _tr("Save attachment")
        chosen, _filter = QFileDialog.getSaveFileName(parent, title, safe_name(name))
        if not chosen:
            return None
        return _write(Path(chosen), data)

    def _place(self, name: str, data: bytes) -> Path:
        if self._folder is None:
            self._folder = QTemporaryDir()
        if not self._folder.isValid():
            raise StorageFault(_tr("There is no room for a temporary file."), _tr("Free space on the disk."))
        self._serial += 1
        folder = Path(self._folder.path()) / str(self._serial)  # two documents of one name do not meet
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise _full() from error
        return _write(folder / name, data)


def _write(path: Path, data: bytes) -> Path:
    try:
        path.write_bytes(data)
        path.chmod(0o600)
    except OSError as error:
        raise _full() from error
    return path


def _full() -> StorageFault:
    remedy = _tr("Free space on the disk, or choose another folder.")
    return StorageFault(_tr("The file could not be written."), remedy)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Opener", text)
