"""One DICOM object opened for showing: its header parsed at once, its frames decoded on demand."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from core.errors import NotDicom, NotFound, NotRenderable
from core.imaging.attributes import ImageAttributes, read_attributes, read_shown
from core.imaging.codecs import Array
from core.imaging.colour import Palette, read_palette, to_rgb
from core.imaging.decode import Decoded, decode_encapsulated, decode_native
from core.imaging.elements import SHORT_VRS, UNDEFINED, Elements, Encoding, Entries, Walker
from core.imaging.frame_table import FrameTable, frame_table
from core.imaging.overlay import Overlay, read_overlays
from core.imaging.pixel_module import PixelModule, read_pixel_module
from core.imaging.reading import RandomBytes, inflated, random_bytes
from core.imaging.voi import GreyScale

if TYPE_CHECKING:
    from core.dicom.refs import Header

DEFLATED = "1.2.840.10008.1.2.1.99"
BYTE_SWAPPED_PIXELS = frozenset(("1.2.840.113619.5.2",))  # GE: little-endian header, big-endian pixels
MOST_SHOWN = 64
FIRST_GROUPS = range(0x0002, 0x0021)
NO_PICTURE_HERE = "This file is no DICOM object."


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture: stored grey values (rows, columns), or uint8 RGB (rows, columns, 3).

    *tint* colours stored grey values at and above its first entry (supplemental palette, PS3.3 C.7.6.19).
    The array is read-only and may be shared between threads.
    """

    pixels: Array
    attributes: ImageAttributes
    photometric: str
    index0: int = 0
    tint: Palette | None = None
    overlays: tuple[Overlay, ...] = ()

    @property
    def is_colour(self) -> bool:
        """RGB rather than grey values."""
        return self.pixels.ndim == 3

    @property
    def grey(self) -> GreyScale:
        """The pipeline of a grey frame."""
        return self.attributes.grey

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def nbytes(self) -> int:
        """Memory it takes in a cache."""
        return int(self.pixels.nbytes) + 1024

    def real_value(self, row: int, column: int) -> tuple[float, str] | None:
        """The measured value under a point and its unit; None for colours and padding."""
        if self.is_colour or not (0 <= row < self.rows and 0 <= column < self.columns):
            return None
        stored = self.pixels[row : row + 1, column : column + 1]
        padding = self.grey.padding
        if padding is not None and padding.low <= float(stored[0, 0]) <= padding.high:
            return None
        return float(self.grey.modality.apply(stored)[0, 0]), self.grey.modality.unit


