"""Icons that follow the colours in force: Phosphor glyphs, and our own drawings where Phosphor has none."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources as packaged
from importlib.util import find_spec
from pathlib import Path

from PySide6.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from ui.theme import mix, tokens

_FONT, _NAMES = "phosphor-1.3.0.ttf", "phosphor-charmap-1.3.0.json"

BADGE_ROLES = {"CT": "primary", "MR": "good", "US": "warn", "PT": "bad", "NM": "bad"}
"""Colour of a modality's badge by token; the others are grey. The letters say it, the colour only helps."""


def _fonts() -> Path:
    """Where QtAwesome keeps its fonts. Its code is not imported: that costs a tenth of a second at start."""
    found = find_spec("qtawesome")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        folder = Path(place) / "fonts"
        if (folder / _FONT).is_file():
            return folder
    raise FileNotFoundError(_FONT)


@lru_cache(maxsize=1)
def _glyphs() -> dict[str, str]:
    """The character of each Phosphor glyph."""
    names: dict[str, str] = json.loads((_fonts() / _NAMES).read_text("utf-8"))
    return {name: chr(int(code, 16)) for name, code in names.items()}


@lru_cache(maxsize=1)
def _family() -> str:
    """The font family of the glyphs, loaded once for the application."""
    number = QFontDatabase.addApplicationFont(str(_fonts() / _FONT))
    families = QFontDatabase.applicationFontFamilies(number)
    if not families:
        raise FileNotFoundError(_FONT)
    return families[0]


def glyph_names() -> frozenset[str]:
    """Every name that `icon("ph.…")` knows, without the prefix."""
    return frozenset(_glyphs())


def drawing(name: str) -> bytes:
    """The SVG of one of our own drawings ("disc", "filmjacket", …)."""
    if not name.replace("-", "").isalnum():
        raise ValueError(f"no drawing is called {name!r}")
    return packaged.files("resources").joinpath("icons", f"{name}.svg").read_bytes()


class _Engine(QIconEngine):
    """Paints one glyph or drawing in the colour its role has at that moment."""

    def __init__(self, name: str, role: str, pad: bool = False) -> None:
        super().__init__()
        self._name, self._role, self._pad = name, role, pad

    def clone(self) -> _Engine:
        """A second engine of the same icon."""
        return _Engine(self._name, self._role, self._pad)

    def _colour(self, mode: QIcon.Mode) -> QColor:
        now = tokens()
        if mode is QIcon.Mode.Disabled:
            return QColor(mix(now.muted, now.surface, 0.65))
        return QColor(str(getattr(now, self._role)))

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        """Paint into *rect*."""
        painter.save()
        if self._pad:  # a style puts a button's text close behind its icon: leave a gap at the right
            side = round(rect.height() * 0.8)
            rect = QRect(rect.left(), rect.top() + (rect.height() - side) // 2, side, side)
        if self._name.startswith("ph."):
            font = QFont(_family())
            font.setStyleStrategy(QFont.StyleStrategy.NoFontMerging)
            font.setPixelSize(max(1, rect.height()))
            painter.setFont(font)
            painter.setPen(self._colour(mode))
            painter.drawText(QRectF(rect), Qt.AlignmentFlag.AlignCenter, _glyphs()[self._name[3:]])
        else:
            svg = drawing(self._name).replace(b"currentColor", self._colour(mode).name().encode())
            QSvgRenderer(QByteArray(svg)).render(painter, QRectF(rect))
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """A picture of *size* with a clear ground."""
        made = QPixmap(size)
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return made


def icon(name: str, role: str = "text", *, before_text: bool = False) -> QIcon:
    """Icon *name* ("ph.eye" of Phosphor, "disc" of our own) in the colour of token *role*.

    *before_text* leaves a gap at its right, for a button that bears words too.
    """
    if name.startswith("ph."):
        if name[3:] not in _glyphs():
            raise ValueError(f"Phosphor has no glyph {name!r}")
    else:
        drawing(name)
    if not hasattr(tokens(), role):
        raise ValueError(f"no colour is called {role!r}")
    return QIcon(_Engine(name, role, before_text))


def modality_badge(modality: str, height: int = 16) -> QPixmap:
    """A rounded badge with the modality's letters, twice as dense as the screen needs."""
    now = tokens()
    letters = modality.strip().upper()[:4] or "?"
    font = QFont()
    font.setPixelSize(round(height * 0.62))
    font.setBold(True)
    width = max(round(height * 1.5), QFontMetrics(font).horizontalAdvance(letters) + height // 2)
    made = QPixmap(width * 2, height * 2)
    made.setDevicePixelRatio(2)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    svg = drawing("badge").replace(b"currentColor", getattr(now, BADGE_ROLES.get(letters, "muted")).encode())
    QSvgRenderer(QByteArray(svg)).render(painter, QRectF(0, 0, width, height))
    painter.setFont(font)
    painter.setPen(QColor(now.surface))
    painter.drawText(QRectF(0, 0, width, height), Qt.AlignmentFlag.AlignCenter, letters)
    painter.end()
    return made


def application_icon() -> QIcon:
    """The film jacket, for windows and the task bar."""
    return icon("filmjacket")
