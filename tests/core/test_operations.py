"""Operations on studies when something fails: nothing that was begun can be seen, nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.archive.blobs import LocalBlobs
from core.archive.derive import Maker
from core.archive.nouns import StudyFilter
from core.archive.operations import Operations, Target
from core.archive.removals import Removals
from core.dicom.regions import Change, read_regions
from core.errors import KnownError, NotFound, NotRenderable, StorageFault
from core.media.samples import SampleStudy, ct_slice, uid
from tests.core.archive_help import NS, Failing, files_in, store

STUDY, OTHER = SampleStudy(seed="worked on"), SampleStudy(seed="the other")


def refuse(data: bytes, change: Change) -> bytes:
    raise NotRenderable("The picture is damaged.")


class Bench:
    """An archive with two studies of three slices, on a disk that can fail."""

    def __init__(self, data: Path) -> None:
        self.data, self.files = data, Failing()
        self.archive = Archive.open(data, settle_after_s=60, files=self.files)
        blobs = LocalBlobs(data / "archive", self.files)
        removals = Removals(self.archive.db, self.archive.audit, days=7)
        self.study = Operations(self.archive, Maker(self.archive, blobs, refuse), removals)
        for made in (STUDY, OTHER):
            for instance in (1, 2, 3):
                store(self.archive, ct_slice(made, instance=instance, size=16))
        self.before = self.seen()

    def seen(self) -> tuple[int, int, int, int]:
        rows = self.archive.studies(StudyFilter()).rows
        actions = list(self.archive.audit.entries())
        return len(rows), sum(row.images for row in rows), len(files_in(self.data)), len(actions)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.archive.close()


TARGET = Target(NS, STUDY.uid, "tester")


@pytest.mark.parametrize("step", ["create", "write", "sync", "rename", "sync_folder", "free_bytes"])
def test_a_disk_that_fails_leaves_nothing(bench: Bench, step: str) -> None:
    bench.files.fail = step
    with pytest.raises(StorageFault):
        bench.study.clone(TARGET, new_image_uids=True, new_series_uids=True)
    bench.files.fail = ""
    assert bench.seen() == bench.before
    assert bench.study.clone(TARGET, new_image_uids=True, new_series_uids=True)


def test_one_picture_that_cannot_be_changed_stops_all(bench: Bench) -> None:
    last = {"regions": [{"x": 0, "y": 0, "width": 4, "height": 4}]}
    regions = read_regions(
        {"series": {uid(STUDY.seed, 1): {"instances": {uid(STUDY.seed, 1, 3): last}}}}, several=True
    )
    with pytest.raises(NotRenderable):
        bench.study.anonymize(TARGET, regions, colour=None, keep_image_uids=False)
    assert bench.seen() == bench.before


def test_a_missing_file_stops_all(bench: Bench) -> None:
    bench.archive.image(NS, OTHER.uid, uid(OTHER.seed, 1, 2)).path.unlink()
    before = bench.seen()
    with pytest.raises(StorageFault):
        bench.study.merge(TARGET, [OTHER.uid], [], delete=True)
    assert bench.seen() == before


def test_a_study_that_goes_meanwhile_takes_nothing_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Maker._publish

    def slow(*args: object) -> None:
        bench.archive.delete_study(NS, STUDY.uid, "somebody").result(10)
        finish(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Maker, "_publish", slow)
    files = len(files_in(bench.data))
    with pytest.raises(NotFound):
        bench.study.merge(TARGET, [OTHER.uid], [], delete=True)
    assert [row.study_uid for row in bench.archive.studies(StudyFilter()).rows] == [OTHER.uid]
    assert len(files_in(bench.data)) == files and bench.archive.check().ok


def test_what_was_moved_can_be_brought_back(bench: Bench) -> None:
    bench.study.merge(TARGET, [OTHER.uid], [], delete=True)
    assert len(bench.archive.held(NS, STUDY.uid)) == 6
    bench.archive.restore(bench.archive.trash()[0].id, "tester").result(10)
    assert len(bench.archive.held(NS, OTHER.uid)) == 3 and bench.archive.check().ok
    with pytest.raises(KnownError):
        bench.study.split(Target(NS, "1.2.3", "tester"), [], delete=False)
