"""What is painted is what core renders: made-up and real files, at one screen pixel for each image pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from core.dicom.refs import FileRef, Found, Header
from core.imaging.image import ImageObject
from core.imaging.render import render
from core.imaging.stack import Stack
from core.media.samples import SampleStudy, ct_slice, part10
from ui.viewer.corners import Density
from ui.viewer.stack_frames import StackFrames
from ui.viewer.viewport import Viewport

REAL = (
    "bits/cr-mono1-j2k.dcm",
    "bits/voi-lut.dcm",
    "bits/modality-lut-12bit-signed.dcm",
    "bits/mr-big-endian-256.dcm",
    "bits/us-no-pixel-spacing.dcm",
    "bits/parametric-map-float32.dcm",
    "color/rgb.dcm",
)


class OneFile:
    """A source of one file."""

    name = "One file"

    def __init__(self, path: Path) -> None:
        self.path = path

    def headers(self) -> list[Found]:
        """Not asked for."""
        return []

    def open(self, _ref: FileRef):  # type: ignore[no-untyped-def]
        """The file."""
        return self.path.open("rb")


def painted(qtbot: QtBot, path: Path, *, inverted: bool = False, rotated: bool = False) -> np.ndarray:
    """The picture as the tile paints it at its own size, without text; RGB."""
    header = Header("", "1.2.3", "1.2", "1.2.1", "")
    frames = StackFrames(Stack(OneFile(path), [Found(FileRef("x"), header, path.stat().st_size)]))
    port = Viewport()
    qtbot.addWidget(port)
    port.setMinimumSize(1, 1)
    port.density = Density.PATIENT_ONLY
    port.show_frames(frames, "1.2.1")
    qtbot.waitUntil(lambda: not port.waiting)
    assert port.picture is not None and port.picture.source is not None, port.picture and port.picture.reason
    shape = port.picture.shape
    port.resize(*((shape.rows, shape.columns) if rotated else (shape.columns, shape.rows)))
    port.actual_size()
    port.set_inverted(inverted)
    if rotated:
        port.turned(1)
    port.canvas.hurry = False
    image = port.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    port.release()
    frames.wait_closed()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()


def expected(path: Path) -> np.ndarray:
    """What core renders, RGB."""
    picture = render(ImageObject.open(path), 0)
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture


def below_the_text(picture: np.ndarray) -> np.ndarray:
    """Without the lines that name the patient at the top left."""
    half = picture.shape[0] // 2
    return np.concatenate([picture[half:], picture[:half, ::-1][:, : picture.shape[1] // 3]], axis=None)


@pytest.fixture
def slice_file(tmp_path: Path) -> Path:
    path = tmp_path / "slice.dcm"
    path.write_bytes(part10(ct_slice(SampleStudy(), size=256)))
    return path


def test_a_slice_is_painted_pixel_for_pixel(qtbot: QtBot, slice_file: Path) -> None:
    assert np.array_equal(below_the_text(painted(qtbot, slice_file)), below_the_text(expected(slice_file)))


def test_a_negative_is_the_complement(qtbot: QtBot, slice_file: Path) -> None:
    negative = painted(qtbot, slice_file, inverted=True)
    assert np.array_equal(below_the_text(negative), below_the_text(255 - expected(slice_file)))


def test_a_quarter_turn_is_exact(qtbot: QtBot, slice_file: Path) -> None:
    turned = painted(qtbot, slice_file, rotated=True)
    wanted = np.rot90(expected(slice_file), -1)
    assert np.array_equal(below_the_text(turned), below_the_text(wanted))


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_painted_as_core_renders_them(qtbot: QtBot, testdata: Path, name: str) -> None:
    path = testdata / name
    got, wanted = painted(qtbot, path), expected(path)
    assert got.shape == wanted.shape
    assert np.array_equal(below_the_text(got), below_the_text(wanted))
