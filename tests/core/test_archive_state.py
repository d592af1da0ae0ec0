"""How a study stands: its name changes with all that a schema shows, so one kept by it is never stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.archive.blobs import LocalBlobs
from core.archive.derive import Maker
from core.archive.nouns import By
from core.archive.operations import Operations, Target
from core.archive.removals import Removals
from core.errors import NotFound, NotRenderable
from core.media.samples import SampleStudy, uid
from tests.core.archive_help import NS, attach, sop, store, tiny

ONE, TWO = SampleStudy("state one"), SampleStudy("state two")
BY = By("tester")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(tmp_path, settle_after_s=600)
    yield opened
    opened.close()


class Watched:
    """Two studies, and every schema that was seen under each name."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._seen: dict[str, object] = {}

    def look(self) -> None:
        """Nothing that was seen under a name may be different now."""
        for study in (ONE, TWO):
            try:
                name = self._archive.state(NS, study.uid).name
            except NotFound:
                continue
            assert self._seen.setdefault(name, shown(self._archive, study)) == shown(self._archive, study)


def shown(archive: Archive, study: SampleStudy) -> object:
    """Schema, PHI and tags."""
    phi = dict(archive.study_phi(NS, study.uid))
    return archive.schema(NS, study.uid), phi, archive.study_tags(NS, study.uid)


def never(*_: object) -> bytes:
    raise NotRenderable("No pixels are changed here.")


def test_the_name_changes_with_everything_a_schema_shows(archive: Archive, tmp_path: Path) -> None:
    removals = Removals(archive.db, archive.audit, days=7)
    operations = Operations(archive, Maker(archive, LocalBlobs(tmp_path / "archive"), never), removals)
    watched = Watched(archive)
    kept: dict[str, str] = {}

    def attached() -> None:
        kept["guid"] = attach(archive, TWO.uid, b"%PDF-1.4").result(30).guid

    def restored() -> None:
        archive.restore(archive.trash()[0].id, "tester").result(30)

    def merged() -> None:
        operations.merge(Target(NS, ONE.uid, "tester"), [TWO.uid], [], delete=True)

    steps: list[Callable[[], object]] = [
        lambda: store(archive, tiny(ONE)),
        lambda: store(archive, tiny(ONE, instance=2)),
        lambda: store(archive, tiny(ONE, instance=2, ImageComments="another version")),
        lambda: store(archive, tiny(ONE, instance=2)),
        lambda: store(archive, tiny(ONE, PatientName="Else^Someone", PatientID="another patient")),
        lambda: store(archive, tiny(TWO, series=2)),
        lambda: store(archive, tiny(TWO, SOPInstanceUID=sop(ONE), SeriesInstanceUID=uid("elsewhere"))),
        attached,
        lambda: removals.images(NS, ONE.uid, [sop(ONE)], BY).result(30),
        restored,
        lambda: archive.delete_study(NS, ONE.uid, "tester").result(30),
        lambda: store(archive, tiny(ONE, instance=3)),
        restored,
        lambda: removals.attachment(NS, TWO.uid, kept["guid"], "*", BY).result(30),
        restored,
        merged,
        restored,
    ]
    for step in steps:
        step()
        watched.look()
    assert len(watched._seen) >= len(steps) - 2


def test_a_purged_study_gives_its_name_to_nobody(archive: Archive) -> None:
    names = set()
    for study in (ONE, TWO):
        store(archive, tiny(study))
        names.add(archive.state(NS, study.uid).name)
        archive.delete_study(NS, study.uid, "tester").result(30)
        archive.purge(archive.trash()[0].id, "tester").result(30)
    assert len(names) == 2
    with pytest.raises(NotFound, match="Study"):
        archive.state(NS, ONE.uid)
