"""The viewer's own look: always dark, whatever the rest of the program wears."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from ui.icons import icon
from ui.stylesheet import stylesheet
from ui.theme import DARK, mix, palette

_EXTRA = f"""
#viewer, #viewer QSplitter, #viewerMiddle {{ background: {DARK.viewer_background}; }}
#viewerTools {{ background: {DARK.background}; border-bottom: 1px solid {DARK.border}; }}
#viewerTools QToolButton {{ min-width: 24px; min-height: 24px; padding: 5px; }}
#viewerTools QToolButton[popupMode="2"] {{ padding-right: 18px; }}
#viewerTools QToolButton::menu-indicator {{ subcontrol-position: right center; right: 4px; }}
#viewerTools QToolButton:checked {{ background: {mix(DARK.primary, DARK.background, 0.30)}; }}
#viewerStrip {{ background: {DARK.background}; border: none; border-right: 1px solid {DARK.border};
  border-radius: 0; padding: 0; }}
#viewerStrip::item {{ background: transparent; }}
#viewerNotice {{ background: {DARK.background}; color: {DARK.warn}; padding: 4px 12px; font-size: 9.5pt;
  border-top: 1px solid {DARK.border}; }}
#viewerTools QFrame[role="toolLine"] {{ color: {DARK.border}; }}
#viewerPatient {{ color: {DARK.text}; font-weight: 600; padding: 0 8px; }}
#viewer QScrollBar:vertical {{ width: 10px; }}
"""


def dress(widget: QWidget) -> None:
    """Give *widget* and everything in it the dark look."""
    widget.setPalette(palette(DARK))
    widget.setProperty("ringColour", DARK.primary)
    widget.setStyleSheet(stylesheet(DARK) + _EXTRA)


def light_icon(name: str, size: int = 20) -> QIcon:
    """An icon in the dark theme's text colour, whatever colours are in force elsewhere."""
    made = QIcon()
    for mode, colour in (
        (QIcon.Mode.Normal, QColor(DARK.text)),
        (QIcon.Mode.Disabled, QColor(mix(DARK.muted, DARK.background, 0.5))),
    ):
        for density in (1, 2, 3):
            made.addPixmap(_tinted(icon(name), size * density, colour), mode)
    return made


def _tinted(source: QIcon, side: int, colour: QColor) -> QPixmap:
    shape = source.pixmap(QSize(side, side), 1.0)  # in dots, whatever the screen's density
    made = QPixmap(shape.size())
    made.fill(Qt.GlobalColor.transparent)
    with QPainter(made) as painter:
        painter.drawPixmap(0, 0, shape)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
        painter.fillRect(made.rect(), colour)
    return made
