"""Motion JPEG files: every frame at the place their tables name, and players that are here play them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from core.media.motion import Film, Made, avi, mp4


def film(count: int, rate: float = 12.5) -> tuple[Film, list[bytes]]:
    """Frames of odd and even sizes."""
    frames = []
    for number in range(count):
        out = io.BytesIO()
        Image.new("RGB", (66, 34), (number * 7 % 256, 90, 200)).save(out, "JPEG")
        frames.append(out.getvalue() + b"\0" * (number % 3))
    return Film(io.BytesIO(b"".join(frames)), [len(each) for each in frames], 66, 34, rate), frames


def whole(made: Made) -> bytes:
    data = b"".join(made.chunks)
    assert len(data) == made.size
    return data


@pytest.mark.parametrize("count", [1, 2, 7])
def test_avi(count: int) -> None:
    source, frames = film(count)
    data = whole(avi(source))
    assert data[:4] == b"RIFF" and data[8:12] == b"AVI "
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    movie, index = data.index(b"movi"), data.index(b"idx1")
    assert struct.unpack("<I", data[movie - 4 : movie])[0] == index - movie
    for number, frame in enumerate(frames):
        entry = data[index + 8 + 16 * number : index + 24 + 16 * number]
        name, _, at, size = struct.unpack("<4sIII", entry)
        start = movie + at
        assert (name, size) == (b"00dc", len(frame))
        assert data[start : start + 8] == b"00dc" + struct.pack("<I", size)
        assert data[start + 8 : start + 8 + size] == frame
    header = data.index(b"avih") + 8
    assert struct.unpack("<I", data[header : header + 4])[0] == 80_000
    assert struct.unpack("<II", data[header + 32 : header + 40]) == (66, 34)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_mp4(count: int) -> None:
    source, frames = film(count)
    data = whole(mp4(source))
    boxes, at = {}, 0
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        boxes[name] = data[at + 8 : at + size]
        at += size
    assert at == len(data) and list(boxes) == [b"ftyp", b"moov", b"mdat"]
    sizes, offsets = data.index(b"stsz") + 16, data.index(b"stco") + 12
    for number, frame in enumerate(frames):
        size = struct.unpack(">I", data[sizes + 4 * number : sizes + 4 * number + 4])[0]
        where = struct.unpack(">I", data[offsets + 4 * number : offsets + 4 * number + 4])[0]
        assert data[where : where + size] == frame


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("form", [avi, mp4])
def test_players_know_them(tmp_path: Path, form: object) -> None:
    source, _ = film(5)
    path = tmp_path / "film"
    path.write_bytes(whole(form(source)))  # type: ignore[operator]  # one of the two
    said = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries",
         "stream=codec_name,width,height,r_frame_rate,nb_read_frames", "-of", "csv=p=0", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "mjpeg,66,34,25/2,5" and said.stderr == ""
