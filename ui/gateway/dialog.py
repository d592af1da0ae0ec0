"""The status of the DICOM door in a window of its own, beside the main one."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from ui.gateway.panel import GatewayPanel
from ui.services import Services


class GatewayDialog(QDialog):
    """Signals: `settingsWanted()`: the person wants to change how the door is run."""

    settingsWanted = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("DICOM gateway"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self.resize(860, 620)
        self.panel = GatewayPanel(services, self)
        self.panel.settingsWanted.connect(self._settings)
        buttons = QDialogButtonBox(self)
        close = buttons.addButton(self.tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        close.setDefault(True)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 16)
        layout.addWidget(self.panel, 1)
        row = QVBoxLayout()
        row.setContentsMargins(24, 0, 24, 0)
        row.addWidget(buttons)
        layout.addLayout(row)
        close.setFocus()

    def _settings(self) -> None:
        self.accept()
        self.settingsWanted.emit()
