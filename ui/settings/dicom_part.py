"""How the local archive takes images from modalities and PACS: port, who reaches it, who may send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.settings import Settings
from ui.flow import level_labels
from ui.icons import icon

USUAL_PORT = 11112
OFF = -1
NETWORK = "0.0.0.0"  # noqa: S104  the person chooses it


class DicomPart(QWidget):
    """Shows and changes the settings of the DICOM gateway.

    Signals:
        changed(object): the `Settings` the person wants, for the next start of the archive.
        statusWanted(): how it stands now.
    """

    changed = Signal(object)
    statusWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = Settings()
        self.on = QCheckBox(self.tr("Take images from modalities and PACS (DICOM gateway)"), self)
        self.port = QSpinBox(self)
        self.reach = QComboBox(self)
        self.accept = QComboBox(self)
        self.peers = QLabel(self)
        self.status_button = QPushButton(icon("ph.broadcast", before_text=True), self.tr("Status…"), self)
        self._build()

    def _build(self) -> None:
        self.port.setRange(1, 65535)
        self.port.setMaximumWidth(220)
        self.port.setAccessibleName(self.tr("DICOM port"))
        self.port.lineEdit().setTextMargins(8, 0, 0, 0)
        self.reach.addItem(self.tr("Programs on this computer only"), "")
        self.reach.addItem(self.tr("Devices on the network"), NETWORK)
        self.reach.setAccessibleName(self.tr("Who can reach the DICOM gateway"))
        self.accept.addItem(self.tr("Devices on the list, and every program on this computer"), "auto")
        self.accept.addItem(self.tr("Only devices on the list"), "known")
        self.accept.addItem(self.tr("Everybody who can reach it"), "any")
        self.accept.setAccessibleName(self.tr("Who may send to the DICOM gateway"))
        for box in (self.reach, self.accept):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            box.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.peers.setProperty("role", "muted")
        self.peers.setWordWrap(True)
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(8)
        form.addRow(self.tr("&DICOM port"), self.port)
        form.addRow(self.tr("Who can reac&h it"), self.reach)
        form.addRow(self.tr("Who may &send"), self.accept)
        level_labels(form)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.on)
        layout.addLayout(form)
        layout.addWidget(self.peers)
        layout.addWidget(self.status_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.on.toggled.connect(lambda on: self._keep_port(self.port.value() if on else OFF))
        self.port.editingFinished.connect(lambda: self._keep_port(self.port.value()))
        self.reach.activated.connect(lambda _index: self._keep(host=self.reach.currentData()))
        self.accept.activated.connect(lambda _index: self._keep(accept=self.accept.currentData()))
        self.status_button.clicked.connect(self.statusWanted)

    def show_settings(self, settings: Settings) -> None:
        """Show what is set; a host of the person's own, from the file, is shown as it is."""
        self._settings = settings
        on = settings.desktop.dimse_port > 0
        self.on.blockSignals(True)
        self.on.setChecked(on)
        self.on.blockSignals(False)
        self.port.setValue(settings.desktop.dimse_port if on else USUAL_PORT)
        for box, value in ((self.reach, settings.dimse.host), (self.accept, settings.dimse.accept)):
            if box.findData(value) < 0:
                box.addItem(value, value)
            box.setCurrentIndex(box.findData(value))
        for control in (self.port, self.reach, self.accept):
            control.setEnabled(on)
        names = ", ".join(dict.fromkeys(each.ae_title for each in settings.dimse.peers))
        self.peers.setText(
            self.tr("On the list: {names}").format(names=names) if names else self.tr("The list is empty.")
        )

    def _keep_port(self, port: int) -> None:
        now = self._settings
        if now.desktop.dimse_port != port and (port == OFF or self.on.isChecked()):
            self._say(replace(now, desktop=replace(now.desktop, dimse_port=port)))

    def _keep(self, **changes: Any) -> None:
        now = self._settings
        self._say(replace(now, dimse=replace(now.dimse, **changes)))

    def _say(self, settings: Settings) -> None:
        if settings != self._settings:
            self.show_settings(settings)
            self.changed.emit(settings)
