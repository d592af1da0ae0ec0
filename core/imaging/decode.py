"""From a frame's bytes to its samples, by transfer syntax; every decoder's result is checked before use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.errors import NotRenderable
from core.imaging import codecs
from core.imaging.codecs import Array, CodecFailed
from core.imaging.codestream import Codestream, Kind, inspect
from core.imaging.pixel_module import PixelModule

RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
VIDEO = {
    # transfer syntax prefix (PS3.5 A.4.5 and on) -> what it is called
    "1.2.840.10008.1.2.4.100": "an MPEG-2 video",
    "1.2.840.10008.1.2.4.101": "an MPEG-2 video",
    "1.2.840.10008.1.2.4.102": "an MPEG-4 AVC/H.264 video",
    "1.2.840.10008.1.2.4.103": "an MPEG-4 AVC/H.264 video",
    "1.2.840.10008.1.2.4.104": "an MPEG-4 AVC/H.264 video",
    "1.2.840.10008.1.2.4.105": "an MPEG-4 AVC/H.264 video",
    "1.2.840.10008.1.2.4.106": "an MPEG-4 AVC/H.264 video",
    "1.2.840.10008.1.2.4.107": "an HEVC/H.265 video",
    "1.2.840.10008.1.2.4.108": "an HEVC/H.265 video",
}
DAMAGED = "The compressed picture is damaged and cannot be read."


class Decoded(NamedTuple):
    """Samples as (rows, columns) or (rows, columns, 3), and the photometric interpretation they have now."""

    samples: Array
    photometric: str


def decode_native(data: memoryview, skip_bits: int, module: PixelModule, order: str = "<") -> Decoded:
    """An uncompressed frame; *data* is exactly its bytes, *order* "<" or ">"."""
    if module.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        flat: Array = bits[skip_bits : skip_bits + module.samples_in_frame]
    else:
        flat = np.frombuffer(data, _dtype(module, order), module.samples_in_frame)
        if not flat.dtype.isnative:
            flat = flat.astype(flat.dtype.newbyteorder("="))
    samples = _shaped(flat, module)
    if not module.is_float:
        samples = _stored_bits(samples, module.bits_stored, module.high_bit, signed=module.signed)
    return Decoded(samples, module.photometric)


def decode_encapsulated(data: memoryview, module: PixelModule, transfer_syntax_uid: str) -> Decoded:
    """A compressed frame. Raises NotRenderable with the reason."""
    if video := VIDEO.get(transfer_syntax_uid[:23]):
        raise NotRenderable(f"This object is {video}; it cannot be played here.")
    if module.is_float:
        raise NotRenderable("Compressed floating point pixels cannot be shown.")
    try:
        if transfer_syntax_uid == RLE_LOSSLESS:
            return _decode_rle(data, module)
        if transfer_syntax_uid == DEFLATED_IMAGE_FRAME:
            return _decode_deflated(data, module)
        stream = inspect(data)
        if stream is None:
            raise NotRenderable(f"The compression of this picture ({transfer_syntax_uid}) is not known here.")
        _check_claims(stream, module)
        return _decode_stream(data, stream, module)
    except CodecFailed as error:
        raise NotRenderable(DAMAGED) from error
    except MemoryError as error:
        raise NotRenderable("There is not enough memory to read this picture.") from error


def _check_claims(stream: Codestream, module: PixelModule) -> None:
    if (stream.rows, stream.columns) != (module.rows, module.columns):
        raise NotRenderable(
            f"The header speaks of {module.columns} x {module.rows} pixels, "
            f"the compressed picture of {stream.columns} x {stream.rows}."
        )
    if stream.components not in (0, module.samples) or stream.bits > max(8, module.bits_allocated):
        raise NotRenderable("The compressed picture has other samples than the header says.")


def _decode_stream(data: memoryview, stream: Codestream, module: PixelModule) -> Decoded:
    photometric = module.photometric
    signed = False
    if stream.kind is Kind.JPEG:
        samples, photometric = _decode_jpeg(data, stream, photometric)
    elif stream.kind is Kind.JPEG_LS:
        samples = codecs.decode_jpeg_ls(data)
    elif stream.kind is Kind.JPEG_XL:
        samples = codecs.decode_jpeg_xl(data)
        photometric = "RGB" if module.samples == 3 else photometric
    else:
        samples = codecs.decode_jpeg_2000(data)
        signed = stream.signed
        if stream.transform or photometric in ("YBR_RCT", "YBR_ICT"):
            photometric = "RGB"
    samples = _checked(samples, module)
    if module.signed and not signed:
        bits = stream.bits if stream.kind is Kind.JPEG_2000 else module.bits_stored
        samples = _stored_bits(samples, bits, bits - 1, signed=True)
    elif signed and not module.signed:
        samples = samples.view(samples.dtype.str.replace("i", "u"))
        samples = _stored_bits(samples, module.bits_stored, module.bits_stored - 1, signed=False)
    return Decoded(samples, photometric)


def _decode_jpeg(data: memoryview, stream: Codestream, photometric: str) -> tuple[Array, str]:
    """Colours by the stream's own markers, else by the header; lossless streams carry no transform."""
    if stream.lossless:
        try:
            return codecs.decode_jpeg(data, None if stream.components == 1 else "RGB"), photometric
        except CodecFailed:
            return codecs.decode_jpeg_lossless(data), photometric
    if stream.components == 1:
        return codecs.decode_jpeg(data, None), photometric
    transformed = photometric.startswith("YBR") if stream.transform is None else stream.transform
    return codecs.decode_jpeg(data, "YCBCR" if transformed else "RGB"), "RGB"


