"""Made-up documents, pictures and videos, as a person would choose them; nothing decodes the videos."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

import numpy as np
from imagecodecs import jpeg2k_encode, jpeg8_encode
from PIL import Image

from core.media.samples import pdf_report

GREY = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
COLOUR = np.dstack([GREY, GREY[::-1], GREY.T.reshape(48, 64)])


def png(pixels: np.ndarray = COLOUR) -> bytes:
    """Without loss."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def jpeg(*, turned: bool = False, progressive: bool = False) -> bytes:
    """Baseline, unless it is to be *progressive*; *turned* has a camera say that it lies on its side."""
    out = io.BytesIO()
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    Image.fromarray(COLOUR).save(out, "JPEG", quality=90, progressive=progressive, exif=exif)
    return out.getvalue()


def jp2() -> bytes:
    """JPEG 2000 without loss, in its file format."""
    return bytes(jpeg2k_encode(COLOUR, codecformat="jp2", reversible=True))


def mpeg2() -> bytes:
    """Headers of three pictures of 720 x 576 at 25 a second, Main Profile at Main Level."""
    sequence = b"\0\0\1\xb3" + bytes([720 >> 4, (720 & 15) << 4 | 576 >> 8, 576 & 255, 0x23]) + bytes(4)
    extension = b"\0\0\1\xb5" + bytes([0x14, 0x82, 0, 1, 0, 0])
    picture = b"\0\0\1\0" + bytes(4) + b"\0\0\1\xb5" + bytes([0x8F, 0xFF, 0xF3, 0x80, 0]) + bytes(50)
    return sequence + extension + 3 * picture


def mp4(*, frames: int = 50, media_bytes: int = 3000) -> bytes:
    """320 x 240, 25 a second, H.264 High Profile at Level 4.1 as its boxes say (ISO 14496-12, -15)."""
    config = _box(b"avcC", bytes([1, 100, 0, 41, 0xFF, 0xE0, 0]))
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", 320, 240) + bytes(50)
    tables = _box(b"stsd", bytes(4) + struct.pack(">I", 1) + _box(b"avc1", entry + config))
    tables += _box(b"stts", bytes(4) + struct.pack(">III", 1, frames, 40))
    header = _box(b"mdhd", bytes(12) + struct.pack(">II", 1000, 40 * frames) + bytes(4))
    handler = _box(b"hdlr", bytes(8) + b"vide" + bytes(13))
    media = _box(b"mdia", header + handler + _box(b"minf", _box(b"stbl", tables)))
    brand = _box(b"ftyp", b"isom" + bytes(4) + b"isomavc1")
    return brand + _box(b"moov", _box(b"trak", media)) + _box(b"mdat", bytes(media_bytes))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def every_kind() -> Mapping[str, bytes]:
    """A file of each kind by its name."""
    return {
        "report.pdf": pdf_report(["A report"]),
        "photo.jpg": bytes(jpeg8_encode(COLOUR, level=90)),
        "scan.png": png(),
        "picture.jp2": jp2(),
        "clip.mpg": mpeg2(),
        "clip.mp4": mp4(),
    }
