"""What search lines are made of: a box for words, two days and what lies between them, chips to narrow it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QCoreApplication, QDate, Qt, Signal
from PySide6.QtWidgets import QDateEdit, QHBoxLayout, QLabel, QLineEdit, QToolButton, QWidget

from ui.icons import icon

WAIT_MS = 250
"""After the last key, before anybody is asked."""


class WordBox(QLineEdit):
    """Name, ID or accession number of a patient."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        words = self.tr("Name, ID or accession number")
        self.setPlaceholderText(words)
        self.setAccessibleName(words)
        self.addAction(icon("ph.magnifying-glass", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(220)


class DaySpan(QWidget):
    """First and last day, in either order; hidden at first. Signals: `changed()`."""

    changed = Signal()

    def __init__(self, first: QDate, last: QDate, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.first, self.last = QDateEdit(self), QDateEdit(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for edit, day, name in ((self.first, first, self.tr("From")), (self.last, last, self.tr("To"))):
            edit.setCalendarPopup(True)
            edit.setDisplayFormat("yyyy-MM-dd")
            edit.setDate(day)
            edit.setAccessibleName(name)
            edit.dateChanged.connect(lambda _date: self.changed.emit())
            row.addWidget(edit)
        row.insertWidget(1, QLabel("–", self))
        self.hide()

    @property
    def days(self) -> tuple[str, str]:
        """The earlier and the later one as YYYYMMDD."""
        both = sorted((self.first.date(), self.last.date()), key=QDate.toJulianDay)
        first, last = (day.toString("yyyyMMdd") for day in both)
        return first, last


class Chip(QToolButton):
    """Narrows a search to *codes* while it is on."""

    def __init__(self, name: str, codes: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.codes = tuple(codes)
        self.setText(name)
        self.setProperty("role", "chip")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(QCoreApplication.translate("Chip", "Only {kind}").format(kind=name))


def chosen(chips: Iterable[Chip]) -> tuple[str, ...]:
    """The codes of those that are on."""
    return tuple(code for chip in chips if chip.isChecked() for code in chip.codes)


def switch_off(chips: Iterable[Chip]) -> None:
    """All of them, and nobody hears of it."""
    for chip in chips:
        before = chip.blockSignals(True)
        chip.setChecked(False)
        chip.blockSignals(before)
