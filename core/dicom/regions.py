"""Pixel regions of a study, as the API's JSON gives them: for all of it, a series, or an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import BadInput

SIDES = ("x", "y", "width", "height")
LARGEST_SIDE = 1 << 20
MOST_REGIONS = 1000
WORDS = frozenset(("series", "instances", "region", "regions"))


class BadRegions(BadInput):
    """The document does not have the form of regions; the message names the place."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, counted from the upper left corner of the picture."""

    x: int
    y: int
    width: int
    height: int

    def within(self, columns: int, rows: int) -> Box | None:
        """The part of it that lies in a picture, None if there is none."""
        right, lower = min(self.x + self.width, columns), min(self.y + self.height, rows)
        if self.x >= right or self.y >= lower:
            return None
        return Box(self.x, self.y, right - self.x, lower - self.y)


@dataclass(frozen=True, slots=True)
class Level:
    """The regions of one level, None if it has none of its own, and the levels below by UID."""

    boxes: tuple[Box, ...] | None = None
    below: Mapping[str, Level] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to the pixels: cut to a box, or boxes covered with *colour* (None: chequered)."""

    cut: Box | None = None
    covered: tuple[Box, ...] = ()
    colour: tuple[int, int, int] | None = None


class Regions:
    """Which regions hold for an instance: those of the highest level that has any."""

    def __init__(self, study: Level) -> None:
        self._study = study

    def of(self, series_uid: str, sop_uid: str) -> tuple[Box, ...]:
        """The regions of one instance."""
        series = self._study.below.get(series_uid, Level())
        for level in (self._study, series, series.below.get(sop_uid, Level())):
            if level.boxes is not None:
                return level.boxes
        return ()

    def named(self) -> tuple[set[str], set[str]]:
        """The series and the instances that are named."""
        below = self._study.below
        return set(below), {uid for level in below.values() for uid in level.below}

    @property
    def empty(self) -> bool:
        """Whether there is no region at all."""
        levels = [self._study, *self._study.below.values()]
        levels += [each for level in self._study.below.values() for each in level.below.values()]
        return not any(level.boxes for level in levels)


def read_regions(document: Any, *, several: bool) -> Regions:
    """Regions from JSON: a list under "regions" if *several*, else one under "region". Raises BadRegions."""
    return Regions(_level(document, "the study", several, ("series", "instances")))


def read_colour(text: str) -> tuple[int, int, int] | None:
    """A colour as rrggbb, with or without #; "" is None. Raises BadRegions."""
    text = text.removeprefix("#")
    if not text:
        return None
    try:
        if len(text) != 6:
            raise ValueError
        red, green, blue = bytes.fromhex(text)
    except ValueError as error:
        raise BadRegions("The color must have the form rrggbb.") from error
    return red, green, blue


def _level(document: Any, where: str, several: bool, below: tuple[str, ...]) -> Level:
    if not isinstance(document, dict):
        raise BadRegions(f"What is said of {where} must be a JSON object.")
    if unknown := sorted(set(map(str, document)) - WORDS):
        raise BadRegions(f"What is said of {where} has an unknown field, {unknown[0][:40]!r}.")
    levels: dict[str, Level] = {}
    if below:
        named = document.get(below[0], {})
        if not isinstance(named, dict):
            raise BadRegions(f"The {below[0]} of {where} must be a JSON object with UIDs as names.")
        for uid, inner in named.items():
            levels[str(uid)] = _level(inner, f"{below[0]} {str(uid)[:64]}", several, below[1:])
    elif document.keys() & {"series", "instances"}:
        raise BadRegions(f"What is said of {where} goes too deep.")
    return Level(_boxes(document, where, several), levels)


def _boxes(document: Mapping[str, Any], where: str, several: bool) -> tuple[Box, ...] | None:
    single = document.get("region")
    if single is not None:
        return (_box(single, where),)
    many = document.get("regions")
    if many is None:
        return None
    if not isinstance(many, list) or len(many) > MOST_REGIONS:
        raise BadRegions(f"The regions of {where} must be a list of at most {MOST_REGIONS}.")
    if not several and len(many) > 1:
        raise BadRegions(f"There can be only one region for {where}.")
    return tuple(_box(each, where) for each in many)


def _box(value: Any, where: str) -> Box:
    if not isinstance(value, dict) or set(value) != set(SIDES):
        raise BadRegions(f"A region of {where} must have x, y, width and height.")
    numbers = [value[side] for side in SIDES]
    if any(type(n) is not int or not 0 <= n <= LARGEST_SIDE for n in numbers) or 0 in numbers[2:]:
        raise BadRegions(f"A region of {where} must have whole numbers, and a width and height above 0.")
    return Box(*numbers)
