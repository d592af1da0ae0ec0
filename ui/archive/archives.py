"""The Archive page as a whole: which archive is looked at, and that archive."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from ui.archive.page import ArchivePage
from ui.archive.remote_view import RemoteView
from ui.archive.search_line import SearchLine
from ui.icons import icon
from ui.services import Services


class Archives(QWidget):
    """The archive of the data folder, or one that is elsewhere and speaks DICOMweb.

    Signals:
        openViewer(object, str): a `StudyView` and the UID of the series to show.
        sendOrder(object): an `Order` a person wants to send.
    """

    openViewer = Signal(object, str)
    sendOrder = Signal(object)

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.chooser = QComboBox(self)
        self.local = ArchivePage(services, self)
        self.remote: RemoteView | None = None
        self.stack = QStackedWidget(self)
        self._build()
        self.refresh_names()

    def _build(self) -> None:
        self.chooser.setAccessibleName(self.tr("Archive to look at"))
        self.chooser.setToolTip(self.tr("DICOMweb archives that are saved in Settings can be searched here"))
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.chooser.setMinimumWidth(220)
        self.chooser.currentIndexChanged.connect(lambda _index: self._show_chosen())
        label = QLabel(self.tr("A&rchive"), self)
        label.setBuddy(self.chooser)
        row = QHBoxLayout()
        row.setContentsMargins(24, 12, 20, 0)
        row.setSpacing(8)
        row.addWidget(label)
        row.addWidget(self.chooser)
        row.addStretch(1)
        self.stack.addWidget(self.local)
        self.local.openViewer.connect(self.openViewer)
        self.local.sendOrder.connect(self.sendOrder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(row)
        layout.addWidget(self.stack, 1)

    @property
    def search(self) -> SearchLine:
        """The search line that is seen."""
        remote = self.remote
        return (
            remote.search
            if remote is not None and self.stack.currentWidget() is remote
            else self.local.search
        )

    def refresh(self) -> None:
        """The local archive came, went or got something new."""
        self.local.refresh()

    def find_here(self, words: str) -> None:
        """Look for *words* in the local archive, on any day."""
        self.chooser.setCurrentIndex(0)
        self.local.search.clear()
        self.local.search.text.setText(words)
        self.local.search.now()

    def refresh_names(self) -> None:
        """List what is saved now; the chosen one stays chosen if it is still there."""
        chosen = self.chooser.currentData() or ""
        self.chooser.blockSignals(True)
        self.chooser.clear()
        self.chooser.addItem(icon("ph.archive"), self.tr("Local archive"), "")
        for name in self._services.destinations.remotes():
            self.chooser.addItem(icon("ph.globe"), name, name)
        self.chooser.setCurrentIndex(max(0, self.chooser.findData(chosen)))
        self.chooser.blockSignals(False)
        self._show_chosen()

    def showEvent(self, event: QShowEvent) -> None:
        """Settings may have changed meanwhile."""
        super().showEvent(event)
        self.refresh_names()

    def _show_chosen(self) -> None:
        name = self.chooser.currentData()
        if not name:
            self.stack.setCurrentWidget(self.local)
            return
        if self.remote is None:
            self.remote = RemoteView(self._services, self)
            self.remote.openViewer.connect(self.openViewer)
            self.remote.sendOrder.connect(self.sendOrder)
            self.stack.addWidget(self.remote)
        self.stack.setCurrentWidget(self.remote)
        self.remote.show_archive(name)
