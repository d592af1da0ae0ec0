"""Archive and uploader killed again and again: nothing acknowledged is lost or half there, all arrives."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from core.dicom.ports import Sent
from core.dicom.refs import FileRef, Found, Header
from core.errors import KnownError
from core.media.samples import SampleStudy, uid, write_ct_series
from core.net.v3_client import V3Client
from core.upload.backoff import Pace
from core.upload.destination import Images
from core.upload.ledger import Ledger
from core.upload.nouns import UploadReceipt
from core.upload.parcel import MOST_FILES
from core.upload.picks import Order, Pick
from core.upload.runner import run
from core.upload.tasks import digest_of
from core.upload.v3 import V3Destination
from tests.app.archive_process import ROOT, ArchiveProcess, environment, here
from tests.core.upload_fakes import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="kills with POSIX signals"),
    pytest.mark.timeout(400),  # many starts of a process, each slow on a busy machine
]

ROUNDS = 10
CONNECTIONS = Pace().connections
STUDY = SampleStudy("kill")
IMAGES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disc")
    write_ct_series(STUDY, folder, IMAGES, size=256)
    return folder


@pytest.fixture(scope="module")
def digests(folder: Path) -> dict[str, str]:
    """Version of every file by SOP Instance UID."""
    return {uid(STUDY.seed, 1, n): digest_of(folder / f"IM{n:06}")[0] for n in range(1, IMAGES + 1)}


def held(url: str, digests: dict[str, str]) -> dict[str, str]:
    with V3Client(url) as client:
        return client.held("default", STUDY.uid, list(digests))


def has_come_to(
    threshold: int, archive: ArchiveProcess, digests: dict[str, str], process: subprocess.Popen[bytes]
) -> bool:
    """Whether so many images have arrived, or the uploader has ended."""
    return len(held(archive.url, digests)) >= threshold or process.poll() is not None


def assert_sound(archive: ArchiveProcess) -> None:
    """Catalog and blobs agree."""
    archive.stop()
    checked = here("check", "--data", archive.data, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_uploader_is_killed(folder: Path, digests: dict[str, str], tmp_path: Path) -> None:
    chance = random.Random(7)
    with ArchiveProcess(tmp_path / "archive") as archive:
        command = [sys.executable, "-m", "app", "upload", str(folder), "--to", f"v3:{archive.url}",
                   "--data", str(tmp_path / "client"), "--resume", "--json"]  # fmt: skip
        for number in range(1, ROUNDS + 1):
            ceiling = number * IMAGES // 2 // ROUNDS  # the other half is more than can be on its way
            threshold = chance.randint(max(0, ceiling - IMAGES // ROUNDS), ceiling)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment(),
                                       stderr=subprocess.DEVNULL)  # fmt: skip
            wait_until(partial(has_come_to, threshold, archive, digests, process), 30)
            process.kill()
            process.wait()
            found = held(archive.url, digests)
            assert found.items() <= digests.items()
        done = here(*command[3:])
        assert done.returncode == 0, done.stderr
        (study,) = json.loads(done.stdout)["studies"]
        assert study["verified"] == study["expected"] == IMAGES and study["verified_by"] == "digest"
        assert 0 < len(found) < IMAGES
        # what was on its way when the last one died may have arrived after we asked
        assert len(found) <= study["already_there"] <= len(found) + CONNECTIONS * MOST_FILES
        assert study["sent"] == IMAGES - study["already_there"]
        assert held(archive.url, digests) == digests
        assert_sound(archive)


class Listening(V3Destination):
    """Remembers what the archive said it had stored."""

    def __init__(self, url: str) -> None:
        super().__init__(url, None, "default")
        self.acknowledged: dict[str, str] = {}

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        sent = super().send(header, data, size)
        self.acknowledged[header.sop_instance_uid] = sent.digest
        return sent

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        headers: list[Header] = []

        def noted() -> Iterator[tuple[Header, bytes]]:
            headers.clear()
            for header, content in images():
                headers.append(header)
                yield header, content

        answers = super().send_together(noted)
        for header, answer in zip(headers, answers, strict=True):
            if isinstance(answer, Sent):
                self.acknowledged[header.sop_instance_uid] = answer.digest
        return answers


def test_the_archive_is_killed(folder: Path, digests: dict[str, str], tmp_path: Path) -> None:
    chance = random.Random(11)
    with ArchiveProcess(tmp_path / "archive") as archive, Ledger(tmp_path / "client.db") as ledger:
        destination = Listening(archive.url)
        job = ledger.create(
            Order([folder], f"v3:{archive.url}", [whole(folder)]), lambda ref: folder / ref.path
        )
        pace = Pace(first_delay_s=0.01, longest_delay_s=0.05, progress_every_s=0.0)
        work = run(job, destination, opener=lambda ref: (folder / ref.path).open("rb"), pace=pace)
        marks = sorted(chance.sample(range(1, IMAGES - 5), ROUNDS))
        killed = 0
        receipt: UploadReceipt | None = None
        while receipt is None:
            try:
                next(work)
            except StopIteration as end:
                receipt = end.value
            if marks and len(destination.acknowledged) >= marks[0]:
                marks = [mark for mark in marks[1:] if mark > len(destination.acknowledged)]
                archive.kill()
                told = dict(destination.acknowledged)
                archive.start()
                killed += 1
                assert told.items() <= held(archive.url, digests).items() <= digests.items()
        assert receipt.safe_to_eject and killed >= ROUNDS // 2
        assert held(archive.url, digests) == digests
        assert_sound(archive)


def whole(folder: Path) -> Pick:
    """All files, as a scan would have found them."""
    found = []
    for n in range(1, IMAGES + 1):
        header = Header("1.2.840.10008.5.1.4.1.1.2", uid(STUDY.seed, 1, n), STUDY.uid, uid(STUDY.seed, 1), "")
        path = folder / f"IM{n:06}"
        found.append(Found(FileRef(path.name), header, path.stat().st_size))
    return Pick(found[0].header, tuple(found))
