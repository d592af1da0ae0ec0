"""No exam event is lost through kill -9: each that was acknowledged is told, and so is every study stored."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from core.media.samples import SampleStudy, dataset, part10
from tests.app.archive_process import ArchiveProcess
from tests.sink import Sink, Told

ROUNDS, EVENTS, STUDIES = 2, 40, 4


def _seen(told: list[Told]) -> set[tuple[str, str]]:
    events = [json.loads(each.body) for each in told]
    return {(event["StudyInstanceUID"], event["EventType"]) for event in events}


def test_nothing_is_lost_through_kills_of_the_archive_or_a_receiver_in_trouble(tmp_path: Path) -> None:
    acknowledged: set[tuple[str, str]] = set()
    lock = threading.Lock()
    failures = iter(range(15))

    def stumbling(told: Told) -> int:
        with lock:
            return 200 if next(failures, None) is None else 503

    with Sink(stumbling) as sink, ArchiveProcess(tmp_path / "data", CALLBACK_URLS=sink.url) as archive:

        def send(number: int, url: str) -> None:
            event = {"StudyInstanceUID": f"1.2.3.{number}", "EventType": "COMPLETED"}
            try:
                answer = httpx.post(f"{url}/new-exam-callback", json=event, trust_env=False)
            except httpx.HTTPError:
                return  # not acknowledged: it may or may not have been kept
            assert answer.status_code == 204
            with lock:
                acknowledged.add((event["StudyInstanceUID"], "COMPLETED"))

        for turn in range(ROUNDS):
            url, before = archive.url, len(sink.told)
            for number in range(STUDIES):
                study = SampleStudy(seed=f"killed {turn} {number}")
                files = {"file": ("x.dcm", part10(dataset(study)))}
                assert httpx.post(f"{url}/exams", files=files, trust_env=False).status_code == 200
                acknowledged |= {(study.uid, "INSTANCES_ADDED"), (study.uid, "COMPLETED")}
            with ThreadPoolExecutor(4) as pool:
                for number in range(EVENTS):
                    pool.submit(send, turn * EVENTS + number, url)
                sink.wait(lambda told, before=before: len(told) > before + 5)  # type: ignore[misc]
                archive.kill()
            archive.start()
        told = sink.wait(lambda told: acknowledged <= _seen(told), 90)
    assert len(acknowledged) > ROUNDS * STUDIES * 2, "no event was acknowledged, nothing was proven"
    for uid, _ in acknowledged:
        kinds = [
            json.loads(t.body)["EventType"] for t in told if json.loads(t.body)["StudyInstanceUID"] == uid
        ]
        assert kinds[-1] == "COMPLETED", "told out of order"
