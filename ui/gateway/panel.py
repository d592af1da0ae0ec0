"""The status of the DICOM door: what to tell an engineer, who is there, what came, who was turned away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import KnownError
from core.settings import DimsePeer
from ui.gateway.allowing import allowed
from ui.gateway.engineer import EngineerCard
from ui.gateway.words import patient_text, state_text, time_text, today_text, why_text
from ui.icons import icon
from ui.messages import Kind, Message, MessageBar, announce, of_error
from ui.models.lines_table import Line, LinesTable
from ui.picture import Picture
from ui.services import Services
from ui.widgets.tables import RowTable

if TYPE_CHECKING:
    from core.net.pacs_client import Gateway, Refusal

LOOK_EVERY_MS = 2000


class GatewayPanel(QWidget):
    """Looks every two seconds while it is seen.

    Signals: `settingsWanted()`: the person wants to switch it on or change it.
    """

    settingsWanted = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._asking = False
        self.gateway: Gateway | None = None
        self.messages = MessageBar(self)
        self._dot = Picture(14, self)
        self.state = QLabel(self)
        self.engineer = EngineerCard(services.tasks, self)
        self.settings_button = QPushButton(icon("ph.gear-six", before_text=True), self.tr("Settings"), self)
        self.today = QLabel(self)
        self.tabs = QTabWidget(self)
        self.visits = LinesTable(
            (self.tr("AE title"), self.tr("Address"), self.tr("Calls us"), self.tr("Does"), self.tr("Since")),
            self,
        )
        self.arrivals = LinesTable(
            (self.tr("Last"), self.tr("Patient"), self.tr("Study"), self.tr("From"), self.tr("Images")),
            self,
            numbers=(4,),
        )
        self.refusals = LinesTable(
            (self.tr("When"), self.tr("AE title"), self.tr("Address"), self.tr("Why, and what to do")), self
        )
        self.tables: dict[str, RowTable] = {}
        self.allow_button = QPushButton(self.tr("Allow…"), self)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self.look)
        self._build()
        self._enable()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        self.state.setWordWrap(True)
        head.addWidget(self._dot, 0, Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self.state, 1)
        head.addWidget(self.settings_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 16, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(self.messages)
        layout.addLayout(head)
        layout.addWidget(self.engineer)
        layout.addWidget(self.today)
        layout.addWidget(self.tabs, 1)
        for name, title, model, stretch in (
            ("visits", self.tr("Associations now"), self.visits, 3),
            ("arrivals", self.tr("Received lately"), self.arrivals, 1),
            ("refusals", self.tr("Refused lately"), self.refusals, 3),
        ):
            self.tabs.addTab(self._table(name, title, model, stretch), title)
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(self.tr("What goes on"))
        self.tabs.setCurrentIndex(1)
        self.engineer.said.connect(self.messages.show_message)
        self.engineer.failed.connect(self.messages.show_error)
        self.settings_button.clicked.connect(self.settingsWanted)
        self.allow_button.clicked.connect(self.allow)

    def _table(self, name: str, title: str, model: LinesTable, stretch: int) -> QWidget:
        view = RowTable(self)
        view.setModel(model)
        view.setAccessibleName(title)
        header = view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)
        view.selectionModel().selectionChanged.connect(lambda *_: self._enable())
        self.tables[name] = view
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 8, 4, 4)
        layout.setSpacing(8)
        layout.addWidget(view, 1)
        if name == "refusals":
            layout.addWidget(self.allow_button, 0, Qt.AlignmentFlag.AlignRight)
        return page

    # -- looking

    def look(self) -> None:
        """Ask the archive, unless it still thinks about the last question."""
        if self._asking:
            return
        self._asking = True
        self._services.tasks.call(self._ask, done=self._show, failed=self._not_there)

    def _ask(self) -> Gateway:
        from core.net.pacs_client import PacsClient

        return PacsClient(self._services.archive.client()).gateway()

    def _show(self, gateway: Gateway) -> None:
        self._asking = False
        first, self.gateway = self.gateway is None, gateway
        self._dot.show_icon(*(("ph.circle-fill", "good") if gateway.running else ("ph.circle", "muted")))
        self.state.setText(state_text(gateway))
        self.engineer.show_gateway(gateway)
        self.today.setText(today_text(gateway))
        self.visits.show(
            [
                Line(number, (v.calling, v.address, v.called, v.service, time_text(v.since)))
                for number, v in enumerate(gateway.associations)
            ]
        )
        self.arrivals.show(
            [
                Line(
                    (a.namespace, a.study_uid, a.calling),
                    (time_text(a.last), patient_text(a), a.study_description, a.calling, str(a.images)),
                )
                for a in gateway.received
            ]
        )
        self.refusals.show(
            [Line(r, (time_text(r.time), r.calling, r.address, why_text(r))) for r in gateway.refused]
        )
        self._enable()
        if first:
            announce(self, self.state.text())

    def _not_there(self, error: Exception) -> None:
        self._asking = False
        self.gateway = None
        self.engineer.show_gateway(None)
        self._dot.show_icon("ph.warning-circle-fill", "bad")
        self.state.setText(self.tr("The archive does not run, and its DICOM door neither."))
        if not isinstance(error, KnownError):
            self.messages.show_message(of_error(error))
        self._enable()

    def _enable(self) -> None:
        running = self.gateway is not None and self.gateway.running
        chosen = self._refused()
        self.allow_button.setEnabled(running and chosen is not None and chosen.why == "calling-unknown")

    # -- what can be done

    def allow(self) -> None:
        """Ask whether the chosen sender is to be let in from now on."""
        from ui.dialogs.decision import Decision

        one = self._refused()
        if one is None:
            return
        dialog = Decision(
            self.tr("Let this device send to the archive?"),
            who=self.tr("{title} at {address}").format(title=one.calling, address=one.address),
            detail=self.tr(
                "It will be on the list of senders, by this AE title from this address. It must try again."
            ),
            yes=self.tr("Allow"),
            no=self.tr("Not now"),
            parent=self,
        )
        dialog.decided.connect(lambda: self._allow(one))
        dialog.open()

    def _allow(self, one: Refusal) -> None:
        peer = DimsePeer(one.calling, one.address)
        settings = self._services.settings
        try:
            settings.save(allowed(settings.now, peer))
        except KnownError as error:
            self.messages.show_error(error)
            return
        self._services.tasks.call(
            lambda: self._let_in(peer),
            done=lambda _none: self.messages.show_message(
                Message(Kind.GOOD, self.tr("{title} may send now.").format(title=peer.ae_title))
            ),
            failed=self.messages.show_error,
        )

    def _let_in(self, peer: DimsePeer) -> None:
        from core.net.pacs_client import PacsClient

        PacsClient(self._services.archive.client()).allow(peer.ae_title, peer.host)

    def _refused(self) -> Refusal | None:
        rows = self.tables["refusals"].selectionModel().selectedRows()
        key = self.refusals.line(rows[0].row()).key if rows else None
        return next((each for each in self._all_refused() if each == key), None)

    def _all_refused(self) -> Sequence[Refusal]:
        return self.gateway.refused if self.gateway is not None else ()

    # -- being seen

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self.look()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks: ask nothing."""
        super().hideEvent(event)
        self._timer.stop()
