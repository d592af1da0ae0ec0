"""The law of the ledger: an upload killed anywhere goes on, sends nothing twice, claims nothing unproven."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.dicom.refs import FileRef
from core.errors import KnownError, NotFound, SourceFault
from core.media.samples import SampleStudy
from core.scan.zip_files import ZipFiles
from core.upload.ledger import Ledger
from core.upload.local_files import LocalFiles
from core.upload.nouns import ItemState, JobState, UploadReceipt
from core.upload.picks import Attach, Order, Pick
from core.upload.runner import run
from tests.core.scanning import packed, scanned, slices
from tests.core.upload_fakes import QUICK, Desk, FakeDestination, Store, finish
from tests.repeats import times

DEAD_PID = 2**22 + 1  # beyond the highest a system gives


def snapshot(path: Path, to: Path) -> Path:
    """The ledger as a kill at this moment would leave it: what is committed, owned by a process now dead."""
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)
        copy.execute("UPDATE upload_jobs SET owner_pid = ?, owner_started = 1.0", (DEAD_PID,))
        copy.commit()
    return to


def claimed(path: Path) -> set[tuple[str, str]]:
    """What a ledger says is proven to be at the destination."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT study_uid, sop_uid, state FROM upload_instances").fetchall()
    return {(s, i) for s, i, state in rows if state in (ItemState.VERIFIED, ItemState.ALREADY_THERE)}


@settings(max_examples=times(6, whole=15), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    studies=st.integers(1, 3),
    each=st.integers(1, 6),
    kills=st.lists(st.integers(0, 18), min_size=1, max_size=3),
    gives_digest=st.sampled_from([True, None, False]),
    hiccup=st.integers(0, 5),
)
def test_any_kill_point_resumes(
    studies: int, each: int, kills: list[int], gives_digest: bool | None, hiccup: int
) -> None:
    with TemporaryDirectory() as folder:
        desk = Desk(Path(folder), studies, each, size=800)
        report = Path(folder) / "report.pdf"
        report.write_bytes(b"%PDF-1.4")
        desk.attachments = [Attach("1.2.3.1", report)]
        store = Store()
        faults = {f"1.2.3.1.{n}": 1 for n in range(hiccup)}

        def before(uid: str) -> None:
            if faults.pop(uid, 0):
                raise KnownError("A fault of its own (HTTP 500).")

        job = desk.job()
        for number, kill_at in enumerate(sorted(kills)):
            work = run(
                job,
                FakeDestination(store, gives_digest=gives_digest, before=before),
                opener=desk.open,
                pace=QUICK,
            )
            for _ in work:
                if len(store.stored) >= kill_at:
                    break
            proven = set(store.images)
            copy = snapshot(desk.ledger_path, Path(folder) / f"killed-{number}.db")
            work.close()
            desk.close()
            assert claimed(copy) <= proven
            desk.ledger_path = copy
            desk.ledger = Ledger(copy)
            job = desk.ledger.open_job(job.id)
        there = {uid for _, uid in store.images}
        sent_before = len(store.stored)
        receipt = desk.upload(FakeDestination(store, gives_digest=gives_digest, before=before), job)
        assert receipt.complete
        assert not there & set(store.stored[sent_before:])
        assert sum(s.already_there for s in receipt.studies) == len(there)
        assert len(store.images) == studies * each
        assert all(
            data == (desk.folder / f"{study.split('.')[-1]}-{uid.split('.')[-1]}").read_bytes()
            for (study, uid), data in store.images.items()
        )
        assert len(store.attached["1.2.3.1"]) == 1
        assert claimed(desk.ledger_path) == set(store.images)
        desk.close()


