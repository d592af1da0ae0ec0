"""The decoders and encoders of others behind typed functions; each loads when first used.

Every function raises CodecFailed where the library refuses; a C codec may also crash the process,
which is why servers decode in a `RenderPool`.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class CodecFailed(Exception):
    """A decoder refused a stream; the message is the library's own, for logs and never for people."""


def _codecs() -> Any:
    import imagecodecs

    return imagecodecs


def _decode(name: str, data: memoryview, **options: Any) -> Array:
    library = _codecs()
    try:
        decoded: Array = getattr(library, f"{name}_decode")(data, **options)
    except MemoryError:
        raise
    except Exception as error:  # each codec has its own unrelated exception class
        raise CodecFailed(str(error)) from error
    return decoded


def decode_jpeg(data: memoryview, colorspace: str | None) -> Array:
    """Any JPEG of ITU-T T.81 that libjpeg-turbo knows, 8 to 16 bits; to RGB if *colorspace* is "YCBCR"."""
    options = {"colorspace": colorspace, "outcolorspace": "RGB"} if colorspace else {}
    return _decode("jpeg8", data, **options)


def decode_jpeg_lossless(data: memoryview) -> Array:
    """JPEG lossless by another library, for streams that libjpeg-turbo refuses."""
    return _decode("jpegsof3", data)


def decode_jpeg_ls(data: memoryview) -> Array:
    """JPEG-LS, lossless and near-lossless."""
    return _decode("jpegls", data)


def decode_jpeg_2000(data: memoryview) -> Array:
    """JPEG 2000, high throughput too, by OpenJPEG; component transforms undone.

    OpenJPH would be twice as fast, but its wrapper returns a picture of noise for a damaged stream.
    """
    return _decode("jpeg2k", data)


def decode_jpeg_xl(data: memoryview) -> Array:
    """JPEG XL."""
    return _decode("jpegxl", data)


def decode_rle(data: memoryview, pixels: int, bits: int) -> Array:
    """RLE Lossless (PS3.5 annex G) of whole bytes: little-endian samples, one plane behind the other."""
    from rle.rle import decode_frame

    try:
        return np.frombuffer(decode_frame(bytes(data), pixels, bits, "<"), np.uint8)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the Rust extension is no Exception
        raise CodecFailed(str(error)) from error


def decode_packbits(data: memoryview, size: int) -> bytes:
    """The single segment of an RLE frame of 1-bit samples (PS3.5 G.3), exactly *size* bytes."""
    head = np.frombuffer(data[:64], "<u4")
    if head.size != 16 or head[0] != 1:
        raise CodecFailed("RLE header")
    try:
        plain: bytes = _codecs().packbits_decode(data[int(head[1]) :])
    except MemoryError:
        raise
    except Exception as error:  # the codec's own exception class
        raise CodecFailed(str(error)) from error
    if len(plain) < size:
        raise CodecFailed("RLE segment is short")
    return plain[:size]


def inflate(data: memoryview, at_most: int) -> bytes:
    """A deflated frame, with or without zlib wrapping; never more than *at_most* bytes."""
    for wbits in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
        try:
            return zlib.decompressobj(wbits).decompress(data, at_most)
        except zlib.error as error:
            failure = CodecFailed(str(error))
    raise failure


def encode_jpeg(pixels: Array, quality: int) -> bytes:
    """Baseline JPEG of (rows, columns) or (rows, columns, 3) uint8."""
    encoded: bytes = _codecs().jpeg8_encode(np.ascontiguousarray(pixels), level=quality)
    return encoded


def encode_png(pixels: Array) -> bytes:
    """PNG of uint8 pixels, packed quickly rather than tightly."""
    encoded: bytes = _codecs().png_encode(np.ascontiguousarray(pixels), level=3)
    return encoded
