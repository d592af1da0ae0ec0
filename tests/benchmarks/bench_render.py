"""Decode, window, thumbnail, render pool and scrolling, with pydicom and Pillow beside us.

Run by hand: `python -m tests.benchmarks.bench_render`. Medians of interleaved rounds; the machine is noisy,
so the ratios count.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from core.dicom.header import read_header
from core.dicom.refs import FileRef, Found
from core.imaging.image import ImageObject
from core.imaging.render import jpeg, render, thumbnail, window_to_u8
from core.imaging.stack import Stack
from core.imaging.viewport import Viewport, window_patch
from core.imaging.voi import Voi
from core.imaging.workers import RenderPool
from core.media import samples

ROUNDS = 7


def medians(cases: dict[str, Callable[[], object]], repeat: int) -> None:
    """Milliseconds of each case, the cases taking turns."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()
    for _ in range(ROUNDS):
        for name, case in cases.items():
            began = time.perf_counter()
            for _ in range(repeat):
                case()
            times[name].append((time.perf_counter() - began) / repeat * 1000)
    for name, values in times.items():
        print(f"  {name:44} {statistics.median(values):8.3f} ms")


def by_pydicom(path: Path) -> np.ndarray:
    """The picture as pydicom's pipeline gives it, 8 bit."""
    ds = dcmread(path)
    values = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(np.float64)
    low, high = values.min(), values.max()
    return ((values - low) * (255 / (high - low))).astype(np.uint8)


def thumbnail_by_pydicom(path: Path) -> bytes:
    """The same, small, by Pillow."""
    image = Image.fromarray(by_pydicom(path))
    image.thumbnail((128, 128))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=75)
    return out.getvalue()


def single(path: Path) -> None:
    """One CT slice at a time in this process."""
    print("CT 512 x 512, one process")
    picture = render(ImageObject.open(path), 0)
    medians(
        {
            "open": lambda: ImageObject.open(path),
            "open + decode": lambda: ImageObject.open(path).frame(0),
            "pydicom dcmread + pixel_array": lambda: dcmread(path).pixel_array,
            "open + decode + window": lambda: render(ImageObject.open(path), 0),
            "pydicom with apply_*_lut": lambda: by_pydicom(path),
            "JPEG, quality 90": lambda: jpeg(picture, 90),
            "thumbnail 128": lambda: thumbnail(path, 0, 128),
            "thumbnail 128, pydicom + Pillow": lambda: thumbnail_by_pydicom(path),
        },
        10,
    )


def windows(path: Path) -> None:
    """A drag: another window every time, into the same array."""
    print("window to 8 bit")
    cases: dict[str, Callable[[], object]] = {}
    frame = ImageObject.open(path).frame(0)
    out = np.empty(frame.pixels.shape, np.uint8)
    cases["512 x 512"] = lambda: window_to_u8(frame, Voi(40, 400), out)
    large = ImageObject.open(samples.part10(samples.ct_slice(samples.SampleStudy(), size=2048))).frame(0)
    whole = np.empty(large.pixels.shape, np.uint8)
    cases["2048 x 2048"] = lambda: window_to_u8(large, Voi(40, 400), whole)
    patch = Viewport(2048, 2048, 1000, 1000).patch()
    if patch is not None:
        seen = np.empty(patch.of(whole).shape, np.uint8)
        cases["2048 x 2048 seen in 1000 x 1000"] = lambda: window_patch(large, Voi(40, 400), patch, seen)
    medians(cases, 10)


def pool_rates(paths: list[Path]) -> None:
    """Pictures a second through the worker processes, with 4 requests under way at any time."""
    print("render pool, 2 workers")
    with RenderPool(2) as pool:
        for kind, size in (("jpeg", None), ("thumbnail", (128, 128)), ("png", None)):
            list(in_flight(pool, paths[:8], kind, size))
            rates = []
            for _ in range(3):
                began = time.perf_counter()
                count = sum(1 for _ in in_flight(pool, paths * 3, kind, size))
                rates.append(count / (time.perf_counter() - began))
            print(f"  {kind:44} {statistics.median(rates):8.0f} /s")


def in_flight(
    pool: RenderPool, paths: list[Path], kind: str, size: tuple[int, int] | None, depth: int = 4
) -> Iterator[bytes]:
    """Results in order, *depth* tasks ahead."""
    waiting = []
    for path in paths:
        waiting.append(pool.render(path, 0, kind, size, 90))
        if len(waiting) == depth:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


class Folder:
    """The least source there is."""

    name = "folder"

    def headers(self) -> Iterator[Found]:
        return iter(())

    def open(self, ref: FileRef) -> BinaryIO:
        return open(ref.path, "rb")  # the stack closes it


def scrolling(paths: list[Path]) -> None:
    """A wheel turned through a series, each picture windowed for the screen."""
    print(f"scrolling {len(paths)} slices")
    files = [Found(FileRef(str(p)), read_header(p), p.stat().st_size) for p in paths]
    out = np.empty((512, 512), np.uint8)
    for label, wait in (("while reading ahead", False), ("after read-ahead", True)):
        with Stack(Folder(), files) as stack:
            stack.prefetch(0)
            while wait and stack.cached() < len(stack):
                time.sleep(0.01)
            began = time.perf_counter()
            for n in range(len(stack)):
                window_to_u8(stack.get(n), Voi(40, 400), out)
                stack.prefetch(n)
            print(f"  {label:44} {len(stack) / (time.perf_counter() - began):8.0f} /s")


def main() -> None:
    """Make a series, measure."""
    with tempfile.TemporaryDirectory() as folder:
        paths = samples.write_ct_series(samples.SampleStudy(), Path(folder), 300, size=512)
        single(paths[0])
        windows(paths[0])
        pool_rates(paths)
        scrolling(paths)


if __name__ == "__main__":
    main()
