"""`filmjacket render`: pictures as files, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.commands.render import run
from core.errors import NotDicom, NotFound
from core.imaging.image import ImageObject
from core.imaging.render import render
from core.imaging.voi import Voi
from core.media import samples

STUDY = samples.SampleStudy()


def test_jpeg_and_png_of_a_frame(tmp_path: Path) -> None:
    loop = samples.write(samples.ultrasound_cine(STUDY), tmp_path / "loop.dcm")
    assert run(loop, tmp_path / "third.png", frame=3) == 0
    with Image.open(tmp_path / "third.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), render(ImageObject.open(loop), 2))
    assert run(loop, tmp_path / "small.jpg", 1, None, 48) == 0
    with Image.open(tmp_path / "small.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (48, 48))
    assert {p.name for p in tmp_path.iterdir()} == {"loop.dcm", "third.png", "small.jpg"}


def test_a_window(tmp_path: Path) -> None:
    ct = samples.write(samples.ct_slice(STUDY), tmp_path / "ct.dcm")
    assert run(ct, tmp_path / "lung.png", window="-600, 1500") == 0
    with Image.open(tmp_path / "lung.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), render(ImageObject.open(ct), 0, Voi(-600, 1500)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.gif", {}),
        ("a", {}),
        ("a.png", {"frame": 0}),
        ("a.png", {"size": 0}),
        ("a.png", {"window": "40"}),
        ("a.png", {"window": "forty,400"}),
        ("a.png", {"window": "40,0"}),
        ("a.png", {"window": "nan,400"}),
    ],
)
def test_wrong_usage(
    tmp_path: Path, name: str, options: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    ct = samples.write(samples.ct_slice(STUDY), tmp_path / "ct.dcm")
    assert run(ct, tmp_path / name, **options) == 2  # type: ignore[arg-type]
    assert capsys.readouterr().err.endswith(".\n")
    assert [p.name for p in tmp_path.iterdir()] == ["ct.dcm"]


def test_what_cannot_be_shown_leaves_no_file(tmp_path: Path) -> None:
    ct = samples.write(samples.ct_slice(STUDY), tmp_path / "ct.dcm")
    with pytest.raises(NotFound, match="no frame 2"):
        run(ct, tmp_path / "a.png", frame=2)
    text = tmp_path / "text.dcm"
    text.write_text("hello")
    with pytest.raises(NotDicom):
        run(text, tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        run(ct, tmp_path / "nowhere" / "a.png")
    assert {p.name for p in tmp_path.iterdir()} == {"ct.dcm", "text.dcm"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        assert run(tmp_path / name, tmp_path / "out.png") == 2
    assert capsys.readouterr().err.count("is no file.") == 2
    assert not (tmp_path / "out.png").exists()
