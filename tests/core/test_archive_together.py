"""Objects that arrive at once are moved, synced and placed as a group, and fail as one when the disk does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.archive.incoming import GATHER_BYTES
from core.archive.nouns import Outcome, Routing
from core.archive.store import Sending
from core.errors import StorageFault
from core.media.samples import SampleStudy, part10
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


def test_what_fails_alone_is_left_out_of_its_group(
    archive: Archive, files: Failing, *, tmp_path: Path, study: SampleStudy
) -> None:
    store(archive, tiny(study, instance=1))
    before, gate = len(files.calls), threading.Event()
    archive.db.write(lambda _: gate.wait(10))
    futures = [send(archive, tiny(study, instance=n)) for n in range(2, 5)]
    wait_until(lambda: files.calls[before:].count("sync") == 3)
    files.fail = "sync"
    other = SampleStudy("another")  # whose rows are made, and undone
    bad = [send(archive, tiny(one, instance=9)) for one in (study, other)]
    wait_until(lambda: files.calls[before:].count("sync") == 5)
    gate.set()
    assert [future.result(30).outcome for future in futures] == [Outcome.STORED] * 3
    assert all(isinstance(future.exception(30), StorageFault) for future in bad)
    files.fail = ""
    assert len(files_in(tmp_path)) == archive.status().images == 4
    assert archive.status().studies == 1
    assert archive.check().ok
    assert [store(archive, tiny(one, instance=9)).outcome for one in (study, other)] == [Outcome.STORED] * 2
    assert archive.check().ok


def test_a_large_object_that_is_flushed_slowly_holds_nobody_up(archive: Archive, files: Failing) -> None:
    gate, begun = threading.Event(), threading.Event()

    def slow() -> OSError:
        begun.set()
        gate.wait(10)
        return OSError(5, "made up")

    files.fail, files.error = "sync", slow
    large = send(archive, tiny(SampleStudy("large"), EncapsulatedDocument=bytes(GATHER_BYTES)))
    assert begun.wait(10)
    files.fail = ""
    assert store(archive, tiny(SampleStudy("small"))).outcome is Outcome.STORED
    assert not large.done()
    gate.set()
    assert isinstance(large.exception(10), StorageFault)
    assert archive.check().ok


def test_what_comes_when_the_archive_closes_leaves_nothing(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path / "closing")
    with archive.incoming(NS) as incoming:
        incoming.write(part10(tiny(study)))
        archive.db.close()
        future = archive.receive(incoming, Sending("peer", "dimse", Routing()), here=True)
    assert isinstance(future.exception(10), StorageFault)
    archive.close()
    assert files_in(tmp_path / "closing") == []


def test_a_disk_that_fails_folders_keeps_none(
    archive: Archive, files: Failing, *, tmp_path: Path, study: SampleStudy
) -> None:
    store(archive, tiny(study, instance=1))
    files.fail = "sync_folder"
    futures = [send(archive, tiny(study, instance=n)) for n in range(2, 8)]
    assert all(isinstance(future.exception(30), StorageFault) for future in futures)
    files.fail = ""
    assert len(files_in(tmp_path)) == archive.status().images == 1
    assert archive.check().ok
    assert store(archive, tiny(study, instance=2)).outcome is Outcome.STORED
