"""Notifications a second to a receiver on loopback, and whether any is lost through kill -9.

    python -m tests.benchmarks.bench_notifications [STUDIES] [KILLS]

A scan announces made-up studies while the archive is killed and started again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx

from core.archive.archive import Archive
from tests.app.archive_process import ArchiveProcess
from tests.core.test_outbox import many_studies
from tests.sink import Sink

LONGEST_S = 600


def measure(count: int, kills: int) -> dict[str, float]:
    """Announce *count* studies through *kills* kills."""
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        archive = Archive.open(Path(folder), settle_after_s=600)
        archive.db.write(lambda connection: many_studies(connection, count)).result()
        archive.close()
        with ArchiveProcess(Path(folder)) as served:
            began = time.perf_counter()
            scan = {"request_url": f"{sink.url}/?u={{studyUid}}", "from_ts": 0, "to_ts": 10**15}
            answer = httpx.post(f"{served.internal}/internal-api/v2/study/scan", json=scan, trust_env=False)
            answered = time.perf_counter() - began
            answer.raise_for_status()
            for kill in range(kills):
                enough = (kill + 1) * count // (kills + 1)
                sink.wait(lambda told, enough=enough: len(told) >= enough, LONGEST_S)  # type: ignore[misc]
                served.kill()
                served.start()
            end = time.perf_counter() + LONGEST_S
            while len({one.query["u"] for one in list(sink.told)}) < count and time.perf_counter() < end:
                time.sleep(0.2)
            seconds = time.perf_counter() - began
        different = len({one.query["u"] for one in sink.told})
    return {
        "studies": count,
        "kills": kills,
        "lost": count - different,
        "told_again": len(sink.told) - different,
        "answered_s": round(answered, 3),
        "seconds": round(seconds, 1),
        "a_second": round(count / seconds),
    }


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    print(json.dumps(measure(*(numbers + [10_000, 5][len(numbers) :]))))
