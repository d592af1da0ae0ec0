"""Queries for values that are written oddly, before and after their study has settled."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from sqlalchemy import select

from core.archive.archive import Archive
from core.archive.blobs import LocalBlobs
from core.archive.level_rows import Level
from core.archive.matching_keys import keys_of, path_of
from core.archive.query import Query
from core.archive.returned import Fields, Searcher
from core.archive.schema import studies
from core.dicom.moments import current_form
from core.media.samples import SamplePatient, SampleStudy
from tests.core.archive_help import NS, store, tiny

ODD = SampleStudy("odd", SamplePatient("Odd^Olga", "ODD"), "1997.04.24")
USUAL = SampleStudy("usual", SamplePatient("", "USUAL"), "19970425")


@pytest.fixture(scope="module", params=[0.05, 600.0], ids=["settled", "unsettled"])
def searcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """A study as machines of before DICOM 3.0 wrote it, with an element as UN, and a usual one."""
    data = tmp_path_factory.mktemp("odd")
    archive = Archive.open(data, settle_after_s=request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
        odd = tiny(ODD, StudyTime="15:18:59")
        odd.AcquisitionDate, odd.AcquisitionTime = "1997.04.24", "15:19"
        odd.PixelRepresentation, odd.PixelPaddingValue = 1, -5
        odd[0x00080064] = DataElement(0x00080064, "UN", b"DV")
        store(archive, odd)
    store(archive, tiny(USUAL, StudyTime="101500"))
    while request.param < 1 and archive.unsettled():
        time.sleep(0.02)
    yield Searcher(archive.db, LocalBlobs(data / "archive"))
    archive.close()


@pytest.mark.parametrize(
    ("wanted", "patients"),
    [
        ({"StudyDate": "19970424"}, {"ODD"}),
        ({"StudyDate": "19970401-19970430"}, {"ODD", "USUAL"}),
        ({"StudyTime": "1518-16"}, {"ODD"}),
        ({"StudyDate": "19970423-19970425", "StudyTime": "16-09"}, {"ODD"}),
        ({"AcquisitionDate": "19970424-", "AcquisitionTime": "1519"}, {"ODD"}),
        ({"AcquisitionDate": "19970424-19970424", "AcquisitionTime": "15-16"}, {"ODD"}),
        ({"PixelPaddingValue": "-5"}, {"ODD"}),
        ({"ConversionType": "DV"}, {"ODD"}),
        ({"PatientName": "^^^^"}, {"ODD", "USUAL"}),
        ({"PatientName": "*^*"}, {"ODD", "USUAL"}),
    ],
)
def test_odd_values_are_found(searcher: Searcher, wanted: dict[str, str], patients: set[str]) -> None:
    keys = [key for name, value in wanted.items() for key in keys_of(name, path_of(name) or (), value)]
    for level in Level:
        models = [model for _, model in searcher.answers(Query(level, NS, keys=keys), Fields()).models]
        assert {model["00100020"]["Value"][0] for model in models} == patients
        assert {model["00080020"]["Value"][0] for model in models} <= {"19970424", "19970425"}


STROKED = SampleStudy("stroked", SamplePatient("Łukasz^Żółć", "STROKED"))
LIKE_STROKED = ("lukasz", "LUKASZ^zolc", "Łukasz^Żółć", "łuk*^*olc", "^?ółć")


def _found(archive: Archive, data: Path, wanted: str, *, fuzzy: bool = False) -> int:
    keys = keys_of("PatientName", (0x00100010,), wanted, fuzzy=fuzzy)
    searcher = Searcher(archive.db, LocalBlobs(data / "archive"))
    return searcher.count(Query(Level.STUDY, NS, keys=keys))


def test_old_archives_are_compared_as_new_ones(tmp_path: Path) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    store(archive, tiny(STROKED))
    assert all(_found(archive, tmp_path, wanted) == 1 for wanted in LIKE_STROKED)
    assert _found(archive, tmp_path, "luksz", fuzzy=True) == 1 and not _found(archive, tmp_path, "lukas")
    archive.close()
    with closing(sqlite3.connect(tmp_path / "archive" / "archive.db")) as old, old:
        old.execute("UPDATE study_words SET word = 'łukasz' WHERE word = 'lukasz'")
        old.execute("UPDATE study_words SET word = 'zołc' WHERE word = 'zolc'")
        old.execute("UPDATE studies SET name_key = 'łukasz zołc', study_date = '1997.04.24'")
        old.execute("UPDATE studies SET study_time = '15:18:59', patient_birth_date = '1950.01.02'")
        old.execute("UPDATE meta SET version = 2 WHERE part = 'catalog'")
    archive = Archive.open(tmp_path, settle_after_s=600)
    assert all(_found(archive, tmp_path, wanted) == 1 for wanted in LIKE_STROKED)
    with archive.db.read() as connection:
        columns = (
            studies.c.name_key,
            studies.c.study_date,
            studies.c.study_time,
            studies.c.patient_birth_date,
        )
        row = connection.execute(select(*columns)).one()
        assert tuple(row) == ("lukasz zolc", "19970424", "151859", "19500102")
    archive.close()


def test_the_form_of_today() -> None:
    assert [current_form("DA", text) for text in ("1997.04.24", "19970424", "1997.4.24", "")] == [
        "19970424",
        "19970424",
        "1997.4.24",
        "",
    ]
    assert [current_form("TM", text) for text in ("15:18:59.25", "15:18 ", "151859", "15:1")] == [
        "151859.25",
        "1518",
        "151859",
        "15:1",
    ]
    assert current_form("LO", "15:18") == "15:18"
