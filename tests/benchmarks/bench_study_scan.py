"""A scan of 100,000 studies: the archive's memory, its progress, and whether a second scan has to wait.

    python -m tests.benchmarks.bench_study_scan [STUDIES]

Made-up studies are announced to a receiver on loopback. After the first 2,000 a second scan, of 100 studies
of another namespace, is asked for. Memory is what the process has beyond what a small scan before left it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from sqlalchemy import Connection, update

from core.archive.archive import Archive
from core.archive.schema import namespaces, studies
from tests.app.archive_process import ArchiveProcess
from tests.core.test_outbox import many_studies
from tests.sink import Sink, Told

FEW = 100
LONGEST_S = 3600


def fill(connection: Connection, count: int) -> None:
    """*count* studies of namespace "many" and FEW of namespace "few"."""
    many_studies(connection, count + FEW)
    connection.execute(namespaces.insert().values(name="few", created=0))
    connection.execute(update(studies).where(studies.c.created >= 100.0 + count).values(namespace="few"))


class Counted(Sink):
    """A receiver that counts what it was told, and keeps each different study once."""

    def __init__(self) -> None:
        super().__init__()
        self.studies: set[tuple[str, str]] = set()
        self.by_scan: Counter[str] = Counter()

    def hear(self, told: Told) -> int:
        """Take note."""
        place = (told.query["scan"], told.query["u"])
        if place not in self.studies:
            self.studies.add(place)
            self.by_scan[place[0]] += 1
        return 200


def begin(served: ArchiveProcess, sink: Counted, name: str, namespace: str) -> float:
    """Ask for a scan; the seconds until it was accepted."""
    began = time.perf_counter()
    scan = {
        "request_url": f"{sink.url}/?scan={name}&u={{studyUid}}",
        "from_ts": 0,
        "to_ts": 10**15,
        "namespace": [namespace],
    }
    answer = httpx.post(f"{served.internal}/internal-api/v2/study/scan", json=scan, trust_env=False)
    if answer.status_code != 202:
        raise RuntimeError(f"the scan was answered {answer.status_code}")
    return time.perf_counter() - began


def resident_mb(pid: int) -> float:
    """What the process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def announced(served: ArchiveProcess) -> int:
    """Studies announced by all scans, as the figures say."""
    text = httpx.get(f"{served.internal}/metrics", trust_env=False, timeout=60).text
    found = re.search(r"^filmjacket_scans_announced_total (\d+)", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("the figures do not tell the progress of scans")
    return int(found[1])


def until(sink: Counted, name: str, count: int) -> float:
    """Wait until a scan has told *count* studies; the seconds it took."""
    began = time.perf_counter()
    while sink.by_scan[name] < count:
        if time.perf_counter() - began > LONGEST_S:
            raise RuntimeError(f"{sink.by_scan[name]} of {count}")
        time.sleep(0.02)
    return time.perf_counter() - began


def measure(count: int) -> dict[str, object]:
    """Scan *count* studies."""
    with tempfile.TemporaryDirectory() as folder, Counted() as sink:
        archive = Archive.open(Path(folder), settle_after_s=600)
        archive.db.write(lambda connection: fill(connection, count)).result()
        archive.close()
        with ArchiveProcess(Path(folder)) as served:
            begin(served, sink, "before", "few")
            until(sink, "before", FEW)
            memory, progress = [resident_mb(served.pid)], [announced(served)]
            began = time.perf_counter()
            accepted = [begin(served, sink, "first", "many")]
            until(sink, "first", min(2000, count))
            accepted.append(begin(served, sink, "second", "few"))
            second = until(sink, "second", FEW)
            told_meanwhile = sink.by_scan["first"]
            while sink.by_scan["first"] < count and time.perf_counter() - began < LONGEST_S:
                time.sleep(1)
                memory.append(resident_mb(served.pid))
                progress.append(announced(served))
            seconds = time.perf_counter() - began
    return {
        "studies": count,
        "lost": count - sink.by_scan["first"],
        "seconds": round(seconds, 1),
        "a_second": round(count / seconds),
        "accepted_s": [round(each, 3) for each in accepted],
        "second_scan_s": round(second, 1),
        "first_scan_told_by_then": told_meanwhile,
        "memory_before_mb": round(memory[0]),
        "memory_most_more_mb": round(max(memory) - memory[0], 1),
        "memory_more_by_tenths_mb": [
            round(memory[len(memory) * n // 10] - memory[0], 1) for n in range(1, 10)
        ],
        "progress_only_grows": progress == sorted(progress) and progress[-1] > progress[0],
        "load": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
