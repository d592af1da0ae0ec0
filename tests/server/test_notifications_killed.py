"""No notification is lost through kill -9, wherever it strikes: each is told at least once, in order."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from core.media.samples import SampleStudy, dataset, part10
from tests.app.archive_process import ArchiveProcess
from tests.sink import Sink

ROUNDS = 2
STUDIES = 12
CHANGES = 6


def test_nothing_is_lost_through_kills(tmp_path: Path) -> None:
    studies = [SampleStudy(seed=f"killed {n}") for n in range(STUDIES)]
    acknowledged: set[tuple[str, str]] = set()
    lock, seed = threading.Lock(), random.Random(7)
    with Sink() as sink, ArchiveProcess(tmp_path / "data") as archive:
        rule = {"request_url": f"{sink.url}/x?u={{studyUid}}&p={{phiNamespace}}&a={{event_type}}"}
        assert (
            httpx.put(f"{archive.internal}/internal-api/v2/study/notification/n", json=rule).status_code
            == 200
        )

        def change(study: SampleStudy, number: int, url: str) -> None:
            name = f"phi{number}"
            address = f"{url}/api/v3/storage/study/ns/{study.uid}/order/{name}"
            try:
                answer = httpx.put(address, json={"order_id": str(number)}, trust_env=False)
            except httpx.HTTPError:
                return  # not acknowledged: it may or may not have happened
            assert answer.status_code == 200
            with lock:
                acknowledged.add((study.uid, name))

        with httpx.Client(base_url=archive.url, trust_env=False) as client:
            for study in studies:
                data = part10(dataset(study))
                answer = client.post("/api/v3/storage/namespace/ns/image", content=data)
                assert answer.status_code == 200
        for turn in range(ROUNDS):
            url, before = archive.url, len(sink.told)
            with ThreadPoolExecutor(4) as pool:
                for number in range(CHANGES):
                    for study in studies:
                        pool.submit(change, study, turn * CHANGES + number, url)
                enough = before + seed.randrange(1, 30)
                sink.wait(lambda told, enough=enough: len(told) >= enough)  # type: ignore[misc]
                archive.kill()
            archive.start()
        told = sink.wait(lambda told: acknowledged <= {(t.query["u"], t.query["p"]) for t in told}, 60)
        uploads = {study.uid for study in studies}
        told = sink.wait(lambda told: uploads <= {t.query["u"] for t in told if t.query["a"] == "UPLOAD"}, 60)
    assert acknowledged, "nothing was acknowledged, nothing was proven"
    for study in studies:
        first = list(
            dict.fromkeys(t.query["p"] for t in told if t.query["u"] == study.uid and t.query["a"] == "PHI")
        )
        numbers = [int(name.removeprefix("phi")) for name in first]
        rounds = [number // CHANGES for number in numbers]
        assert rounds == sorted(rounds), "told out of order"
