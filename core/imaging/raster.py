"""Pages of a PDF and pictures of other formats as frames ready to be put into a DICOM object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import NotRenderable
from core.imaging import codecs
from core.imaging.codecs import Array
from core.imaging.codestream import inspect

if TYPE_CHECKING:
    from PIL import Image

RLE_UID = "1.2.840.10008.1.2.5"
BASELINE_UID = "1.2.840.10008.1.2.4.50"
FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 64_000_000
MOST_PAGES = 2000
ORIENTATION = 0x0112
POINTS_AN_INCH = 72


def page_count(pdf: Path) -> bytes:
    """How many pages the PDF has, in digits. Raises NotRenderable."""
    document = _document(pdf)
    try:
        count = len(document)
    finally:
        document.close()
    if not 0 < count <= MOST_PAGES:
        raise NotRenderable(f"The PDF has {count} pages; it must have 1 to {MOST_PAGES}.")
    return b"%d" % count


def page(pdf: Path, index0: int, dpi: int) -> bytes:
    """One page at *dpi*, less if it were larger than MOST_PIXELS. Raises NotRenderable."""
    document = _document(pdf)
    try:
        sheet = document[index0]
        width, height = (max(1.0, side) for side in sheet.get_size())
        scale = dpi / POINTS_AN_INCH
        scale = min(scale, (MOST_PIXELS / (width * height)) ** 0.5, 32_000 / max(width, height))
        samples = sheet.render(scale=scale, rev_byteorder=True, fill_color=(255, 255, 255, 255)).to_numpy()
    finally:
        document.close()
    return _packed(_greyed(samples[:, :, :3]), dpi=scale * POINTS_AN_INCH)


def picture(path: Path) -> bytes:
    """A PNG or JPEG file; a baseline JPEG keeps its own compression. Raises NotRenderable."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS or max(image.size) > 0xFFFF:
                raise NotRenderable("The picture is too large.")
            upright = image.getexif().get(ORIENTATION, 1) == 1
            if image.format == "JPEG" and upright and (kept := _as_it_is(path.read_bytes())):
                return kept
            image.load()
            samples = _samples(ImageOps.exif_transpose(image))
            return _packed(samples, lossy=image.format == "JPEG")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotRenderable("The picture is damaged and cannot be read.") from error


def _document(pdf: Path) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError as error:
        raise NotRenderable("The PDF is damaged or locked with a password.") from error


def _as_it_is(data: bytes) -> bytes | None:
    """A baseline JPEG of 8 bits that can go into an object unchanged, else None."""
    stream = inspect(memoryview(data))
    baseline = any(data[at : at + 2] == b"\xff\xc0" for at in _markers(data))
    if stream is None or not baseline or stream.bits != 8 or stream.components not in (1, 3):
        return None
    photometric = "MONOCHROME2"
    if stream.components == 3:
        photometric = "RGB" if stream.transform is False else "YBR_FULL_422"
    head = _head((stream.rows, stream.columns), stream.components, 8, photometric)
    return _joined({**head, "syntax": BASELINE_UID, "lossy": True}, data)


def _markers(data: bytes) -> list[int]:
    """Where the segments before the first scan begin (ITU-T T.81 B.1.1)."""
    at, found = 2, []
    while at + 4 <= len(data) and data[at] == 0xFF:
        found.append(at)
        if data[at + 1] == 0xDA:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found


def _samples(image: Image.Image) -> Array:
    from PIL import Image as pil

    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if image.has_transparency_data:
        paper = pil.new("RGBA", image.size, (255, 255, 255, 255))
        image = pil.alpha_composite(paper, image.convert("RGBA"))
    return _greyed(np.asarray(image.convert("RGB")))


def _greyed(rgb: Array) -> Array:
    """One sample a pixel if there is no colour in it."""
    colourless = (rgb[:, :, 0] == rgb[:, :, 1]).all() and (rgb[:, :, 1] == rgb[:, :, 2]).all()
    return np.ascontiguousarray(rgb[:, :, 0] if colourless else rgb)


def _packed(samples: Array, *, dpi: float = 0.0, lossy: bool = False) -> bytes:
    bits = 8 * samples.dtype.itemsize
    colour = samples.ndim == 3
    head = _head(samples.shape[:2], 3 if colour else 1, bits, "RGB" if colour else "MONOCHROME2")
    frame = codecs.encode_rle(samples, bits)
    return _joined({**head, "syntax": RLE_UID, "lossy": lossy, "dpi": dpi}, frame)


def _head(shape: tuple[int, ...], samples: int, bits: int, photometric: str) -> dict[str, Any]:
    rows, columns = shape
    return {"rows": rows, "columns": columns, "samples": samples, "bits": bits, "photometric": photometric}


def _joined(head: dict[str, Any], frame: bytes) -> bytes:
    """One line of JSON that describes the frame, then its bytes."""
    return json.dumps({"dpi": 0.0, **head}).encode() + b"\n" + frame
