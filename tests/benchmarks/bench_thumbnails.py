"""Thumbnails of a CT study beside Orthanc's previews: `python -m tests.benchmarks.bench_thumbnails`.

300 slices of 512 x 512 lie in a fresh `filmjacket serve` that makes nothing ahead of time, and in a fresh
Orthanc. Each is asked over HTTP, by the same light client over the same number of connections, for every
slice as a JPEG: the V3 thumbnail (first time: nothing kept; second time: kept) and `/preview`. Interleaved
rounds in fresh archives, medians. Processor time bears a busy machine better than rates do: Orthanc makes one
preview at a time, whatever the number of connections, and so needs but one core.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import urllib.request
from io import BytesIO
from pathlib import Path

from PIL import Image

from core.media.samples import SampleStudy, ct_slice, part10
from tests.benchmarks.bench_upload import OUR_ROUTE, filmjacket, orthanc, post_all
from tests.benchmarks.light_client import Answers, get

QUIET = "[serve]\nsettle_after_s = 86400.0\n"
"""Settings of an archive that makes no thumbnail before it is asked for one."""


def make_slices(folder: Path, count: int, size: int) -> list[str]:
    """A CT series of *count* different slices; their SOP Instance UIDs."""
    uids = []
    for n in range(1, count + 1):
        ds = ct_slice(SampleStudy("bench"), instance=n, size=size)
        (folder / f"IM{n:05}").write_bytes(part10(ds))
        uids.append(str(ds.SOPInstanceUID))
    return uids


def fetched(peer: str, path: str) -> object:
    """JSON at *path*."""
    with urllib.request.urlopen(f"http://{peer}{path}") as answer:  # our own servers on loopback
        return json.load(answer)


def our_paths(peer: str, study_uid: str) -> list[str]:
    """The thumbnail of every image of a study, as its schema lists them."""
    study = f"/api/v3/storage/study/default/{study_uid}"
    schema = fetched(peer, f"{study}/schema")
    return [
        f"{study}/image/{image['id']}/version/{image['version']}/frame/0/thumbnail"
        for series in schema["series"]  # type: ignore[index]  # as V3 shows it
        for image in series["images"]
    ]


def their_paths(peer: str) -> list[str]:
    """The preview of every instance of an Orthanc."""
    return [f"/instances/{name}/preview" for name in fetched(peer, "/instances")]  # type: ignore[attr-defined]


def processor_s() -> float:
    """Processor time of the one server we have started, with the processes it started."""
    total, ours = 0, [os.getpid()]
    for parent in ours:
        for task in Path(f"/proc/{parent}/task").iterdir():
            ours += map(int, (task / "children").read_text().split())
    for pid in ours[1:]:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def measured(
    peer: str, paths: list[str], connections: int, accept: str = "*/*"
) -> tuple[Answers, float, float]:
    """What came back, pictures a second, and milliseconds of processor time a picture."""
    before = processor_s()
    answers = get(peer, paths, connections, accept)
    count = len(answers.each_s)
    return answers, count / answers.seconds, (processor_s() - before) / count * 1000


def size_of(answers: Answers) -> str:
    """Width and height of the last picture."""
    with Image.open(BytesIO(answers.body)) as picture:
        return f"{picture.format} {picture.width}x{picture.height}, {answers.bytes // len(answers.each_s)} B"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"first time": [], "second time": [], "Orthanc /preview": []}
    costs: dict[str, list[float]] = {name: [] for name in rates}

    def keep(name: str, found: tuple[Answers, float, float]) -> None:
        shown.append(size_of(found[0]))
        rates[name].append(found[1])
        costs[name].append(found[2])

    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        (base / "slices").mkdir()
        make_slices(base / "slices", options.slices, options.size)
        files = sorted((base / "slices").iterdir())
        for number in range(options.rounds):
            data = base / f"archive-{number}"
            data.mkdir()
            (data / "settings.toml").write_text(QUIET)
            shown: list[str] = []
            with filmjacket(data) as url:
                peer = url.removeprefix("http://")
                post_all(peer, files, OUR_ROUTE)
                paths = our_paths(peer, SampleStudy("bench").uid)
                get(peer, [paths[0].replace("thumbnail", "diagnostic")] * 4, 4)  # the workers have started
                for name, several in (("first time", 1), ("second time", 5)):
                    keep(name, measured(peer, paths * several, options.connections))
            with orthanc(base / f"orthanc-{number}") as peer:
                post_all(peer, files)
                paths = their_paths(peer)
                get(peer, paths[:4], 4)
                keep("Orthanc /preview", measured(peer, paths, options.connections, "image/jpeg"))
            if not number:
                print(" | ".join(shown))
            print(
                f"round {number + 1}: "
                + ", ".join(f"{name} {found[-1]:.0f}/s" for name, found in rates.items())
                + f"; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(f"{name}: {rate:.0f}/s, {statistics.median(costs[name]):.2f} ms of processor time each")
    print(f"first time {medians['first time'] / medians['Orthanc /preview']:.2f}x (wanted: 2.5x)")
    print(f"second time {medians['second time']:.0f}/s (wanted: over 1,000/s)")


if __name__ == "__main__":
    main()
