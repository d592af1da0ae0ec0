"""Trash, restore, purge; check, repair, backup; one process at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.archive.archive import Archive
from core.archive.lock import FolderLock
from core.archive.nouns import Outcome, State, StudyFilter
from core.archive.schema import attachments, instances, phi_sets, series, studies, trash
from core.errors import Conflict, NotFound, StorageFault
from core.media.samples import SampleStudy, part10, uid
from tests.core.archive_help import NS, Failing, attach, files_in, send, sop, store, tiny


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive."""
    archive = Archive.open(tmp_path / "data", settle_after_s=600)
    yield archive
    archive.close()


def rows(archive: Archive) -> int:
    """How many rows tell of studies."""
    tables = (studies, series, instances, phi_sets, attachments, trash)
    with archive.db.read() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
        )


def until(condition: Callable[[], bool]) -> None:
    """Wait for the background."""
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("nothing happened")


def blobs(archive: Archive) -> list[Path]:
    """The files of the archive."""
    return files_in(archive.db.path.parents[1])


def test_a_deleted_study_is_gone_from_every_query(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study))
    kept = attach(archive, study.uid, b"x").result(30)
    entry = archive.delete_study(NS, study.uid, "root").result(30)
    assert archive.studies(StudyFilter()).total == 0
    assert archive.studies(StudyFilter(text="probe")).rows == ()
    assert archive.held(NS, study.uid) == {}
    assert archive.status().images == 0
    asks: list[Callable[[], object]] = [
        lambda: archive.study(NS, study.uid),
        lambda: archive.schema(NS, study.uid),
        lambda: archive.study_phi(NS, study.uid),
        lambda: archive.image_phi(NS, study.uid, sop(study)),
        lambda: archive.study_tags(NS, study.uid),
        lambda: archive.transfer_attributes(NS, study.uid),
        lambda: archive.image(NS, study.uid, sop(study)),
        lambda: archive.representative(NS, study.uid),
        lambda: archive.attachment(NS, study.uid, kept.guid, "*"),
        lambda: archive.latest_attachment(NS, study.uid),
        lambda: archive.series_thumbnail(NS, study.uid, uid(study.seed, 1)),
    ]
    for ask in asks:
        with pytest.raises(NotFound) as missing:
            ask()
        assert missing.value.kind == "study"
    assert isinstance(archive.delete_study(NS, study.uid, "root").exception(30), NotFound)
    assert archive.trash() == (entry,)
    assert (entry.patient_name, entry.images, entry.deleted_by) == ("Probe^Paula", 1, "root")
    assert entry.expires is not None
    assert (entry.expires - entry.deleted).days == 7
    assert archive.audit.entries(limit=1)[0].event == "110105"
    assert archive.check().objects == 2


def test_a_restored_study_is_as_it_was(archive: Archive, study: SampleStudy) -> None:
    for n in (1, 2):
        store(archive, tiny(study, instance=n))
    store(archive, tiny(study, ImageComments="second version"))
    attach(archive, study.uid, b"x").result(30)
    before = (archive.schema(NS, study.uid), archive.study_tags(NS, study.uid))
    entry = archive.delete_study(NS, study.uid, "root").result(30)
    row = archive.restore(entry.id, "root").result(30)
    assert (row.images, row.attachments) == (2, 1)
    assert (archive.schema(NS, study.uid), archive.study_tags(NS, study.uid)) == before
    assert archive.trash() == ()
    assert isinstance(archive.restore(entry.id, "root").exception(30), NotFound)
    assert archive.check().ok


def test_a_study_sent_again_after_deletion_is_new_and_restoring_loses_neither(
    archive: Archive, study: SampleStudy
) -> None:
    old = store(archive, tiny(study, instance=1))
    only_old = store(archive, tiny(study, instance=2))
    store(archive, tiny(study, instance=3))
    old_series = store(archive, tiny(study, series=7))
    store(archive, tiny(study, series=8))
    attach(archive, study.uid, b"old").result(30)
    entry = archive.delete_study(NS, study.uid, "root").result(30)

    new = store(archive, tiny(study, instance=1, ImageComments="new"))
    assert new.outcome is Outcome.STORED
    assert store(archive, tiny(study, instance=3)).outcome is Outcome.STORED
    assert store(archive, tiny(study, series=8)).outcome is Outcome.STORED
    only_new = store(archive, tiny(study, instance=4))
    attach(archive, study.uid, b"new").result(30)
    assert archive.study(NS, study.uid).row.images == 4

    row = archive.restore(entry.id, "root").result(30)
    assert (row.images, row.series, row.attachments) == (6, 3, 2)
    assert row.state is State.RECEIVING
    held = archive.held(NS, study.uid)
    assert held[sop(study, 1, 1)] == new.version
    assert archive.image(NS, study.uid, sop(study, 1, 1), old.version).version == old.version
    assert held[sop(study, 1, 2)] == only_old.version
    assert held[sop(study, 1, 4)] == only_new.version
    assert held[sop(study, 7, 1)] == old_series.version
    assert len({one.id for one in archive.schema(NS, study.uid).series}) == 3
    report = archive.check()
    assert report.ok, report
    assert report.objects == 9


