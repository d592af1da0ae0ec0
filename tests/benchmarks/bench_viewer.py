"""Measures the viewer without a screen: `python tests/benchmarks/bench_viewer.py [--rounds 60]`.

Window/level drag: from the mouse event to the painted picture, 512 x 512 and 2048 x 2048, fitted into a tile
of 1000 x 1000. Scrolling: 300 CT slices of 512 x 512 from a local folder, first while they are read ahead,
then again from memory. Prints medians; made-up files in a temporary folder, which goes away.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent
from PySide6.QtWidgets import QApplication

from core.dicom.refs import FileRef, Found
from core.imaging.stack import Stack
from core.media.samples import SampleStudy, ct_slice, write
from tests.ui.viewing import header_of
from ui.viewer.stack_frames import StackFrames
from ui.viewer.viewport import Viewport

TILE = 1000


class FolderSource:
    """Files of a folder."""

    name = "Folder"

    def headers(self) -> list[Found]:
        """Not asked for."""
        return []

    def open(self, ref: FileRef) -> BinaryIO:
        """The file."""
        return Path(ref.path).open("rb")


def series(folder: Path, count: int, size: int) -> StackFrames:
    """*count* slices written to *folder* and opened."""
    found = []
    for n in range(1, count + 1):
        ds = ct_slice(SampleStudy(), instance=n, size=size)
        path = write(ds, folder / f"{n:05}.dcm")
        found.append(Found(FileRef(str(path)), header_of(ds), path.stat().st_size))
    return StackFrames(Stack(FolderSource(), found))


def painted(port: Viewport, canvas: QImage) -> None:
    """Paint the tile now, into a picture of the screen's format."""
    port.render(canvas)


def drag(port: Viewport, canvas: QImage, rounds: int) -> list[float]:
    """Milliseconds from each mouse move of a drag to the painted picture."""

    def send(kind: QEvent.Type, x: float, y: float, buttons: Qt.MouseButton) -> None:
        at = QPointF(x, y)
        none = Qt.KeyboardModifier.NoModifier
        button = Qt.MouseButton.LeftButton if kind != QEvent.Type.MouseMove else Qt.MouseButton.NoButton
        QApplication.sendEvent(port, QMouseEvent(kind, at, at, button, buttons, none))

    left = Qt.MouseButton.LeftButton
    send(QEvent.Type.MouseButtonPress, 500, 500, left)
    times = []
    for n in range(rounds):
        started = time.perf_counter()
        send(QEvent.Type.MouseMove, 510 + n, 500 + n / 2, left)
        painted(port, canvas)
        times.append((time.perf_counter() - started) * 1e3)
    send(QEvent.Type.MouseButtonRelease, 500, 500, Qt.MouseButton.NoButton)
    return times


def scroll(app: QApplication, port: Viewport, canvas: QImage, count: int) -> float:
    """Images a second while going through the series one by one, each painted."""
    started = time.perf_counter()
    for n in range(count):
        port.go_to(n)
        while port.waiting:
            app.processEvents()
            time.sleep(0.0005)
        painted(port, canvas)
    return count / (time.perf_counter() - started)


def opened(app: QApplication, frames: StackFrames) -> tuple[Viewport, QImage]:
    """A tile that shows the series."""
    port = Viewport()
    port.resize(TILE, TILE)
    port.show()
    port.show_frames(frames, "series")
    until(app, lambda: not port.waiting)
    return port, QImage(TILE, TILE, QImage.Format.Format_RGB32)


def until(app: QApplication, ready: Callable[[], bool]) -> None:
    """Let events run until *ready*."""
    while not ready():
        app.processEvents()
        time.sleep(0.001)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    app = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        for size, limit in ((512, 3.0), (2048, 10.0)):
            frames = series(Path(folder) / str(size), 2, size)
            port, canvas = opened(app, frames)
            times = drag(port, canvas, rounds)
            print(
                f"window drag {size} x {size}: median {statistics.median(times):.2f} ms, "
                f"90 % under {statistics.quantiles(times, n=10)[-1]:.2f} ms (wanted: under {limit:g} ms)"
            )
            port.release()
            frames.wait_closed()
        frames = series(Path(folder) / "scroll", 300, 512)
        port, canvas = opened(app, frames)
        first = scroll(app, port, canvas, 300)
        again = statistics.median(scroll(app, port, canvas, 300) for _ in range(3))
        print(f"scrolling 300 CT slices: {again:.0f} images/s after read-ahead (wanted: 60)")
        print(f"the first time, while reading: {first:.0f} images/s")
        port.release()
        frames.wait_closed()


if __name__ == "__main__":
    main()
