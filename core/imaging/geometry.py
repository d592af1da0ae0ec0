"""Where pictures lie in the patient: slice order, orientation letters, spacing with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Protocol

from core.imaging.elements import Elements

LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))  # +x, -x; +y, -y; +z, -z (PS3.3 C.7.6.1.1.1)
QUADRUPED = (("Le", "Rt"), ("D", "V"), ("Cr", "Cd"))  # for animals that stand on four legs
OPPOSITE = {a: b for pair in (*LETTERS, *QUADRUPED) for a, b in (pair, pair[::-1])}
LEAST_COSINE = 0.087  # 5 degrees: below it a letter says nothing
SAME_DIRECTION = 0.9995
US_CENTIMETRES = 3


class SpacingSource(StrEnum):
    """What a millimetre on the screen rests on; shown beside every measurement."""

    SCANNER = "scanner"
    CALIBRATED = "calibrated"
    DETECTOR = "at the detector"
    MAGNIFIED = "detector, corrected for magnification"
    SCANNED_FILM = "scanned film"
    ULTRASOUND = "ultrasound region"


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance between the centres of neighbouring pixels: down a column, along a row."""

    row_mm: float
    column_mm: float
    source: SpacingSource


def read_spacing(elements: Elements, measures: Elements) -> tuple[Spacing | None, float]:
    """Spacing if known, and the height of a pixel over its width."""
    spacing = _projection(elements, measures) or _ultrasound(elements)
    if spacing is not None:
        return spacing, _sane_aspect(spacing.row_mm / spacing.column_mm)
    ratio = elements.numbers(0x00280034, b"IS")
    if len(ratio) == 2 and ratio[0] > 0 and ratio[1] > 0:
        return None, _sane_aspect(ratio[0] / ratio[1])
    return None, 1.0


def _projection(elements: Elements, measures: Elements) -> Spacing | None:
    """Pixel Spacing, else what the detector or the film scanner says (PS3.3 10.7.1.3)."""
    at_detector = _pair(elements, 0x00181164)
    if spacing := _pair(measures, 0x00280030):
        source = SpacingSource.SCANNER
        if elements.code(0x00280A02):
            source = SpacingSource.CALIBRATED
        elif at_detector is not None:
            source = SpacingSource.DETECTOR if spacing == at_detector else SpacingSource.CALIBRATED
        return Spacing(*spacing, source)
    if at_detector is not None:
        factor = elements.number(0x00181114)
        if factor is not None and factor > 0:
            return Spacing(at_detector[0] / factor, at_detector[1] / factor, SpacingSource.MAGNIFIED)
        return Spacing(*at_detector, SpacingSource.DETECTOR)
    if scanned := _pair(elements, 0x00182010):
        return Spacing(*scanned, SpacingSource.SCANNED_FILM)
    return None


def _pair(elements: Elements, tag: int) -> tuple[float, float] | None:
    values = elements.numbers(tag)
    if len(values) >= 2 and 0 < values[0] < 1e4 and 0 < values[1] < 1e4:
        return values[0], values[1]
    return None


def _ultrasound(elements: Elements) -> Spacing | None:
    """The one spacing of all 2D regions calibrated in centimetres (C.8.5.5); None if they differ."""
    found: set[tuple[float, float]] = set()
    for region in elements.items(0x00186011):
        units = region.integer(0x00186024), region.integer(0x00186026)
        across, down = region.number(0x0018602C, b"FD"), region.number(0x0018602E, b"FD")
        if units == (US_CENTIMETRES, US_CENTIMETRES) and across and down:
            found.add((abs(down) * 10, abs(across) * 10))
    return Spacing(*found.pop(), SpacingSource.ULTRASOUND) if len(found) == 1 else None


def _sane_aspect(ratio: float) -> float:
    return ratio if 0.05 <= ratio <= 20 else 1.0


def letters(direction: Sequence[float], *, quadruped: bool = False) -> str:
    """The side a vector points to, up to three letters, the strongest first; "" for no direction."""
    table = QUADRUPED if quadruped else LETTERS
    parts = sorted(zip(direction, table, strict=True), key=lambda p: -abs(p[0]))
    return "".join(pair[value < 0] for value, pair in parts if abs(value) > LEAST_COSINE)


def opposite(side: str) -> str:
    """The letters of the other edge."""
    out, rest = "", side
    while rest:
        step = 2 if rest[:2] in OPPOSITE else 1
        out, rest = out + OPPOSITE.get(rest[:step], rest[:step]), rest[step:]
    return out


