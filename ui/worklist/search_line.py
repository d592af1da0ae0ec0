"""The worklist's search line: which days, one box for name, ID or accession, chips for states and types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from PySide6.QtCore import QDate, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ui.flow import FlowLayout
from ui.widgets.search_parts import WAIT_MS, Chip, DaySpan, WordBox, chosen, switch_off


class Days(StrEnum):
    """Which days."""

    TODAY = "today"
    TOMORROW = "tomorrow"
    WEEK = "week"
    ANY = "any"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; days as YYYYMMDD, "" for open ends; no modalities or states: all."""

    first: str = ""
    last: str = ""
    text: str = ""
    modalities: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    @property
    def one_day(self) -> bool:
        """Whether the day needs not be said with every entry."""
        return bool(self.first) and self.first == self.last

    @property
    def narrowed(self) -> bool:
        """Whether more than days is asked for."""
        return bool(self.text or self.modalities or self.states)


MODALITIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CT", ("CT",)),
    ("MR", ("MR",)),
    ("X-ray", ("CR", "DX", "RF", "XA", "RG")),
    ("US", ("US",)),
    ("MG", ("MG",)),
    ("Other", ("PT", "NM", "OT", "SC", "DOC", "ES", "XC", "GM", "SM", "OP", "ECG", "IO", "PX")),
)
STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")


def days_of(wanted: Days, today: date) -> tuple[str, str]:
    """First and last day; the week begins today."""
    ahead = {Days.TODAY: (0, 0), Days.TOMORROW: (1, 1), Days.WEEK: (0, 6)}.get(wanted)
    if ahead is None:
        return "", ""
    first, last = (today + timedelta(days=each) for each in ahead)
    return f"{first:%Y%m%d}", f"{last:%Y%m%d}"


class WorklistSearch(QWidget):
    """Signals: `changed()`, a moment after the last change."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.days = QComboBox(self)
        today = QDate.currentDate()
        self.between = DaySpan(today, today.addMonths(1), self)
        self.text = WordBox(self)
        self.states: list[Chip] = []
        self.modalities: list[Chip] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self.now)
        self._build()

    def _build(self) -> None:
        self.text.textChanged.connect(lambda _text: self._timer.start())
        self.text.returnPressed.connect(self.now)
        self._build_days()
        label = QLabel(self.tr("&Day"), self)
        label.setBuddy(self.days)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(label)
        row.addWidget(self.days)
        row.addWidget(self.between)
        row.addWidget(self.text, 1)
        flow = FlowLayout(spacing=8)
        for state, name in zip(STATES, self._state_names(), strict=True):
            flow.addWidget(self._chip(self.states, name, (state,)))
        for name, codes in MODALITIES:
            flow.addWidget(self._chip(self.modalities, self.tr(name), codes))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 0)  # room for the focus ring
        layout.setSpacing(8)
        layout.addLayout(row)
        layout.addLayout(flow)
        self.setFocusProxy(self.text)

    def _state_names(self) -> tuple[str, ...]:
        return self.tr("Planned"), self.tr("In progress"), self.tr("Completed"), self.tr("Cancelled")

    def _build_days(self) -> None:
        for wanted, name in (
            (Days.TODAY, self.tr("Today")),
            (Days.TOMORROW, self.tr("Tomorrow")),
            (Days.WEEK, self.tr("7 days")),
            (Days.ANY, self.tr("Any")),
            (Days.BETWEEN, self.tr("From – to")),
        ):
            self.days.addItem(name, wanted)
        self.days.setAccessibleName(self.tr("Day"))
        self.days.currentIndexChanged.connect(lambda _index: self._days_changed())
        self.between.changed.connect(self._timer.start)

    def _chip(self, group: list[Chip], name: str, codes: tuple[str, ...]) -> Chip:
        chip = Chip(name, codes, self)
        chip.toggled.connect(lambda _on: self.now())
        group.append(chip)
        return chip

    @property
    def wanted(self) -> Wanted:
        """What the line says now; today is the day it is."""
        days = Days(self.days.currentData())
        first, last = self.between.days if days is Days.BETWEEN else days_of(days, date.today())
        text = self.text.text().strip()
        return Wanted(first, last, text, chosen(self.modalities), chosen(self.states))

    def now(self) -> None:
        """Search without waiting."""
        self._timer.stop()
        self.changed.emit()

    def widen(self) -> None:
        """Look for everything of any day."""
        switch_off((*self.states, *self.modalities))
        self.text.clear()
        self.days.setCurrentIndex(self.days.findData(Days.ANY))
        self.now()

    def show_day(self, day: str) -> None:
        """Make sure that entries of this day (YYYYMMDD) are seen."""
        wanted = self.wanted
        if (wanted.first and day < wanted.first) or (wanted.last and day > wanted.last):
            self.days.setCurrentIndex(self.days.findData(Days.ANY))

    def _days_changed(self) -> None:
        self.between.setVisible(self.days.currentData() == Days.BETWEEN)
        self.now()
