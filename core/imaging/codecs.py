"""The decoders and encoders of others behind typed functions; each loads when first used.

Every function raises CodecFailed where the library refuses; a C codec may also crash the process,
which is why servers decode in a `RenderPool`.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
END_OF_IMAGE = b"\xff\xd9"
SIZ_COMPONENTS = 40
"""Where a codestream says how many components it has; the depth of each follows (ITU-T T.800 A.5.1)."""


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
    """Any JPEG of ITU-T T.81 that libjpeg-turbo knows, 8 to 16 bits; to RGB if *colorspace* is "YCBCR".

    libjpeg paints what is missing of a cut stream grey, so one without an end is refused.
    """
    if bytes(data[-64:]).rfind(END_OF_IMAGE) < 0 and bytes(data).rfind(END_OF_IMAGE) < 0:
        raise CodecFailed("no end of image")
    options = {"colorspace": colorspace, "outcolorspace": "RGB"} if colorspace else {}
    return _decode("jpeg8", data, **options)


def decode_jpeg_lossless(data: memoryview) -> Array:
    """JPEG lossless by another library, for streams that libjpeg-turbo refuses."""
    if bytes(data).rfind(END_OF_IMAGE) < 0:
        raise CodecFailed("no end of image")
    return _decode("jpegsof3", data)


def decode_jpeg_ls(data: memoryview) -> Array:
    """JPEG-LS, lossless and near-lossless.

    CharLS counts for seconds through a stream that ends without its end marker: such a one gets it.
    """
    if not bytes(data[-16:]).rstrip(b"\0").endswith(END_OF_IMAGE):
        data = memoryview(bytes(data) + END_OF_IMAGE)
    return _decode("jpegls", data)


def decode_jpeg_2000(data: memoryview) -> Array:
    """JPEG 2000, high throughput too, by OpenJPEG; component transforms undone.

    OpenJPH would be twice as fast, but its wrapper returns a picture of noise for a damaged stream.
    """
    return _decode("jpeg2k", data)


def decode_jpeg_xl(data: memoryview) -> Array:
    """JPEG XL."""
    return _decode("jpegxl", data)


def decode_rle(data: memoryview, segments: int, size: int) -> list[Array]:
    """RLE Lossless (PS3.5 annex G): *segments* planes of *size* bytes.

    pylibjpeg-rle would need two thirds of the time, but panics on damage and tells stderr so.
    """
    if len(data) < 64:
        raise CodecFailed("RLE header is short")
    head = struct.unpack_from("<16I", data)
    if head[0] != segments or segments > 15:
        raise CodecFailed("RLE header")
    offsets = [*head[1 : segments + 1], len(data)]
    if offsets[0] < 64 or any(a >= b for a, b in pairwise(offsets)):
        raise CodecFailed("RLE offsets")
    planes = [_unpacked(data[start:end]) for start, end in pairwise(offsets)]
    if any(plane.size < size for plane in planes):
        raise CodecFailed("RLE segment is short")
    return [plane[:size] for plane in planes]


def _unpacked(segment: memoryview) -> Array:
    try:
        return np.frombuffer(_codecs().packbits_decode(segment), np.uint8)
    except MemoryError:
        raise
    except Exception as error:  # the codec's own exception class
        raise CodecFailed(str(error)) from error


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
    """PNG of uint8 or uint16 pixels, packed quickly rather than tightly."""
    encoded: bytes = _codecs().png_encode(np.ascontiguousarray(pixels), level=3)
    return encoded


def encode_jpeg_lossless(samples: Array, bits: int = 16) -> bytes:
    """JPEG Lossless (process 14, selection value 1) of unsigned grey or RGB samples."""
    encoded: bytes = _codecs().jpeg8_encode(np.ascontiguousarray(samples), lossless=True, bitspersample=bits)
    return encoded


def encode_jpeg_2000(samples: Array, bits_stored: int, *, rgb: bool) -> bytes:
    """JPEG 2000 lossless codestream; *rgb* is transformed (RCT), other colours are not."""
    encoded: bytes = _codecs().jpeg2k_encode(
        samples, level=0, reversible=True, codecformat="j2k", bitspersample=bits_stored, mct=rgb, numthreads=1
    )
    return encoded


def encode_htj2k(samples: Array, bits_stored: int, *, rgb: bool) -> bytes:
    """High-Throughput JPEG 2000 lossless codestream; colours as in `encode_jpeg_2000`.

    The encoder knows whole bytes only. Samples of fewer bits go in with zero in the middle of their range,
    where the codestream has them anyway (ITU-T T.800 G.1.2); its header is told their depth afterwards.
    """
    signed, depth = samples.dtype.kind == "i", 8 * samples.dtype.itemsize
    if not signed and bits_stored < depth:
        samples = (samples.astype(np.int32) - (1 << bits_stored - 1)).astype(f"i{samples.dtype.itemsize}")
    encoded = bytearray(_codecs().htj2k_encode(np.ascontiguousarray(samples), reversible=True, rgb=rgb))
    (components,) = struct.unpack_from(">H", encoded, SIZ_COMPONENTS)
    first = SIZ_COMPONENTS + 2
    encoded[first : first + 3 * components : 3] = bytes([signed << 7 | bits_stored - 1]) * components
    return bytes(encoded)


def encode_jpeg_ls(samples: Array) -> bytes:
    """JPEG-LS lossless of unsigned samples."""
    encoded: bytes = _codecs().jpegls_encode(np.ascontiguousarray(samples))
    return encoded


def encode_rle(samples: Array, bits_allocated: int) -> bytes:
    """RLE Lossless (PS3.5 annex G) of (rows, columns) or (rows, columns, 3)."""
    from rle.utils import encode_pixel_data

    encoded: bytes = encode_pixel_data(
        np.ascontiguousarray(samples).tobytes(),
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples_per_pixel=samples.shape[2] if samples.ndim == 3 else 1,
        bits_allocated=bits_allocated,
        byteorder="<",
    )
    return encoded
