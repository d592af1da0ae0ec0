"""The search line: one box for name, ID or accession, a date range, chips for modalities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from PySide6.QtCore import QDate, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ui.flow import FlowLayout
from ui.widgets.search_parts import WAIT_MS, Chip, DaySpan, WordBox, chosen, switch_off


class Range(StrEnum):
    """Which study dates."""

    ANY = "any"
    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; dates as YYYYMMDD, "" for open ends."""

    text: str = ""
    date_from: str = ""
    date_to: str = ""
    modalities: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether everything is meant."""
        return self == Search()


CHIPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CT", ("CT",)),
    ("MR", ("MR",)),
    ("X-ray", ("CR", "DX", "RF", "XA", "RG")),
    ("US", ("US",)),
    ("MG", ("MG",)),
    ("PT · NM", ("PT", "NM")),
    ("Other", ("OT", "SC", "DOC", "SR", "ES", "XC", "GM", "SM", "OP", "ECG")),
)


def dates_of(wanted: Range, today: date) -> tuple[str, str]:
    """First and last day of a range that ends today; the month is 31 days back."""
    days = {Range.TODAY: 0, Range.WEEK: 6, Range.MONTH: 30}.get(wanted)
    if days is None:
        return "", ""
    return f"{today - timedelta(days=days):%Y%m%d}", f"{today:%Y%m%d}"


class SearchLine(QWidget):
    """Signals: `changed(object)` with the `Search`, a moment after the last change."""

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        today = QDate.currentDate()
        self.text = WordBox(self)
        self.range = QComboBox(self)
        self.between = DaySpan(today.addMonths(-1), today, self)
        self.chips: list[Chip] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self.now)
        self._build()

    def _build(self) -> None:
        self.text.textChanged.connect(lambda _text: self._timer.start())
        self.text.returnPressed.connect(self.now)
        self._build_dates()
        label = QLabel(self.tr("Study &date"), self)
        label.setBuddy(self.range)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.text, 1)
        row.addWidget(label)
        row.addWidget(self.range)
        row.addWidget(self.between)
        flow = FlowLayout(spacing=8)
        for name, modalities in CHIPS:
            chip = Chip(self.tr(name), modalities, self)
            chip.setToolTip(", ".join(modalities))
            chip.toggled.connect(lambda _on: self.now())
            self.chips.append(chip)
            flow.addWidget(chip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 0)  # room for the focus ring
        layout.setSpacing(8)
        layout.addLayout(row)
        layout.addLayout(flow)
        self.setFocusProxy(self.text)

    def _build_dates(self) -> None:
        for wanted, name in (
            (Range.ANY, self.tr("Any")),
            (Range.TODAY, self.tr("Today")),
            (Range.WEEK, self.tr("7 days")),
            (Range.MONTH, self.tr("Month")),
            (Range.BETWEEN, self.tr("From – to")),
        ):
            self.range.addItem(name, wanted)
        self.range.setAccessibleName(self.tr("Study date"))
        self.range.currentIndexChanged.connect(lambda _index: self._range_changed())
        self.between.changed.connect(self._timer.start)

    @property
    def search(self) -> Search:
        """What the line says now."""
        wanted = Range(self.range.currentData())
        first, last = self.between.days if wanted is Range.BETWEEN else dates_of(wanted, date.today())
        return Search(self.text.text().strip(), first, last, chosen(self.chips))

    def now(self) -> None:
        """Search without waiting."""
        self._timer.stop()
        self.changed.emit(self.search)

    def clear(self) -> None:
        """Look for everything."""
        switch_off(self.chips)
        self.range.blockSignals(True)
        self.range.setCurrentIndex(0)
        self.range.blockSignals(False)
        self.between.hide()
        self.text.clear()
        self.now()

    def _range_changed(self) -> None:
        self.between.setVisible(self.range.currentData() == Range.BETWEEN)
        self.now()
