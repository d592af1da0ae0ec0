"""Finding and describing studies: every answer equals what a plain loop over the objects gives."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from core.archive import catalog, homes
from core.archive.archive import Archive
from core.archive.nouns import Outcome, State, StudyFilter, StudyRow
from core.archive.phi import LAST, PHI, Weighed, average
from core.archive.schema import overlays
from core.dicom.tree import folded
from core.errors import BadInput, NotFound, NotRenderable
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, uid
from tests.core.archive_help import NS, attach, send, sop, store, tiny

PEOPLE = [
    ("Müller^Änne", "P-100", "20200101", "CT", "A1", "north"),
    ("MULLER^Otto", "P-101", "20200102", "MR", "A2", "north"),
    ("Smith^John^Q", "p100x", "20210315", "CT", "B-7", "north"),
    ("Smithers^Al", "9", "20210316", "US", "B-8", "south"),
    ("Yamada^Tarou=山田^太郎", "J/1", "", "MR", "", "south"),
    ("", "", "20220101", "CT", "A1", "south"),
    ("O'Neil^Ann-Marie", "O 5", "20230505", "OT", "x y", "south"),
]


def _study(n: int) -> SampleStudy:
    name, patient_id, date, _, accession, _ = PEOPLE[n]
    return SampleStudy(f"study {n}", SamplePatient(name, patient_id), date, f"Study {n}", accession)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Seven studies in two namespaces."""
    archive = Archive.open(tmp_path_factory.mktemp("filled"), settle_after_s=600)
    for n, (*_, modality, _, namespace) in enumerate(PEOPLE):
        store(archive, tiny(_study(n), modality=modality), namespace)
    yield archive
    archive.close()


def _begins(text: str, prefix: str) -> bool:
    return " ".join(text.casefold().split()).startswith(" ".join(prefix.casefold().split()))


def _matches(row: StudyRow, where: StudyFilter) -> bool:
    """The filter as its docstring has it, without index or SQL."""
    name_words = [word for group in row.patient_name.split("=") for word in folded(group).split()]
    wholes = [" ".join(text.casefold().split()) for text in (row.patient_id, row.accession_number)]
    words = (
        name_words
        + wholes
        + [w for text in (row.patient_id, row.accession_number) for w in folded(text).split()]
    )

    def has(typed: str, among: list[str]) -> bool:
        parts = folded(typed).split()
        whole = any(word.startswith(typed) for word in among if word)
        return whole or (
            bool(parts) and all(any(word.startswith(part) for word in among if word) for part in parts)
        )

    return (
        all(has(typed, words) for typed in where.text.casefold().split())
        and all(has(typed, name_words) for typed in folded(where.patient_name).split())
        and _begins(row.patient_id, where.patient_id)
        and _begins(row.accession_number, where.accession_number)
        and (not where.date_from or row.study_date >= where.date_from)
        and (not where.date_to or "" < row.study_date <= where.date_to)
        and (not where.modalities or bool(set(where.modalities) & set(row.modalities)))
        and (where.namespaces is None or row.namespace in where.namespaces)
    )


