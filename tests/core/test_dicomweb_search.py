"""What is typed into one box becomes questions an archive understands."""

from __future__ import annotations

import pytest

from core.net.dicomweb_search import MOST_QUESTIONS, Wanted, questions


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
