"""Measures a scan beside `gdcmscanner` and pydicom: `python tests/benchmarks/bench_scan.py [--rounds 5]`.

Builds 20,000 small MR files in nested folders and 3,000 CT slices of 525 KB in a temporary folder, reads each
set in turn with every reader (warm cache, interleaved, medians), prints files/s and ratios, and removes the
folder. Ours includes the check for files cut off and the building of the tree; the others only read the same
elements. gdcmscanner is measured as a process, ours and pydicom in this one; then the whole command as well.
"""

from __future__ import annotations

import argparse
import copy
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.dicom.reader import META_WANTED, WANTED  # noqa: E402 (the project is found just above)
from core.scan.scanner import Scanner  # noqa: E402

SMALL, SLICES = 20_000, 3_000


def instance(template: Dataset, series: int, number: int) -> Dataset:
    """A copy of *template* that differs as the slices of real series do."""
    ds = copy.copy(template)
    study = series // 4
    ds.PatientID = f"BENCH{study}"
    ds.PatientName = f"Bench^Number {study}"
    ds.StudyInstanceUID = f"1.2.826.0.1.3680043.10.1590.7.{study}"
    ds.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.1590.7.{study}.{series}"
    ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.1590.7.{study}.{series}.{number}"
    ds.SeriesNumber, ds.InstanceNumber = series, number
    ds.SliceLocation = str(-120 + 2.5 * number)
    ds.ImagePositionPatient = ["-158.135803", "-179.035797", str(-120 + 2.5 * number)]
    ds.ContentTime = f"1129{number % 60:02}"
    ds.file_meta = copy.copy(template.file_meta)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def build(folder: Path, template: Dataset, pixels: bytes, count: int, per_series: int) -> None:
    """*count* files in folders two deep."""
    del template.PixelData
    tail = b"\xe0\x7f\x10\x00OW\x00\x00" + len(pixels).to_bytes(4, "little") + pixels
    for n in range(count):
        series, number = divmod(n, per_series)
        out = io.BytesIO()
        instance(template, series, number + 1).save_as(out, enforce_file_format=True)
        path = folder / f"ST{series // 4:04}" / f"SE{series:05}" / f"IM{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(out.getvalue() + tail)


def ours(workers: int | None) -> Callable[[Path], int]:
    """The scanner as the program uses it, in this process."""

    def run(folder: Path) -> int:
        scanner = Scanner([folder], workers=workers)
        for _ in scanner.run():
            pass
        return scanner.result.receipt.instances

    return run


def gdcmscanner(folder: Path) -> int:
    """GDCM's scanner as a process, with the same elements."""
    tags = [f"{tag >> 16:04x},{tag & 0xFFFF:04x}" for tag in (*WANTED, *META_WANTED)]
    command = ["gdcmscanner", "-d", str(folder), "-r"]
    for tag in tags:
        command += ["-t", tag]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 0


def whole_command(folder: Path) -> int:
    """`filmjacket scan --json` as a process, its start included."""
    command = [sys.executable, "-m", "app", "scan", "--json", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return 0


def with_pydicom(folder: Path) -> int:
    """pydicom up to the pixel data."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        dcmread(path, stop_before_pixels=True)
    return len(files)


def first_patient(folder: Path) -> float:
    """Seconds until the first instance is reported."""
    started = time.perf_counter()
    run = Scanner([folder]).run()
    try:
        for progress in run:
            if progress.found:
                return time.perf_counter() - started
    finally:
        run.close()
    return float("nan")


def timed(run: Callable[[Path], int], folder: Path) -> tuple[float, float]:
    """Seconds by the clock, and of processor time; the second bears a busy machine better."""
    started, before = time.perf_counter(), os.times()
    run(folder)
    after = os.times()
    return time.perf_counter() - started, sum(after[:4]) - sum(before[:4])


def measure(name: str, folder: Path, count: int, rounds: int) -> None:
    readers: dict[str, Callable[[Path], int]] = {
        "ours": ours(None),
        "ours, one process": ours(0),
        "ours, whole command": whole_command,
        "gdcmscanner": gdcmscanner,
    }
    if shutil.which("gdcmscanner") is None:
        del readers["gdcmscanner"]
    taken: dict[str, list[tuple[float, float]]] = {reader: [] for reader in (*readers, "pydicom")}
    for turn in range(rounds + 1):
        for reader, run in readers.items():
            spent = timed(run, folder)
            if turn:  # the first turn warms the cache
                taken[reader].append(spent)
        if turn in {1, rounds}:
            taken["pydicom"].append(timed(with_pydicom, folder))
    medians = {
        reader: tuple(statistics.median(column) for column in zip(*spent, strict=True))
        for reader, spent in taken.items()
    }
    ours_s, ours_cpu_s = medians["ours"]
    print(f"{name}: {count} files; ratios say how many times as fast ours is")
    for reader, (seconds, cpu_s) in medians.items():
        print(
            f"  {reader:20} {count / seconds:9,.0f} files/s ({seconds / ours_s:6.2f})"
            f"   {cpu_s / count * 1e6:6.0f} us CPU a file ({cpu_s / ours_cpu_s:6.2f})"
        )
    print(f"  first instance after {first_patient(folder) * 1000:.0f} ms")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--keep", type=Path, help="build in this folder, or use what was built there")
    options = arguments.parse_args()
    root = options.keep or Path(tempfile.mkdtemp(prefix="bench_scan-"))
    try:
        if not (root / "ct").is_dir():
            mr, ct = (dcmread(get_testdata_file(f"{name}_small.dcm")) for name in ("MR", "CT"))  # type: ignore[arg-type]
            build(root / "mr", mr, mr.PixelData, SMALL, 100)
            ct.Rows = ct.Columns = 512
            build(root / "ct", ct, bytes(512 * 512 * 2), SLICES, 300)
        measure("small MR in nested folders", root / "mr", SMALL, options.rounds)
        measure("CT slices of 525 KB", root / "ct", SLICES, options.rounds)
    finally:
        if options.keep is None:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
