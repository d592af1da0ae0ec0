"""Objects that arrive at once are moved, synced and placed as a group, and fail as one when the disk does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.archive.nouns import Outcome
from core.errors import StorageFault
from core.media.samples import SampleStudy
from tests.core.archive_help import NS, Failing, files_in, send, store, tiny
from tests.core.upload_fakes import wait_until


@pytest.fixture
def files() -> Failing:
    """The file system under the archive."""
    return Failing()


@pytest.fixture
def archive(tmp_path: Path, files: Failing) -> Iterator[Archive]:
    """An empty archive."""
    archive = Archive.open(tmp_path, files=files, settle_after_s=60)
    yield archive
    archive.close()


def test_what_comes_at_once_is_placed_as_if_it_came_singly(
    archive: Archive, files: Failing, study: SampleStudy
) -> None:
    store(archive, tiny(study, instance=1))
    other = tiny(study, instance=50, PatientID="SOMEBODY-ELSE")
    batch = [*(tiny(study, instance=n) for n in range(2, 12)), tiny(study, series=2, instance=1), other]
    expected = [Outcome.STORED] * 11 + [Outcome.CONFLICT]
    before, gate = len(files.calls), threading.Event()
    archive.db.write(lambda _: gate.wait(10))
    plain = [send(archive, one) for one in batch[:10]]
    futures = [*plain, *(send(archive, one) for one in batch[10:])]
    wait_until(lambda: files.calls[before:].count("sync") == len(batch))
    gate.set()
    assert [future.result(30).outcome for future in futures] == expected
    assert files.calls[before:].count("sync_folder") <= 4  # one for each group, not one for each object
    assert len(archive.held(NS, study.uid)) == 13
    row = archive.study(NS, study.uid).row
    assert (row.images, row.series) == (13, 2)
    assert archive.check().ok
    assert not list(archive.audit.verify())


def test_a_disk_that_fails_a_group_keeps_none_of_it(
    archive: Archive, files: Failing, *, tmp_path: Path, study: SampleStudy
) -> None:
    store(archive, tiny(study, instance=1))
    before, gate = len(files.calls), threading.Event()
    archive.db.write(lambda _: gate.wait(10))
    futures = [send(archive, tiny(study, instance=n)) for n in range(2, 8)]
    wait_until(lambda: files.calls[before:].count("sync") == 6)
    files.fail = "sync_folder"
    gate.set()
    assert all(isinstance(future.exception(30), StorageFault) for future in futures)
    files.fail = ""
    assert len(files_in(tmp_path)) == archive.status().images == 1
    assert archive.check().ok
    assert store(archive, tiny(study, instance=2)).outcome is Outcome.STORED
