"""Every compression written by an encoder and read back; offset tables that help, lie or are missing."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest

from core.errors import NotFound, NotRenderable
from core.imaging.image import ImageObject
from core.imaging.render import render
from tests.core.imaging_objects import (
    ENCODERS,
    HTJ2K,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LS,
    JPEG_XL,
    RLE,
    colours,
    compressed,
    file_of,
    grey_ramp,
)


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_greys_without_loss(syntax: str, dtype: str) -> None:
    pixels = grey_ramp(dtype=dtype, top=np.iinfo(dtype).max)
    image = ImageObject.open(compressed([ENCODERS[syntax](pixels)], pixels, syntax))
    np.testing.assert_array_equal(image.frame(0).pixels, pixels)


@pytest.mark.parametrize("syntax", [s for s in ENCODERS if not s.endswith((".70", ".8.1"))])
def test_colours_without_loss(syntax: str) -> None:
    rgb = colours()
    image = ImageObject.open(compressed([ENCODERS[syntax](rgb)], rgb, syntax))
    np.testing.assert_array_equal(image.frame(0).pixels, rgb)


def test_signed_values_of_fewer_bits_than_stored() -> None:
    pixels = (grey_ramp(top=4095).astype(np.int32) - 2048).astype(np.int16)
    stored = (pixels.view(np.uint16)) & 0x0FFF
    data = compressed([imagecodecs.jpegls_encode(stored)], pixels, JPEG_LS, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(ImageObject.open(data).frame(0).pixels, pixels)


def test_jpeg_baseline_greys_and_twelve_bits() -> None:
    eight, twelve = grey_ramp(dtype="u1", top=255), grey_ramp(top=4095)
    one = compressed([imagecodecs.jpeg8_encode(eight, level=100)], eight, JPEG_BASELINE)
    two = compressed(
        [imagecodecs.jpeg8_encode(twelve, level=100, bitspersample=12)], twelve, JPEG_EXTENDED, BitsStored=12
    )
    assert np.abs(ImageObject.open(one).frame(0).pixels.astype(int) - eight).max() <= 2
    assert np.abs(ImageObject.open(two).frame(0).pixels.astype(int) - twelve).max() <= 24


@pytest.mark.parametrize(
    ("in_stream", "photometric"),
    [("YCBCR", "YBR_FULL_422"), ("YCBCR", "YBR_FULL"), ("RGB", "RGB"), ("RGB", "YBR_FULL"), ("YCBCR", "RGB")],
)
def test_jpeg_colours_follow_the_markers_of_the_stream(in_stream: str, photometric: str) -> None:
    rgb = colours(32, 48)
    data = imagecodecs.jpeg8_encode(
        rgb, level=100, colorspace="RGB", outcolorspace=in_stream, subsampling="444"
    )
    image = ImageObject.open(compressed([data], rgb, JPEG_BASELINE, PhotometricInterpretation=photometric))
    assert image.photometric_interpretation == photometric
    assert np.abs(image.frame(0).pixels.astype(int) - rgb).max() <= 4


def many(count: int = 5) -> list[np.ndarray]:
    return [grey_ramp(top=1000 * (n + 1)) for n in range(count)]


def test_a_frame_is_found_with_and_without_an_offset_table() -> None:
    frames = many()
    packed = [ENCODERS[RLE](frame) for frame in frames]
    for table in (True, False):
        image = ImageObject.open(compressed(packed, frames[0], RLE, table=table))
        assert image.frame_count == 5
        for n in (4, 0, 2):
            np.testing.assert_array_equal(image.frame(n).pixels, frames[n])


def split(stream: bytes, parts: int) -> list[bytes]:
    step = len(stream) // parts // 2 * 2
    pieces = [stream[n * step : (n + 1) * step] for n in range(parts - 1)]
    return [*pieces, stream[(parts - 1) * step :]]


def fragmented(frames: list[bytes], offsets: list[int]) -> bytes:
    """Encapsulated pixel data with three fragments a frame and the given offset table."""
    out = (
        b"\xfe\xff\x00\xe0" + struct.pack("<I", 4 * len(offsets)) + struct.pack(f"<{len(offsets)}I", *offsets)
    )
    for frame in frames:
        for piece in split(frame + b"\0" * (len(frame) % 2), 3):
            out += b"\xfe\xff\x00\xe0" + struct.pack("<I", len(piece)) + piece
    return out + b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_fragments_are_joined_though_the_offset_table_lies() -> None:
    frames = many(4)
    packed = [ENCODERS[JPEG_2000](frame) for frame in frames]
    whole = compressed(packed, frames[0], JPEG_2000, table=False)
    head = whole[: whole.rindex(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12]
    true, at = [], 0
    for frame in packed:
        true.append(at)
        at += 24 + len(frame) + len(frame) % 2
    for offsets in ([], true, [0, 7, 9, 11], [0, 1 << 30, 1 << 31, (1 << 32) - 2], [5, 4, 3, 2], true[:2]):
        image = ImageObject.open(head + fragmented(packed, offsets))
        for n in (3, 0, 1):
            np.testing.assert_array_equal(image.frame(n).pixels, frames[n], str(offsets))


def test_an_extended_offset_table_is_used_and_checked() -> None:
    frames = many(3)
    packed = [f + b"\0" * (len(f) % 2) for f in (ENCODERS[JPEG_LS](frame) for frame in frames)]
    offsets = [0, 8 + len(packed[0]), 16 + len(packed[0]) + len(packed[1])]
    for lie in (0, 3):
        data = compressed(
            packed,
            frames[0],
            JPEG_LS,
            table=False,
            ExtendedOffsetTable=struct.pack("<3Q", offsets[0], offsets[1], offsets[2] + lie),
            ExtendedOffsetTableLengths=struct.pack("<3Q", *map(len, packed)),
        )
        image = ImageObject.open(data)
        for n in range(3):
            np.testing.assert_array_equal(image.frame(n).pixels, frames[n])


def test_frames_that_are_not_there() -> None:
    frames = many(3)
    data = compressed([ENCODERS[RLE](f) for f in frames], frames[0], RLE, table=False)
    claims_more = data.replace(b"\x28\x00\x08\x00IS\x02\x003 ", b"\x28\x00\x08\x00IS\x02\x009 ")
    image = ImageObject.open(claims_more)
    assert image.frame_count == 9
    with pytest.raises(NotRenderable, match="claims 9 frames and holds 3"):
        image.frame(8)
    with pytest.raises(NotFound):
        image.frame(9)
    with pytest.raises(NotFound):
        image.frame(-1)


def test_a_native_frame_is_read_alone_and_a_missing_one_is_named() -> None:
    loop = np.stack(many(4))
    data = file_of(loop)
    np.testing.assert_array_equal(ImageObject.open(data).frame(3).pixels, loop[3])
    cut = ImageObject.open(data[: -loop[0].nbytes])
    np.testing.assert_array_equal(cut.frame(2).pixels, loop[2])
    with pytest.raises(NotRenderable, match="ends inside its picture"):
        cut.frame(3)


def test_one_bit_frames_that_do_not_end_on_a_byte() -> None:
    planes = np.random.default_rng(1).integers(0, 2, (3, 7, 5), dtype=np.uint8)
    packed = np.packbits(planes.reshape(-1), bitorder="little").tobytes()
    data = file_of(
        planes, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + b"\0" * (len(packed) % 2)
    )
    image = ImageObject.open(data)
    for n in range(3):
        np.testing.assert_array_equal(image.frame(n).pixels, planes[n])
        np.testing.assert_array_equal(render(image, n), planes[n] * 255)


@pytest.mark.parametrize("syntax", [JPEG_2000, HTJ2K, JPEG_LS, JPEG_XL, JPEG_BASELINE])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(syntax: str) -> None:
    small, large = grey_ramp(dtype="u1", top=255), grey_ramp(512, 512, "u1", 255)
    encode = ENCODERS.get(syntax, lambda a: imagecodecs.jpeg8_encode(a))
    data = compressed([encode(large)], small, syntax)
    with pytest.raises(NotRenderable, match="40 x 24 pixels, the compressed picture of 512 x 512"):
        ImageObject.open(data).frame(0)


@pytest.mark.parametrize("syntax", [JPEG_2000, HTJ2K, JPEG_LS, JPEG_XL, RLE, JPEG_BASELINE])
def test_damaged_streams_are_refused_or_shown_never_fatal(syntax: str) -> None:
    pixels = grey_ramp(dtype="u1", top=255)
    encode = ENCODERS.get(syntax, lambda a: imagecodecs.jpeg8_encode(a))
    good = encode(pixels)
    chance = np.random.default_rng(7)
    for _ in range(25):
        bad = bytearray(good)
        for _ in range(3):
            bad[int(chance.integers(0, len(bad)))] = int(chance.integers(0, 256))
        data = compressed([bytes(bad[: int(chance.integers(len(bad) // 2, len(bad) + 1))])], pixels, syntax)
        try:
            assert ImageObject.open(data).frame(0).pixels.shape == pixels.shape
        except NotRenderable as refusal:
            assert refusal.message.endswith(".")


def test_a_stream_of_another_kind_than_the_file_says_is_read_for_what_it_is() -> None:
    pixels = grey_ramp()
    data = compressed([ENCODERS[JPEG_LS](pixels)], pixels, JPEG_2000)
    np.testing.assert_array_equal(ImageObject.open(data).frame(0).pixels, pixels)
    with pytest.raises(NotRenderable, match="not known here"):
        ImageObject.open(compressed([b"no such compression"], pixels, JPEG_2000)).frame(0)
