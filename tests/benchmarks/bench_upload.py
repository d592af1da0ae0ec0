"""Measures an upload beside Orthanc: `python tests/benchmarks/bench_upload.py [--rounds 5] [--slices 600]`.

600 CT slices of 525 KB go over loopback (a) by `filmjacket upload` into a fresh `filmjacket serve`: ledger,
sending (several in a request, as the uploader does it), asking the archive what it holds; (b) by parallel
`POST /instances` from a bare http.client into a fresh Orthanc of this machine (Debian package, its defaults);
(c) by the same bare http.client into a fresh `filmjacket serve`, one request an image: the V3 route alone,
without ledger and proof. Same number of connections, interleaved rounds, medians. Also prints the client's
peak memory. Everything lies in a temporary folder, which goes away at the end only: deleting thousands of
files between the rounds slows the file system down for those that follow.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.media.samples import UID_ROOT, SampleStudy, ct_slice, part10  # noqa: E402

CONNECTIONS = 4
PLACE = UID_ROOT + "1000000000"
OUR_ROUTE = "/api/v3/storage/namespace/default/image"
DICOM = {"Content-Type": "application/dicom"}
ORTHANC = shutil.which("Orthanc") or "/usr/sbin/Orthanc"


def make_slices(folder: Path, count: int) -> list[Path]:
    """One slice, written *count* times under UIDs of its own."""
    ds = ct_slice(SampleStudy("bench"), size=512)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = PLACE
    data = part10(ds)
    paths = []
    for n in range(1, count + 1):
        path = folder / f"IM{n:06}"
        path.write_bytes(data.replace(PLACE.encode(), f"{UID_ROOT}{n + 1_000_000_000}".encode()))
        paths.append(path)
    return paths


@contextmanager
def filmjacket(folder: Path) -> Iterator[str]:
    """A fresh archive; its URL."""
    with serving(folder) as (url, _):
        yield url


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """The same; its URL and process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--data", str(folder), "--port", "0", "--internal-port", "0",
         "--dimse-port", "off", "--no-auth"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    if process.stdout is None:
        raise RuntimeError("no pipe")
    line = process.stdout.readline()
    if not line.startswith("ready "):
        process.kill()
        raise RuntimeError("the archive did not start")
    try:
        yield line.split("http=")[1].split()[0], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


@contextmanager
def orthanc(folder: Path, plugins: Sequence[str] = ()) -> Iterator[str]:
    """A fresh Orthanc with *plugins*; its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    configuration = {
        "Name": "bench",
        "HttpPort": port,
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": list(plugins),
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def post_all(peer: str, paths: list[Path], route: str = "/instances") -> float:
    """Seconds for all files by POST *route* over CONNECTIONS kept connections."""
    mine = threading.local()
    opened: list[http.client.HTTPConnection] = []

    def post(path: Path) -> None:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection(peer, timeout=60)
            opened.append(mine.connection)
        mine.connection.request("POST", route, path.read_bytes(), DICOM)
        answer = mine.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{route} was answered {answer.status}")

    began = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(post, paths))
    took = time.monotonic() - began
    for connection in opened:
        connection.close()
    return took


def upload(url: str, slices: Path, data: Path) -> tuple[float, float]:
    """Seconds by the receipt, and the client's peak memory in MB."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FILMJACKET_")}
    command = [sys.executable, "-m", "app", "upload", str(slices), "--to", f"v3:{url}", "--data", str(data)]
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, cwd=ROOT, env=environ)
    out, _ = process.stdout.read() if process.stdout else b"", process.stdout and process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    receipt = json.loads(out)
    if process.returncode or not receipt["complete"]:
        raise RuntimeError("the upload was not complete")
    return float(receipt["seconds"]), usage.ru_maxrss / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=600)
    arguments = parser.parse_args()
    ours: list[float] = []
    theirs: list[float] = []
    bare: list[float] = []
    memory = 0.0
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        (base / "slices").mkdir()
        paths = make_slices(base / "slices", arguments.slices)
        size = sum(path.stat().st_size for path in paths) / 1e6
        for number in range(arguments.rounds):
            with filmjacket(base / f"archive-{number}") as url:
                seconds, peak = upload(url, base / "slices", base / f"client-{number}")
            ours.append(seconds)
            memory = max(memory, peak)
            with orthanc(base / f"orthanc-{number}") as peer:
                theirs.append(post_all(peer, paths))
            with filmjacket(base / f"bare-{number}") as url:
                bare.append(post_all(url.removeprefix("http://"), paths, OUR_ROUTE))
            print(
                f"round {number + 1}: filmjacket {ours[-1]:.2f} s, Orthanc {theirs[-1]:.2f} s, "
                f"filmjacket with the bare client {bare[-1]:.2f} s; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    for name, took in (
        ("filmjacket upload", ours),
        ("Orthanc POST /instances", theirs),
        ("filmjacket with the bare client", bare),
    ):
        median = statistics.median(took)
        print(f"{name}: {arguments.slices / median:.0f} slices/s, {size / median:.0f} MB/s")
    print(
        f"ratio {statistics.median(theirs) / statistics.median(ours):.2f}x, "
        f"with the bare client {statistics.median(theirs) / statistics.median(bare):.2f}x; "
        f"client peak {memory:.0f} MB"
    )


if __name__ == "__main__":
    main()
