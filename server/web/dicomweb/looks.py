"""How a rendered picture is to look, as the query of a request says (PS3.18 8.3.5)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.archive.nouns import StoredImage
from server.web.call import SHORT_QUERY, Call
from server.web.dicomweb.media import EVERYTHING, RELATED, MediaRange
from server.web.errors import BAD_REQUEST, Refused
from server.web.frames import FARTHEST, Look, Region, Window
from server.web.pictures import MAX_EDGE

QUALITY = 90
KINDS = {"image/jpeg": "jpeg", "image/png": "png"}
ANY_PICTURE = frozenset({"", EVERYTHING, "image/*", "multipart/*"})
FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
PROFILES = frozenset({"", "no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"})
NOTES = frozenset({"patient", "technique"})
NUMBER = re.compile(r"[+-]?(\d{1,12}\.?\d{0,12}|\.\d{1,12})([eE][+-]?\d{1,2})?")
QUERY = {
    "accept": "As the header Accept, for callers that cannot set it.",
    "window": "CENTER,WIDTH,FUNCTION: linear, linear-exact or sigmoid.",
    "viewport": "WIDTH,HEIGHT to fit into; then LEFT,TOP,WIDTH,HEIGHT of the part shown, in pixels.",
    "quality": "JPEG quality, 1 to 100.",
    "annotation": "Accepted: nothing is burned in.",
    "iccprofile": "Accepted: pictures are meant as sRGB.",
}


@dataclass(frozen=True, slots=True)
class View:
    """Everything but the frame; *part* is left, top, width and height in pixels of the source."""

    kind: str
    window: Window | None = None
    size: tuple[int, int] | None = None
    part: tuple[float, float, float | None, float | None] | None = None
    quality: int = QUALITY

    @property
    def media_type(self) -> str:
        """What a picture of it is."""
        return f"image/{self.kind}"

    def of(self, image: StoredImage, frame0: int) -> Look:
        """As the render workers take it. Raises Refused (400) where the part lies outside."""
        return Look(frame0, self.kind, self.window, False, self.size, self.quality, self._region(image))

    def _region(self, image: StoredImage) -> Region | None:
        if self.part is None:
            return None
        left, top, width, height = self.part
        columns, rows = image.columns, image.rows
        if left >= columns or top >= rows:
            raise Refused(
                BAD_REQUEST, f"The viewport lies outside of the {columns} x {rows} pixels there are."
            )
        width = columns - left if width is None else width
        height = rows - top if height is None else height
        return left / columns, top / rows, width / columns, height / rows


def view_asked(call: Call, kind: str) -> View:
    """As the query says. Raises Refused (400)."""
    if len(call.query_string) > SHORT_QUERY:
        return _view(call, kind)
    return _known_view(call.query_string, kind)


@lru_cache(maxsize=512)
def _known_view(query_string: bytes, kind: str) -> View:
    """All images of a series are looked at alike."""
    return _view(Call("GET", False, {}, query_string), kind)


def _view(call: Call, kind: str) -> View:
    if not set(filter(None, call.query("annotation").lower().split(","))) <= NOTES:
        raise Refused(BAD_REQUEST, "The parameter annotation must be patient, technique, or both.")
    if call.query("iccprofile").lower() not in PROFILES:
        raise Refused(BAD_REQUEST, "The parameter iccprofile must be no, yes, srgb, adobergb or rommrgb.")
    size, part = _viewport(call.query("viewport"))
    return View(
        kind,
        windowed(call.query("window")),
        size,
        part,
        call.number("quality", QUALITY, lowest=1, highest=100),
    )


def picture_form(accepts: Sequence[MediaRange]) -> tuple[str, bool | None] | None:
    """Media type, and whether as parts (None if either would do); None if no picture would do."""
    for each in accepts:
        multipart = each.type in {RELATED, "multipart/*"}
        inner = each.inner if each.type == RELATED else each.type
        inner = "image/jpeg" if inner in ANY_PICTURE or inner == "image/jpg" else inner
        if inner in KINDS:
            return inner, None if each.type == EVERYTHING else multipart
    return None


def windowed(value: str) -> Window | None:
    """CENTER,WIDTH with a function or without. Raises Refused (400)."""
    if not value:
        return None
    parts = value.lower().split(",")
    center, width = (_number(part) for part in (*parts[:2], "", "")[:2])
    function = FUNCTIONS.get((parts[2].strip().replace("_", "-") if len(parts) == 3 else "linear"), "")
    least = 1.0 if function == "LINEAR" else 1e-9
    if (
        len(parts) not in (2, 3)
        or not function
        or not (abs(center) <= FARTHEST and least <= width <= FARTHEST)
    ):
        raise Refused(
            BAD_REQUEST,
            "The parameter window must be CENTER,WIDTH,FUNCTION: a width of at least 1, "
            "and linear, linear-exact or sigmoid.",
        )
    return Window(center, width, function)


def _viewport(
    value: str,
) -> tuple[tuple[int, int] | None, tuple[float, float, float | None, float | None] | None]:
    if not value:
        return None, None
    parts = [part.strip() for part in value.split(",")]
    wrong = Refused(
        BAD_REQUEST, "The parameter viewport must be WIDTH,HEIGHT or WIDTH,HEIGHT,LEFT,TOP,WIDTH,HEIGHT."
    )
    if len(parts) not in (2, 6) or not all(re.fullmatch(r"\d{1,5}", part) for part in parts[:2]):
        raise wrong
    width, height = int(parts[0]), int(parts[1])
    if not (0 < width <= MAX_EDGE and 0 < height <= MAX_EDGE):
        raise wrong
    if len(parts) == 2:
        return (width, height), None
    left, top = (_number(part or "0") for part in parts[2:4])
    wide, high = (_number(part) if part else None for part in parts[4:])
    if not (left >= 0 and top >= 0) or any(
        each is not None and not 0 < abs(each) <= FARTHEST for each in (wide, high)
    ):
        raise wrong
    return (width, height), (left, top, wide, high)


def numbers(text: str, count: int) -> list[float]:
    """So many numbers with commas between; NaN for each if there are others."""
    parts = [_number(part) for part in text.split(",")]
    return parts if len(parts) == count else [math.nan] * count


def _number(text: str) -> float:
    text = text.strip()
    return float(text) if NUMBER.fullmatch(text) else math.nan
