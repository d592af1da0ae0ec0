"""What turns stored values into greys: modality LUT, VOI windows and tables, presets (PS3.3 C.11)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from core.imaging.codecs import Array
from core.imaging.elements import Elements

MODALITY_LUT_SEQUENCE, VOI_LUT_SEQUENCE = 0x00283000, 0x00283010


class VoiFunction(StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A look-up table: input *first* meets entry 0, inputs outside take the nearest end; *bits* of output."""

    first: int
    values: Array
    bits: int
    name: str = ""

    def apply(self, inputs: Array) -> Array:
        """Look up; fractions are dropped, as tables have none."""
        index = np.clip(np.floor(inputs).astype(np.int64) - self.first, 0, self.values.size - 1)
        return self.values[index]


@dataclass(frozen=True, slots=True)
class Voi:
    """One way to show values: a window, or a table in its place. *name* is what the file calls it."""

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR
    lut: Lut | None = None
    name: str = ""

    def apply(self, values: Array) -> Array:
        """Modality values as greys from 0.0 to 1.0, by the formulas of C.11.2.1.2 and C.11.2.1.3."""
        if self.lut is not None:
            top = max(1, (1 << self.lut.bits) - 1)
            return self.lut.apply(values).astype(np.float64) / top
        inputs = values.astype(np.float64, copy=False)
        if self.function is VoiFunction.SIGMOID:
            exponent = np.clip(-4 * (inputs - self.center) / self.width, -700, 700)
            return 1 / (1 + np.exp(exponent))
        if self.function is VoiFunction.LINEAR_EXACT:
            return np.clip((inputs - self.center) / self.width + 0.5, 0, 1)
        if self.width <= 1:
            return (inputs > self.center - 0.5).astype(np.float64)
        return np.clip((inputs - (self.center - 0.5)) / (self.width - 1) + 0.5, 0, 1)

    def as_window(self) -> Voi:
        """A plain window over the same range, to begin a drag from."""
        if self.lut is None:
            return self
        low, high = self.lut.first, self.lut.first + self.lut.values.size - 1
        return Voi((low + high + 1) / 2, high - low + 1)

    def moved(self, center: float, width: float) -> Voi:
        """This window with another centre and width; a table becomes a window."""
        function = self.function if self.lut is None else VoiFunction.LINEAR
        least = 1.0 if function is VoiFunction.LINEAR else 1e-9
        return Voi(center, max(width, least), function)


