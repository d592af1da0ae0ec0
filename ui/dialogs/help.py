"""F1: how it goes in five lines, and every key."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget


def _tr(text: str) -> str:
    return QCoreApplication.translate("Help", text)


def steps() -> list[str]:
    """How a disc gets into the archive."""
    return [
        _tr("Insert a disc, or drop a folder or ZIP file on the Import page."),
        _tr("Tick the studies to keep. A ⚠ says that two patients look alike: check whose images these are."),
        _tr("Attach PDFs if there are any, then Send. Name and destination are shown once more."),
        _tr("Wait for the receipt. Eject the disc when it says “Safe to eject”."),
        _tr("Find the study again on the Archive page; a double click opens it."),
    ]


def keys() -> list[tuple[str, str]]:
    """Every key of the main window, with what it does."""
    return [
        ("Ctrl+1 … Ctrl+5", _tr("Import, Archive, Sent, Worklist, PACS")),
        ("Ctrl+,", _tr("Settings")),
        ("Ctrl+F", _tr("Search the archive")),
        ("Ctrl+O", _tr("Open a folder")),
        ("Ctrl+N", _tr("A new entry, on the Worklist page")),
        ("Space", _tr("Tick or untick the chosen row")),
        ("Enter", _tr("Open the chosen series in the viewer")),
        ("Ctrl+Enter", _tr("Send what is ticked")),
        ("F1", _tr("This help")),
        ("Ctrl+Q", _tr("Quit")),
    ]


class HelpDialog(QDialog):
    """A sheet to read; Escape closes it."""

    def __init__(self, version: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Help"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 560)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addWidget(self._label(self.tr("From a disc to the archive"), "title"))
        for number, step in enumerate(steps(), 1):
            column.addWidget(self._label(f"{number}.  {step}"))
        column.addSpacing(12)
        column.addWidget(self._label(self.tr("Keys"), "heading"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        for row, (key, action) in enumerate(keys()):
            grid.addWidget(self._label(key, "muted"), row, 0)
            grid.addWidget(self._label(action), row, 1)
        column.addLayout(grid)
        column.addStretch(1)
        column.addWidget(
            self._label(
                self.tr("Filmjacket {version}. Not for primary diagnosis.").format(version=version), "small"
            )
        )
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setAccessibleName(self.tr("Help"))
        close = QPushButton(self.tr("Close"), self)
        close.setDefault(True)
        close.clicked.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 24, 16)
        layout.addWidget(scroll, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
        close.setFocus()

    def _label(self, text: str, role: str = "") -> QLabel:
        label = QLabel(text, self)
        label.setWordWrap(True)
        label.setProperty("role", role)
        label.setTextFormat(Qt.TextFormat.PlainText)
        return label