def _decode_rle(data: memoryview, module: PixelModule) -> Decoded:
    """PS3.5 annex G: a segment for each byte of a sample, highest first; 1-bit frames are packed (G.2)."""
    if module.bits_allocated == 1:
        (packed,) = codecs.decode_rle(data, 1, (module.frame_bits + 7) // 8)
        return decode_native(packed.data, 0, module)
    width, pixels = module.bits_allocated // 8, module.rows * module.columns
    planes = codecs.decode_rle(data, module.samples * width, pixels)
    flat = np.empty((pixels, module.samples, width), np.uint8)
    for n, plane in enumerate(planes):
        flat[:, n // width, width - 1 - n % width] = plane
    shape = (module.rows, module.columns) + ((3,) if module.samples == 3 else ())
    samples = flat.reshape(-1).view(_dtype(module, "<")).reshape(shape)
    photometric = "YBR_FULL" if module.photometric == "YBR_FULL_422" else module.photometric
    return Decoded(
        _stored_bits(samples, module.bits_stored, module.high_bit, signed=module.signed), photometric
    )


def _decode_deflated(data: memoryview, module: PixelModule) -> Decoded:
    size = (module.frame_bits + 7) // 8
    plain = codecs.inflate(data, size)
    if len(plain) < size:
        raise NotRenderable(DAMAGED)
    return decode_native(memoryview(plain), 0, module)


def _checked(samples: Array, module: PixelModule) -> Array:
    """Refuse what is not the picture the header speaks of."""
    expected = (module.rows, module.columns) + ((3,) if module.samples == 3 else ())
    if samples.shape != expected or samples.dtype.kind not in "iu" or samples.dtype.itemsize > 4:
        raise NotRenderable(DAMAGED)
    return samples


def _shaped(flat: Array, module: PixelModule) -> Array:
    rows, columns = module.rows, module.columns
    if module.samples == 1:
        return flat.reshape(rows, columns)
    if module.samples_in_frame != rows * columns * 3:  # 4:2:2: Y1 Y2 Cb Cr, for each two pixels
        pairs = flat.reshape(rows, -1, 4)
        full = np.empty((rows, pairs.shape[1] * 2, 3), flat.dtype)
        full[:, 0::2, 0], full[:, 1::2, 0] = pairs[:, :, 0], pairs[:, :, 1]
        full[:, :, 1:] = np.repeat(pairs[:, :, 2:], 2, axis=1)
        return full[:, :columns]
    if module.planar:
        return np.ascontiguousarray(np.moveaxis(flat.reshape(3, rows, columns), 0, -1))
    return flat.reshape(rows, columns, 3)


def _stored_bits(samples: Array, stored: int, high_bit: int, *, signed: bool) -> Array:
    """Only the stored bits, sign extended; what lies above them (old overlays, junk) is dropped."""
    width = samples.dtype.itemsize * 8
    if stored == width:
        wanted = samples.dtype.str[0] + ("i" if signed else "u") + samples.dtype.str[2:]
        return samples.view(wanted)
    if width == 8 and stored == 1:
        return samples
    unsigned = samples.view(samples.dtype.str.replace("i", "u"))
    up = max(0, width - 1 - high_bit)
    if not signed:
        if up == width - stored and not _any_above(unsigned, stored):
            return unsigned
        return (unsigned << up) >> (width - stored)
    shifted = unsigned << up
    return shifted.view(shifted.dtype.str.replace("u", "i")) >> (width - stored)


def _any_above(unsigned: Array, stored: int) -> bool:
    return bool(unsigned.size) and int(unsigned.max()) >> stored != 0


def _dtype(module: PixelModule, order: str) -> np.dtype[np.generic]:
    kind = "f" if module.is_float else "i" if module.signed and module.samples == 1 else "u"
    return np.dtype(f"{order}{kind}{module.bits_allocated // 8}")