def test_a_resumed_job_reads_files_that_are_there_already_only_if_they_changed(tmp_path: Path) -> None:
    desk, store = Desk(tmp_path), Store()
    job = desk.job()
    desk.upload(FakeDestination(store), job)
    opened: list[int] = []

    class Counting:
        def __init__(self, path: Path) -> None:
            self._file = path.open("rb")

        def read(self, size: int = -1) -> bytes:
            opened.append(size)
            return self._file.read(size)

        def fileno(self) -> int:
            return self._file.fileno()

        def __enter__(self) -> Counting:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

    receipt = desk.upload(
        FakeDestination(store),
        job,
        opener=lambda ref: Counting(desk.locate(ref)),  # type: ignore[return-value,arg-type] # enough of a file
    )
    assert receipt.safe_to_eject and not opened
    desk.close()


def test_a_planted_file_is_found_on_resume(tmp_path: Path) -> None:
    desk, store = Desk(tmp_path), Store()
    work = run(job := desk.job(), FakeDestination(store), opener=desk.open, pace=QUICK)
    for _ in work:
        if store.stored:
            break
    work.close()
    victim = store.stored[0]
    store.images["1.2.3.1", victim] = b"planted"
    receipt = desk.upload(FakeDestination(store), job)
    assert not receipt.complete and [f.sop_uid for f in receipt.studies[0].failed] == [victim]
    desk.close()


def test_the_same_source_and_destination_are_the_same_job(tmp_path: Path) -> None:
    desk = Desk(tmp_path, studies=2)
    job = desk.job()
    find = desk.ledger.find_resumable
    assert (found := find([desk.folder], "fake", "default")) is not None and found.id == job.id
    assert find([desk.folder], "fake", "default", {"1.2.3.1", "1.2.3.2"}) is not None
    assert find([desk.folder], "fake", "default", {"1.2.3.1"}) is None
    assert find([desk.folder], "other", "default") is None
    assert find([desk.folder], "fake", "elsewhere") is None
    assert find([tmp_path], "fake", "default") is None
    desk.upload(FakeDestination(Store()), job)
    assert find([desk.folder], "fake", "default") is None
    desk.close()


def test_what_changed_on_the_source_is_sent_as_it_is_now(tmp_path: Path) -> None:
    desk, store = Desk(tmp_path), Store()
    job = desk.job()
    (desk.folder / "1-2").write_bytes(b"other bytes")
    found = desk.picks[0].instances
    new = [f._replace(size=11) if f.ref.path == "1-2" else f for f in found]
    extra = found[0]._replace(
        ref=found[0].ref._replace(path="1-6"), header=found[0].header._replace(sop_instance_uid="1.2.3.1.6")
    )
    (desk.folder / "1-6").write_bytes((desk.folder / "1-1").read_bytes())
    (desk.folder / "1-5").unlink()
    desk.ledger.renew(job, [Pick(found[0].header, (*new[:4], extra))], locate=desk.locate)
    receipt = desk.upload(FakeDestination(store), job)
    assert receipt.studies[0].expected == 6 and receipt.studies[0].verified == 5
    assert [(f.path, "no longer" in f.reason) for f in receipt.studies[0].failed] == [("1-5", True)]
    assert store.images["1.2.3.1", "1.2.3.1.2"] == b"other bytes"
    desk.close()


def test_an_unfinished_job_goes_on_from_the_ledger_alone(tmp_path: Path) -> None:
    desk, store = Desk(tmp_path, studies=2), Store()
    job_id = desk.job().id
    desk.close()
    with Ledger(desk.ledger_path) as ledger:
        (left,) = ledger.unfinished()
        assert left.id == job_id and left.sources == (str(desk.folder),)
        assert left.studies[0].patient_name == "Probe^Paula" and left.expected == 10 and left.there == 0
        job = ledger.open_job(left.id)
        files = LocalFiles(job, ZipFiles().open)
        assert finish(run(job, FakeDestination(store), opener=files.open, pace=QUICK)).complete
        assert not ledger.unfinished()


