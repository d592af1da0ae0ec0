"""The bar that says for which entry of the worklist a disc is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui.messages import announce
from ui.models.entries import patient_of, what_of
from ui.picture import Picture
from ui.widgets.banner import ElidedLabel, PatientBanner

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow


class EntryBar(QWidget):
    """Hidden while nothing is in hand. Signals: `letGo()`: the disc is not for the entry after all."""

    letGo = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = QFrame(self)
        self._bar.setProperty("role", "banner-info")
        self.banner = PatientBanner(self._bar)
        self.what = ElidedLabel(self._bar)
        self.what.setProperty("role", "muted")
        self.button = QPushButton(self.tr("Not for this entry"), self._bar)
        self.button.clicked.connect(lambda: self.letGo.emit())
        title = QLabel(self.tr("For the worklist entry of"), self._bar)
        title.setProperty("role", "muted")
        words = QVBoxLayout()
        words.setSpacing(2)
        for part in (title, self.banner, self.what):
            words.addWidget(part)
        line = QHBoxLayout(self._bar)
        line.setContentsMargins(12, 8, 8, 8)
        line.setSpacing(12)
        picture = Picture(24, self._bar, name="ph.clipboard-text", role="primary")
        line.addWidget(picture, 0, Qt.AlignmentFlag.AlignVCenter)
        line.addLayout(words, 1)
        line.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 12, 24, 0)
        layout.addWidget(self._bar)
        self.hide()

    def show_entry(self, entry: EntryRow | None) -> None:
        """Say whose entry it is, or go away."""
        self.setVisible(entry is not None)
        if entry is None:
            return
        patient = patient_of(entry)
        self.banner.show_patient(patient)
        self.what.setText(what_of(entry))
        self.what.setToolTip(what_of(entry))
        announce(self, self.tr("This disc is for the worklist entry of {who}.").format(who=patient.banner))