@dataclass(frozen=True, slots=True)
class Modality:
    """Stored values to real ones: *slope* and *intercept*, or a table (C.11.1); *unit* as the file says."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None
    unit: str = ""

    def apply(self, stored: Array) -> Array:
        """Real values of stored ones."""
        if self.lut is not None:
            return self.lut.apply(stored)
        if self.slope == 1 and self.intercept == 0:
            return stored
        return stored * self.slope + self.intercept


@dataclass(frozen=True, slots=True)
class Preset:
    """A named window of a list a person picks from."""

    name: str
    center: float
    width: float

    def voi(self) -> Voi:
        """As a window."""
        return Voi(self.center, self.width, name=self.name)


CT_PRESETS = (
    Preset("Brain", 35, 110),
    Preset("Abdomen", 40, 350),
    Preset("Mediastinum", 80, 400),
    Preset("Bone", 350, 2000),
    Preset("Lung", -500, 1500),
    Preset("Liver", 90, 150),
    Preset("Angiography", 120, 380),
)


@dataclass(frozen=True, slots=True)
class Padding:
    """Stored values that stand for no measurement (Pixel Padding Value, Range Limit; C.7.5.1.1.2)."""

    low: float
    high: float


def read_lut(item: Elements, *, signed: bool) -> Lut | None:
    """One item of a Modality or VOI LUT Sequence, None if it is damaged."""
    descriptor = item.numbers(0x00283002, b"SS" if signed else b"US")
    raw = item.raw(0x00283006)
    if len(descriptor) < 3 or not raw:
        return None
    entries, first, bits = (int(part) for part in descriptor[:3])
    entries = entries & 0xFFFF or 65536
    if signed and first > 0x7FFF:
        first -= 0x10000
    order = item.encoding.order
    if len(raw) >= 2 * entries:
        values: Array = np.frombuffer(raw, f"{order}u2", entries).astype(np.uint16)
    elif len(raw) >= entries:
        values = np.frombuffer(raw, np.uint8)[:entries].astype(np.uint16)
    else:
        return None
    highest = int(values.max())
    if not 1 <= bits <= 16 or highest >> bits:  # a descriptor that its own entries contradict
        bits = max(1, highest.bit_length())
    return Lut(first, values, bits, item.text(0x00283003))


def read_modality(level: Elements, *, signed: bool) -> Modality | None:
    """Modality LUT of one level (object or functional group), None if it says nothing usable."""
    item = level.item(MODALITY_LUT_SEQUENCE)
    if item is not None and (lut := read_lut(item, signed=signed)):
        return Modality(lut=lut, unit=item.text(0x00283004))
    slope, intercept = level.number(0x00281053), level.number(0x00281052)
    if slope is None and intercept is None:
        return None
    return Modality(slope or 1.0, intercept or 0.0, unit=level.text(0x00281054))


def read_vois(level: Elements, *, signed: bool) -> tuple[Voi, ...]:
    """The views a level offers, tables first; windows that cannot be are left out."""
    found: list[Voi] = []
    for item in level.items(VOI_LUT_SEQUENCE):
        if lut := read_lut(item, signed=signed):
            plain = Voi(0, 1, lut=lut).as_window()
            found.append(Voi(plain.center, plain.width, lut=lut, name=lut.name))
    names = level.text(0x00281055).split("\\")
    code = level.code(0x00281056)
    function = VoiFunction(code) if code in VoiFunction.__members__ else VoiFunction.LINEAR
    centers, widths = level.numbers(0x00281050), level.numbers(0x00281051)
    for n, (center, width) in enumerate(zip(centers, widths, strict=False)):
        usable = width >= 1 if function is VoiFunction.LINEAR else width > 0
        if usable and math.isfinite(center) and math.isfinite(width):
            name = names[n].strip() if n < len(names) else ""
            found.append(Voi(center, width, function, name=name))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class GreyScale:
    """All between a frame's stored values and the screen; *inverted* for MONOCHROME1 or INVERSE."""

    modality: Modality = field(default_factory=Modality)
    vois: tuple[Voi, ...] = ()
    padding: Padding | None = None
    inverted: bool = False
    bits_stored: int = 16


def auto_voi(pixels: Array, grey: GreyScale) -> Voi:
    """A window over all real values, padding left aside; 8-bit pictures keep their full range."""
    if pixels.dtype.kind == "u" and grey.bits_stored <= 8:
        low, high = 0.0, float((1 << grey.bits_stored) - 1)
    else:
        low, high = _range(pixels, grey.padding)
    ends = grey.modality.apply(np.array([low, high]))
    if grey.modality.lut is not None:
        table = grey.modality.lut
        part = table.apply(np.arange(max(low, table.first), min(high, table.first + table.values.size) + 1))
        ends = part if part.size else ends
    bottom, top = float(ends.min()), float(ends.max())
    if not top > bottom:
        return Voi(bottom + 0.5, 1.0, VoiFunction.LINEAR_EXACT, name="Auto")
    return Voi(bottom + (top - bottom) / 2, top - bottom, VoiFunction.LINEAR_EXACT, name="Auto")


def _range(pixels: Array, padding: Padding | None) -> tuple[float, float]:
    """Lowest and highest finite value that is not padding, (0, 0) if there is none."""
    if pixels.dtype.kind == "f":
        pixels = pixels[np.isfinite(pixels)]
    low, high = (pixels.min(), pixels.max()) if pixels.size else (0, 0)
    if padding is not None and (padding.low <= low <= padding.high or padding.low <= high <= padding.high):
        real = pixels[(pixels < padding.low) | (pixels > padding.high)]
        low, high = (real.min(), real.max()) if real.size else (0, 0)
    return float(low), float(high)


def default_voi(pixels: Array, grey: GreyScale) -> Voi:
    """What a frame is first shown with: the first view its file offers, else an automatic window."""
    return grey.vois[0] if grey.vois else auto_voi(pixels, grey)
