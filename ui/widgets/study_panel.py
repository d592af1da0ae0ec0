"""The selected study, one widget in Import and Archive: banner, images, details, attachments, skipped."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QListView,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core.dicom.refs import Skipped
from ui.models.series_list import SeriesList
from ui.models.study_view import StudyView
from ui.tasks import Tasks
from ui.widgets.attachments_tab import AttachmentsTab
from ui.widgets.banner import StudyBanner
from ui.widgets.chosen_files import dropped
from ui.widgets.details_tab import DetailsTab
from ui.widgets.series_card import SeriesCard
from ui.widgets.skipped_tab import SkippedTab
from ui.widgets.thumbnails import Thumbnails


class StudyPanel(QWidget):
    """Shows one `StudyView`; shown again with the same study it updates in place.

    Signals:
        openSeries(str): UID of the series to look at (double click, Enter).
        openAttachment(str): id of the attachment to open.
        addPdf(str): path of a PDF to attach to the shown study.
        filesDropped(list): paths of files to add to its images; only after `take_files`.
    """

    openSeries = Signal(str)
    openAttachment = Signal(str)
    addPdf = Signal(str)
    filesDropped = Signal(list)

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.study: StudyView | None = None
        self.thumbnails = Thumbnails(tasks, self)
        self.series = SeriesList(self.thumbnails, self)
        self.banner = StudyBanner(self)
        self.images = QListView(self)
        self.details = DetailsTab(tasks, self)
        self.attachments = AttachmentsTab(self)
        self.skipped = SkippedTab(self)
        self.tabs = QTabWidget(self)
        self._stack = QStackedWidget(self)
        self._hint = QLabel(self.tr("Choose a study to see its images."), self)
        self.left_out = SkippedTab(self)
        self._build()

    def _build(self) -> None:
        self._prepare_images()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(self.tr("The selected study"))
        room = QWidget(self)  # for the focus ring
        around = QVBoxLayout(room)
        around.setContentsMargins(4, 8, 4, 4)
        around.addWidget(self.images)
        self.tabs.addTab(room, self.tr("Images"))
        self.tabs.addTab(self.details, self.tr("Details"))
        self.tabs.addTab(self.attachments, self.tr("Attachments"))
        self.tabs.addTab(self.skipped, self.tr("Skipped"))
        self.attachments.openAttachment.connect(self.openAttachment)
        self.attachments.addPdf.connect(self.addPdf)
        self._hint.setObjectName("muted")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setWordWrap(True)
        page = QWidget(self)
        inner = QVBoxLayout(page)
        inner.setContentsMargins(12, 8, 4, 4)
        inner.setSpacing(12)
        inner.addWidget(self.banner)
        inner.addWidget(self.tabs, 1)
        self._stack.addWidget(self._hint)
        self._stack.addWidget(page)
        self._stack.addWidget(self._without_study())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.setMinimumWidth(320)

    def _without_study(self) -> QWidget:
        page = QWidget(self)
        title = QLabel(self.tr("Skipped"), page)
        title.setProperty("role", "heading")
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 12, 4, 4)
        column.addWidget(title)
        column.addWidget(self.left_out, 1)
        return page

    def _prepare_images(self) -> None:
        view = self.images
        view.setModel(self.series)
        view.setItemDelegate(SeriesCard(view))
        view.setAccessibleName(self.tr("Series of this study"))
        view.setViewMode(QListView.ViewMode.IconMode)
        view.setResizeMode(QListView.ResizeMode.Adjust)
        view.setMovement(QListView.Movement.Static)
        view.setUniformItemSizes(True)
        view.setSpacing(4)
        view.setMouseTracking(True)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setProperty("role", "plain")
        view.activated.connect(self._open)

    def sizeHint(self) -> QSize:
        return QSize(480, 560)

    def take_files(self) -> None:
        """From now on files may be dropped here; on the tab of attachments a PDF stays one."""
        self.setAcceptDrops(True)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self.study is not None and dropped(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.filesDropped.emit(dropped(event))
        event.acceptProposedAction()

    def show_study(self, view: StudyView | None) -> None:
        """Show *view*, or the hint if there is none."""
        same = view is not None and self.study is not None and view.uid == self.study.uid
        if same and view is not None and self.study is not None:
            before = {s.uid: s.count for s in self.study.series}
            self.thumbnails.forget([s.uid for s in view.series if before.get(s.uid, s.count) == 0])
        self.study = view
        self._stack.setCurrentIndex(0 if view is None else 1)
        if view is None:
            self.series.show_series(())
            return
        self.banner.show_study(view)
        self.series.show_series(view.series)
        if not same and view.series:
            self.images.setCurrentIndex(self.series.index(0))
        self.details.show_source(view.details, same=same)
        self.attachments.show_attachments(view.attachments)
        self._count(self.attachments, self.tr("Attachments"), len(view.attachments))
        self.tabs.setTabVisible(self.tabs.indexOf(self.skipped), view.skipped is not None)
        if view.skipped is not None:
            self.skipped.show_skipped(view.skipped)
            self._count(self.skipped, self.tr("Skipped"), len(view.skipped))

    def show_left_out(self, skipped: Sequence[Skipped]) -> None:
        """Where no study was found at all: what there was instead, and why none of it is one."""
        self.show_study(None)
        if skipped:
            self.left_out.show_skipped(skipped)
            self._stack.setCurrentIndex(2)

    def selected_series(self) -> str:
        """UID of the chosen series, the first one if none is chosen, "" if there is none."""
        index = self.images.currentIndex()
        if index.isValid():
            return self.series.series(index.row()).uid
        return self.study.series[0].uid if self.study is not None and self.study.series else ""

    def _count(self, tab: QWidget, title: str, count: int) -> None:
        self.tabs.setTabText(self.tabs.indexOf(tab), f"{title} {count}" if count else title)

    def _open(self, index: QModelIndex) -> None:
        self.openSeries.emit(self.series.series(index.row()).uid)