FILTERS = st.builds(
    StudyFilter,
    text=st.sampled_from(
        [
            "",
            "mul",
            "MÜLLER",
            "smith",
            "smith j",
            "p-10",
            "p100",
            "100",
            "b-7 smith",
            "山田",
            "o'neil",
            "ann-m",
            "*",
            "'",
            "zz",
        ]
    ),
    patient_name=st.sampled_from(["", "Müller", "muller^anne", "tarou", "neil", "p-100"]),
    patient_id=st.sampled_from(["", "P-100", "p-10", "J/", "O  5", "%", "_"]),
    accession_number=st.sampled_from(["", "a1", "B-", "X Y"]),
    date_from=st.sampled_from(["", "20200102", "20210316", "2022"]),
    date_to=st.sampled_from(["", "20200102", "20211231"]),
    modalities=st.sampled_from([(), ("CT",), ("MR", "US"), ("XX",)]),
    namespaces=st.sampled_from([None, (), ("north",), ("north", "south")]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=FILTERS)
def test_a_query_equals_a_plain_loop(filled: Archive, where: StudyFilter) -> None:
    everything = filled.studies(StudyFilter(), limit=100).rows
    expected = {row.study_uid for row in everything if _matches(row, where)}
    found = filled.studies(where, limit=100)
    assert {row.study_uid for row in found.rows} == expected
    assert found.total == len(expected)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("müller", {0, 1}),
        ("MULLER ann", {0}),
        ("p-100", {0}),
        ("P-10", {0, 1}),
        ("a1 mul", {0}),
        ("smith", {2, 3}),
        ("smith john", {2}),
        ("山", {4}),
        ("O'Neil", {6}),
        ("neil", {6}),
        ("", set(range(7))),
    ],
)
def test_one_box_finds_by_name_id_and_accession(filled: Archive, text: str, found: set[int]) -> None:
    rows = filled.studies(StudyFilter(text=text), limit=100).rows
    assert {row.study_uid for row in rows} == {_study(n).uid for n in found}


def test_pages_and_orders(filled: Archive) -> None:
    by_name = filled.studies(StudyFilter(), order="patient_name", limit=100).rows
    assert [folded(row.patient_name) for row in by_name] == sorted(folded(p[0]) for p in PEOPLE)
    by_date = filled.studies(StudyFilter(), order="-study_date", limit=100).rows
    assert [row.study_date for row in by_date] == sorted((p[2] for p in PEOPLE), reverse=True)
    newest = filled.studies(StudyFilter(), limit=3).rows
    assert [row.study_uid for row in newest] == [_study(n).uid for n in (6, 5, 4)]
    paged = [
        row for start in range(0, 8, 2) for row in filled.studies(StudyFilter(), limit=2, offset=start).rows
    ]
    assert [row.study_uid for row in paged] == [_study(n).uid for n in (6, 5, 4, 3, 2, 1, 0)]
    assert filled.studies(StudyFilter(), limit=0).rows == ()
    with pytest.raises(BadInput):
        filled.studies(StudyFilter(), order="password")


def test_a_row_says_what_its_images_say(filled: Archive) -> None:
    row = filled.studies(StudyFilter(text="john")).rows[0]
    assert (row.patient_name, row.patient_id, row.study_date, row.modalities) == (
        "Smith^John^Q",
        "p100x",
        "20210315",
        ("CT",),
    )
    assert (row.series, row.images, row.attachments, row.state) == (1, 1, 0, State.RECEIVING)
    assert row.received.utcoffset() is not None