@dataclass(frozen=True, slots=True)
class Edges:
    """What lies beyond each edge of the picture as stored; "" where it cannot be derived."""

    left: str = ""
    top: str = ""
    right: str = ""
    bottom: str = ""

    def turned(self, quarter_turns: int, *, flipped: bool = False) -> Edges:
        """After a flip left to right and then clockwise quarter turns."""
        sides = [self.left, self.top, self.right, self.bottom]
        if flipped:
            sides[0], sides[2] = sides[2], sides[0]
        n = -quarter_turns % 4
        return Edges(*(sides[n:] + sides[:n]))


def edges(
    orientation: Sequence[float] | None, patient_orientation: Sequence[str] = (), *, quadruped: bool = False
) -> Edges:
    """Letters from cosines, else from Patient Orientation; none if neither is usable."""
    if orientation is not None and len(orientation) == 6 and any(orientation):
        right = letters(orientation[:3], quadruped=quadruped)
        bottom = letters(orientation[3:], quadruped=quadruped)
        return Edges(opposite(right), opposite(bottom), right, bottom)
    if len(patient_orientation) == 2:
        right, bottom = (_written(side, quadruped=quadruped) for side in patient_orientation)
        return Edges(opposite(right), opposite(bottom), right, bottom)
    return Edges()


def _written(side: str, *, quadruped: bool) -> str:
    """Letters of Patient Orientation; those of animals get their small letters back."""
    if not quadruped:
        return side if all(letter in "APRLHF" for letter in side) else ""
    known = {name.upper(): name for pair in QUADRUPED for name in pair}
    out, rest = "", side
    while rest:
        step = 2 if rest[:2] in known else 1
        if rest[:step] not in known:
            return ""
        out, rest = out + known[rest[:step]], rest[step:]
    return out


class Placed(Protocol):
    """What ordering needs of a picture."""

    @property
    def position(self) -> tuple[float, float, float] | None: ...
    @property
    def orientation(self) -> tuple[float, ...] | None: ...
    @property
    def instance_number(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Order:
    """Indices in the order to show, whether geometry decided, and what a person should know of it."""

    indices: tuple[int, ...]
    by_geometry: bool
    warnings: tuple[str, ...] = ()
    step_mm: float | None = None


def slice_order(pictures: Sequence[Placed]) -> Order:
    """By position along the normal where all pictures are parallel and apart, else by Instance Number."""
    by_number = sorted(range(len(pictures)), key=lambda n: (_number(pictures[n]), n))
    oriented = [p.orientation for p in pictures]
    if len(pictures) < 2 or any(p.position is None or p.orientation is None for p in pictures):
        return Order(tuple(by_number), False)
    normals = [_normal(o) for o in oriented if o is not None]
    reference = normals[0]
    if any(_dot(reference, normal) < SAME_DIRECTION for normal in normals):
        return Order(tuple(by_number), False, ("The pictures of this series lie in different directions.",))
    along = [_dot(reference, p.position) for p in pictures if p.position is not None]
    order = sorted(range(len(pictures)), key=lambda n: (along[n], _number(pictures[n]), n))
    steps = [along[b] - along[a] for a, b in pairwise(order)]
    if min(steps) < 1e-3:  # several pictures at one place: phases, echoes, cine
        return Order(tuple(by_number), False)
    if _descends(pictures, order):
        order.reverse()
        steps.reverse()
    return Order(tuple(order), True, _gaps(steps), median(steps))


def _gaps(steps: Sequence[float]) -> tuple[str, ...]:
    usual = median(steps)
    missing = sum(1 for step in steps if step > 1.5 * usual)
    if missing:
        return (f"Slices seem to be missing: {missing} gap(s) wider than the usual {usual:.2f} mm.",)
    if max(steps) - min(steps) > 0.1 * usual:
        return (f"The distance between slices varies from {min(steps):.2f} to {max(steps):.2f} mm.",)
    return ()


def _descends(pictures: Sequence[Placed], order: Sequence[int]) -> bool:
    """Whether the file's own numbers run the other way: then it is that way round."""
    first, last = _number(pictures[order[0]]), _number(pictures[order[-1]])
    return first > last >= 0


def _number(picture: Placed) -> int:
    return picture.instance_number if picture.instance_number is not None else 1 << 40


def _normal(orientation: Sequence[float]) -> tuple[float, float, float]:
    a, b, c, d, e, f = orientation
    x, y, z = b * f - c * e, c * d - a * f, a * e - b * d
    length = (x * x + y * y + z * z) ** 0.5 or 1.0
    return x / length, y / length, z / length


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
