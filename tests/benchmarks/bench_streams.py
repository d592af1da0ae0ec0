"""Very large bodies in flat memory: `python -m tests.benchmarks.bench_streams [--gb 20] [--folder FOLDER]`.

One STOW request with so many GB of CT slices (525 KB each, made while they are sent) in two studies, then two
multi-frame objects of 0.5 GB in one request, then one that is cut in the middle of its last part, then each
study as one WADO-RS answer. Prints the rates, and after each the largest memory that the server and one of
its render workers ever had (`VmHWM`). Raises RuntimeError if a part is missing, or one of a cut body is
there that was not complete. Everything lies in a temporary folder below FOLDER and is deleted in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from core.media.samples import UID_ROOT, SampleStudy, ct_slice, part10, with_pixels
from tests.benchmarks.bench_upload import serving
from tests.benchmarks.light_client import get, request_of

GB = 1_000_000_000
FREE = 10 * GB
"""What stays free on the disk."""
A_SERIES = 500
FRAMES = 1000
HEAD = b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"
END = b"\r\n--b--\r\n"
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"
SENT = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "Accept": JSON}
STUDY, SERIES, IMAGE = (f"{UID_ROOT}{kind}000000000" for kind in (7, 8, 9))
"""Placeholders in the template; a UID of the same length takes the place of each."""


def template(frames: int = 1) -> bytes:
    """An object as it is sent, with placeholders for UIDs."""
    ds = ct_slice(SampleStudy("streams"), size=512)
    if frames > 1:
        with_pixels(ds, np.zeros((frames, 512, 512), np.uint16))
        ds.NumberOfFrames = frames
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = IMAGE
    return part10(ds)


def study_uid(number: int) -> str:
    """Of a study, 1-based."""
    return f"{UID_ROOT}{7_000_000_000 + number}"


def named(data: bytes, study: int, image: int) -> tuple[bytes, bytes]:
    """The template's first bytes with UIDs of their own, and the rest of it, which is not copied."""
    head = data[:4096].replace(STUDY.encode(), study_uid(study).encode())
    head = head.replace(SERIES.encode(), f"{UID_ROOT}{8_000_000_000 + image // A_SERIES}".encode())
    return head.replace(IMAGE.encode(), f"{UID_ROOT}{9_000_000_000 + image}".encode()), data[4096:]


def body(data: bytes, count: int, study_of: Callable[[int], int], first: int) -> Iterator[bytes]:
    """A body of *count* objects, in pieces."""
    rest = data[4096:]
    for image in range(count):
        yield HEAD + named(data, study_of(image), first + image)[0]
        yield rest
    yield END


def stow(peer: str, pieces: Iterator[bytes], length: int, stop_at: int = 0) -> dict[str, object] | None:
    """Send them as one request; its answer, None if the line was cut after *stop_at* bytes."""
    host, port = peer.split(":")
    with socket.create_connection((host, int(port)), 600) as line:
        head = request_of("POST", peer, "/dicom-web/studies", {**SENT, "Content-Length": str(length)})
        line.sendall(head)
        sent = 0
        for piece in pieces:
            if stop_at and sent + len(piece) > stop_at:
                line.sendall(piece[: stop_at - sent])
                return None
            line.sendall(piece)
            sent += len(piece)
        with line.makefile("rb") as answer:
            status = answer.readline()
            headers = dict(each.lower().split(b": ", 1) for each in iter(answer.readline, b"\r\n"))
            told = answer.read(int(headers[b"content-length"]))
    if b" 200 " not in status:
        raise RuntimeError(f"answered {status!r}: {told[:300]!r}")
    answered: dict[str, object] = json.loads(told)
    return answered


def stored(peer: str, study: int) -> int:
    """Images of a study by QIDO."""
    found = get(peer, [f"/dicom-web/instances/count?StudyInstanceUID={study_uid(study)}"], 1, JSON)
    return int(json.loads(found.body)["count"])


def peak_mb(pid: int) -> tuple[float, float]:
    """Largest memory of the server, and of one of its children, in MB."""
    children = psutil.Process(pid).children()
    return _peak(pid), max((_peak(each.pid) for each in children), default=0.0)


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def told(what: str, seconds: float, size: int, pid: int) -> None:
    """One line."""
    server, child = peak_mb(pid)
    print(
        f"{what:46} {size / GB:6.2f} GB, {seconds:6.1f} s, {size / seconds / 1e6:5.0f} MB/s; "
        f"peak memory of the server {server:.0f} MB, of a worker {child:.0f} MB; "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def check(what: str, found: int, wanted: int) -> None:
    """Raises RuntimeError unless they are the same."""
    if found != wanted:
        raise RuntimeError(f"{what}: {found} images instead of {wanted}")


def measure(peer: str, pid: int, size: int) -> None:
    """All of it, in turn."""
    told("at the beginning", 1, 0, pid)
    data = template()
    count = max(4, size // (len(HEAD) + len(data)) // 2 * 2)
    _store(peer, pid, data, count, 0)
    big = template(FRAMES)
    _store(peer, pid, big, 2, 3_000_000)
    del big
    length = 10 * (len(HEAD) + len(data)) + len(END)
    began = time.perf_counter()
    stow(peer, body(data, 10, lambda _: 5, 4_000_000), length, stop_at=length - 1000)
    until = time.monotonic() + 30
    while stored(peer, 5) < 9 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    check("a body that was cut within its 10th part", stored(peer, 5), 9)
    told("STOW, cut within the 10th part: 9 stored", time.perf_counter() - began, length, pid)
    for study in (1, 2, 3, 4):
        wanted = count // 2 * len(data) if study < 3 else 0
        answer = get(peer, [f"/dicom-web/studies/{study_uid(study)}"], 1, DICOM)
        if answer.bytes < wanted:
            raise RuntimeError(f"study {study} came with {answer.bytes} bytes")
        told(f"WADO-RS of study {study}", answer.seconds, answer.bytes, pid)


def _store(peer: str, pid: int, data: bytes, count: int, first: int) -> None:
    """Two studies in one request, of *count* objects together."""
    study = 1 if first == 0 else 3
    length = count * (len(HEAD) + len(data)) + len(END)
    began = time.perf_counter()
    answer = stow(peer, body(data, count, lambda n: study + 2 * n // count, first), length)
    told(f"STOW of {count} objects in one request", time.perf_counter() - began, length, pid)
    value = (answer or {}).get("00081199")
    check("the answer", len(value["Value"]) if isinstance(value, dict) else 0, count)
    for each in (study, study + 1):
        check("a study", stored(peer, each), count // 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=20)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    room = shutil.disk_usage(options.folder).free - FREE
    size = min(int(options.gb * GB), room)
    if size < options.gb * GB:
        print(f"the disk has room for {size / GB:.1f} GB only", flush=True)
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as temporary,
        serving(Path(temporary) / "archive") as (url, pid),
    ):
        measure(url.removeprefix("http://"), pid, size)


if __name__ == "__main__":
    main()