def test_every_list_is_served_by_an_index(filled: Archive) -> None:
    """Nothing walks the instances, and no filter walks all studies to find a few."""
    from sqlalchemy import select
    from sqlalchemy.dialects import sqlite

    from core.archive.schema import studies
    from core.archive.search import _conditions

    filters = {
        StudyFilter(patient_id="p"): "studies_by_patient_id",
        StudyFilter(accession_number="a"): "studies_by_accession",
        StudyFilter(date_from="20200101", date_to="20200201"): "studies_by_date",
        StudyFilter(text="smith"): "PRIMARY KEY (word",
        StudyFilter(modalities=("CT",)): "series_by_modality",
    }
    with filled.db.read() as connection:
        for where, index in filters.items():
            query = select(studies.c.id).where(*_conditions(where))
            text = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            plan = " ".join(str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
            assert index.split()[0] in plan, plan
            assert "SCAN instances" not in plan


def test_no_operation_walks_a_whole_table(tmp_path: Path, study: SampleStudy) -> None:
    """What a store, a read, a deletion cost must not grow with the archive, nor a store with its study."""
    archive = Archive.open(tmp_path, settle_after_s=600)
    said: list[tuple[str, Any]] = []

    def listen(*call: Any) -> None:
        said.append((call[2], call[3]))

    try:
        store(archive, tiny(study))
        event.listen(archive.db.engine, "before_cursor_execute", listen)
        stores = [
            store(archive, tiny(study, **more)) for more in ({}, {"ImageComments": "x"}, {"instance": 2})
        ]
        image = archive.image(NS, study.uid, sop(study))
        narrow = list(said)
        archive.study(NS, study.uid)
        archive.study_tags(NS, study.uid)
        attach(archive, study.uid, b"x").result(30)
        entry = archive.delete_study(NS, study.uid, "x").result(30)
        store(archive, tiny(study))
        archive.restore(entry.id, "x").result(30)
        event.remove(archive.db.engine, "before_cursor_execute", listen)
        assert len(stores) == 3
        assert image.bytes
        wide = re.compile(
            r"SCAN (studies|series|instances|phi_sets|study_words|attachments|home|other|trash)"
        )
        small = "studies_to_settle"  # holds only what is not settled
        with archive.db.read() as connection:
            for text, values in said:
                if text.split()[0] not in ("SELECT", "UPDATE", "DELETE"):
                    continue
                plan = [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text, values)]
                assert not any(wide.match(step) and small not in step for step in plan), (text, plan)
                if (text, values) in narrow:
                    assert not any("instances_of_study" in step for step in plan), (text, plan)
            for prepared in (catalog._CURRENT, catalog._SAME_UID, catalog._COUNT, homes._HOME):
                values = tuple("x" * prepared.text.count("?"))
                plan = [
                    r[3] for r in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + prepared.text, values)
                ]
                assert all(step.startswith("SEARCH") for step in plan), (prepared.text, plan)
                assert not any("instances_of_study" in step for step in plan), (prepared.text, plan)
    finally:
        archive.close()


def test_images_are_ranked_by_geometry(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path)
    try:
        for instance in (3, 1, 2):  # positions go down as numbers go up: the numbers say which way round
            store(archive, ct_slice(study, instance=instance, size=8))
        shuffled = {1: 20.0, 2: 0.0, 3: 10.0}
        for instance, z in shuffled.items():
            store(
                archive, ct_slice(study, series=2, instance=instance, size=8, ImagePositionPatient=[0, 0, z])
            )
        for instance in (2, 1):  # two images at one place: by number
            store(
                archive, ct_slice(study, series=3, instance=instance, size=8, ImagePositionPatient=[0, 0, 0])
            )
        series = archive.schema(NS, study.uid).series
        assert [one.id for one in series] == ["1", "2", "3"]
        assert [one.series_uid for one in series] == [uid(study.seed, n) for n in (1, 2, 3)]
        numbers = [[image.instance_number for image in one.images] for one in series]
        assert numbers == [[1, 2, 3], [1, 3, 2], [1, 2]]
        assert [[image.rank for image in one.images] for one in series] == [[1, 2, 3], [1, 2, 3], [1, 2]]
    finally:
        archive.close()


def test_series_keep_their_id(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path)
    try:
        for series in (9, 2, 5):
            store(archive, tiny(study, series=series))
        ids = {one.series_uid: one.id for one in archive.schema(NS, study.uid).series}
        store(archive, tiny(study, series=1))
        later = {one.series_uid: one.id for one in archive.schema(NS, study.uid).series}
        assert ids.items() <= later.items()
        assert sorted(later.values()) == ["1", "2", "3", "4"]
    finally:
        archive.close()


NAMES = st.sampled_from([None, "", "Ada", "Bea", "Cyd"])


@settings(max_examples=200, deadline=None)
@given(images=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 6)), NAMES), min_size=1, max_size=9))
def test_the_average_is_the_most_frequent_value(images: list[tuple[int | None, str | None]]) -> None:
    sets = [
        Weighed({} if name is None else {"(0010,0010)": name}, 1, LAST if number is None else number)
        for number, name in images
    ]
    said = [(LAST if number is None else number, name) for number, name in images if name is not None]
    real = [one for one in said if one[1]] or said
    found = average(sets)
    if not real:
        assert found == {}
        return
    counts = Counter(name for _, name in real)
    best = [name for name in counts if counts[name] == max(counts.values())]
    lowest = {name: min(number for number, other in real if other == name) for name in best}
    assert found["(0010,0010)"] == min(best, key=lambda name: (lowest[name], name))


