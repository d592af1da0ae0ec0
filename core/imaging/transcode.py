"""The same object in another transfer syntax (PS3.5 section 8, annex A): group 2 and pixel module in step."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.dicom.maker import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from core.dicom.syntaxes import (
    DEFLATED_UID,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE_UID,
    transfer_syntax,
)
from core.errors import NotAcceptable
from core.imaging import codecs
from core.imaging.codecs import Array
from core.imaging.image import ImageObject
from core.imaging.pixel_module import PixelModule

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

RLE_UID = "1.2.840.10008.1.2.5"
JPEG_2000_UID = "1.2.840.10008.1.2.4.90"
JPEG_LS_UID = "1.2.840.10008.1.2.4.80"
HTJ2K_UID = "1.2.840.10008.1.2.4.201"
JPEG_LOSSLESS_UID = "1.2.840.10008.1.2.4.70"
JPEG_BASELINE_UID = "1.2.840.10008.1.2.4.50"
NATIVE = (EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID, DEFLATED_UID)
JPEG_QUALITY = 90
LARGEST_PIXELS = 1 << 30


class Encoder(NamedTuple):
    """How frames are written in one syntax; *photometric* is what RGB becomes, *fits* says what it takes."""

    encode: Callable[[Array, PixelModule], bytes]
    photometric: str
    fits: Callable[[PixelModule], bool]


def _rle(samples: Array, module: PixelModule) -> bytes:
    return codecs.encode_rle(samples, module.bits_allocated)


def _jpeg_2000(samples: Array, module: PixelModule) -> bytes:
    return codecs.encode_jpeg_2000(samples, module.bits_stored, rgb=module.photometric == "RGB")


def _htj2k(samples: Array, module: PixelModule) -> bytes:
    return codecs.encode_htj2k(samples, module.bits_stored, rgb=module.photometric == "RGB")


def _jpeg_ls(samples: Array, module: PixelModule) -> bytes:
    return codecs.encode_jpeg_ls(_unsigned(samples, module))


def _jpeg_lossless(samples: Array, module: PixelModule) -> bytes:
    return codecs.encode_jpeg_lossless(_unsigned(samples, module), module.bits_stored)


def _unsigned(samples: Array, module: PixelModule) -> Array:
    """The stored bits, for codecs that know no sign."""
    unsigned = samples.view(samples.dtype.str.replace("i", "u"))
    if module.bits_stored < 8 * unsigned.dtype.itemsize:
        unsigned = unsigned & ((1 << module.bits_stored) - 1)
    return unsigned


def _jpeg(samples: Array, module: PixelModule) -> bytes:
    return codecs.encode_jpeg(samples, JPEG_QUALITY)


def _small_integers(module: PixelModule) -> bool:
    return module.bits_allocated in (8, 16) and module.bits_stored >= 2


def _for_jpeg_lossless(module: PixelModule) -> bool:
    """Decoders turn what a JPEG stream has as YCbCr into RGB, which loses values."""
    return _small_integers(module) and not module.photometric.startswith(("YBR_FULL", "YBR_PARTIAL"))


def _for_baseline(module: PixelModule) -> bool:
    plain = module.photometric in ("MONOCHROME1", "MONOCHROME2", "RGB")
    return plain and not module.signed and module.bits_allocated == module.bits_stored == 8


ENCODERS = {
    RLE_UID: Encoder(
        _rle, "RGB", lambda m: m.bits_allocated in (8, 16, 32) and m.samples * m.bits_allocated <= 96
    ),
    JPEG_2000_UID: Encoder(_jpeg_2000, "YBR_RCT", _small_integers),
    JPEG_LS_UID: Encoder(_jpeg_ls, "RGB", _small_integers),
    HTJ2K_UID: Encoder(_htj2k, "YBR_RCT", _small_integers),
    JPEG_LOSSLESS_UID: Encoder(_jpeg_lossless, "RGB", _for_jpeg_lossless),
    JPEG_BASELINE_UID: Encoder(_jpeg, "YBR_FULL_422", _for_baseline),
}
"""What can be written beside the uncompressed syntaxes."""
TARGETS = (*NATIVE, *ENCODERS)


def transcode(source: Path | bytes, target: str) -> bytes:
    """The object in the syntax *target*, one of TARGETS. Raises NotAcceptable, NotRenderable, NotDicom."""
    from pydicom import dcmread

    if target not in TARGETS:
        raise NotAcceptable("Objects cannot be written in that transfer syntax here.", _instead(TARGETS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that are not quite valid stay as they are
        ds = dcmread(io.BytesIO(source) if isinstance(source, bytes) else source, force=True)
        had = str(ds.file_meta.get("TransferSyntaxUID", ""))
        native_kept = target in NATIVE and had in (*NATIVE, "")
        if "PixelData" in ds and not native_kept:
            _rewrite_pixels(ds, ImageObject.open(source), target)
        elif target in ENCODERS:
            raise NotAcceptable("This object has no picture to compress.", _instead(NATIVE))
        if transfer_syntax(had).lossy:
            ds.LossyImageCompression = "01"
        return _written(ds, target)


def _rewrite_pixels(ds: FileDataset, image: ImageObject, target: str) -> None:
    module, encoder = image.module, ENCODERS.get(target)
    if module.is_float or transfer_syntax(image.transfer_syntax_uid).video:
        raise NotAcceptable(
            "The pixels of this object cannot be written in another way.", "Take it as stored."
        )
    if encoder is not None and (not encoder.fits(module) or _has_hidden_overlay(ds)):
        raise NotAcceptable(
            "The pixels of this picture do not fit that transfer syntax.", _instead(_fitting(module))
        )
    if module.frame_bits // 8 * image.frame_count > LARGEST_PIXELS:
        raise NotAcceptable("This object is too large to be written in another way.", "Take it as stored.")
    frames, photometric = [], module.photometric
    for index in range(image.frame_count):
        decoded = image.stored(index)
        photometric = "YBR_FULL" if decoded.photometric == "YBR_FULL_422" else decoded.photometric
        frames.append(_frame(decoded.samples, module, photometric, encoder))
    _describe(ds, module, photometric, encoder)
    _put(ds, frames, module, encoder)
    if target == JPEG_BASELINE_UID:
        _say_lossy(ds, module.frame_bits // 8 * len(frames) / max(1, sum(map(len, frames))))


def _frame(samples: Array, module: PixelModule, photometric: str, encoder: Encoder | None) -> bytes:
    kind = "i" if module.signed and module.samples == 1 else "u"
    if module.bits_allocated == 1:
        return np.packbits(samples.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    plain = np.ascontiguousarray(samples.astype(np.dtype(f"<{kind}{module.bits_allocated // 8}"), copy=False))
    if encoder is None:
        return plain.tobytes()
    return encoder.encode(plain, module.shown_as(photometric))


def _describe(ds: FileDataset, module: PixelModule, photometric: str, encoder: Encoder | None) -> None:
    if encoder is not None and photometric == "RGB":
        photometric = encoder.photometric
    ds.PhotometricInterpretation = photometric
    ds.BitsStored, ds.HighBit = module.bits_stored, module.bits_stored - 1
    if module.samples > 1:
        ds.PlanarConfiguration = 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            del ds[keyword]


def _put(ds: FileDataset, frames: list[bytes], module: PixelModule, encoder: Encoder | None) -> None:
    from pydicom.encaps import encapsulate

    if encoder is not None:
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
        return
    plain = _joined(frames, module.frame_bits) if module.frame_bits % 8 else b"".join(frames)
    ds.PixelData = plain + b"\0" * (len(plain) % 2)
    ds["PixelData"].VR = "OW" if module.bits_allocated > 8 else "OB"
    ds["PixelData"].is_undefined_length = False


def _joined(frames: list[bytes], frame_bits: int) -> bytes:
    """Frames that end within a byte, one right after the other (PS3.5 8.1.1)."""
    bits = [
        np.unpackbits(np.frombuffer(each, np.uint8), count=frame_bits, bitorder="little") for each in frames
    ]
    return np.packbits(np.concatenate(bits), bitorder="little").tobytes()


def _say_lossy(ds: FileDataset, ratio: float) -> None:
    """PS3.3 C.7.6.1.1.5, after what was said of earlier losses."""
    ds.LossyImageCompression = "01"
    for keyword, value in (
        ("LossyImageCompressionRatio", f"{ratio:.4g}"),
        ("LossyImageCompressionMethod", "ISO_10918_1"),
    ):
        before: Any = ds.get(keyword) or []
        setattr(ds, keyword, [*([before] if isinstance(before, str | float) else before), value])
    kind = list(ds.get("ImageType", None) or ["ORIGINAL", "PRIMARY"])
    ds.ImageType = ["DERIVED", *kind[1:]]


def _written(ds: FileDataset, target: str) -> bytes:
    from pydicom import dcmwrite
    from pydicom.uid import UID

    ds.file_meta.TransferSyntaxUID = UID(target)
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "")
    ds.preamble = b"\0" * 128
    out = io.BytesIO()
    dcmwrite(out, ds, implicit_vr=target == IMPLICIT_LITTLE_UID, little_endian=True, enforce_file_format=True)
    return out.getvalue()


def _has_hidden_overlay(ds: FileDataset) -> bool:
    """Whether an overlay lies in unused bits of the pixels, which a codec would lose (retired in 2004)."""
    return any((group, 0x0010) in ds and (group, 0x3000) not in ds for group in range(0x6000, 0x6020, 2))


def _fitting(module: PixelModule) -> tuple[str, ...]:
    return (*NATIVE, *(uid for uid, encoder in ENCODERS.items() if encoder.fits(module)))


def _instead(targets: tuple[str, ...]) -> str:
    return "These would do: " + ", ".join(f"{uid} ({transfer_syntax(uid).name})" for uid in targets) + "."
