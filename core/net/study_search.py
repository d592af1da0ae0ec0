"""What a person types into one box, as questions to an archive elsewhere; and what fits of its answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from core.dicom.tree import unaccented
from core.net.records import StudyRow

MOST = 500
"""Studies shown of one search: sorting is ours, so all of them are fetched."""
MOST_QUESTIONS = 12
WILD = frozenset("*?")
Keys = list[tuple[str, str]]
"""Matching keys: keyword and value."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: *text* in names, at the beginning of IDs and accession numbers; dates YYYYMMDD."""

    text: str = ""
    date_from: str = ""
    date_to: str = ""
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matches:
    """The studies; *more*: there are others that were not fetched.

    *since*: those are from before that day, or have no date.
    """

    rows: tuple[StudyRow, ...]
    more: bool = False
    since: str = ""


def questions(wanted: Wanted) -> list[Keys]:
    """The searches that together find what is wanted: neither QIDO-RS nor C-FIND knows an "or"."""
    common: Keys = []
    if wanted.date_from or wanted.date_to:
        common.append(("StudyDate", f"{wanted.date_from}-{wanted.date_to}"))
    texts: list[Keys] = [[pair] for pair in _of_text(wanted.text)] or [[]]
    kinds: list[Keys] = [[("ModalitiesInStudy", each)] for each in wanted.modalities] or [[]]
    if len(texts) * len(kinds) > MOST_QUESTIONS:  # the text alone narrows it; kinds are told apart here
        kinds = [[]]
    return [[*text, *kind, *common] for text in texts for kind in kinds]


def gathered(answers: Iterable[Iterable[StudyRow]], wanted: Wanted, order: str, most: int = MOST) -> Matches:
    """One list of the answers to all questions, by *order*: the name of a column, with "-" descending."""
    found: dict[str, StudyRow] = {}
    more = False
    for answer in answers:
        rows = list(answer)
        more = more or len(rows) > most
        found |= {row.study_uid: row for row in rows if row.study_uid and fits(row, wanted)}
    rows = sorted(found.values(), key=lambda row: (_key(row, order), row.study_uid), reverse=order[:1] == "-")
    return Matches(tuple(rows[:most]), more or len(rows) > most)


def fits(row: StudyRow, wanted: Wanted) -> bool:
    """Whether it is what was asked for: some archives leave out what they do not know."""
    if wanted.modalities and row.modalities and not set(wanted.modalities) & set(row.modalities):
        return False
    if row.study_date and not (wanted.date_from or "0") <= row.study_date <= (wanted.date_to or "9"):
        return False
    text = _folded(wanted.text)
    if not text or WILD & set(text):
        return True
    words, name = re.split(r"[\s,^]+", text), _folded(row.patient_name)
    if all(word in name for word in words):
        return True
    return any(_folded(each).startswith(text) for each in (row.patient_id, row.accession_number))


def spellings(wanted: Wanted) -> list[Wanted]:
    """As it is typed, and for peers that tell small letters from capitals as names are mostly written."""
    texts = (wanted.text, wanted.text.upper(), wanted.text.title())
    return [replace(wanted, text=text) for text in dict.fromkeys(texts)]


def _of_text(typed: str) -> Iterator[tuple[str, str]]:
    text = "".join(sign for sign in typed if sign.isprintable() and sign != "\\").strip()
    if not text:
        return
    words = [_spelled(word) for word in re.split(r"[\s,^]+", text) if word]
    for each in dict.fromkeys(("*".join(words), "*".join(reversed(words)))):
        yield "PatientName", re.sub(r"\*+", "*", f"*{each}*")
    if " " not in text and "," not in text:
        own = text if WILD & set(text) else f"{text}*"
        for each in dict.fromkeys((own, own.upper())):  # most archives tell small letters from capitals here
            yield "PatientID", each
            yield "AccessionNumber", each


def _spelled(word: str) -> str:
    """Letters that archives compare in their own ways may be any; what is found is looked at again."""
    plain = "".join(sign if sign.isascii() else "*" for sign in word)
    return plain if plain.strip("*") else word


def _folded(text: str) -> str:
    """Without case and accents."""
    return unaccented(text.strip())


def _key(row: StudyRow, order: str) -> tuple[str, ...]:
    column = order.lstrip("-")
    if column == "patient_name":
        return (_folded(row.patient_name),)
    return (row.study_date, row.study_time)
