"""The look: readable pairs of colours, one sheet without gaps, icons that follow the theme."""

from __future__ import annotations

import re

import pytest
from PySide6.QtGui import QColor, QIcon, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ui.icons import application_icon, drawing, glyph_names, icon, modality_badge
from ui.picture import Picture
from ui.stylesheet import stylesheet
from ui.theme import DARK, LIGHT, Mode, Theme, Tokens, contrast, mix, tokens

GROUNDS = ("background", "surface", "hover")
TINTS = ("selection", "primary_tint", "good_tint", "warn_tint", "bad_tint")


@pytest.mark.parametrize("of", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("front", ["text", "muted", "primary", "good", "warn", "bad"])
def test_every_text_colour_reads_on_every_ground(of: Tokens, front: str) -> None:
    for ground in GROUNDS:
        assert contrast(getattr(of, front), getattr(of, ground)) >= 4.5, ground
    for ground in TINTS:
        assert contrast(of.text, getattr(of, ground)) >= 7, ground
        assert contrast(of.muted, getattr(of, ground)) >= 4.5, ground


@pytest.mark.parametrize("of", [LIGHT, DARK], ids=["light", "dark"])
def test_buttons_edges_and_rings_stand_out(of: Tokens) -> None:
    assert contrast(of.on_primary, of.primary) >= 4.5
    assert contrast(of.on_primary, of.primary_hover) >= 4.5
    for ground in (of.surface, of.background):
        assert contrast(of.primary, ground) >= 3
        assert contrast(of.field_border, ground) >= 3


def test_contrast_knows_the_ends_of_the_scale() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)
    assert mix("#FF0000", "#0000FF", 0.5) == "#800080"


@pytest.mark.parametrize("of", [LIGHT, DARK], ids=["light", "dark"])
def test_the_sheet_has_no_open_place_and_names_files_that_exist(qtbot: QtBot, of: Tokens) -> None:
    sheet = stylesheet(of)
    assert "$" not in sheet
    files = re.findall(r"url\(([^)]+)\)", sheet)
    assert files
    for name in files:
        assert not QImage(name).isNull(), name


def test_the_override_wins_over_the_system(qtbot: QtBot, qapp: QApplication) -> None:
    theme = Theme(qapp, Mode.LIGHT)
    assert tokens() == LIGHT
    with qtbot.waitSignal(theme.changed, timeout=500):
        theme.set_mode(Mode.DARK)
    assert tokens() == DARK
    assert qapp.palette().window().color() == QColor(DARK.background)
    theme.set_mode(Mode.LIGHT)
    assert qapp.font().pointSizeF() == pytest.approx(10.5)


def _ink(of: QIcon) -> QColor:
    image = of.pixmap(32, 32).toImage()
    inked = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return max(inked, key=lambda c: c.alpha())


def test_icons_follow_the_theme(qtbot: QtBot, qapp: QApplication) -> None:
    theme = Theme(qapp, Mode.LIGHT)
    made = icon("ph.folder-open")
    assert _ink(made) == QColor(LIGHT.text)
    theme.set_mode(Mode.DARK)
    assert _ink(made) == QColor(DARK.text)
    theme.set_mode(Mode.LIGHT)
    assert not modality_badge("CT").isNull()
    assert not application_icon().pixmap(64, 64).isNull()


@pytest.mark.parametrize("name", ["ph.no-such-glyph", "no-such-drawing", "../secret"])
def test_an_icon_that_does_not_exist_is_an_error_at_once(qtbot: QtBot, name: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)):
        icon(name)


def test_the_glyph_font_is_phosphor(qtbot: QtBot) -> None:
    assert {"disc", "paper-plane-tilt", "gear-six", "eject"} <= glyph_names()
    assert b"currentColor" in drawing("disc")


def test_pictures_on_screen_follow_the_theme(qtbot: QtBot, qapp: QApplication) -> None:
    theme = Theme(qapp, Mode.LIGHT)
    picture = Picture(32, name="ph.circle-fill", role="good")
    qtbot.addWidget(picture)
    picture.show()

    def middle() -> QColor:
        return picture.grab().toImage().pixelColor(16, 16)

    assert middle() == QColor(LIGHT.good)
    theme.set_mode(Mode.DARK)
    assert middle() == QColor(DARK.good)
    theme.set_mode(Mode.LIGHT)
