"""QIDO-RS over a full catalog: `python -m tests.benchmarks.bench_full_qido [--keep FOLDER] [--rounds 200]`.

Two archives, of 20,000 studies with 1,000,000 images and of 1/100 of that, rows only, are asked in turns
over one kept connection each: by the beginning of a patient's name (a few begin so, or a fifth of all), a
range of dates, modality, and page by page. Both have as many answers to each request. Prints median and
99th percentile of each kind in ms, and how many times the small archive's median the large one's is.
`--keep FOLDER` builds the catalogs there, or uses what was built.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from core.archive.archive import Archive
from tests.benchmarks.bench_upload import filmjacket
from tests.benchmarks.full_catalog import fill
from tests.benchmarks.light_client import get

SIZES = {"small": 10_000, "full": 1_000_000}
A_STUDY = 50
MEDIAN_MS, P99_MS, GROWTH = 5.0, 25.0, 1.3
STUDIES = "/dicom-web/studies"
JSON = "application/dicom+json"


def paths(kind: str, number: int) -> str:
    """The address of request *number* of a kind: the same in both archives, and as many answers in each."""
    year = number % 21
    return {
        "name prefix": f"{STUDIES}?PatientName=Family{number % 60}^G*&limit=3",
        "short name prefix": f"{STUDIES}?PatientName=Family{number % 5 + 1}*&limit=25",
        "date range": f"{STUDIES}?StudyDate=20{year:02}0101-20{year + 3:02}1231&limit=25",
        "modality": f"{STUDIES}?ModalitiesInStudy=CT&limit=25&offset={number % 4 * 25}",
        "page": f"{STUDIES}?limit=25&offset={number % 6 * 25}",
        "name, date, modality": f"{STUDIES}?PatientName=Family{EARLY[number % len(EARLY)]}^*"
        "&StudyDate=20000101-20121231&ModalitiesInStudy=CT&limit=3",
    }[kind]


EARLY = [number for number in range(60) if number % 8 < 4]
"""Families whose first patient has all studies before 2013."""
KINDS = ("name prefix", "short name prefix", "date range", "modality", "page", "name, date, modality")


def catalog(folder: Path, count: int) -> Path:
    """An archive of *count* images, built unless it is there."""
    if not (folder / "archive" / "archive.db").exists():
        folder.mkdir(parents=True)
        archive = Archive.open(folder, settle_after_s=1e9)
        try:
            print(f"{count} images filed in {fill(archive, count, A_STUDY):.0f} s", flush=True)
        finally:
            archive.close()
    return folder


def check_alike(peers: dict[str, str], kind: str, rounds: int) -> None:
    """Raises RuntimeError where the archives have not as many answers: their times would not compare."""
    for path in {paths(kind, number) for number in range(rounds)}:
        counts = {len(json.loads(get(peer, [path], 1, JSON).body or b"[]")) for peer in peers.values()}
        if len(counts) != 1 or 0 in counts:
            raise RuntimeError(f"{path} is answered with {counts} studies")


def measure(peers: dict[str, str], rounds: int) -> bool:
    """Ask in turns and print; whether all is as wanted."""
    met = True
    for kind in KINDS:
        check_alike(peers, kind, rounds)
        took: dict[str, list[float]] = {size: [] for size in peers}
        for number in range(0, rounds, 10):
            for size in list(peers)[:: 1 if number % 20 else -1]:
                asked = [paths(kind, n) for n in range(number, number + 10)]
                took[size] += [1000 * s for s in get(peers[size], asked, 1, JSON).each_s]
        medians = {size: statistics.median(each) for size, each in took.items()}
        p99 = statistics.quantiles(took["full"], n=100)[98]
        growth = medians["full"] / medians["small"]
        fine = medians["full"] < MEDIAN_MS and p99 < P99_MS and growth < GROWTH
        met &= fine
        print(
            f"{kind:22} median {medians['full']:6.2f} ms (wanted under {MEDIAN_MS:g}), p99 {p99:6.2f} "
            f"(under {P99_MS:g}), {growth:.2f}x the small one's {medians['small']:.2f} (under {GROWTH:g}x): "
            f"{'met' if fine else 'NOT MET'}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    return met


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as running:
        base = options.keep or Path(temporary)
        folders = {size: catalog(base / size, count) for size, count in SIZES.items()}
        peers = {
            size: running.enter_context(filmjacket(folder)).removeprefix("http://")
            for size, folder in folders.items()
        }
        raise SystemExit(0 if measure(peers, options.rounds) else 1)


if __name__ == "__main__":
    main()