class ImageObject:
    """A DICOM object with a picture. Opening reads the header only; nothing needs closing.

    A stream given to `open` stays its owner's: it must stay open while frames are asked for if it is
    larger than what is read at once. Frames may be asked for from several threads.
    """

    def __init__(
        self, source: RandomBytes, whole: RandomBytes, elements: Elements, transfer_syntax_uid: str
    ) -> None:
        self._whole = whole
        self._elements = elements
        self.transfer_syntax_uid = transfer_syntax_uid
        self.sop_class_uid = elements.text(0x00080016)
        self.module: PixelModule = read_pixel_module(elements, self.sop_class_uid)
        entry = elements.entry(self.module.pixel_tag)
        if entry is None or entry.length == 0:
            raise NotRenderable("The picture of this object is empty.")
        self.header_bytes = entry.start
        """Where its pixel data begin, in an object that is not deflated as a whole."""
        self._shown: dict[int, ImageAttributes] = {}
        self._encapsulated = entry.length == UNDEFINED
        swapped = transfer_syntax_uid in BYTE_SWAPPED_PIXELS
        self._order = ">" if swapped else elements.encoding.order
        self._table: FrameTable = frame_table(source, elements, entry, self.module)

    @classmethod
    def open(cls, data: bytes | bytearray | memoryview | Path | BinaryIO) -> ImageObject:
        """Parse the header. Raises NotDicom, NotRenderable with the reason, OSError."""
        return cls.over(random_bytes(data))

    @classmethod
    def over(cls, whole: RandomBytes) -> ImageObject:
        """The same of what is open."""
        transfer_syntax_uid, start = _file_meta(whole)
        source = whole
        if transfer_syntax_uid == DEFLATED:
            source, start = inflated(whole.read(start, whole.size - start)), 0
        encoding = _sniffed(bytes(source.read(start, 8)))
        if encoding is None:
            raise NotDicom(NO_PICTURE_HERE)
        walker = Walker(source, encoding)
        elements = Elements(source, walker.collect(start, source.size), encoding)
        return cls(source, whole, elements, transfer_syntax_uid)

    @property
    def frame_count(self) -> int:
        """How many frames it claims; asking for one that is missing raises NotRenderable."""
        return self._table.count

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return self.module.rows

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return self.module.columns

    @property
    def modality(self) -> str:
        """Modality (0008,0060)."""
        return self._elements.code(0x00080060)

    @property
    def photometric_interpretation(self) -> str:
        """As stored."""
        return self.module.photometric

    @cached_property
    def header(self) -> Header:
        """Patient, study and series text. Raises what `read_header` raises."""
        from core.dicom.header import read_header

        return read_header(io.BytesIO(self._whole.read(0, self._whole.size)))

    @cached_property
    def attributes(self) -> ImageAttributes:
        """Of the first frame."""
        return self.frame_attributes(0)

    def frame_attributes(self, index0: int) -> ImageAttributes:
        """Of one frame, functional groups applied."""
        return read_attributes(self._elements, self.module, index0, self.transfer_syntax_uid)

    @cached_property
    def palette(self) -> Palette | None:
        """The colour tables, None if there are none."""
        return read_palette(self._elements, signed=self.module.signed)

    def frame(self, index0: int, *, to_show: bool = False) -> Frame:
        """Decode one frame; with *to_show* only with what a picture is made by: no overlays, few attributes.

        Raises NotFound outside the frames, NotRenderable with the reason.
        """
        if not 0 <= index0 < self.frame_count:
            raise NotFound("frame", f"This object has {self.frame_count} frame(s).")
        decoded = self._decoded(index0)
        attributes = self._shown_attributes(index0) if to_show else self.frame_attributes(index0)
        if decoded.photometric == "PALETTE COLOR":
            pixels, photometric = self._coloured(decoded.samples), "RGB"
        elif decoded.samples.ndim == 3:
            pixels, photometric = to_rgb(decoded.samples, decoded.photometric, self.module.bits_stored), "RGB"
        else:
            pixels, photometric = decoded.samples, decoded.photometric
        if pixels.base is not None and pixels.nbytes < self._whole.size // 2:
            pixels = pixels.copy()  # a view would keep the whole file in memory
        pixels.flags.writeable = False
        overlays: tuple[Overlay, ...] = ()
        if not to_show:
            overlays = read_overlays(self._elements, index0, self.module, lambda: self._words(index0))
        return Frame(pixels, attributes, photometric, index0, self._tint(), overlays)

    def _shown_attributes(self, index0: int) -> ImageAttributes:
        """Those a picture is made by; of an object that is kept open they are asked for again and again."""
        known = self._shown.get(index0)
        if known is None:
            known = read_shown(self._elements, self.module, index0)
            if len(self._shown) >= MOST_SHOWN:
                self._shown.clear()
            self._shown[index0] = known
        return known

    def stored(self, index0: int) -> Decoded:
        """The samples of one frame as stored, colours unchanged where their codec allows. As `frame`."""
        return self._decoded(index0)

    def coded(self, index0: int) -> bytes:
        """One frame as it lies in the object: its compressed stream, else little-endian samples.

        Samples of one bit begin with the first bit of a byte. Raises NotFound, NotRenderable.
        """
        if not 0 <= index0 < self.frame_count:
            raise NotFound("frame", f"This object has {self.frame_count} frame(s).")
        data, skip_bits = self._table.frame(index0)
        if self._encapsulated:
            return bytes(data)
        if skip_bits or self.module.frame_bits % 8:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return np.packbits(
                bits[skip_bits : skip_bits + self.module.frame_bits], bitorder="little"
            ).tobytes()
        if self._order == ">" and self.module.bits_allocated > 8:
            return np.frombuffer(data, f">u{self.module.bits_allocated // 8}").byteswap().tobytes()
        return bytes(data)

    def _decoded(self, index0: int) -> Decoded:
        data, skip_bits = self._table.frame(index0)
        if self._encapsulated:
            return decode_encapsulated(data, self.module, self.transfer_syntax_uid)
        return decode_native(data, skip_bits, self.module, self._order)

    def _words(self, index0: int) -> Array | None:
        """The samples of an uncompressed frame with all their bits, for overlays hidden in them."""
        if self._encapsulated or self.module.bits_allocated not in (8, 16) or self.module.samples != 1:
            return None
        data, _ = self._table.frame(index0)
        dtype = f"{self._order}u{self.module.bits_allocated // 8}"
        return np.frombuffer(data, dtype).reshape(self.rows, self.columns)

    def _coloured(self, samples: Array) -> Array:
        palette = self.palette
        if palette is None or samples.ndim != 2 or samples.dtype.kind == "f":
            raise NotRenderable("The palette of this picture is missing.")
        return palette.apply(samples)

    def _tint(self) -> Palette | None:
        """The supplemental palette of a grey object that asks for colours."""
        if self.module.samples != 1 or self.module.photometric != "MONOCHROME2":
            return None
        if self._elements.code(0x00089205) not in ("COLOR", "MIXED"):
            return None
        return self.palette


