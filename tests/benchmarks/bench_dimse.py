"""The DICOM door beside Orthanc: `python -m tests.benchmarks.bench_dimse [--rounds 5] [--only WORD]`.

DCMTK's storescu sends 600 CT slices (525 KB) over one association and over four, with TCP_NODELAY=1 and as it
is installed, and 2,000 small images; each round into a fresh archive, by turns. Then both hold the same
study of 300 slices, which getscu and movescu fetch. Needs the Debian packages orthanc and dcmtk. Everything
lies in a temporary folder. C-FIND has a benchmark of its own, bench_dimse_find.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.media.samples import UID_ROOT, SampleStudy, ct_slice, part10
from tests.benchmarks.bench_upload import ORTHANC, ROOT
from tests.interop.orthanc import free_port

AET, MOVER = "FILMJACKET", "MOVER"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"


@contextmanager
def filmjacket(folder: Path, mover: int = 0) -> Iterator[int]:
    """A fresh archive, which knows a destination on the port *mover*; its DICOM port."""
    folder.mkdir(exist_ok=True)
    peer = f'[[dimse.peers]]\nae_title = "{MOVER}"\nhost = "127.0.0.1"\nport = {mover}\n'
    (folder / "settings.toml").write_text(peer if mover else "")
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--data", str(folder), "--port", "0", "--internal-port", "0",
         "--dimse-port", "0", "--no-auth"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    if process.stdout is None:
        raise RuntimeError("no pipe")
    try:
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


@contextmanager
def orthanc(folder: Path, mover: int = 0) -> Iterator[int]:
    """A fresh Orthanc with its defaults, which knows the same destination; its DICOM port."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    configuration = {
        "DicomAet": AET, "DicomPort": port, "HttpServerEnabled": False, "DicomServerEnabled": True,
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "Plugins": [],
        "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True,
        "DicomModalities": {"mover": [MOVER, "127.0.0.1", mover]} if mover else {},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while subprocess.run(
            ["echoscu", "-aec", AET, "127.0.0.1", str(port)], check=False, stderr=-3
        ).returncode:
            if time.monotonic() > until:
                raise RuntimeError("Orthanc did not start")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(60)


PEERS = {"ours": filmjacket, "Orthanc": orthanc}


@dataclass(frozen=True)
class Row:
    """Images of a folder over so many associations; ours must be *wanted* times as fast."""

    name: str
    wanted: float
    folder: str
    associations: int
    nodelay: bool


ROWS = (
    Row("CT, one association", 1.4, "ct", 1, True),
    Row("CT, four associations", 1.4, "ct", 4, True),
    Row("CT, one, sender as installed", 10, "ct", 1, False),
    Row("small, one association", 1.2, "small", 1, True),
    Row("small, four associations", 1.2, "small", 4, True),
)


def write_images(folder: Path, count: int, size: int, *, per_study: int = 10_000) -> None:
    """*count* images in four folders."""
    ds = ct_slice(SampleStudy(folder.name), size=size)
    for number in range(count):
        study = f"{UID_ROOT}90.{folder.name == 'small':d}.{size}.{number // per_study}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study}.1.{number}"
        ds.PatientID = f"P{number // per_study}"
        ds.PatientName = f"Family{number // per_study % 977}^Given"
        ds.InstanceNumber = number % per_study + 1
        place = folder / str(number % 4)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}").write_bytes(part10(ds))


def store(port: int, folder: Path, associations: int, *, nodelay: bool) -> float:
    """Images a second."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    if nodelay:
        environment["TCP_NODELAY"] = "1"
    places = [folder] if associations == 1 else sorted(folder.iterdir())
    count = sum(1 for path in folder.rglob("*") if path.is_file())
    began = time.monotonic()
    senders = [
        subprocess.Popen(
            ["storescu", "-aec", AET, "+sd", "+r", "127.0.0.1", str(port), str(place)], env=environment
        )
        for place in places
    ]
    if any([sender.wait() for sender in senders]):
        raise RuntimeError("storescu failed")
    return count / (time.monotonic() - began)


def fetch(port: int, study: str) -> float:
    """Milliseconds of getscu for a study, which it does not keep."""
    return _took(["getscu", "--ignore", "-S", "-aec", AET, *_keys(study), "127.0.0.1", str(port)])


def move(port: int, study: str, to: int) -> float:
    """Milliseconds of movescu for a study, to itself."""
    where = ["-aet", MOVER, "-aem", MOVER, "+P", str(to)]
    return _took(["movescu", "--ignore", "-S", "-aec", AET, *where, *_keys(study), "127.0.0.1", str(port)])


def _keys(study: str) -> list[str]:
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]


def _took(line: Sequence[str]) -> float:
    began = time.monotonic()
    subprocess.run(line, check=True, env={**os.environ, "TCP_NODELAY": "1"})
    return 1000 * (time.monotonic() - began)


def told(name: str, wanted: float, ours: float, theirs: float, unit: str) -> None:
    """One line; *unit* "/s" is better when more."""
    ratio = ours / theirs if unit == "/s" else theirs / ours
    print(
        f"{name:32} {ours:9.2f} {unit}, Orthanc {theirs:9.2f} {unit}: {ratio:6.2f}x, wanted {wanted:g}x, "
        f"{'met' if ratio >= wanted else 'NOT MET'}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def measure_stores(folder: Path, rows: Sequence[Row], rounds: int) -> None:
    """Each round a fresh archive."""
    for row in rows:
        rates: dict[str, list[float]] = {name: [] for name in PEERS}
        for number in range(rounds):
            for name in PEERS if number % 2 else reversed(PEERS):
                data = folder / f"{row.name} {name} {number}"
                with PEERS[name](data) as port:
                    source = folder / row.folder
                    rates[name].append(store(port, source, row.associations, nodelay=row.nodelay))
        told(row.name, row.wanted, *(statistics.median(rates[name]) for name in PEERS), "/s")


def measure_retrieval(folder: Path, rounds: int, wanted: str) -> None:
    """Both hold the same 300 slices, and send them to DCMTK."""
    write_images(folder / "big", 300, 512)
    study = f"{UID_ROOT}90.0.512.0"
    with ExitStack() as stack:
        to = free_port()
        ports = {name: stack.enter_context(start(folder / f"q {name}", to)) for name, start in PEERS.items()}
        for port in ports.values():
            store(port, folder / "big", 4, nodelay=True)
        time.sleep(8)  # ours settles
        works: dict[str, Callable[[int], float]] = {
            "C-GET of 300 slices": lambda port: fetch(port, study),
            "C-MOVE of 300 slices": lambda port: move(port, study, to),
        }
        for name in (each for each in works if wanted in each):
            times: dict[str, list[float]] = {peer: [] for peer in PEERS}
            for number in range(rounds + 1):
                for peer in PEERS if number % 2 else reversed(PEERS):
                    times[peer].append(works[name](ports[peer]))
            told(name, 1.0, *(statistics.median(times[peer][1:]) for peer in PEERS), "ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only in row.name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(folder / "ct", options.slices, 512)
        write_images(folder / "small", options.small, 64)
        measure_stores(folder, rows, options.rounds)
        if any(options.only in name for name in ("C-GET of 300 slices", "C-MOVE of 300 slices")):
            measure_retrieval(folder, options.rounds, options.only)


if __name__ == "__main__":
    main()
