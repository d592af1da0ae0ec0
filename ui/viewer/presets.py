"""The windows one can pick for a picture: what its file offers, automatic, and named ones for CT."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from core.imaging.voi import CT_PRESETS
from ui.viewer.commands import PRESET_KEYS, Do
from ui.viewer.picture import AUTOMATIC, AUTOMATIC_EACH, Choice, Picture


def _tr(text: str) -> str:
    return QCoreApplication.translate("Presets", text)


def choices(picture: Picture | None) -> list[tuple[str, Choice, Do | None]]:
    """(what it is called, the choice, its key), in the order of the menu; nothing for colour."""
    if picture is None or picture.colour or picture.source is None:
        return []
    found: list[tuple[str, Choice, Do | None]] = [(_tr("Automatic"), AUTOMATIC, Do.PRESET_AUTO)]
    if picture.total > 1:
        found.append((_tr("Automatic, each image by itself"), AUTOMATIC_EACH, None))
    keys = {1: Do.PRESET_FILE_1, 2: Do.PRESET_FILE_2}
    for preset in picture.presets:
        name = preset.name or _tr("Image {n}").format(n=preset.file_number)
        label = f"{name}  ({preset.width:g} / {preset.center:g})"
        number = preset.file_number
        found.append((label, Choice(file_number=number), keys.get(number)))
    return found + named(picture)


def named(picture: Picture) -> list[tuple[str, Choice, Do | None]]:
    """The named presets, which only CT has: other values mean nothing absolute."""
    if picture.facts.modality != "CT":
        return []
    found: list[tuple[str, Choice, Do | None]] = []
    for number, preset in enumerate(CT_PRESETS):
        name = _tr(preset.name)
        choice = Choice(center=preset.center, width=preset.width, name=name)
        key = PRESET_KEYS[number] if number < len(PRESET_KEYS) else None
        found.append((f"{name}  ({preset.width:g} / {preset.center:g})", choice, key))
    return found


def choice_for(do: Do, picture: Picture | None) -> Choice | None:
    """What a number key means for this picture, None if nothing."""
    return next((choice for _, choice, key in choices(picture) if key == do), None)