def with_grey(frame: Frame, grey: GreyScale) -> Frame:
    """The frame shown through another pipeline."""
    return replace(frame, attributes=replace(frame.attributes, grey=grey))


def _file_meta(source: RandomBytes) -> tuple[str, int]:
    """(transfer syntax, "" if not said; offset of the data set), with or without preamble (PS3.10 7.1)."""
    head = bytes(source.read(0, 140))
    start = 132 if head[128:132] == b"DICM" else 0
    if start == 0 and not _plausible(head):
        raise NotDicom(NO_PICTURE_HERE)
    encoding = _sniffed(head[start : start + 8])
    if encoding is None:
        raise NotDicom(NO_PICTURE_HERE)
    if head[start : start + 2] != b"\x02\x00":
        return "", start
    entries: Entries = {}
    pos = Walker(source, Encoding(True, "<")).group(start, source.size, entries, 0x0002)
    _, value, length = entries.get(0x00020010, (b"", 0, 0))
    return bytes(source.read(value, min(length, 64))).decode("latin-1").strip(" \0"), pos


def _sniffed(head: bytes) -> Encoding | None:
    """How the data set is written, from its first element: files contradict their file meta at times."""
    if len(head) < 8:
        return None
    little, big = int.from_bytes(head[:2], "little"), int.from_bytes(head[:2], "big")
    explicit = head[4:6] in SHORT_VRS or head[4:6] in (b"SQ", b"UN", b"OB", b"OW", b"UT")
    return Encoding(explicit, "<" if little <= big else ">")


def _plausible(head: bytes) -> bool:
    """Whether a file without preamble begins like a data set."""
    encoding = _sniffed(head[:8])
    if encoding is None:
        return False
    order = "little" if encoding.order == "<" else "big"
    group = int.from_bytes(head[:2], order)  # type: ignore[arg-type]  # one of two literals
    if group not in FIRST_GROUPS or group % 2:
        return False
    length = int.from_bytes(head[4:8], order)  # type: ignore[arg-type]  # one of two literals
    return encoding.explicit or length < 4096
