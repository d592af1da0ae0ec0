"""Opening an object: from bytes, files and streams, reading no more than a picture needs."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest

from core.imaging.image import ImageObject
from core.imaging.reading import WHOLE_BELOW, inflated, random_bytes
from core.media import samples
from tests.core.imaging_objects import STUDY, file_of, grey_ramp

LOOP = np.stack([grey_ramp(512, 512, top=1000 + n) for n in range(12)])


class Counting(io.BytesIO):
    """Counts the bytes that were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.fixture(scope="module")
def large() -> bytes:
    data = file_of(LOOP)
    assert len(data) > WHOLE_BELOW
    return data


def test_one_frame_of_a_large_object_reads_its_own_bytes_only(large: bytes) -> None:
    stream = Counting(large)
    np.testing.assert_array_equal(ImageObject.open(stream).frame(7).pixels, LOOP[7])
    assert stream.count < LOOP[7].nbytes + 200_000
    assert not stream.closed


def test_files_need_no_closing_and_can_be_read_from_threads(large: bytes, tmp_path: Path) -> None:
    path = tmp_path / "loop.dcm"
    path.write_bytes(large)
    for source in (path, large, memoryview(large), io.BytesIO(large)):
        image = ImageObject.open(source)
        wrong: list[int] = []

        def check(n: int, image: ImageObject = image, wrong: list[int] = wrong) -> None:
            if not np.array_equal(image.frame(n).pixels, LOOP[n]):
                wrong.append(n)

        threads = [threading.Thread(target=check, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
    image = ImageObject.open(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        image.frame(0)


def test_frames_are_read_only_and_do_not_hold_their_file() -> None:
    small = file_of(np.stack([grey_ramp(8, 8)] * 40))
    frame = ImageObject.open(small).frame(3)
    assert frame.pixels.base is None
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 1


def test_what_the_corners_of_a_viewer_say() -> None:
    ds = samples.ct_slice(STUDY, instance=4, size=32)
    ds.ContrastBolusAgent = "Jodhaltiges Röntgenkontrastmittel"
    ds.ImageLaterality = "L"
    ds.ViewPosition = "AP"
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "10.5"
    ds.BurnedInAnnotation = "YES"
    image = ImageObject.open(samples.part10(ds))
    said = image.attributes
    assert (said.modality, said.series_number, said.instance_number) == ("CT", 1, 4)
    assert (said.laterality, said.view_position, said.slice_thickness_mm) == ("L", "AP", 2.5)
    assert said.contrast == "Jodhaltiges Röntgenkontrastmittel"
    assert (said.lossy, said.lossy_ratio, said.burned_in_annotation) == (True, 10.5, True)
    assert said.position == (-200, -200, -10)
    assert said.grey.modality.unit == "HU"
    assert image.header.patient_name == STUDY.patient.name
    assert (image.rows, image.columns, image.modality, image.frame_count) == (32, 32, "CT", 1)


def test_a_picture_after_a_large_private_element_and_a_long_header() -> None:
    ds = samples.with_pixels(samples.dataset(STUDY), grey_ramp(16, 16))
    block = ds.private_block(0x0029, "FILMJACKET TEST", create=True)
    block.add_new(0x01, "OB", bytes(3 << 20))
    for n in range(2000):
        block = ds.private_block(0x0031 + 2 * (n // 200), "FILMJACKET TEST", create=True)
        block.add_new(n % 200 + 1, "LO", "x" * 60)
    stream = Counting(samples.part10(ds))
    np.testing.assert_array_equal(ImageObject.open(stream).frame(0).pixels, grey_ramp(16, 16))
    assert stream.count < 1 << 20, "the private element was stepped over"


def test_reads_past_the_end_come_back_short(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(WHOLE_BELOW + 10))
    with path.open("rb") as stream:
        for source in (random_bytes(path), random_bytes(stream), random_bytes(path.read_bytes())):
            assert len(source.read(source.size - 4, 100)) == 4
            assert len(source.read(source.size + 4, 100)) == 0


def test_inflating_keeps_every_byte() -> None:
    from tests.core.imaging_objects import deflated

    plain = bytes(range(256)) * 40
    assert bytes(inflated(memoryview(deflated(plain))).read(0, 1 << 20)) == plain
