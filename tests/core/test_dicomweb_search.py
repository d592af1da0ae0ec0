"""What is typed into one box becomes questions an archive understands."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

import pytest

from core.dicom.json_model import Model
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_search import MOST_QUESTIONS, Wanted, questions, search


def asked(wanted: Wanted) -> list[dict[str, str]]:
    found = [{name: str(value) for name, value in question} for question in questions(wanted)]
    assert all(each.pop("includefield") for each in found)
    return found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("doe", ["*doe*"]),
        ("Doe, John", ["*Doe*John*", "*John*Doe*"]),
        ("Müller", ["*M*ller*"]),
        ("山田", ["*山田*"]),
        ("do?e*", ["*do?e*"]),
        ("a\\b\tc", ["*abc*"]),
    ],
)
def test_names_are_asked_word_by_word(text: str, names: list[str]) -> None:
    assert [each["PatientName"] for each in asked(Wanted(text)) if "PatientName" in each] == names


def test_one_word_may_be_an_identifier() -> None:
    found = asked(Wanted("ab1"))
    assert {each["PatientID"] for each in found if "PatientID" in each} == {"ab1*", "AB1*"}
    assert {each["AccessionNumber"] for each in found if "AccessionNumber" in each} == {"ab1*", "AB1*"}
    assert not any("PatientID" in each for each in asked(Wanted("two words")))


def test_dates_and_kinds_narrow_every_question() -> None:
    found = asked(Wanted("X1", "20240101", "", ("CT", "MR")))
    assert {each["StudyDate"] for each in found} == {"20240101-"}
    assert {each["ModalitiesInStudy"] for each in found} == {"CT", "MR"} and len(found) == 6
    assert asked(Wanted()) == [{}]


def test_there_are_never_too_many_questions() -> None:
    kinds = tuple(f"K{n}" for n in range(10))
    found = asked(Wanted("x1", modalities=kinds))
    assert len(found) <= MOST_QUESTIONS and not any("ModalitiesInStudy" in each for each in found)


class Archive(DicomWebClient):
    """Gives studies of some days ago in an order of its own, or the newest first."""

    def __init__(self, days: list[int], *, newest_first: bool = False) -> None:
        self.dates = [f"{date.today() - timedelta(days=each):%Y%m%d}" for each in days]
        self.dates.sort(reverse=True) if newest_first else random.Random(7).shuffle(self.dates)
        self.asked = 0

    def search_all(self, resource: str, params: Any, key: str, *, limit: int = 0, count: int = 0) -> Any:
        self.asked += 1
        return islice(self._studies(dict(params).get("StudyDate", "-")), limit)

    def _studies(self, wanted: str) -> Iterator[Model]:
        first, last = wanted.split("-")
        for number, each in enumerate(self.dates):
            if first <= each <= (last or "9"):
                yield {
                    "0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]},
                    "00080020": {"vr": "DA", "Value": [each]},
                }


def test_of_very_many_studies_the_newest_are_given() -> None:
    archive = Archive([*range(20), *range(100, 160)])
    found = search(archive, Wanted(), most=10)
    assert found.more and found.since == archive_day(6)
    assert [row.study_date for row in found.rows] == [archive_day(n) for n in range(7)]
    until = search(archive, Wanted(date_to=archive_day(100)), most=10)
    assert until.since == archive_day(106) and [row.study_date for row in until.rows] == [
        archive_day(n) for n in range(100, 107)
    ]
    old = search(Archive([9000] * 20), Wanted(), most=10)
    assert old.more and not old.since and len(old.rows) == 10


def test_an_archive_that_gives_the_newest_first_is_asked_once() -> None:
    archive = Archive(list(range(50)), newest_first=True)
    found = search(archive, Wanted(), most=10)
    assert [row.study_date for row in found.rows] == [archive_day(n) for n in range(10)]
    assert found.more and not found.since and archive.asked == 1
    archive = Archive(list(range(5)))
    assert not search(archive, Wanted(), most=10).more and archive.asked == 1


def archive_day(ago: int) -> str:
    return f"{date.today() - timedelta(days=ago):%Y%m%d}"
