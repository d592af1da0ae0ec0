"""Queries through a view: every answer equals what a loop over the data sets with their overlays gives."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from core.archive.ae_titles import AeTitles
from core.archive.level_rows import Level
from core.archive.overlays import Laying, Overlays
from core.archive.query import Query
from core.archive.returned import Fields, Searcher
from core.dicom.elements import tag_text
from core.errors import BadInput, NotFound
from core.settings import load
from tests.core.archive_help import NS
from tests.core.test_archive_matching import (
    DATES,
    IDS,
    LEVELS,
    NAMES,
    PARTS,
    PROTOCOLS,
    Filled,
    _all_match,
    _parsed,
    filled,
)
from tests.repeats import times

__all__ = ["filled"]
VIEW = "looked-through"
VALUES = {
    "PatientName": NAMES,
    "PatientID": IDS,
    "AccessionNumber": ["A1", "A2", ""],
    "StudyDate": DATES,
    "StudyDescription": PROTOCOLS,
    "Modality": ["CT", "US"],
    "ProtocolName": PROTOCOLS,
    "BodyPartExamined": PARTS,
    "ImageType": ["ORIGINAL\\SECONDARY", "DERIVED"],
}


@dataclass(repr=False)
class Seen:
    """An archive whose objects say what the view shows; its text is short."""

    searcher: Searcher
    objects: list[Dataset]


@pytest.fixture(scope="module")
def seen(filled: Filled) -> Seen:  # the fixture of the other module
    """The objects as the view shows them: a third of the studies has an overlay of its own."""
    draw = random.Random(11)
    studies: dict[str, list[Dataset]] = {}
    for ds in deepcopy(filled.objects):
        studies.setdefault(str(ds.StudyInstanceUID), []).append(ds)
    overlays = Overlays(filled.archive.db, filled.archive.audit)
    for uid in list(studies)[::3]:
        said = {name: draw.choice(VALUES[name]) for name in draw.sample(sorted(VALUES), 4)}
        tags = {tag_text(_tag(name)): text for name, text in said.items()}
        overlays.lay(Laying(NS, uid, VIEW, tags, "tests")).result(20)
        for ds in studies[uid]:
            for name, text in said.items():
                setattr(ds, name, text.split("\\") if "\\" in text else text)
    return Seen(filled.searcher, [ds for each in studies.values() for ds in each])


def _tag(keyword: str) -> int:
    ds = Dataset()
    setattr(ds, keyword, "")
    (element,) = ds
    return int(element.tag)


WANTED = {
    "PatientName": [
        "*n*",
        "smith",
        "müller*",
        "^otto",
        "Yamada^Tarou",
        "*arou",
        '""',
        "o'*^ann*",
        "SMITH^J*",
    ],
    "PatientID": [*IDS, "P*", "?-1*", "p-100\\9"],
    "AccessionNumber": ["A1", "A?", '""', "A1\\A2"],
    "StudyDate": ["20200101", "20200102-", "-20210315", "20200101-20211231", '""'],
    "StudyDescription": ["Thorax*", "abd??", '""'],
    "Modality": ["CT", "M*", "CT\\US"],
    "SeriesNumber": ["1", "2"],
    "ProtocolName": ["Thorax 1", "*x*", '""'],
    "BodyPartExamined": ["CHEST", "*E*", '""'],
    "ImageType": ["DERIVED", "SECONDARY", "*RY"],
    "RequestAttributesSequence.ScheduledProcedureStepID": ["S1", "S?"],
    "RequestAttributesSequence.RequestedProcedureID": ["R1", "R?"],
}


def test_an_answer_is_what_a_loop_over_the_objects_gives(seen: Seen) -> None:
    draw = random.Random()  # others each time; what fails is named
    for _ in range(times(12, whole=30)):
        level = draw.choice(list(Level))
        wanted = {name: draw.choice(WANTED[name]) for name in draw.sample(sorted(WANTED), draw.randint(1, 3))}
        query = Query(level, NS, keys=_parsed(wanted), limit=1000, view=VIEW)
        meant = [ds for ds in seen.objects if _all_match(ds, wanted)]
        expected = {str(ds[LEVELS[level]].value) for ds in meant}
        found = seen.searcher.answers(query, Fields())
        uids = [each[-1] for each, _ in found.models]
        assert len(uids) == len(set(uids)), (level, wanted)
        assert set(uids) == expected, (level, wanted, len(uids), len(expected))
        assert seen.searcher.count(query) == len(expected), (level, wanted)


def test_answers_say_what_the_overlay_says(seen: Seen) -> None:
    fields = Fields(frozenset({0x00180015, 0x00080008, 0x00181030}))
    by_uid = {str(ds.SOPInstanceUID): ds for ds in seen.objects}
    models = seen.searcher.answers(Query(Level.IMAGE, NS, limit=1000, view=VIEW), fields).models
    assert len(models) == len(seen.objects)
    for (_, _, uid), model in models:
        ds = by_uid[uid]
        for keyword in VALUES:
            value: Any = ds.get(keyword) or ""
            texts = [str(value)] if isinstance(value, str) or keyword == "PatientName" else [*map(str, value)]
            told = model[f"{_tag(keyword):08X}"].get("Value", [""])
            if keyword == "PatientName":
                told = ["=".join(filter(None, told[0].values())) if told[0] else ""]
            assert told == texts, keyword


def test_a_title_has_a_view(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[ae_titles]\nCLINIC = "clinic"\nVIEW = {namespace = "clinic", phi_namespace = "research"}\n'
    )
    titles = AeTitles("OWN", load(tmp_path, {}).ae_titles)
    assert [titles.namespace(each) for each in ("OWN", "CLINIC", "VIEW ")] == ["default", "clinic", "clinic"]
    assert [titles.view(each) for each in ("OWN", "CLINIC", "VIEW ", "NOBODY")] == [
        None,
        None,
        "research",
        None,
    ]
    with pytest.raises(NotFound):
        titles.namespace("NOBODY")


@pytest.mark.parametrize("value", ["7", "{namespace = 7}", '{name = "x"}', '["x"]'])
def test_a_title_that_means_nothing(tmp_path: Path, value: str) -> None:
    (tmp_path / "settings.toml").write_text(f"[ae_titles]\nVIEW = {value}\n")
    with pytest.raises(BadInput, match="ae_titles"):
        load(tmp_path, {})


def test_a_view_must_be_a_namespace() -> None:
    with pytest.raises(BadInput):
        AeTitles("OWN", {"VIEW": {"phi_namespace": "no/name"}})
