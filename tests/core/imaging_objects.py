"""Made-up pictures for the imaging tests: every compression our encoders can write, and damage on purpose."""

from __future__ import annotations

import zlib
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from core.media import samples

Array = np.ndarray[Any, Any]
STUDY = samples.SampleStudy()

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG_XL = "1.2.840.10008.1.2.4.110"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"

ENCODERS = {
    JPEG_LOSSLESS: lambda a: imagecodecs.ljpeg_encode(a),
    JPEG_LS: lambda a: imagecodecs.jpegls_encode(a),
    JPEG_2000: lambda a: imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k", reversible=True),
    HTJ2K: lambda a: imagecodecs.htj2k_encode(a, reversible=True),
    JPEG_XL: lambda a: imagecodecs.jpegxl_encode(a, lossless=True),
    RLE: lambda a: rle_frame(a),
    DEFLATED_FRAMES: lambda a: deflated(a.tobytes()),
}


def deflated(data: bytes) -> bytes:
    """Raw deflate."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def rle_frame(pixels: Array) -> bytes:
    """An RLE frame as pydicom writes it."""
    from pydicom.pixels.encoders.base import EncodeRunner
    from pydicom.pixels.encoders.native import _encode_frame

    runner = EncodeRunner(UID(RLE))
    runner.set_options(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=1 if pixels.ndim == 2 else 3,
        number_of_frames=1,
        bits_allocated=pixels.dtype.itemsize * 8,
        bits_stored=pixels.dtype.itemsize * 8,
        pixel_representation=int(pixels.dtype.kind == "i"),
        photometric_interpretation="MONOCHROME2" if pixels.ndim == 2 else "RGB",
        planar_configuration=0,
    )
    return bytes(_encode_frame(pixels.tobytes(), runner))


def grey_ramp(rows: int = 24, columns: int = 40, dtype: str = "u2", top: int = 4095) -> Array:
    """A picture in which every pixel tells its place."""
    return (np.arange(rows * columns).reshape(rows, columns) * top // (rows * columns)).astype(dtype)


def colours(rows: int = 24, columns: int = 40) -> Array:
    """Soft gradients in three channels."""
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([y * 255 // rows, x * 255 // columns, (x + y) % 256], axis=-1).astype(np.uint8)


def picture(pixels: Array, **elements: Any) -> Dataset:
    """An uncompressed Secondary Capture of *pixels*."""
    ds = samples.with_pixels(samples.dataset(STUDY, modality="OT"), pixels)
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def file_of(pixels: Array, **elements: Any) -> bytes:
    """The same as a file."""
    return samples.part10(picture(pixels, **elements))


def compressed(
    frames: list[bytes], like: Array, syntax: str, *, table: bool = True, **elements: Any
) -> bytes:
    """A file whose frames are *frames*, its header describing *like*, one uncompressed frame."""
    ds = picture(like, **elements)
    ds.file_meta.TransferSyntaxUID = UID(JPEG_2000)
    if len(frames) > 1:
        ds.NumberOfFrames = len(frames)
    ds.PixelData = encapsulate(frames, has_bot=table)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    data = samples.part10(ds)
    meta_length = int.from_bytes(data[140:144], "little")
    return raw_file(data[144 + meta_length :], syntax)  # pydicom does not know the newest syntaxes


def raw_file(elements: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A file meta group and then *elements* as they are."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little")
    return b"\0" * 128 + b"DICM" + length + meta + elements
