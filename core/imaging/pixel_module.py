"""The Image Pixel module of one object, read tolerantly and checked against bombs (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.errors import NotRenderable
from core.imaging.elements import DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA, Elements

LARGEST_FRAME = 512 << 20  # bytes of one decoded frame
MOST_FRAMES = 1_000_000

WITHOUT_PICTURE = (
    # SOP Class UID prefix, what a person calls it
    ("1.2.840.10008.5.1.4.1.1.104.1", "an encapsulated PDF"),
    ("1.2.840.10008.5.1.4.1.1.104.2", "an encapsulated clinical document"),
    ("1.2.840.10008.5.1.4.1.1.104.", "an encapsulated model"),
    ("1.2.840.10008.5.1.4.1.1.88.59", "a key object selection"),
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform"),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "a radiotherapy structure set"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "a radiotherapy plan"),
    ("1.2.840.10008.5.1.4.1.1.66", "raw or derived data"),
    ("1.2.840.10008.5.1.4.1.1.67", "a real world value mapping"),
    ("1.2.840.10008.5.1.4.1.1.91", "microscopy annotations"),
    ("1.2.840.10008.5.1.4.39.1", "a colour palette"),
    ("1.2.840.10008.1.3.10", "the table of contents of a disc"),
)


@dataclass(frozen=True, slots=True)
class PixelModule:
    """Shape and meaning of the stored samples; *pixel_tag* says where they lie."""

    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    frame_count: int | None
    pixel_tag: int

    @property
    def is_float(self) -> bool:
        """Float or Double Float Pixel Data."""
        return self.pixel_tag != PIXEL_DATA

    @property
    def samples_in_frame(self) -> int:
        """Stored samples of an uncompressed frame; in 4:2:2 two pixels share their chrominance."""
        pixels = self.rows * self.columns
        if self.samples == 3 and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            return self.rows * (self.columns + self.columns % 2) * 2
        return pixels * self.samples

    @property
    def frame_bits(self) -> int:
        """Size of one uncompressed frame in bits; frames of 1-bit objects need not end on a byte."""
        return self.samples_in_frame * self.bits_allocated

    def shown_as(self, photometric: str) -> PixelModule:
        """The same with another photometric interpretation."""
        return replace(self, photometric=photometric)


def read_pixel_module(elements: Elements, sop_class_uid: str) -> PixelModule:
    """Read and check it. Raises NotRenderable with the reason."""
    tag = next((t for t in (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA) if t in elements), None)
    if tag is None:
        raise NotRenderable(_no_picture(sop_class_uid))
    allocated = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}.get(tag) or elements.integer(0x00280100)
    rows, columns = elements.integer(0x00280010), elements.integer(0x00280011)
    if not rows or not columns or rows < 0 or columns < 0:
        raise NotRenderable("The header does not say how large the picture is (Rows and Columns).")
    if allocated is None:
        raise NotRenderable("The header does not say how its pixels are stored (Bits Allocated).")
    if allocated not in (1, 8, 16, 32, 64):
        raise NotRenderable(f"Pixels of {allocated} bits (Bits Allocated) cannot be shown.")
    samples = elements.integer(0x00280002) or 1
    if samples not in (1, 3):
        raise NotRenderable(f"Pixels of {samples} samples cannot be shown.")
    if rows * columns * samples * max(1, allocated // 8) > LARGEST_FRAME:
        raise NotRenderable(f"A picture of {columns} x {rows} pixels is too large to show.")
    stored = elements.integer(0x00280101) or allocated
    stored = stored if 0 < stored <= allocated else allocated
    high = elements.integer(0x00280102)
    high = high if high is not None and stored - 1 <= high < allocated else stored - 1
    photometric = elements.code(0x00280004) or ("RGB" if samples == 3 else "MONOCHROME2")
    return PixelModule(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=elements.integer(0x00280103) == 1,
        planar=elements.integer(0x00280006) == 1,
        frame_count=_frame_count(elements),
        pixel_tag=tag,
    )


def _frame_count(elements: Elements) -> int | None:
    """Number of Frames; 1 if absent, None if it is there and no number."""
    if not elements.text(0x00280008):
        return 1
    count = elements.integer(0x00280008, b"IS")
    if count is not None and count > MOST_FRAMES:
        raise NotRenderable(f"The header claims {count} frames, more than can be shown.")
    return count if count and count > 0 else None


def _no_picture(sop_class_uid: str) -> str:
    for prefix, name in WITHOUT_PICTURE:
        if sop_class_uid.startswith(prefix):
            return f"This object is {name}; it holds no picture."
    return "This object holds no picture."
