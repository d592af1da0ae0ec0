"""Who and what: the patient banner, whose name is never cut, and the study line below it, which gives way."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from ui.models.people import birth_text, in_line
from ui.models.study_view import PatientText, StudyView

BREAK_EVERY = 20  # characters of one word; hardly a name has more


class ElidedLabel(QLabel):
    """One line that ends in … where there is no room; the whole text stands in the tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        text = QFontMetrics(self.font()).elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        with QPainter(self) as painter:
            painter.setPen(self.palette().color(self.foregroundRole()))
            painter.drawText(self.rect(), int(self.alignment()), text)


class PatientBanner(QLabel):
    """`MÜLLER, Anna · F · 1950-03-01 (76) · ID 12345`: wraps where it must, is never elided."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("patientBanner")
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_patient(self, patient: PatientText) -> None:
        """Name this patient; every component group of the name stands in the tooltip."""
        identity = (
            self.tr("ID {id}").format(id=patient.patient_id) if patient.patient_id else self.tr("no ID")
        )
        rest = [patient.sex, birth_text(patient.birth_date), identity]
        name = in_line(breakable(patient.shown_name))
        parts = [f"<b style='font-size:large'>{escape(name)}</b>"]
        parts += [f"<span style='white-space:nowrap'>{escape(part)}</span>" for part in rest if part]
        self.setText(f"<div dir='ltr'>{' · '.join(parts)}</div>")
        self.setToolTip(patient.all_names)
        self.setAccessibleName(self.tr("Patient: {who}").format(who=patient.banner))


def breakable(name: str) -> str:
    """*name* with invisible places to break inside very long words: they wrap instead of being cut."""
    words = (
        "\u200b".join(word[n : n + BREAK_EVERY] for n in range(0, len(word), BREAK_EVERY))
        for word in name.split(" ")
    )
    return " ".join(words)


class StudyBanner(QWidget):
    """The patient banner over the study line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.patient = PatientBanner(self)
        self.study = ElidedLabel(self)
        self.study.setObjectName("muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.patient)
        layout.addWidget(self.study)

    def show_study(self, view: StudyView) -> None:
        """Name this study and its patient."""
        self.patient.show_patient(view.patient)
        accession = self.tr("Acc {n}").format(n=view.accession_number) if view.accession_number else ""
        line = " · ".join(part for part in (view.title, view.shown_date, accession, view.institution) if part)
        self.study.setText(line)
        self.study.setToolTip(line)
        self.study.setAccessibleName(self.tr("Study: {what}").format(what=line))
