"""The column of series at the left of the viewer."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from ui.models.series_list import SeriesList
from ui.models.study_view import StudyView
from ui.widgets.series_card import SeriesCard
from ui.widgets.thumbnails import Thumbnails

PICTURE = 112
WIDTH = PICTURE + 2 * 8 + 16
_OWN_KEYS = {
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_Return, Qt.Key.Key_Enter,
}  # fmt: skip


class SeriesStrip(QListView):
    """Thumbnails one below the other; click or Enter shows a series in the active tile.

    Signals:
        chosen(str): UID of the series.
    """

    chosen = Signal(str)

    def __init__(self, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("viewerStrip")
        self.series = SeriesList(thumbnails, self)
        self.card = SeriesCard(self, picture=PICTURE, dark=True)
        self.setModel(self.series)
        self.setItemDelegate(self.card)
        self.setFixedWidth(WIDTH)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setAccessibleName(self.tr("Series"))
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    def show_study(self, study: StudyView) -> None:
        """List its series."""
        self.series.show_series(study.series)

    def mark(self, current: str, shown: set[str]) -> None:
        """Select the series of the active tile; those in any tile are marked as shown."""
        self.card.opened = shown
        row = self.series.row_of(current)
        if row >= 0:
            index = self.series.index(row)
            self.setCurrentIndex(index)
            self.scrollTo(index)
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows and Enter are the list's; every other key is the viewer's."""
        if event.key() in _OWN_KEYS and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._choose(self.currentIndex())
            else:
                super().keyPressEvent(event)
        else:
            event.ignore()

    def _choose(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(self.series.series(index.row()).uid)
