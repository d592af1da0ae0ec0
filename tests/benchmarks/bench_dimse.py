"""The DICOM door beside Orthanc: `python -m tests.benchmarks.bench_dimse [--rounds 5] [--only WORD]`.

DCMTK's storescu sends 600 CT slices (525 KB) over one association and over four, with TCP_NODELAY=1 and as it
is installed, and 2,000 small images; each round into a fresh archive, by turns. Then both hold the same
studies: a bare client of ours asks by C-FIND, getscu fetches 300 slices. Needs the Debian packages orthanc
and dcmtk. Everything lies in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.media.samples import UID_ROOT, SampleStudy, ct_slice, part10
from core.net.dimse.command import DATA_SET, Element, Field
from core.net.dimse.requestor import Peer, Wish, associate
from tests.benchmarks.bench_upload import ORTHANC, ROOT

AET = "FILMJACKET"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"
PENDING = 0xFF00


@contextmanager
def filmjacket(folder: Path) -> Iterator[int]:
    """A fresh archive; its DICOM port."""
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
def orthanc(folder: Path) -> Iterator[int]:
    """A fresh Orthanc with its defaults; its DICOM port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    configuration = {
        "DicomAet": AET, "DicomPort": port, "HttpServerEnabled": False, "DicomServerEnabled": True,
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "Plugins": [],
        "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True,
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
    Row("CT, one, sender as installed", 10, "few", 1, False),
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


def find(port: int, *keys: tuple[int, str]) -> float:
    """Milliseconds of a query at study level."""
    elements = sorted([(0x00080052, "STUDY "), (0x0020000D, ""), (0x00080020, ""), (0x00100020, ""), *keys])
    kept = {tag: text for tag, text in elements}
    data = b"".join(
        struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(text)) + text.encode() for tag, text in kept.items()
    )
    association = associate(Peer(AET, "127.0.0.1", port), [Wish(STUDY_ROOT_FIND, (IMPLICIT,))])
    command: dict[Element, int | str] = {
        Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_FIND, Element.COMMAND_FIELD: Field.C_FIND,
        Element.MESSAGE_ID: 1, Element.PRIORITY: 0, Element.DATA_SET_TYPE: DATA_SET,
    }  # fmt: skip
    began = time.monotonic()
    association.send(1, command, data)
    while True:
        message = association.receive()
        for _ in association.data_set(message):
            pass
        if message.command.status != PENDING:
            break
    took = 1000 * (time.monotonic() - began)
    association.release()
    association.close()
    return took


def fetch(port: int, study: str, folder: Path) -> float:
    """Milliseconds of getscu for a study."""
    place = Path(tempfile.mkdtemp(dir=folder))
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    began = time.monotonic()
    subprocess.run(
        ["getscu", "-S", "-aec", AET, "-od", place, *keys, "127.0.0.1", str(port)],
        check=True, env={**os.environ, "TCP_NODELAY": "1"},
    )  # fmt: skip
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


def measure_queries(folder: Path, rounds: int, studies: int) -> None:
    """Both hold the same."""
    write_images(folder / "studies", studies, 8, per_study=1)
    write_images(folder / "big", 300, 512)
    queries: dict[str, tuple[tuple[int, str], ...]] = {
        "C-FIND all studies": (),
        "C-FIND by Patient ID": ((0x00100020, f"P{studies // 2}".ljust(8)),),
        "C-FIND by the start of a name": ((0x00100010, "Family12* "),),
    }
    with ExitStack() as stack:
        ports = {name: stack.enter_context(start(folder / f"q {name}")) for name, start in PEERS.items()}
        for port in ports.values():
            for each in ("studies", "big"):
                store(port, folder / each, 4, nodelay=True)
        time.sleep(5)  # ours settles
        works = {name: (5.0, lambda port, keys=keys: find(port, *keys)) for name, keys in queries.items()} | {
            "C-GET of 300 slices": (1.0, lambda port: fetch(port, f"{UID_ROOT}90.0.512.0", folder))
        }
        for name, (wanted, work) in works.items():
            times: dict[str, list[float]] = {peer: [] for peer in PEERS}
            for _ in range(rounds + 1):
                for peer, port in ports.items():
                    times[peer].append(work(port))
            told(name, wanted, *(statistics.median(times[peer][1:]) for peer in PEERS), "ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only in row.name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(folder / "ct", options.slices, 512)
        write_images(folder / "few", options.slices // 6, 512)
        write_images(folder / "small", options.small, 64)
        measure_stores(folder, rows, options.rounds)
        if options.only in "C-FIND C-GET":
            measure_queries(folder, options.rounds, options.studies)


if __name__ == "__main__":
    main()
