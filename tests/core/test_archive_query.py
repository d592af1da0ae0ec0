"""Finding and describing studies: every answer equals what a plain loop over the objects gives."""

from __future__ import annotations

import re
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
from core.archive.nouns import State, StudyFilter, StudyRow
from core.dicom.tree import folded
from core.errors import BadInput
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, uid
from tests.core.archive_help import NS, attach, sop, store, tiny

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


def test_filters_do_not_see_each_other(filled: Archive) -> None:
    both = StudyFilter(text="smith", modalities=("CT",))
    assert filled.studies(both).total == 1
    assert filled.studies(replace(both, namespaces=("south",))).total == 0
    assert part10(tiny(_study(0)))[128:132] == b"DICM"