def test_what_lies_in_a_zip_file_in_a_zip_file_goes_on_from_the_ledger_alone(tmp_path: Path) -> None:
    one, two = slices(SampleStudy(), 3), slices(SampleStudy(), 1, series=2)
    outer = packed({"portal/study.zip": packed(one), **two})
    (tmp_path / "mail.zip").write_bytes(outer)
    desk, store = Desk(tmp_path), Store()
    scan = scanned(tmp_path / "mail.zip")
    picks = [Pick.of(study) for _, study in scan.tree.studies()]
    source = scan.sources[0]
    job_id = desk.ledger.create(Order([source.path], "fake", picks), source.file).id
    desk.close()
    with Ledger(desk.ledger_path) as ledger, closing(ZipFiles()) as zip_files:
        job = ledger.open_job(job_id)
        files = LocalFiles(job, zip_files.open)
        receipt = finish(run(job, FakeDestination(store), opener=files.open, pace=QUICK))
        assert receipt.complete and receipt.studies[0].verified == 4
        with pytest.raises(SourceFault, match="no longer on the source"):
            files.open(FileRef("mail.zip", "portal/study.zip!/IM9"))


def test_without_the_disc_every_file_says_so(tmp_path: Path) -> None:
    desk, store = Desk(tmp_path), Store()
    job = desk.job()
    desk.folder.rename(tmp_path / "taken out")
    files = LocalFiles(job, ZipFiles().open)
    receipt = desk.upload(FakeDestination(store), job, opener=files.open)
    assert (
        len(receipt.studies[0].failed) == 5
        and "no longer on the source" in receipt.studies[0].failed[0].reason
    )
    (tmp_path / "taken out").rename(desk.folder)
    assert desk.upload(FakeDestination(store), job, opener=files.open).complete
    desk.close()


def test_jobs_can_be_given_up_and_forgotten(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    first, second = desk.job(), desk.job()
    desk.ledger.cancel(first.id)
    assert [job.state for job in desk.ledger.jobs()] == [JobState.OPEN, JobState.CANCELLED]
    desk.ledger.forget(second.id)
    assert [job.id for job in desk.ledger.jobs()] == [first.id]
    with pytest.raises(NotFound):
        desk.ledger.open_job(second.id)
    with closing(sqlite3.connect(desk.ledger_path)) as db:
        rows = db.execute("SELECT DISTINCT job_id FROM upload_instances").fetchall()
    assert rows == [(first.id,)]
    desk.close()


def test_what_came_to_its_end_is_listed_with_its_receipt(tmp_path: Path) -> None:
    desk, store = Desk(tmp_path), Store()
    report = tmp_path / "gone.pdf"
    report.write_bytes(b"%PDF-1.4")
    first = desk.job()
    desk.attachments = [Attach(desk.picks[0].study_uid, report)]
    second, third = desk.job(), desk.job()
    whole = desk.upload(FakeDestination(store), first)
    report.unlink()
    lacking = desk.upload(FakeDestination(store), second)
    assert (whole.complete, lacking.complete) == (True, False)
    ended = desk.ledger.ended(10)
    assert [job.id for job in ended] == [second.id, first.id]
    assert [job.state for job in ended] == [JobState.FAILED, JobState.DONE]
    assert third.id not in [job.id for job in ended]
    assert [job.id for job in desk.ledger.ended(1)] == [second.id]
    for job, told in ((first, whole), (second, lacking)):
        kept = UploadReceipt.from_json(desk.ledger.open_job(job.id).last_receipt() or {})
        assert kept.to_json() == told.to_json()
        assert (kept.studies, kept.safe_to_eject) == (told.studies, told.safe_to_eject)
    desk.close()


def test_two_processes_share_a_ledger(tmp_path: Path) -> None:
    desk = Desk(tmp_path, each=30)
    with Ledger(desk.ledger_path) as other:
        work = run(desk.job(), FakeDestination(Store()), opener=desk.open, pace=QUICK)
        next(work)
        assert other.jobs()[0].expected == 30 and not other.unfinished()
        assert finish(work).complete
        assert other.jobs()[0].state is JobState.DONE
    desk.close()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_only_its_user_may_read_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "client.db"
    Ledger(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with Ledger(path) as ledger:
        assert ledger.jobs() == []
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes
