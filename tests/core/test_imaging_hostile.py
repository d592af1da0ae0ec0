"""Files that lie about themselves get a sentence: no huge allocation, no traceback, no hang."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import KnownError, NotDicom, NotRenderable
from core.imaging.image import ImageObject
from core.imaging.render import render
from tests.core.imaging_objects import (
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    compressed,
    file_of,
    grey_ramp,
    picture,
    raw_file,
    rle_frame,
)

GOOD = file_of(grey_ramp(16, 16))


def refused(data: bytes) -> str:
    with pytest.raises(KnownError) as caught:
        ImageObject.open(data).frame(0)
    return caught.value.message


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"Rows": 65535, "Columns": 65535}, "too large"),
        ({"Rows": 30000, "Columns": 30000, "BitsAllocated": 8, "BitsStored": 8}, "too large"),
        ({"Rows": 20000, "Columns": 10000}, "ends inside its picture"),
        ({"NumberOfFrames": 2_000_000}, "claims 2000000 frames"),
        ({"Rows": 0}, "how large"),
        ({"Rows": None}, "how large"),
        ({"Columns": None}, "how large"),
        ({"BitsAllocated": 24}, "24 bits"),
        ({"BitsAllocated": None}, "Bits Allocated"),
        ({"SamplesPerPixel": 4}, "4 samples"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palette of this picture is missing"),
        ({"PixelData": b""}, "picture of this object is empty"),
        ({"PixelData": None}, "holds no picture"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "CMYK", "PixelData": bytes(1536)}, "CMYK"),
    ],
)
def test_a_header_that_cannot_be(elements: dict[str, object], sentence: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sentence in refused(file_of(grey_ramp(16, 16), **elements))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "memory in KiB"


def test_what_is_missing_is_presumed() -> None:
    lean = file_of(grey_ramp(16, 16), PhotometricInterpretation=None, SamplesPerPixel=None, BitsStored=None,
                   HighBit=None, PixelRepresentation=None)  # fmt: skip
    np.testing.assert_array_equal(ImageObject.open(lean).frame(0).pixels, grey_ramp(16, 16))


def test_every_cut_of_a_file_is_refused_with_a_sentence() -> None:
    for length in range(0, len(GOOD) - 1, 7):
        assert refused(GOOD[:length]).endswith(".")


@settings(max_examples=300, deadline=None)
@given(st.integers(132, len(GOOD) - 520), st.binary(min_size=1, max_size=6))
def test_bytes_overwritten_anywhere_in_the_header(at: int, junk: bytes) -> None:
    data = GOOD[:at] + junk + GOOD[at + len(junk) :]
    try:
        image = ImageObject.open(data)
        assert render(image, 0).dtype == np.uint8
    except KnownError as refusal:
        assert refusal.message.endswith((".", ")"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_at_all(data: bytes) -> None:
    for file in (data, raw_file(data)):
        with pytest.raises(KnownError):
            ImageObject.open(file).frame(0)


def test_sequences_nested_without_end() -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    assert "too deeply" in refused(raw_file(b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item * 5000))
    assert "does not end" in refused(raw_file(b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\0" * 40))


def test_a_deflated_bomb_and_deflated_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + bytes(4 << 20)) + packer.flush()
    monkeypatch.setattr("core.imaging.reading.INFLATED_AT_MOST", 1 << 20)
    assert "unpack to over" in refused(raw_file(bomb, "1.2.840.10008.1.2.1.99"))
    assert "damaged" in refused(raw_file(b"\xff" * 64, "1.2.840.10008.1.2.1.99"))


def test_rle_segments_that_point_anywhere() -> None:
    pixels = grey_ramp(16, 16)
    good = rle_frame(pixels)
    for offsets in ((2, 64, 1 << 30), (2, 0, 0), (15, 64), (0,), (2, 1 << 31, 64)):
        head = struct.pack("<16I", *offsets, *[0] * (16 - len(offsets)))
        assert "damaged" in refused(compressed([head + good[64:]], pixels, RLE))
    for cut in (40, 42, 63, 66):
        assert "damaged" in refused(compressed([good[:cut]], pixels, RLE))
    assert "damaged" in refused(compressed([good[: len(good) // 2]], pixels, RLE))


@pytest.mark.parametrize("lossless", [False, True])
def test_a_jpeg_cut_short_is_not_shown_half_grey(lossless: bool) -> None:
    pixels = grey_ramp(64, 64, "u1", 255)
    stream = imagecodecs.ljpeg_encode(pixels) if lossless else imagecodecs.jpeg8_encode(pixels, level=95)
    syntax = JPEG_LOSSLESS if lossless else JPEG_BASELINE
    assert ImageObject.open(compressed([stream + b"\0" * 9], pixels, syntax)).frame(0).rows == 64
    assert "damaged" in refused(compressed([stream[: len(stream) * 2 // 3]], pixels, syntax))


def test_a_jpeg_ls_stream_cut_short_is_refused_at_once() -> None:
    pixels = grey_ramp(dtype="u1", top=255)
    stream = imagecodecs.jpegls_encode(pixels)
    began = time.perf_counter()
    for cut in range(100, len(stream) - 2, 8):
        assert "damaged" in refused(compressed([stream[:cut]], pixels, JPEG_LS))
    assert time.perf_counter() - began < 15, "one alone took the decoder five seconds without its end marker"


def test_palettes_that_lie() -> None:
    base = {"PhotometricInterpretation": "PALETTE COLOR"}
    names = ("Red", "Green", "Blue")

    def with_palette(descriptor: list[int], data: bytes, kind: str = "") -> bytes:
        ds = picture(grey_ramp(16, 16, "u1", 255), **base)
        for name in names:
            setattr(ds, f"{name}PaletteColorLookupTableDescriptor", descriptor)
            setattr(ds, f"{kind}{name}PaletteColorLookupTableData", data)
        from core.media.samples import part10

        return part10(ds)

    assert "damaged" in refused(with_palette([256, 0, 16], b""))
    endless = struct.pack("<5H", 0, 1, 7, 1, 65535) + struct.pack("<H", 9)
    again = struct.pack("<4H", 2, 65535, 0, 0) * 50
    shown = ImageObject.open(with_palette([256, 0, 16], endless + again, "Segmented")).frame(0)
    assert shown.pixels.shape == (16, 16, 3)
    assert "damaged" in refused(with_palette([256, 0, 16], struct.pack("<3H", 1, 5, 9), "Segmented"))
    ramp = bytes(range(256))
    straight = ImageObject.open(with_palette([256, 0, 8], ramp)).frame(0)
    np.testing.assert_array_equal(straight.pixels[..., 1], grey_ramp(16, 16, "u1", 255))
    short = ImageObject.open(with_palette([16, 100, 8], bytes(range(16)))).frame(0)
    assert int(short.pixels.max()) == 15


def test_damaged_overlays_and_tables_leave_the_picture_alone() -> None:
    ds = picture(grey_ramp(16, 16))
    ds.add_new(0x60000010, "US", 60000)
    ds.add_new(0x60000011, "US", 60000)
    ds.add_new(0x60003000, "OW", b"\xff" * 32)
    ds.add_new(0x60020010, "US", 16)
    ds.add_new(0x60020011, "US", 16)
    ds.add_new(0x60020050, "SS", [1, 1])
    ds.add_new(0x60023000, "OW", b"\x01" + b"\0" * 31)
    from core.media.samples import part10

    frame = ImageObject.open(part10(ds)).frame(0)
    assert len(frame.overlays) == 1
    assert np.argwhere(frame.overlays[0].plane).tolist() == [[0, 0]]


def test_other_kinds_of_files(tmp_path: Path) -> None:
    for data in (
        b"",
        b"PK\x03\x04" + bytes(200),
        b"GIF89a" + bytes(300),
        b"\x00" * 1000,
        b"%PDF-1.4" + bytes(150),
    ):
        with pytest.raises(NotDicom):
            ImageObject.open(data)
    with pytest.raises(FileNotFoundError):
        ImageObject.open(tmp_path / "absent")
    with pytest.raises(NotRenderable, match="structured report"):
        ImageObject.open(raw_file(b"\x08\x00\x16\x00UI\x1e\x001.2.840.10008.5.1.4.1.1.88.11\0\0"))
