"""Frames to 8-bit pictures: the grey pipeline, scaling, JPEG and PNG, thumbnails, placeholders."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from core.errors import NotRenderable
from core.imaging import codecs
from core.imaging.apart import open_image
from core.imaging.codecs import Array
from core.imaging.image import Frame, ImageObject
from core.imaging.voi import GreyScale, Voi, VoiFunction, default_voi

CHUNK = 1 << 17  # pixels windowed at a time: scratch space that stays in the processor's cache
LARGEST_SIDE = 20_000
TABLE_DTYPES = ("u1", "i1", "u2", "i2")


def render(
    image: ImageObject,
    frame0: int,
    voi: Voi | None = None,
    *,
    size: tuple[int, int] | None = None,
    invert: bool = False,
) -> Array:
    """Frame *frame0* as the viewer shows it: uint8 (h, w), or (h, w, 3) for colours.

    Without *size* at its own rows and columns; else fitted into *size* (width, height), pixels made square.
    Raises NotFound, NotRenderable.
    """
    frame = image.frame(frame0)
    return render_frame(frame, voi, size=size, invert=invert)


def render_frame(
    frame: Frame, voi: Voi | None = None, *, size: tuple[int, int] | None = None, invert: bool = False
) -> Array:
    """The same for a frame already decoded."""
    picture = window_to_u8(frame, voi, invert=invert)
    return picture if size is None else fitted(picture, size, frame.attributes.pixel_aspect)


def window_to_u8(
    frame: Frame, voi: Voi | None = None, out: Array | None = None, *, invert: bool = False
) -> Array:
    """Grey values to uint8 through *voi* (None: the frame's own or automatic); MONOCHROME1 turns last.

    *out* is reused if its shape and dtype fit. Colours pass unchanged unless *voi* is given, which then
    works on 0..255 of each channel. A tinted frame comes back as (rows, columns, 3).
    """
    pixels = frame.pixels
    if frame.is_colour:
        return _colours(frame, voi, out, invert=invert)
    chosen = voi or default_voi(pixels, frame.grey)
    if out is None or out.shape != pixels.shape or out.dtype != np.uint8:
        out = np.empty(pixels.shape, np.uint8)
    window_pixels(pixels, frame.grey, chosen, out, invert=invert)
    return out if frame.tint is None else _tinted(frame, out)


def window_pixels(pixels: Array, grey: GreyScale, voi: Voi, out: Array, *, invert: bool = False) -> None:
    """Any block of stored grey values into *out* (same shape, uint8); the fast part of a window drag."""
    turned = grey.inverted != invert
    factors = _linear_factors(grey, voi)
    if pixels.dtype.str[1:] == "u1" or (factors is None and pixels.dtype.str[1:] in TABLE_DTYPES):
        table = _table(pixels.dtype, grey, voi, turned=turned)
        unsigned = pixels.view(pixels.dtype.str.replace("i", "u"))
        np.take(table, unsigned, out=out, mode="clip")
    elif factors is None:
        greys = voi.apply(grey.modality.apply(pixels)) * 255
        out[...] = _rounded(255 - greys if turned else greys)
    else:
        slope, offset = factors
        if turned:
            slope, offset = -slope, 255 - offset
        _linear(pixels, slope, offset + 0.5, out)


def _linear_factors(grey: GreyScale, voi: Voi) -> tuple[float, float] | None:
    """(a, b) with grey = a * stored + b before clipping; None where a table or a curve is needed."""
    modality = grey.modality
    if voi.lut is not None or modality.lut is not None or voi.function is VoiFunction.SIGMOID:
        return None
    if voi.function is VoiFunction.LINEAR:
        if voi.width <= 1:
            return None
        span, center = voi.width - 1, voi.center - 0.5
    else:
        span, center = voi.width, voi.center
    scale = 255 / span
    return modality.slope * scale, (modality.intercept - center) * scale + 127.5


def _linear(pixels: Array, slope: float, offset: float, out: Array) -> None:
    """out = clip(slope * pixels + offset), in cache-sized bites and single precision where that is exact."""
    wide = pixels.dtype.itemsize > 2 and pixels.dtype.str[1:] != "f4"
    kind = np.float64 if wide or abs(offset) > 1e5 else np.float32
    rows = max(1, CHUNK // max(1, pixels.shape[1]))
    scratch = np.empty((min(rows, pixels.shape[0]), pixels.shape[1]), kind)
    for start in range(0, pixels.shape[0], rows):
        block = pixels[start : start + rows]
        work = scratch[: block.shape[0]]
        np.copyto(work, block, casting="unsafe")
        np.multiply(work, kind(slope), out=work)
        np.add(work, kind(offset), out=work)
        if pixels.dtype.kind == "f":
            np.nan_to_num(work, copy=False, nan=0.0)
        np.clip(work, kind(0), kind(255.49), out=work)  # three times as fast as maximum and minimum
        np.copyto(out[start : start + rows], work, casting="unsafe")


def _table(dtype: np.dtype[np.generic], grey: GreyScale, voi: Voi, *, turned: bool) -> Array:
    """The grey of every stored value, indexed by its bits taken as unsigned."""
    unsigned = np.arange(1 << dtype.itemsize * 8, dtype=dtype.str.replace("i", "u"))
    greys = voi.apply(grey.modality.apply(unsigned.view(dtype.newbyteorder("=")))) * 255
    return _rounded(255 - greys if turned else greys)


def _rounded(greys: Array) -> Array:
    result: Array = np.clip(np.nan_to_num(greys) + 0.5, 0, 255.49).astype(np.uint8)
    return result


def _colours(frame: Frame, voi: Voi | None, out: Array | None, *, invert: bool) -> Array:
    pixels = frame.pixels
    if voi is not None:
        table = _rounded(voi.apply(np.arange(256)) * 255)
        pixels = np.take(table, pixels)
    if invert:
        pixels = 255 - pixels
    if out is not None and out.shape == pixels.shape and out.dtype == np.uint8:
        np.copyto(out, pixels)
        return out
    return pixels


def _tinted(frame: Frame, grey: Array) -> Array:
    """Grey below the palette's first value, its colours from there on."""
    palette = frame.tint
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    if palette is not None:
        mask = frame.pixels >= palette.first
        rgb[mask] = palette.apply(frame.pixels[mask])
    return rgb


def cropped(picture: Array, region: tuple[float, float, float, float]) -> Array:
    """Left, top, width and height of a part, in parts of the whole; a negative extent turns it around.

    At least one pixel is left. Raises NotRenderable when the part lies outside.
    """
    rows, columns = picture.shape[:2]
    left, top, width, height = region
    if not (0 <= left < 1 and 0 <= top < 1):
        raise NotRenderable("The region lies outside of the picture.")
    first_column, first_row = int(left * columns), int(top * rows)
    last_column = max(first_column + 1, round((left + abs(width)) * columns))
    last_row = max(first_row + 1, round((top + abs(height)) * rows))
    part = picture[first_row:last_row, first_column:last_column]
    return np.ascontiguousarray(part[:: -1 if height < 0 else 1, :: -1 if width < 0 else 1])


def fitted(
    picture: Array, size: tuple[int, int], pixel_aspect: float = 1.0, *, enlarge: bool = True
) -> Array:
    """Scaled to fit into *size* (width, height), shape kept: areas averaged when smaller, else bilinear."""
    from PIL import Image

    rows, columns = picture.shape[:2]
    width, height = float(columns), rows * pixel_aspect
    if pixel_aspect < 1:
        width, height = columns / pixel_aspect, float(rows)
    scale = min(size[0] / width, size[1] / height)
    if not enlarge:
        scale = min(scale, 1.0)
    target = tuple(max(1, min(LARGEST_SIDE, round(side * scale))) for side in (width, height))
    if target == (columns, rows):
        return picture
    image = Image.fromarray(picture)
    factor = (columns // target[0], rows // target[1])
    if factor[0] > 1 or factor[1] > 1:
        image = image.reduce((max(1, factor[0]), max(1, factor[1])))
    if image.size != target:
        image = image.resize((target[0], target[1]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def jpeg(pixels: Array, quality: int = 90) -> bytes:
    """Baseline JPEG of a rendered picture. Raises NotRenderable over JPEG's largest size."""
    if max(pixels.shape[:2]) > 65_500:
        raise NotRenderable("The picture is too large for JPEG.")
    return codecs.encode_jpeg(pixels, max(1, min(100, quality)))


def png(pixels: Array) -> bytes:
    """PNG of a rendered picture."""
    return codecs.encode_png(pixels)


def thumbnail(data: bytes | memoryview | Path | BinaryIO, frame0: int, box: int, quality: int = 75) -> bytes:
    """JPEG of a frame that fits *box* x *box*; never enlarged. Raises NotDicom, NotRenderable, NotFound."""
    return jpeg(small(open_image(data).frame(frame0), (box, box)), quality)


def small(frame: Frame, size: tuple[int, int], voi: Voi | None = None) -> Array:
    """A frame that fits into *size*, never enlarged; of grey ones twice the pixels needed are windowed."""
    step = min(frame.columns // (2 * size[0]), frame.rows // (2 * size[1]))
    if step < 2 or frame.is_colour or frame.tint is not None:
        picture = window_to_u8(frame, voi)
    else:
        thinned = frame.pixels[::step, ::step]
        picture = np.empty(thinned.shape, np.uint8)
        window_pixels(thinned, frame.grey, voi or default_voi(frame.pixels, frame.grey), picture)
    return fitted(picture, size, frame.attributes.pixel_aspect, enlarge=False)


def placeholder(reason: str, size: tuple[int, int] = (512, 512)) -> Array:
    """A dark picture (height, width, 3) that says "No picture" and why; for screens, never for files."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = max(16, size[0]), max(16, size[1])
    image = Image.new("RGB", (width, height), (28, 30, 34))
    draw = ImageDraw.Draw(image)
    unit = max(9, min(width, height) // 22)
    title, body = ImageFont.load_default(unit * 1.4), ImageFont.load_default(unit)
    lines = [("No picture", title, (235, 235, 235))]
    lines += [(line, body, (170, 174, 182)) for line in _wrapped(reason, width - 2 * unit, body)]
    y = max(2.0, height / 2 - unit * 0.75 * len(lines))
    for text, font, colour in lines:
        draw.text(((width - draw.textlength(text, font)) / 2, y), text, fill=colour, font=font)
        y += unit * 1.5
    return np.asarray(image)


def _wrapped(text: str, width: float, font: object) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:  # type: ignore[attr-defined]  # either kind of PIL font
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