def test_restoring_marks_uids_that_others_hold_by_now(archive: Archive, study: SampleStudy) -> None:
    other = SampleStudy("other")
    store(archive, tiny(study))
    entry = archive.delete_study(NS, study.uid, "root").result(30)
    assert store(archive, tiny(other, SOPInstanceUID=sop(study))).outcome is Outcome.STORED
    assert archive.restore(entry.id, "root").result(30).state is State.CONFLICT
    assert archive.study(NS, other.uid).row.state is State.RECEIVING


def test_a_purged_study_is_gone_for_good(archive: Archive, study: SampleStudy) -> None:
    other = SampleStudy("other")
    store(archive, tiny(other))
    before = rows(archive)
    for n in (1, 2):
        store(archive, tiny(study, instance=n, series=n))
    attach(archive, study.uid, b"x").result(30)
    entry = archive.delete_study(NS, study.uid, "root").result(30)
    archive.purge(entry.id, "root").result(30)
    assert archive.trash() == ()
    assert isinstance(archive.restore(entry.id, "root").exception(30), NotFound)
    assert isinstance(archive.purge(entry.id, "root").exception(30), NotFound)
    until(lambda: len(blobs(archive)) == 1 and rows(archive) == before)
    assert archive.check().ok
    assert store(archive, tiny(study)).outcome is Outcome.STORED
    assert [one.action for one in archive.audit.entries(study_uid=study.uid)][:3] == [
        "stored",
        "purged",
        "deleted",
    ]


def test_without_trash_a_deleted_study_goes_soon(tmp_path: Path, study: SampleStudy) -> None:
    with closing(Archive.open(tmp_path, trash_days=0)) as archive:
        store(archive, tiny(study))
        archive.delete_study(NS, study.uid, "root").result(30)
        until(lambda: blobs(archive) == [] and rows(archive) == 0)
        assert archive.trash() == ()


def test_a_purge_cut_short_goes_on_at_the_next_start(tmp_path: Path, study: SampleStudy) -> None:
    files = Failing()
    with closing(Archive.open(tmp_path, files=files)) as archive:
        store(archive, tiny(study))
        entry = archive.delete_study(NS, study.uid, "root").result(30)
        with closing(FolderLock(tmp_path / "archive" / "removal.lock", shared=True)):  # a backup is copying
            archive.purge(entry.id, "root").result(30)
            assert isinstance(archive.restore(entry.id, "root").exception(30), NotFound)
            assert len(blobs(archive)) == 1
            assert archive.check().ok
    with closing(Archive.open(tmp_path)) as archive:
        until(lambda: blobs(archive) == [] and rows(archive) == 0)
        assert archive.check().ok


def named(content: bytes, rest: str) -> str:
    """The name of a blob that begins with digits of its digest."""
    return (hashlib.sha256(content).hexdigest()[:10] + rest * 32)[:32]


def test_check_finds_what_is_wrong_and_repair_mends_it(tmp_path: Path, study: SampleStudy) -> None:
    data = tmp_path / "data"
    with closing(Archive.open(data)) as archive:
        for n in range(1, 5):
            store(archive, tiny(study, instance=n))
        paths = {n: archive.image(NS, study.uid, sop(study, 1, n)).path for n in range(1, 5)}
        objects = paths[1].parents[1]
        paths[1].unlink()
        paths[2].write_bytes(paths[2].read_bytes()[:-1] + b"?")
        whole = part10(tiny(study, instance=9))
        for name, content in {
            "00/" + named(whole, "a"): whole,  # a store killed before its commit
            "00/" + named(paths[3].read_bytes(), "b"): paths[3].read_bytes(),  # the same, sent twice
            "01/" + "c" * 32: b"half an attachment",
            "01/" + named(whole, "e"): whole[:-1] + b"?",  # a crash before all of its bytes were on disk
        }.items():
            (objects / name).parent.mkdir(exist_ok=True)
            (objects / name).write_bytes(content)
            os.utime(objects / name, (time.time() - 3600,) * 2)
        report = archive.check()
        assert not report.ok
        assert (len(report.missing), len(report.damaged), len(report.orphans)) == (1, 1, 4)
        assert sop(study, 1, 1) in report.missing[0]
        assert "Probe" not in str(report)

        mended = archive.check(repair=True)
        assert len(mended.repaired) == 5
        assert (len(mended.missing), mended.damaged, mended.orphans) == (1, (), ())
        assert sop(study, 1, 9) in archive.held(NS, study.uid)
        assert len(archive.check().missing) == 2  # the damaged one lies in lost+found now
        for n in (1, 2):
            store(archive, tiny(study, instance=n))
        assert archive.check().ok
        assert len(list((data / "archive" / "lost+found").iterdir())) == 2


