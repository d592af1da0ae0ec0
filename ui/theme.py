"""The look: colour tokens in light and dark, the palette and the one style sheet made from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from ui.stylesheet import stylesheet

SPACE = (4, 8, 12, 16, 24)
"""The only distances between things, in device-independent pixels."""

RADIUS = 6
BASE_POINTS = 10.5
_PROPERTY = "filmjacketTokens"


class Mode(StrEnum):
    """Whether the look follows the system or not."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Colours by meaning, as #RRGGBB; the names are those of the design, the last block is derived."""

    dark: bool
    background: str
    surface: str
    border: str
    text: str
    muted: str
    primary: str
    on_primary: str
    good: str
    warn: str
    bad: str
    viewer_background: str
    field_border: str
    """Edges of fields and check boxes: 3:1 against the surface, so that they can be found."""
    hover: str
    selection: str
    primary_hover: str
    good_tint: str
    warn_tint: str
    bad_tint: str
    primary_tint: str


def mix(front: str, back: str, share: float) -> str:
    """*share* of *front* over *back*, both #RRGGBB."""
    a, b = QColor(front), QColor(back)
    parts = (
        round(x * share + y * (1 - share))
        for x, y in ((a.red(), b.red()), (a.green(), b.green()), (a.blue(), b.blue()))
    )
    return "#{:02X}{:02X}{:02X}".format(*parts)


def _tokens(dark: bool, **colours: str) -> Tokens:
    surface, primary, text = colours["surface"], colours["primary"], colours["text"]
    return Tokens(
        dark=dark,
        viewer_background="#0B0D10",
        field_border="#76818F" if dark else "#828D9B",
        hover=mix(text, surface, 0.05),
        selection=mix(primary, surface, 0.22 if dark else 0.12),
        primary_hover=mix(primary, "#FFFFFF" if dark else "#000000", 0.88),
        good_tint=mix(colours["good"], surface, 0.08),
        warn_tint=mix(colours["warn"], surface, 0.10),
        bad_tint=mix(colours["bad"], surface, 0.10),
        primary_tint=mix(primary, surface, 0.10),
        **colours,
    )


LIGHT = _tokens(
    dark=False,
    background="#F7F8FA",
    surface="#FFFFFF",
    border="#D9DEE5",
    text="#1B1F24",
    muted="#5B6673",
    primary="#0B63CE",
    on_primary="#FFFFFF",
    good="#1E7F4F",
    warn="#9A5B00",
    bad="#B3261E",
)
DARK = _tokens(
    dark=True,
    background="#14171A",
    surface="#1C2024",
    border="#30363D",
    text="#E8EBEE",
    muted="#A2ACB8",
    primary="#6CB1FF",
    on_primary="#0B1A2B",
    good="#5CCB8F",
    warn="#F2B84B",
    bad="#FF8A80",
)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two colours, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = (QColor(colour).redF(), QColor(colour).greenF(), QColor(colour).blueF())
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def tokens() -> Tokens:
    """The colours in force; the light ones before a `Theme` was applied."""
    app = QApplication.instance()
    found = app.property(_PROPERTY) if app is not None else None
    return found if isinstance(found, Tokens) else LIGHT


def palette(of: Tokens) -> QPalette:
    """The Fusion palette of these tokens."""
    roles = QPalette.ColorRole
    made = QPalette()
    colours = {
        roles.Window: of.background,
        roles.WindowText: of.text,
        roles.Base: of.surface,
        roles.AlternateBase: of.background,
        roles.Text: of.text,
        roles.Button: of.surface,
        roles.ButtonText: of.text,
        roles.BrightText: of.bad,
        roles.Highlight: of.primary,
        roles.HighlightedText: of.on_primary,
        roles.Link: of.primary,
        roles.LinkVisited: of.primary,
        roles.PlaceholderText: of.muted,
        roles.ToolTipBase: of.surface,
        roles.ToolTipText: of.text,
        roles.Accent: of.primary,
        roles.Mid: of.border,
        roles.Midlight: of.hover,
        roles.Dark: of.field_border,
        roles.Light: of.surface,
    }
    for role, colour in colours.items():
        made.setColor(role, QColor(colour))
    faded = QColor(mix(of.muted, of.background, 0.65))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, faded)
    return made


class Theme(QObject):
    """Dresses the application and follows the system's light or dark unless told otherwise.

    Signals: `changed()` after the colours changed; what paints by hand repaints then.
    """

    changed = Signal()

    def __init__(self, app: QApplication, mode: Mode = Mode.SYSTEM) -> None:
        super().__init__(app)
        self._app = app
        self._mode = mode
        app.setStyle("Fusion")
        font = QFont(app.font())
        font.setPointSizeF(BASE_POINTS)
        app.setFont(font)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._apply)
        self._apply()

    @property
    def mode(self) -> Mode:
        """What was asked for."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Follow the system, or hold on to light or dark."""
        self._mode = mode
        self._apply()

    def _wanted(self) -> Tokens:
        if self._mode is Mode.SYSTEM:
            return DARK if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT
        return DARK if self._mode is Mode.DARK else LIGHT

    def _apply(self) -> None:
        wanted = self._wanted()
        if self._app.property(_PROPERTY) == wanted and self._app.styleSheet():
            return
        self._app.setProperty(_PROPERTY, wanted)
        self._app.setPalette(palette(wanted))
        self._app.setStyleSheet(stylesheet(wanted))
        self.changed.emit()
