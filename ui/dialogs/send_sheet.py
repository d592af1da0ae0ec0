"""The one sheet before a sending: What · Whose · Where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.dicom.tree import Patient
from ui.dialogs.comparison import Comparison
from ui.icons import icon
from ui.importing.words import sum_text
from ui.messages import Kind, Message, MessageBar, of_error
from ui.models.people import banner_text, images_text, iso_date, said, size_text
from ui.models.study_view import patient_text
from ui.services import LOCAL_ARCHIVE, Archived, DestinationText, Elsewhere, Order, Picked, Services
from ui.uploads.words import destination_text
from ui.widgets.banner import PatientBanner


class SendSheet(QDialog):
    """Asks once, names everyone, and hands back the confirmed `Order`.

    Signals: `confirmed(object)` with the `Order`.
    """

    confirmed = Signal(object)

    def __init__(self, order: Order, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._order = order
        self._services = services
        self.setWindowTitle(self.tr("Send"))
        self.setMinimumWidth(620)
        self.patients = _patients(order.picked)
        self.ticks: list[QCheckBox] = []
        self.comparison: Comparison | None = None
        self.messages = MessageBar(self)
        self.destination = QComboBox(self)
        self.test_button = QPushButton(icon("ph.activity", before_text=True), self.tr("Test"), self)
        self.answer = QLabel(self)
        self.send_button = QPushButton(
            icon("ph.paper-plane-tilt-fill", "on_primary", before_text=True), "", self
        )
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self._build()
        self._refresh()
        (self.ticks[0] if self.ticks else self.send_button).setFocus()

    def _build(self) -> None:
        title = QLabel(self.tr("Send these studies?"), self)
        title.setProperty("role", "title")
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(16)
        grid.setColumnStretch(1, 1)
        rows = (
            (self.tr("What"), self._what()),
            (self.tr("Whose"), self._whose()),
            (self.tr("Where"), self._where()),
        )
        for row, (name, content) in enumerate(rows):
            label = QLabel(name, self)
            label.setProperty("role", "heading")
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(content, row, 1)
        self.send_button.setProperty("role", "primary")
        self.send_button.setDefault(True)
        self.cancel_button.setAutoDefault(False)
        self.test_button.setAutoDefault(False)
        self.send_button.clicked.connect(self._confirm)
        self.cancel_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.send_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(16)
        layout.addWidget(title)
        layout.addWidget(self.messages)
        layout.addLayout(grid, 1)
        layout.addLayout(buttons)

    def _what(self) -> QWidget:
        box = QWidget(self)
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for each in self._order.picked:
            layout.addWidget(self._study_line(each))
            for path in self._order.attachments.get(each.study.study_instance_uid, ()):
                file = QLabel(self.tr("with {file}").format(file=path.name), box)
                file.setProperty("role", "muted")
                file.setContentsMargins(16, 0, 0, 0)
                layout.addWidget(file)
        words = sum_text(self._order.picked, sum(len(f) for f in self._order.attachments.values()))
        if isinstance(self._order.scan, Elsewhere):
            words = self.tr("{what} from {archive}").format(what=words, archive=self._order.scan.name)
        total = QLabel(words, box)
        total.setProperty("role", "muted")
        if len(self._order.picked) > 6:
            outer = QWidget(self)
            column = QVBoxLayout(outer)
            column.setContentsMargins(0, 0, 0, 0)
            scroll = QScrollArea(outer)
            scroll.setWidgetResizable(True)
            scroll.setMaximumHeight(160)
            scroll.setWidget(box)
            scroll.setAccessibleName(self.tr("Studies to send"))
            column.addWidget(scroll)
            column.addWidget(total)
            self._name_missing(column)
            return outer
        layout.addWidget(total)
        self._name_missing(layout)
        return box

    def _name_missing(self, layout: QVBoxLayout) -> None:
        """An archive that counts more images than it lists: only what is listed can be asked for."""
        scan = self._order.scan
        if isinstance(scan, Elsewhere) and scan.missing:
            words = self.tr("{archive} counts {n} images more than it lists; those cannot be sent.")
            layout.addWidget(self._warning(words.format(archive=scan.name, n=scan.missing)))

    def _study_line(self, each: Picked) -> QLabel:
        header = each.study.header
        title = (
            header.study_description or ", ".join(each.study.modalities) or self.tr("Study without a title")
        )
        size = size_text(each.bytes) if each.bytes else ""
        parts = [iso_date(header.study_date), images_text(each.images), size]
        if each.series_uids is not None:
            parts.append(
                self.tr("{n} of {all} series").format(n=len(each.series_uids), all=len(each.study.series))
            )
        label = QLabel(f"<b>{escape(title)}</b> · {escape(' · '.join(p for p in parts if p))}", self)
        label.setTextFormat(Qt.TextFormat.RichText)
        label.setWordWrap(True)
        return label

    def _whose(self) -> QWidget:
        if self._order.entry is not None:
            self.comparison = Comparison(self._order.entry, self.patients, self)
            self.ticks += self.comparison.ticks
            for tick in self.ticks:
                tick.toggled.connect(lambda _on: self._refresh())
            return self.comparison
        box = QFrame(self)
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        if len(self.patients) == 1:
            banner = PatientBanner(box)
            banner.show_patient(patient_text(self.patients[0]))
            layout.addWidget(banner)
            if self.patients[0].warning:
                layout.addWidget(self._warning(said(self.patients[0].warning)))
            self._name_stored(box)
            return box
        layout.addWidget(
            self._warning(
                self.tr("These are images of {n} patients. Tick each one to confirm.").format(
                    n=len(self.patients)
                )
            )
        )
        for patient in self.patients:
            who = patient.header
            words = banner_text(who.patient_name, who.patient_sex, who.patient_birth_date, who.patient_id)
            tick = QCheckBox(words, box)
            tick.toggled.connect(lambda _on: self._refresh())
            self.ticks.append(tick)
            layout.addWidget(tick)
            if patient.warning:
                layout.addWidget(self._warning(said(patient.warning)))
        return box

    def _name_stored(self, box: QFrame) -> None:
        """The files name somebody else than the archive shows: whoever sends them has to know."""
        scan, layout = self._order.scan, box.layout()
        if not isinstance(scan, Archived) or scan.stored is None or layout is None:
            return
        one = scan.stored
        words = self.tr("The files are sent as they were received, and name the patient so:")
        layout.addWidget(self._warning(words))
        tick = QCheckBox(
            banner_text(one.patient_name, one.patient_sex, one.patient_birth_date, one.patient_id), box
        )
        tick.toggled.connect(lambda _on: self._refresh())
        self.ticks.append(tick)
        layout.addWidget(tick)

    def _warning(self, words: str) -> QLabel:
        label = QLabel(f"⚠ {words}", self)
        label.setProperty("role", "warn")
        label.setWordWrap(True)
        return label

    def _where(self) -> QWidget:
        box = QWidget(self)
        here = self._services.settings.now.desktop.local_archive and not self._order.archived
        origin = self._order.scan.name if isinstance(self._order.scan, Elsewhere) else ""
        names = [LOCAL_ARCHIVE] if here else []
        if self._order.entry is None:
            names += [each.name for each in self._services.destinations.all() if each.name != origin]
        for name in names:
            self.destination.addItem(destination_text(name), name)
        if self._order.destination in names:
            self.destination.setCurrentIndex(names.index(self._order.destination))
        self.destination.setAccessibleName(self.tr("Destination"))
        self.destination.currentIndexChanged.connect(lambda _i: self._refresh())
        self.test_button.clicked.connect(lambda: self.test())
        self.answer.setWordWrap(True)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.destination, 1)
        line.addWidget(self.test_button)
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.answer)
        return box

    @property
    def chosen(self) -> str:
        """Name of the chosen destination, "" if there is none."""
        data = self.destination.currentData()
        return data if isinstance(data, str) else ""

    def test(self) -> None:
        """Call the destination and say what answered."""
        name = self.chosen
        known = {each.name: each for each in self._services.destinations.all()}
        subject = known.get(name, DestinationText(name, name))
        self.test_button.setEnabled(False)
        self._answer(self.tr("Asking…"), "muted")
        self._services.jobs.call(
            lambda: self._services.destinations.test(subject, None),
            done=lambda words: self._tested(words, "good"),
            failed=lambda error: self._tested(of_error(error).words, "bad"),
        )

    def _tested(self, words: str, role: str) -> None:
        self.test_button.setEnabled(True)
        self._answer(words, role)

    def _answer(self, words: str, role: str) -> None:
        self.answer.setProperty("role", role)
        self.answer.style().unpolish(self.answer)
        self.answer.style().polish(self.answer)
        self.answer.setText(words)

    def _refresh(self) -> None:
        self._answer("", "muted")
        here = self.chosen
        self.send_button.setEnabled(bool(here) and all(tick.isChecked() for tick in self.ticks))
        self.test_button.setEnabled(bool(here))
        words = self.tr("Send to {destination}").format(destination=destination_text(here)) if here else ""
        self.send_button.setText(words or self.tr("Send"))
        if not here:
            self.messages.show_message(
                Message(Kind.WARN, self.tr("There is no destination."), self.tr("Add one in Settings."))
            )

    def _confirm(self) -> None:
        self.confirmed.emit(replace(self._order, destination=self.chosen))
        self.accept()


def _patients(picked: Sequence[Picked]) -> list[Patient]:
    found: dict[tuple[str, str, str, str], Patient] = {}
    for each in picked:
        found.setdefault(each.patient.key, each.patient)
    return list(found.values())
