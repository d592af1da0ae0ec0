"""Schema, PHI and tags of one large study in a full catalog: `python -m tests.benchmarks.bench_study_reads`.

A catalog of 1,000,000 images is written as the archive writes it, rows only; then a study of 3,000 small
images arrives over HTTP and settles. Each of the three is asked for over one kept connection, by turns:
again and again as viewers do, and for the first time after the study has changed (an attachment came).
Medians, in milliseconds. `--keep FOLDER` builds the catalog there, or uses what was built.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import tempfile
import time
from pathlib import Path

from core.archive.archive import Archive
from core.media.samples import SampleStudy, dataset, part10
from tests.benchmarks.bench_upload import OUR_ROUTE, filmjacket, post_all
from tests.benchmarks.full_catalog import fill
from tests.benchmarks.light_client import get

STUDY = SampleStudy("large")
PATH = f"/api/v3/storage/study/default/{STUDY.uid}"
KINDS = ("schema", "phi", "tag")
WANTED_MS = 5.0


def make_study(folder: Path, count: int) -> list[Path]:
    """*count* small images of one study in ten series."""
    folder.mkdir()
    paths = []
    for n in range(count):
        path = folder / f"IM{n:05}"
        path.write_bytes(part10(dataset(STUDY, series=n % 10 + 1, instance=n // 10 + 1)))
        paths.append(path)
    return paths


def wait_until_settled(peer: str) -> None:
    """Until the background pass has nothing more to do."""
    until = time.monotonic() + 300
    while b"\nfilmjacket_settling_studies 0\n" not in get(peer, ["/metrics"], 1).body:
        if time.monotonic() > until:
            raise RuntimeError("the study does not settle")
        time.sleep(0.5)


def attach(peer: str) -> None:
    """A small attachment: the study is another one from here on."""
    connection = http.client.HTTPConnection(peer, timeout=60)
    connection.request("POST", f"{PATH}/attachment", b"a note", {"Content-Type": "text/plain"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the attachment was answered {answer.status}")


def measure(peer: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds of each kind: asked again, and asked first after a change."""
    again: dict[str, list[float]] = {kind: [] for kind in KINDS}
    first: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            again[kind] += [1000 * s for s in get(peer, [f"{PATH}/{kind}"] * 20, 1).each_s]
    for _ in range(rounds):
        for kind in KINDS:
            attach(peer)
            first[kind] += [1000 * s for s in get(peer, [f"{PATH}/{kind}"], 1).each_s]
    return again, first


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--study", type=int, default=3_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = options.keep or Path(temporary) / "archive"
        if not (data / "archive").is_dir():
            archive = Archive.open(data, settle_after_s=600)
            seconds = fill(archive, options.images)
            archive.close()
            print(f"{options.images:,} images put into the catalog in {seconds:.0f} s", flush=True)
        with filmjacket(data) as url:
            peer = url.removeprefix("http://")
            post_all(peer, make_study(Path(temporary) / "study", options.study), OUR_ROUTE)
            wait_until_settled(peer)
            sizes = {kind: len(get(peer, [f"{PATH}/{kind}"], 1).body) for kind in KINDS}
            again, first = measure(peer, options.rounds)
    for kind in KINDS:
        median, worst = statistics.median(again[kind]), statistics.quantiles(again[kind], n=20)[-1]
        print(
            f"{kind}: median {median:.2f} ms, 95 % under {worst:.2f} ms (wanted: under {WANTED_MS:g} ms); "
            f"first after a change {statistics.median(first[kind]):.2f} ms; {sizes[kind]:,} B"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
