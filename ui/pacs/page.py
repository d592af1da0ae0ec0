"""The PACS page: which PACS, its studies and its worklist, and what is on its way from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.messages import Kind, Message, MessageBar, announce
from ui.models.people import banner_text
from ui.pacs.board import RetrievalBoard
from ui.pacs.card import RetrievalCard
from ui.pacs.studies import StudiesView
from ui.pacs.worklist import WorklistThere
from ui.picture import Picture
from ui.services import Services

if TYPE_CHECKING:
    from core.net.pacs_client import PacsNode, Retrieval
    from core.net.records import StudyRow
    from ui.models.study_view import StudyView

MOST_CARDS = 30


class PacsPage(QWidget):
    """Signals:
    openViewer(object, str): a `StudyView` and the UID of the series to show.
    showStudy(str): what a study that is to be shown is found by in the archive.
    settingsWanted(): the person wants to add a PACS.
    arrived(): something new is in the archive.
    """

    openViewer = Signal(object, str)
    showStudy = Signal(str)
    settingsWanted = Signal()
    arrived = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.messages = MessageBar(self)
        self.chooser = QComboBox(self)
        self.test_button = QPushButton(icon("ph.activity", before_text=True), self.tr("Test"), self)
        self.add_button = QPushButton(icon("ph.plus", before_text=True), self.tr("Add a PACS…"), self)
        self.empty_button = QPushButton(icon("ph.plus", before_text=True), self.tr("Add a PACS…"), self)
        self.tabs = QTabWidget(self)
        self.studies = StudiesView(services, self)
        self.worklist = WorklistThere(services, self)
        self.board = RetrievalBoard(services, self)
        self.cards: dict[str, RetrievalCard] = {}
        self._on_the_way = QVBoxLayout()
        self.cards_area = QScrollArea(self)
        self._pages = QStackedWidget(self)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.chooser.setAccessibleName(self.tr("PACS to search"))
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.chooser.setMinimumWidth(220)
        label = QLabel(self.tr("PA&CS"), self)
        label.setBuddy(self.chooser)
        head = QHBoxLayout()
        head.setSpacing(8)
        for widget in (label, self.chooser, self.test_button):
            head.addWidget(widget)
        head.addStretch(1)
        head.addWidget(self.add_button)
        self.tabs.addTab(self.studies, self.tr("Studies"))
        self.tabs.addTab(self.worklist, self.tr("Worklist there"))
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(self.tr("What the PACS has"))
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.addWidget(self.tabs)
        splitter.addWidget(self._cards_part())
        splitter.setStretchFactor(0, 1)
        splitter.setChildrenCollapsible(False)
        splitter.setSizes([520, 200])
        body = QWidget(self)
        inside = QVBoxLayout(body)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        inside.addLayout(head)
        inside.addWidget(splitter, 1)
        self._pages.addWidget(self._nothing())
        self._pages.addWidget(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 12, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(self.messages)
        layout.addWidget(self._pages, 1)

    def _cards_part(self) -> QWidget:
        content = QWidget(self)
        self._on_the_way.setSpacing(8)
        column = QVBoxLayout(content)
        column.setContentsMargins(4, 4, 4, 4)
        column.addLayout(self._on_the_way)
        column.addStretch(1)
        self.cards_area.setWidgetResizable(True)
        self.cards_area.setWidget(content)
        self.cards_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.cards_area.setAccessibleName(self.tr("Retrieved studies"))
        self.cards_area.setMinimumHeight(130)
        self.cards_area.hide()
        return self.cards_area

    def _nothing(self) -> QWidget:
        page = QWidget(self)
        picture = Picture(56, page, name="ph.share-network", role="muted")
        words = QLabel(
            self.tr("No PACS is saved yet. Add one in Settings: a destination of the kind “DICOM node”."),
            page,
        )
        words.setProperty("role", "muted")
        words.setWordWrap(True)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(page)
        layout.setSpacing(12)
        layout.addStretch(1)
        layout.addWidget(picture)
        layout.addWidget(words)
        layout.addWidget(self.empty_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        return page

    def _connect(self) -> None:
        self.chooser.currentIndexChanged.connect(lambda _index: self._show_chosen())
        self.tabs.currentChanged.connect(lambda _index: self._show_chosen())
        self.test_button.clicked.connect(self.test)
        for button in (self.add_button, self.empty_button):
            button.clicked.connect(self.settingsWanted)
        self.studies.retrieve.connect(self.retrieve)
        for view in (self.studies, self.worklist):
            view.failed.connect(self._say_failed)
            view.worked.connect(self.messages.put_away)
        self.worklist.said.connect(self.messages.show_message)
        self.board.changed.connect(self._show_cards)
        self.board.ended.connect(self._ended)
        self.board.failed.connect(self.messages.show_error)

    # -- which PACS

    @property
    def name(self) -> str:
        """What the chosen PACS is saved under, "" if there is none."""
        return str(self.chooser.currentData() or "")

    def refresh_names(self) -> None:
        """List what is saved now; the chosen one stays chosen if it is still there."""
        chosen = self.name
        self.chooser.blockSignals(True)
        self.chooser.clear()
        for name in self._services.destinations.nodes():
            self.chooser.addItem(icon("ph.share-network"), name, name)
        self.chooser.setCurrentIndex(max(0, self.chooser.findData(chosen)) if self.chooser.count() else -1)
        self.chooser.blockSignals(False)
        self._pages.setCurrentIndex(1 if self.chooser.count() or self.board.all else 0)
        self._show_chosen()

    def _show_chosen(self) -> None:
        self.test_button.setEnabled(bool(self.name))
        if self.tabs.currentWidget() is self.worklist:
            self.worklist.show_node(self.name)
        else:
            self.studies.show_node(self.name)

    def test(self) -> None:
        """Call the chosen PACS, and say what answered."""
        found = next((d for d in self._services.destinations.all() if d.name == self.name), None)
        if found is None:
            return
        self.test_button.setEnabled(False)
        self._services.jobs.call(
            partial(self._services.destinations.test, found, None), done=self._tested, failed=self._not_tested
        )

    def _tested(self, sentence: str) -> None:
        self.test_button.setEnabled(bool(self.name))
        self.messages.show_message(Message(Kind.GOOD, sentence))

    def _not_tested(self, error: Exception) -> None:
        self.test_button.setEnabled(bool(self.name))
        self.messages.show_error(error)

    def _say_failed(self, message: Message, again: Callable[[], object]) -> None:
        self.messages.show_message(message, action=self.tr("Try again"), on_action=again)

    # -- retrieving

    def retrieve(self, rows: Sequence[StudyRow]) -> None:
        """Fetch these studies from the chosen PACS."""
        self._services.tasks.call(
            partial(self._node, self.name),
            done=lambda node: self.board.retrieve(node, rows),
            failed=self.messages.show_error,
        )

    def _node(self, name: str) -> PacsNode:
        from core.net.pacs_client import PacsNode

        peer = self._services.destinations.pacs(name, lambda: False).peer
        return PacsNode(name, peer.called, peer.host, peer.port, peer.tls)

    def _show_cards(self) -> None:
        shown = list(self.board.all)[:MOST_CARDS]
        for gone in set(self.cards) - {each.id for each in shown}:
            card = self.cards.pop(gone)
            card.hide()
            self._on_the_way.removeWidget(card)
            card.deleteLater()
        for place, one in enumerate(shown):
            card = self.cards.get(one.id) or self._new_card(one)
            card.show_one(one)
            if self._on_the_way.indexOf(card) != place:
                self._on_the_way.insertWidget(place, card)
        self.cards_area.setVisible(bool(shown))
        self._pages.setCurrentIndex(1 if self.chooser.count() or shown else 0)

    def _new_card(self, one: Retrieval) -> RetrievalCard:
        card = self.cards[one.id] = RetrievalCard(one, self)
        card.stop.connect(self.board.stop)
        card.retry.connect(self.board.retry)
        card.forget.connect(self.board.forget)
        card.open.connect(self.open)
        card.reveal.connect(lambda found: self.showStudy.emit(found.patient_id or found.patient_name))
        return card

    def _ended(self, one: Retrieval) -> None:
        self.studies.look_here()
        self.arrived.emit()
        card = self.cards.get(one.id)
        if card is not None:
            who = banner_text(one.patient_name, one.patient_sex, one.patient_birth_date, one.patient_id)
            announce(self, f"{who}: {card.state.text()}, {card.numbers.text()}")

    def open(self, one: Retrieval) -> None:
        """Show the study in the viewer, as it is in the archive."""
        self._services.tasks.call(
            partial(self._view, one.namespace, one.study_uid),
            done=self._open,
            failed=self.messages.show_error,
        )

    def _view(self, namespace: str, study_uid: str) -> StudyView:
        from ui.archive.study_views import view_of

        archive = self._services.archive
        return view_of(archive.client().study_detail(namespace, study_uid), archive.client)

    def _open(self, view: StudyView) -> None:
        first = next(iter(view.series), None)
        if first is not None:
            self.openViewer.emit(view, first.uid)

    # -- being seen

    def showEvent(self, event: QShowEvent) -> None:
        """Settings may have changed meanwhile."""
        super().showEvent(event)
        self.refresh_names()
        self.board.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks: ask nothing."""
        super().hideEvent(event)
        self.board.watch(False)
