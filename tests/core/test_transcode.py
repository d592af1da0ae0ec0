"""Transcoding: no stored value is lost, group 2 and the pixel module say what is there, or it is refused."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import NotAcceptable
from core.imaging.codestream import inspect
from core.imaging.image import ImageObject
from core.imaging.transcode import (
    ENCODERS,
    HTJ2K_UID,
    JPEG_BASELINE_UID,
    JPEG_LOSSLESS_UID,
    NATIVE,
    RLE_UID,
    TARGETS,
    transcode,
)
from core.media.samples import (
    SampleStudy,
    colour_photo,
    ct_slice,
    dataset,
    encapsulated_pdf,
    part10,
    pdf_report,
    ultrasound_cine,
    with_pixels,
)

STUDY = SampleStudy(seed="transcode")
LOSSLESS = [uid for uid in TARGETS if uid != JPEG_BASELINE_UID]


def grey(dtype: str, bits: int, low: int, high: int) -> Dataset:
    pixels = np.random.default_rng(bits).integers(low, high, (33, 47)).astype(dtype)
    return with_pixels(dataset(STUDY), pixels, bits_stored=bits)


OBJECTS: dict[str, Dataset] = {
    "signed 16": ct_slice(STUDY, size=64),
    "signed 12": grey("i2", 12, -2048, 2048),
    "unsigned 12": grey("u2", 12, 0, 4096),
    "unsigned 8": grey("u1", 8, 0, 256),
    "loop": ultrasound_cine(STUDY, frames=3, size=32),
    "colour": colour_photo(STUDY, size=33),
}


def read(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return dcmread(io.BytesIO(data))


def samples(data: bytes) -> np.ndarray:
    image = ImageObject.open(data)
    return np.stack([image.stored(n).samples for n in range(image.frame_count)])


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("name", OBJECTS)
def test_nothing_is_lost_on_the_way_there_and_back(name: str, target: str) -> None:
    data = part10(OBJECTS[name])
    there = transcode(data, target)
    back = transcode(there, EXPLICIT_LITTLE_UID)
    ds = read(there)
    assert ds.file_meta.TransferSyntaxUID == target
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert ds.file_meta.ImplementationVersionName == "FILMJACKET"
    assert (samples(there) == samples(data)).all() and (samples(back) == samples(data)).all()
    assert "LossyImageCompression" not in ds
    first, last = dcmread(io.BytesIO(data)), read(back)
    same = {e.tag for e in first if e.tag.group != 0x7FE0} - {0x00280006}
    assert all(first[tag].value == last[tag].value for tag in same)
    if target in ENCODERS:
        assert ds["PixelData"].is_undefined_length
    if target == RLE_UID:
        assert (ds.pixel_array == dcmread(io.BytesIO(data)).pixel_array).all(), "as another reader sees it"


def test_colours_say_how_they_are_written() -> None:
    data = part10(OBJECTS["colour"])
    expected = {uid: encoder.photometric for uid, encoder in ENCODERS.items()} | dict.fromkeys(NATIVE, "RGB")
    for target, photometric in expected.items():
        ds = read(transcode(data, target))
        assert (ds.PhotometricInterpretation, ds.PlanarConfiguration) == (photometric, 0)


def test_a_lossy_one_says_so_and_goes_on_saying_so() -> None:
    data = part10(OBJECTS["colour"])
    lossy = transcode(data, JPEG_BASELINE_UID)
    ds = read(lossy)
    assert ds.LossyImageCompression == "01" and ds.LossyImageCompressionMethod == "ISO_10918_1"
    assert ds.LossyImageCompressionRatio > 1 and ds.ImageType[0] == "DERIVED"
    again = read(transcode(lossy, EXPLICIT_LITTLE_UID))
    assert again.LossyImageCompression == "01" and again.PhotometricInterpretation == "RGB"
    difference = samples(lossy).astype(int) - samples(data)
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("name", ["signed 16", "unsigned 12"])
def test_baseline_is_for_8_bits(name: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        transcode(part10(OBJECTS[name]), JPEG_BASELINE_UID)
    assert "RLE Lossless" in refused.value.remedy and "Baseline" not in refused.value.remedy


def test_what_has_no_picture_changes_its_encoding_only() -> None:
    data = part10(encapsulated_pdf(STUDY, pdf_report(["x"])))
    for target in NATIVE:
        ds = read(transcode(data, target))
        assert ds.file_meta.TransferSyntaxUID == target
        assert bytes(ds.EncapsulatedDocument) == dcmread(io.BytesIO(data)).EncapsulatedDocument
    for target in ENCODERS:
        with pytest.raises(NotAcceptable) as refused:
            transcode(data, target)
        assert "Explicit VR Little Endian" in refused.value.remedy


@pytest.mark.parametrize("target", ["", "1.2.3", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.2"])
def test_what_cannot_be_written(target: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        transcode(part10(OBJECTS["colour"]), target)
    assert all(uid in refused.value.remedy for uid in TARGETS)


def test_real_objects_keep_their_values(testdata: Path) -> None:
    tried = 0
    for path in sorted([*(testdata / "bits").glob("*.dcm"), *(testdata / "color").glob("*.dcm")]):
        data = path.read_bytes()
        if len(data) > 200 << 10:
            continue
        for target in LOSSLESS:
            try:
                there = transcode(data, target)
            except NotAcceptable as refused:
                assert refused.remedy
                continue
            if "PixelData" in dcmread(io.BytesIO(there)):
                assert (samples(there) == samples(data)).all(), (path.name, target)
                tried += 1
    assert tried > 50


@pytest.mark.parametrize(
    ("target", "decode"),
    [(HTJ2K_UID, imagecodecs.htj2k_decode), (JPEG_LOSSLESS_UID, imagecodecs.jpegsof3_decode)],
)
@pytest.mark.parametrize("name", ["unsigned 12", "unsigned 8", "colour"])
def test_another_decoder_reads_the_same_and_the_stream_knows_its_depth(
    name: str, target: str, decode: Callable[[bytes], np.ndarray]
) -> None:
    data = part10(OBJECTS[name])
    ds = read(transcode(data, target))
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    stream = inspect(memoryview(frame))
    assert stream is not None and (stream.bits, stream.signed) == (ds.BitsStored, False)
    assert (decode(frame) == samples(data)[0]).all()


def test_htj2k_says_of_signed_samples_that_they_are() -> None:
    (frame,) = generate_frames(
        read(transcode(part10(OBJECTS["signed 12"]), HTJ2K_UID)).PixelData, number_of_frames=1
    )
    stream = inspect(memoryview(frame))
    assert stream is not None and (stream.bits, stream.signed) == (12, True)


def test_frames_that_end_within_a_byte() -> None:
    bits = np.random.default_rng(5).integers(0, 2, (3, 5, 5)).astype(np.uint8)
    ds = with_pixels(dataset(STUDY), bits)
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = 0
    ds.PixelData = encapsulate([_rle_of_bits(frame) for frame in bits])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = RLE_UID
    there = read(transcode(part10(ds), EXPLICIT_LITTLE_UID))
    assert (there.pixel_array == bits).all(), "as another reader sees it"


def _rle_of_bits(frame: np.ndarray) -> bytes:
    packed = np.packbits(frame, bitorder="little").tobytes()
    segment = bytes([len(packed) - 1]) + packed
    return struct.pack("<16I", 1, 64, *[0] * 14) + segment + b"\0" * (len(segment) % 2)
