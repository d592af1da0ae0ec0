"""Models of settled images: the same as the objects say, kept by version, made up for in older archives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from core.archive import contents
from core.archive.archive import Archive
from core.archive.blobs import LocalBlobs
from core.archive.level_rows import Level
from core.archive.models import TOGETHER, Models, model_here, packed
from core.archive.query import Query
from core.archive.returned import Fields, Searcher
from core.dicom.json_model import metadata
from core.errors import NotFound
from core.imaging.workers import RenderPool
from core.media.samples import SampleStudy, ct_slice, uid
from tests.core.archive_help import NS, sop, store, tiny
from tests.core.test_archive_phi import _settled

ADDRESS = "http://here/bulkdata/"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive.open(tmp_path, settle_after_s=0.1)
    yield archive
    archive.close()


def rich(study: SampleStudy, instance: int = 1) -> Dataset:
    """An object with names in another script, nested items, private and binary values, and line ends."""
    ds = ct_slice(study, instance=instance, size=8, PatientName="Yamada^Tarou=山田^太郎")
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageComments = "two\r\nlines \\ and more"
    block = ds.private_block(0x0099, "FILMJACKET TEST", create=True)
    block.add_new(1, "OB", bytes(range(200)))
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "Eins"
    item.add_new(0x00281201, "OW", b"\1\2")
    ds.ProcedureCodeSequence = [item]
    return ds


def kept(archive: Archive, study: SampleStudy) -> list[dict[str, Any] | None]:
    """What was kept of each image, in order."""
    models = Models()
    with archive.db.read() as connection:
        found = [
            models.of(connection, each.series_id, each.sop_uid, each.version)
            for each in archive.listed(NS, study.uid)
        ]
    return [None if each is None else json.loads(each.at(ADDRESS)) for each in found]


def from_files(archive: Archive, study: SampleStudy) -> list[dict[str, Any]]:
    return [
        metadata(each.image.path, bulk=lambda way: ADDRESS + way) for each in archive.listed(NS, study.uid)
    ]


def test_what_has_settled_is_what_the_objects_say(archive: Archive, study: SampleStudy) -> None:
    for instance in range(1, 4):
        store(archive, rich(study, instance))
    store(archive, tiny(study, series=2))
    before = zip(kept(archive, study), from_files(archive, study), strict=True)
    assert all(model in (None, said) for model, said in before)  # it may have settled meanwhile
    _settled(archive)
    assert kept(archive, study) == from_files(archive, study)


def test_a_new_version_is_not_answered_for_by_the_old_one(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study, instance=1))
    store(archive, tiny(study, instance=2))
    _settled(archive)
    store(archive, tiny(study, instance=2, ImageComments="another"))
    before = kept(archive, study)
    assert before[1] in (None, from_files(archive, study)[1])
    _settled(archive)
    assert kept(archive, study) == from_files(archive, study)
    assert kept(archive, study)[1]["00204000"]["Value"] == ["another"]  # type: ignore[index]


def test_the_list_is_the_schema_in_its_order(archive: Archive, study: SampleStudy) -> None:
    for series, instance in ((1, 3), (2, 1), (1, 1), (1, 2)):
        store(archive, ct_slice(study, series=series, instance=instance, size=8))
    twice = tiny(study, series=3)
    twice.SOPInstanceUID = twice.file_meta.MediaStorageSOPInstanceUID = sop(study, 1, 2)
    store(archive, twice)  # the same SOP Instance UID in another series
    for below in ((), *((uid(study.seed, number),) for number in (1, 2))):
        found = archive.listed(NS, study.uid, *below)
        assert [each.sop_uid for each in found] == contents.images_of(archive, NS, study.uid, *below)
        assert [each.image for each in found] == [archive.image(NS, study.uid, e.sop_uid) for e in found]
    assert archive.listed(NS, study.uid, uid(study.seed, 3)) == []
    (one,) = archive.listed(NS, study.uid, uid(study.seed, 1), sop(study, 1, 2))
    assert one.image == archive.image(NS, study.uid, sop(study, 1, 2))
    with pytest.raises(NotFound):
        archive.listed(NS, study.uid, "1.2.3")
    with pytest.raises(NotFound):
        archive.listed(NS, "1.2.3")


def test_an_older_archive_makes_up_for_its_models(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=0.1)
    store(archive, rich(study))
    _settled(archive)
    archive.close()
    with closing(sqlite3.connect(tmp_path / "archive" / "archive.db")) as database, database:
        database.execute("DROP TABLE series_models")
        database.execute("DROP INDEX series_by_uid")
        database.execute("UPDATE meta SET version = 1 WHERE part = 'catalog'")
    database.close()
    with RenderPool(1) as pool:
        archive = Archive.open(tmp_path, settle_after_s=0.1, modeller=pool)
        try:
            _until_kept(archive, study)
            assert kept(archive, study) == from_files(archive, study)
        finally:
            archive.close()


def _until_kept(archive: Archive, study: SampleStudy) -> None:
    import threading

    waiting = threading.Event()
    for _ in range(1000):
        if None not in kept(archive, study):
            return
        waiting.wait(0.02)
    raise AssertionError("no model was made")


def test_searches_find_in_models_what_they_find_in_objects(
    archive: Archive, study: SampleStudy, tmp_path: Path
) -> None:
    from core.archive.blobs import LocalBlobs
    from core.archive.matching_keys import key_of, path_of

    store(archive, rich(study))
    searcher = Searcher(archive.db, LocalBlobs(tmp_path / "archive"))
    name = "ProcedureCodeSequence.CodeMeaning"
    key = key_of(name, path_of(name) or (), "Ei*")
    assert key is not None
    query = Query(Level.IMAGE, NS, keys=[key])
    before = searcher.answers(query, Fields(everything=True))
    assert len(before.models) == 1
    _settled(archive)
    archive.image(NS, study.uid, sop(study)).path.unlink()  # nothing is read from it any more
    assert searcher.answers(query, Fields(everything=True)) == before


def test_models_are_packed_in_groups(study: SampleStudy, tmp_path: Path) -> None:
    class Image:
        sop_uid, version = "1.2", "v"

    assert [row["names"] for row in packed(1, "a/", [])] == [""]
    rows = list(packed(1, "a/", [(Image(), b"{}")] * (TOGETHER + 1)))
    assert [row["names"].count("\n") + 1 for row in rows] == [TOGETHER, 1]
    large = list(packed(1, "a/", [(Image(), b"x" * 700_000)] * 3))
    assert [row["number"] for row in large] == [0, 1, 2]


def test_models_of_a_long_series_are_packed_as_they_are_made(tmp_path: Path, study: SampleStudy) -> None:
    """All together they may be larger than memory."""
    alive: list[Path] = []
    most: list[int] = []

    class Model(bytes):
        def __del__(self) -> None:
            alive.pop()

    class Modeller:
        def model(self, file: Path, address: str) -> bytes:
            alive.append(file)
            most.append(len(alive))
            return Model(b'"%b"' % bytes(700_000).hex().encode())

    archive = Archive.open(tmp_path, settle_after_s=0.1, modeller=Modeller())
    try:
        for instance in range(1, 9):
            store(archive, tiny(study, instance=instance))
        _settled(archive)
        assert None not in kept(archive, study)
    finally:
        archive.close()
    assert len(most) >= 8 and max(most) <= 3


def test_a_model_is_one_line(tmp_path: Path, study: SampleStudy) -> None:
    path = tmp_path / "rich.dcm"
    rich(study).save_as(path, enforce_file_format=True)
    line = model_here(path, "x/")
    assert b"\n" not in line
    assert json.loads(line) == metadata(path, bulk=lambda way: "x/" + way)


def test_a_study_that_has_changed_is_answered_anew(tmp_path: Path) -> None:
    """What was answered before is kept by the content of the study."""
    archive = Archive.open(tmp_path, settle_after_s=600)
    searcher, study = Searcher(archive.db, LocalBlobs(tmp_path / "archive")), SampleStudy("again")

    def said(*tags: int) -> dict[str, Any]:
        answers = searcher.answers(Query(Level.STUDY, NS), Fields(frozenset(tags)))
        ((_, model),) = answers.models
        return {name: element.get("Value") for name, element in model.items()}

    store(archive, tiny(study, modality="CT", ReferringPhysicianName="First^Ref"))
    first = said()
    assert first == said() and first["00080061"] == ["CT"] and first["00201208"] == [1]
    assert "00080062" in said(0x00080062) and "00080062" not in said()
    store(archive, tiny(study, series=2, modality="MR", ReferringPhysicianName="First^Ref"))
    second = said()
    assert second["00080061"] == ["CT", "MR"] and second["00201208"] == [2]
    archive.delete_study(NS, study.uid, "tester").result()
    store(archive, tiny(study, modality="US", ReferringPhysicianName="Other^Ref"))
    third = said()
    assert third["00080061"] == ["US"] and third["00201208"] == [1]
    assert third["00080090"] == [{"Alphabetic": "Other^Ref"}] != first["00080090"]
    archive.close()
