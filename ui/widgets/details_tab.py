"""The tab that lists every identifying element of a study: searchable, copyable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from core.errors import KnownError
from ui.models.details_table import DetailsFilter, DetailsTable
from ui.models.people import said
from ui.models.study_view import ElementLike
from ui.tasks import Task, Tasks
from ui.widgets.tables import RowTable

TAG_WIDTH = 112
Source = Callable[[], Sequence[ElementLike]]


class DetailsTab(QWidget):
    """Reads the elements when the tab is first looked at, in the background."""

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._task: Task | None = None
        self._source: Source | None = None
        self._read = False
        self.model = DetailsTable(self)
        self.filter = DetailsFilter(self.model, self)
        self.search = QLineEdit(self)
        self.copy = QPushButton(self.tr("Copy"), self)
        self.table = RowTable(self)
        self.note = QLabel(self)
        self._build()

    def _build(self) -> None:
        self.search.setPlaceholderText(self.tr("Find in details"))
        self.search.setAccessibleName(self.tr("Find in details"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.filter.setFilterFixedString)
        self.table.setModel(self.filter)
        self.table.setAccessibleName(self.tr("Identifying elements"))
        self.table.verticalHeader().resetDefaultSectionSize()  # many short rows
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self.table.horizontalHeader()
        header.setMinimumSectionSize(104)
        self.table.setColumnWidth(1, TAG_WIDTH)
        for column in (2, 3):  # value and original characters share what is left: both are always seen
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.copy.setToolTip(self.tr("Copy the selected rows, or all rows if none is selected"))
        self.copy.clicked.connect(lambda: self.copy_rows())
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.table)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self.copy_rows)
        self.note.setObjectName("muted")
        self.note.setWordWrap(True)
        top = QHBoxLayout()
        top.addWidget(self.search, 1)
        top.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 12, 4, 4)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addWidget(self.note)
        layout.addWidget(self.table, 1)
        self.note.hide()

    def show_source(self, source: Source, *, same: bool) -> None:
        """Elements come from *source* (slow); with *same* study what is shown stays until they are there."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._source, self._read = source, False
        if not same:
            self.model.show_elements(())
        if self.isVisible():
            QTimer.singleShot(0, self, self.read)

    def read(self) -> None:
        """Fetch the elements unless that was done."""
        if self._read or self._source is None:
            return
        self._read = True
        self._say("" if self.model.rowCount() else self.tr("Reading…"))
        source = self._source
        self._task = self._tasks.call(
            source,
            done=lambda elements: self._arrived(source, elements),
            failed=lambda error: self._failed(source, error),
        )

    def copy_rows(self) -> None:
        """Put the selected rows (or all) on the clipboard."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        QGuiApplication.clipboard().setText(self.filter.as_text(rows or range(self.filter.rowCount())))

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self.read()

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._fit()

    def _fit(self) -> None:
        """The name gets its share, the tag what it needs, value and original characters the rest."""
        shares = 2 if self.table.isColumnHidden(3) else 3
        self.table.setColumnWidth(0, min(200, max(120, (self.width() - TAG_WIDTH) // shares)))

    def _arrived(self, source: Source, elements: Sequence[ElementLike]) -> None:
        if source is not self._source or not isValid(self):
            return  # another study is shown by now, or nothing
        self.model.show_elements(elements)
        self.table.setColumnHidden(3, not any(element.raw for element in elements))
        self._fit()
        self._say("" if elements else self.tr("The images name nothing."))

    def _failed(self, source: Source, error: Exception) -> None:
        if source is not self._source or not isValid(self):
            return
        self._read = False
        self._say(
            said(error.message) if isinstance(error, KnownError) else self.tr("The details cannot be read.")
        )

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))