def test_a_blob_whose_namespace_cannot_be_told_is_set_aside(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study), "one")
    store(archive, tiny(study), "two")
    path = archive.image("one", study.uid, sop(study)).path
    content = part10(tiny(SampleStudy("third")))
    orphan = path.parent / named(content, "d")
    orphan.write_bytes(content)
    report = archive.check(repair=True)
    assert "lost+found" in report.repaired[0]
    assert not orphan.exists()
    assert archive.check().ok


def test_wrong_counts_are_found_and_mended(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study))
    archive.db.write(lambda c: c.execute(studies.update().values(images=7, bytes=1)) and None).result()
    assert "counts" in archive.check().catalog[0]
    assert archive.check(repair=True).ok
    assert archive.status().images == 1


def test_a_tampered_audit_log_is_found(archive: Archive, study: SampleStudy) -> None:
    for n in (1, 2, 3):
        store(archive, tiny(study, instance=n))
    with pytest.raises(Exception, match="append-only"):
        archive.db.write(lambda c: c.exec_driver_sql("DELETE FROM audit WHERE id = 2")).result()

    def tamper(connection: object) -> None:
        for statement in ("DROP TRIGGER audit_keeps_text", "UPDATE audit SET actor = 'nobody' WHERE id = 2"):
            connection.exec_driver_sql(statement)  # type: ignore[attr-defined]

    archive.db.write(tamper).result()
    assert archive.check().audit == ("Audit row 2 is not what was written.",)


def test_a_backup_is_a_data_folder(archive: Archive, tmp_path: Path, study: SampleStudy) -> None:
    data = archive.db.path.parents[1]
    (data / "settings.toml").write_text("x = 1\n")
    store(archive, tiny(study))
    attach(archive, study.uid, b"x").result(30)
    entry = archive.delete_study(NS, study.uid, "root").result(30)
    other = SampleStudy("other")
    store(archive, tiny(other))
    dest = tmp_path / "backups" / "monday"
    report = archive.backup(dest)
    assert report.ok
    assert report.objects == 3
    assert not (tmp_path / "backups" / "monday.partial").exists()
    store(archive, tiny(other, instance=2))
    archive.purge(entry.id, "root").result(30)
    until(lambda: len(blobs(archive)) == 2)
    with closing(Archive.open(dest)) as copy:
        assert copy.held(NS, other.uid) == {sop(other): archive.held(NS, other.uid)[sop(other)]}
        assert copy.restore(copy.trash()[0].id, "root").result(30).attachments == 1
        assert copy.check().ok
    assert (dest / "settings.toml").exists()
    with pytest.raises(Conflict):
        archive.backup(dest)


def test_a_backup_while_storing_is_consistent(archive: Archive, tmp_path: Path, study: SampleStudy) -> None:
    stop = threading.Event()

    def work() -> None:
        n = 0
        while not stop.is_set() and n < 400:
            n += 1
            store(archive, tiny(study, instance=n))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(lambda: archive.status().images > 5)
        reports = [archive.backup(tmp_path / f"copy{n}") for n in range(2)]
    finally:
        stop.set()
        thread.join()
    assert all(report.ok for report in reports)
    assert 5 < reports[0].objects <= reports[1].objects


def test_a_backup_that_cannot_be_written_leaves_nothing(
    archive: Archive, tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(archive, tiny(study))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageFault):
        archive.backup(tmp_path / "copy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_a_backup_on_another_disk_copies(
    archive: Archive, tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(archive, tiny(study))

    def other_disk(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    assert archive.backup(tmp_path / "copy").ok
    assert all(path.stat().st_nlink == 1 for path in files_in(tmp_path / "copy"))


def test_deleting_while_storing_loses_nothing_acknowledged(archive: Archive, study: SampleStudy) -> None:
    entries = []
    for n in range(1, 30):
        future = send(archive, tiny(study, instance=n))
        if n % 10 == 0:
            future.result(30)
            entries.append(archive.delete_study(NS, study.uid, "root").result(30))
        future.result(30)
    for entry in entries:
        archive.restore(entry.id, "root").result(30)
    assert len(archive.held(NS, study.uid)) == 29
    assert archive.check().ok
