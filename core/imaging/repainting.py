"""The same object with other pixels: cut to a rectangle, or rectangles covered; uncompressed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from core.dicom.regions import Box, Change
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID, transfer_syntax
from core.errors import Unsupported
from core.imaging.codecs import Array
from core.imaging.colour import to_rgb
from core.imaging.image import ImageObject
from core.imaging.pixel_module import PixelModule

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

SQUARE = 8
"""Side of a field of the checkerboard in pixels."""
STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "IconImageSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
IN_RGB = frozenset(("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422"))
"""What is written as RGB: not every IOD takes these uncompressed."""
Uncompress = Callable[[bytes], bytes]


class Repainter:
    """Changes pixels; *uncompress* makes the object uncompressed first, where C codecs may crash safely."""

    def __init__(self, uncompress: Uncompress) -> None:
        self._uncompress = uncompress

    def __call__(self, data: bytes, change: Change) -> bytes:
        """Raises Unsupported, NotRenderable, NotAcceptable."""
        image = ImageObject.open(data)
        syntax = transfer_syntax(image.transfer_syntax_uid)
        if syntax.encapsulated or not syntax.little:
            data = self._uncompress(data)
            image = ImageObject.open(data)
        module = image.module
        if module.is_float:
            raise Unsupported("The floating point pixels of this picture cannot be changed.")
        from pydicom import dcmread

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite valid stay as they are
            ds = dcmread(io.BytesIO(data), force=True)
            _repaint(ds, image, module, change)
            out = io.BytesIO()
            ds.save_as(out, implicit_vr=False, little_endian=True, enforce_file_format=True)
        return out.getvalue()


def _repaint(ds: FileDataset, image: ImageObject, module: PixelModule, change: Change) -> None:
    from pydicom.uid import UID

    box = change.cut.within(module.columns, module.rows) if change.cut is not None else None
    if change.cut is not None and box is None:
        raise Unsupported("A region lies outside of its picture.")
    frames, photometric = [], module.photometric
    for index in range(image.frame_count):
        decoded = image.stored(index)
        samples, photometric = decoded
        if photometric in IN_RGB and module.bits_allocated == 8:
            samples, photometric = to_rgb(samples, photometric, module.bits_stored), "RGB"
        if change.covered:
            samples = _cover(np.array(samples), change, photometric)
        if box is not None:
            samples = samples[box.y : box.y + box.height, box.x : box.x + box.width]
        frames.append(_packed(samples, module))
    if module.bits_allocated == 1 and len(frames) > 1 and (box or Box(0, 0, module.columns, module.rows)):
        side = box or Box(0, 0, module.columns, module.rows)
        if side.width * side.height % 8:
            raise Unsupported("Frames of single bits that end within a byte cannot be changed.")
    plain = b"".join(frames)
    ds.PixelData = plain + b"\0" * (len(plain) % 2)
    ds["PixelData"].VR = "OW" if module.bits_allocated > 8 else "OB"
    ds["PixelData"].is_undefined_length = False
    ds.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_UID)
    ds.PhotometricInterpretation = photometric
    ds.BitsStored, ds.HighBit = module.bits_stored, module.bits_stored - 1
    if module.samples > 1:
        ds.PlanarConfiguration = 0
    if box is not None:
        ds.Rows, ds.Columns = box.height, box.width
        _move(ds, box)
    _forget_what_was(ds)


def _packed(samples: Array, module: PixelModule) -> bytes:
    if module.bits_allocated == 1:
        return np.packbits(samples.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    kind = "i" if module.signed and module.samples == 1 else "u"
    return np.ascontiguousarray(samples.astype(np.dtype(f"<{kind}{module.bits_allocated // 8}"))).tobytes()


def _cover(samples: Array, change: Change, photometric: str) -> Array:
    rows, columns = samples.shape[:2]
    dark, bright = int(samples.min()), int(samples.max())
    for each in change.covered:
        box = each.within(columns, rows)
        if box is None:
            continue
        y, x = np.mgrid[box.y : box.y + box.height, box.x : box.x + box.width]
        paint: Any = np.where((y // SQUARE + x // SQUARE) % 2, bright, dark)
        if change.colour is not None and photometric != "PALETTE COLOR":
            paint = _paint(change.colour, photometric, dark, bright)
        elif samples.ndim == 3:
            paint = np.where((y // SQUARE + x // SQUARE) % 2, 255, 0)[..., None]
        samples[box.y : box.y + box.height, box.x : box.x + box.width] = paint
    return samples


def _paint(colour: tuple[int, int, int], photometric: str, dark: int, bright: int) -> Any:
    """A colour in the samples of a picture: its brightness in grey ones."""
    red, green, blue = colour
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    if photometric == "RGB":
        return np.array(colour)
    part = 1 - grey / 255 if photometric == "MONOCHROME1" else grey / 255
    return round(dark + (bright - dark) * part)


def _move(ds: Dataset, box: Box) -> None:
    """Let geometry begin at the new corner, in functional groups too (PS3.3 C.7.6.2, C.7.6.16)."""
    shared = (ds.get("SharedFunctionalGroupsSequence") or [None])[0]
    _move_plane(ds, ds, ds, box)
    for group in (shared, *(ds.get("PerFrameFunctionalGroupsSequence") or [])):
        if group is not None and group.get("PlanePositionSequence"):
            found = [
                (place.get(name) or [None])[0]
                for name in ("PlaneOrientationSequence", "PixelMeasuresSequence")
                for place in [group if group.get(name) or shared is None else shared]
            ]
            _move_plane(group.PlanePositionSequence[0], found[0], found[1], box)
    for region in ds.get("SequenceOfUltrasoundRegions") or []:
        for corner, by in (("X", box.x), ("Y", box.y)):
            for end in ("Min", "Max"):
                keyword = f"RegionLocation{end}{corner}{'0' if end == 'Min' else '1'}"
                if keyword in region:
                    last = (box.width if corner == "X" else box.height) - 1
                    setattr(region, keyword, min(max(0, int(region[keyword].value) - by), last))


def _move_plane(position: Dataset, orientation: Dataset | None, measures: Dataset | None, box: Box) -> None:
    start = position.get("ImagePositionPatient")
    cosines = orientation.get("ImageOrientationPatient") if orientation is not None else None
    spacing = measures.get("PixelSpacing") if measures is not None else None
    if not start or not cosines or not spacing or len(cosines) != 6 or len(start) != 3:
        return
    along, down = float(spacing[1]) * box.x, float(spacing[0]) * box.y
    moved = [float(start[n]) + along * float(cosines[n]) + down * float(cosines[n + 3]) for n in range(3)]
    position.ImagePositionPatient = [f"{value:.10g}" for value in moved]


def _forget_what_was(ds: Dataset) -> None:
    """Remove what described the old pixels, or may repeat them: icons, overlays, extremes."""
    for keyword in STALE:
        if keyword in ds:
            del ds[keyword]
    for tag in list(ds.keys()):
        if 0x6000 <= tag >> 16 < 0x6100:
            del ds[tag]
    kind = list(ds.get("ImageType") or ["ORIGINAL", "PRIMARY"])
    ds.ImageType = ["DERIVED", *kind[1:]]