def test_phi_tags_and_transfer_attributes(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    try:
        names = ["B^B", "A^A", "A^A", "B^B", "C^C"]  # a tie: the lowest number decides
        for n, name in enumerate(names, 1):
            store(
                archive, tiny(study, instance=n, PatientName=name, PatientAge="044Y", PatientAddress="Road 1")
            )
        attach(archive, study.uid, b"x").result(30)
        phi = archive.study_phi(NS, study.uid)
        assert list(phi) == sorted(phi)
        assert set(phi) <= set(PHI)
        assert phi["(0010,0010)"] == "B^B"
        assert (phi["(0010,1010)"], phi["(0010,1040)"], phi["(0008,0050)"]) == ("044Y", "Road 1", "A1001")
        assert archive.image_phi(NS, study.uid, sop(study, 1, 2))["(0010,0010)"] == "A^A"
        tags = archive.study_tags(NS, study.uid)
        assert tags.tags["(0008,0060)"] == "CT"
        assert tags.tags.items() >= phi.items()
        assert (tags.image_count, tags.attachment_count) == (5, 1)
        assert tags.size == sum(i.bytes for s in archive.schema(NS, study.uid).series for i in s.images)
        store(archive, tiny(study, instance=6, sop_class="1.2.840.10008.5.1.4.1.1.7"))
        assert archive.transfer_attributes(NS, study.uid) == {
            "(0002,0010)": ["1.2.840.10008.1.2.1"],
            "(0002,0002)": ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"],
        }
    finally:
        archive.close()


def test_overlays_lie_on_top(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path)
    try:
        store(archive, tiny(study))

        def lay(namespace: str, tags: dict[str, str]) -> None:
            row = {"study_id": 1, "phi_namespace": namespace, "tags": json.dumps(tags)}
            archive.db.write(lambda c: c.execute(overlays.insert(), row) and None).result()

        lay("partner", {"(0010,0010)": "Other^Name", "(0012,0001)": "extra"})
        assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "Probe^Paula"
        seen = archive.study_phi(NS, study.uid, "partner")
        assert (seen["(0010,0010)"], seen["(0012,0001)"], seen["(0010,0020)"]) == (
            "Other^Name",
            "extra",
            "SAMPLE-1",
        )
        assert archive.image_phi(NS, study.uid, sop(study), "*", "partner")["(0010,0010)"] == "Other^Name"
        assert archive.study_tags(NS, study.uid, "partner").tags["(0012,0001)"] == "extra"
        lay(NS, {"(0010,0010)": "Own^Overlay"})
        assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "Own^Overlay"
        assert archive.study_phi(NS, study.uid, "unknown")["(0010,0010)"] == "Own^Overlay"
        assert archive.study_phi(NS, study.uid, "partner")["(0010,0010)"] == "Other^Name"
    finally:
        archive.close()


class Pictures:
    """A thumbnailer that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fail = False
        self.made = threading.Event()

    def thumbnail(self, data: bytes, frame: int, box: int) -> bytes:
        self.asked.append((frame, box))
        self.made.set()
        if self.fail:
            raise NotRenderable("no picture")
        return b"JPEG of " + data[132:140]


def _settled(archive: Archive) -> None:
    """Wait until the background pass has nothing to do."""
    waiting = threading.Event()
    for _ in range(600):
        if not archive.unsettled():
            return
        waiting.wait(0.02)
    raise AssertionError("the archive did not settle")


def test_a_quiet_study_settles(tmp_path: Path, study: SampleStudy) -> None:
    pictures = Pictures()
    archive = Archive.open(tmp_path, settle_after_s=0.2, thumbnailer=pictures)
    try:
        for n, name in enumerate(["A^A", "B^B", "B^B"], 1):
            store(archive, ct_slice(study, instance=n, size=8, PatientName=name))
        series_uid = uid(study.seed, 1)
        before = dict(archive.study_phi(NS, study.uid))
        _settled(archive)
        assert archive.study_phi(NS, study.uid) == before
        row = archive.study(NS, study.uid).row
        assert (row.state, row.patient_name) == (State.SETTLED, "B^B")
        assert archive.studies(StudyFilter(patient_name="b")).total == 1
        assert archive.studies(StudyFilter(patient_name="a")).total == 0
        packed = archive.series_metadata(NS, study.uid, series_uid)
        assert packed is not None
        described: list[dict[str, Any]] = json.loads(gzip.decompress(packed))
        assert [one["attributes"]["(0020,0013)"] for one in described] == ["1", "2", "3"]
        assert (archive.series_thumbnail(NS, study.uid, series_uid) or b"").startswith(b"JPEG")
        assert set(pictures.asked) == {(0, 512)}
        made = len(pictures.asked)

        store(archive, tiny(study, series=2))
        assert archive.study(NS, study.uid).row.state is State.RECEIVING
        pictures.fail = True
        _settled(archive)
        assert len(pictures.asked) == made + 1  # the first series has not changed
        assert archive.series_thumbnail(NS, study.uid, uid(study.seed, 2)) is None
        assert archive.series_metadata(NS, study.uid, uid(study.seed, 2)) is not None
        with pytest.raises(NotFound):
            archive.series_metadata(NS, "1.2.3", series_uid)
    finally:
        archive.close()


def test_the_average_is_right_before_and_after_settling(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=0.01)
    try:
        store(archive, tiny(study, PatientName="A^A"))
        _settled(archive)
        for n in (2, 3):
            store(archive, tiny(study, instance=n, PatientName="B^B"))
            assert archive.study_phi(NS, study.uid)["(0010,0010)"] == ("A^A" if n == 2 else "B^B")
        assert store(archive, tiny(study, instance=3, PatientName="A^A")).outcome is Outcome.NEW_VERSION
        assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "A^A"
    finally:
        archive.close()


def test_reading_a_study_opens_no_file(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    try:
        for n in range(1, 4):
            store(archive, tiny(study, instance=n))
        for image in archive.schema(NS, study.uid).series[0].images:
            archive.image(NS, study.uid, image.sop_instance_uid).path.unlink()
        assert len(archive.schema(NS, study.uid).series[0].images) == 3
        assert archive.study_tags(NS, study.uid).image_count == 3
        assert archive.study_phi(NS, study.uid)["(0010,0020)"] == "SAMPLE-1"
        assert archive.study(NS, study.uid).row.images == 3
    finally:
        archive.close()


def test_the_representative_is_the_first_image(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path)
    try:
        for instance in (2, 1):
            store(archive, tiny(study, instance=instance))
        assert archive.representative(NS, study.uid).sop_instance_uid == sop(study, 1, 1)
    finally:
        archive.close()


def test_what_real_files_say_is_kept(tmp_path: Path, testdata: Path) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    try:
        kept = 0
        for path in sorted(testdata.rglob("*")):
            if not path.is_file() or path.stat().st_size > 300_000:
                continue
            future = send(archive, path.read_bytes())
            if isinstance(future.exception(30), BadInput):
                continue
            result = future.result()
            phi = archive.image_phi(NS, result.study_uid, result.sop_uid, result.version)
            assert phi.get("(0010,0010)", "") == result.attributes.get("(0010,0010)", "")
            kept += 1
        assert kept > 50
        assert archive.check().ok
    finally:
        archive.close()


def test_filters_do_not_see_each_other(filled: Archive) -> None:
    both = StudyFilter(text="smith", modalities=("CT",))
    assert filled.studies(both).total == 1
    assert filled.studies(replace(both, namespaces=("south",))).total == 0
    assert part10(tiny(_study(0)))[128:132] == b"DICM"
