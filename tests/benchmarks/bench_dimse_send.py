"""Our C-STORE client beside `storescu`, into `storescp`: `python -m tests.benchmarks.bench_dimse_send`.

CT slices over one association, hashed on the way as an upload does, by two threads that share it. DCMTK's
programs have TCP_NODELAY=1: as installed they wait for delayed acknowledgements. Interleaved rounds, the
order turned round; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import BinaryIO, cast

from core.dicom.refs import Header
from core.dicom.stored_object import read_object
from core.imaging.recoder import Recoder
from core.media.attached import encapsulate
from core.media.samples import SampleStudy, write_ct_series
from core.net.dimse.requestor import Peer
from core.upload.dimse import DimseDestination
from core.upload.payload import Payload
from tests.interop.orthanc import free_port
from tests.interop.test_dimse_peers import receiver

VERSION_LETTERS = 27


def ours(files: list[tuple[Path, Header]], port: int) -> float:
    """Seconds our client needs: two threads over one association, so that one reads while the other sends."""
    peer = Peer("STORESCP", "127.0.0.1", port)

    def send(each: tuple[Path, Header]) -> None:
        path, header = each
        with path.open("rb", buffering=0) as data:
            size = path.stat().st_size
            payload = Payload(cast(BinaryIO, data), size, lambda _count: None, lambda: False)
            to.send(header, cast(BinaryIO, payload), size)
            if len(payload.version) != VERSION_LETTERS:
                raise RuntimeError("no digest")

    with (
        closing(DimseDestination(peer, encapsulate, Recoder(), associations=1)) as to,
        ThreadPoolExecutor(2) as threads,
    ):
        began = perf_counter()
        for _ in threads.map(send, files):
            pass
        return perf_counter() - began


def theirs(folder: Path, port: int) -> float:
    """Seconds `storescu` needs."""
    began = perf_counter()
    line = ["storescu", "-aec", "STORESCP", "+sd", "+r", "127.0.0.1", str(port), str(folder)]
    subprocess.run(line, check=True, capture_output=True)
    return perf_counter() - began


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=6)
    chosen = parser.parse_args()
    os.environ["TCP_NODELAY"] = "1"  # for the programs started from here
    with tempfile.TemporaryDirectory() as root:
        folder, got = Path(root) / "disc", Path(root) / "got"
        folder.mkdir()
        got.mkdir()
        write_ct_series(SampleStudy("bench"), folder, chosen.files, size=512)
        files = [(path, read_object(path).header) for path in sorted(folder.rglob("*")) if path.is_file()]
        port = free_port()
        times: dict[str, list[float]] = {"ours": [], "storescu": []}
        ways: list[tuple[str, Callable[[], float]]] = [
            ("ours", lambda: ours(files, port)),
            ("storescu", lambda: theirs(folder, port)),
        ]
        with receiver("STORESCP", ["storescp", "--bit-preserving", "-od", str(got), str(port)], port):
            for number in range(chosen.rounds):
                for name, way in ways if number % 2 else reversed(ways):
                    times[name].append(way())
                pair = {name: round(len(files) / some[-1]) for name, some in times.items()}
                print(f"round {number + 1}: {pair} a second; load {os.getloadavg()[0]:.1f}", flush=True)
        ratios = [b / a for a, b in zip(times["ours"], times["storescu"], strict=True)]
        print(f"{statistics.median(ratios):.2f}x storescu (wanted: 0.9x)")


if __name__ == "__main__":
    main()
