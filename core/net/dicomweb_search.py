"""Studies in a DICOMweb archive by what a person types into one box: several questions, one list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from core.net.dicomweb_client import STUDIES, DicomWebClient
from core.net.dicomweb_records import STUDY_FIELDS, STUDY_UID, study_row
from core.net.http import Params
from core.net.records import StudyRow

MOST = 500
"""Studies shown of one search: sorting is ours, so all of them are fetched."""
MOST_QUESTIONS = 12
AT_ONCE = 4
WILD = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: *text* in names, at the beginning of IDs and accession numbers; dates YYYYMMDD."""

    text: str = ""
    date_from: str = ""
    date_to: str = ""
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matches:
    """The studies; *more*: there are others that were not fetched."""

    rows: tuple[StudyRow, ...]
    more: bool = False


def search(client: DicomWebClient, wanted: Wanted, order: str = "-study_date", most: int = MOST) -> Matches:
    """Studies that match, by *order*: the name of a column, with "-" descending. Raises KnownError."""
    found: dict[str, StudyRow] = {}
    more = False
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda each: _ask(client, each, most), questions(wanted)))
    for rows in answers:
        more = more or len(rows) > most
        found |= {row.study_uid: row for row in rows if row.study_uid and _fits(row, wanted)}
    rows = sorted(found.values(), key=lambda row: (_key(row, order), row.study_uid), reverse=order[:1] == "-")
    return Matches(tuple(rows[:most]), more or len(rows) > most)


def questions(wanted: Wanted) -> list[Params]:
    """The searches that together find what is wanted: QIDO-RS knows no "or"."""
    common: Params = [("includefield", STUDY_FIELDS)]
    if wanted.date_from or wanted.date_to:
        common.append(("StudyDate", f"{wanted.date_from}-{wanted.date_to}"))
    texts: list[Params] = [[pair] for pair in _of_text(wanted.text)] or [[]]
    kinds: list[Params] = [[("ModalitiesInStudy", each)] for each in wanted.modalities] or [[]]
    if len(texts) * len(kinds) > MOST_QUESTIONS:  # the text alone narrows it; kinds are told apart here
        kinds = [[]]
    return [[*text, *kind, *common] for text in texts for kind in kinds]


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


def _ask(client: DicomWebClient, question: Params, most: int) -> list[StudyRow]:
    models = client.search_all(STUDIES, question, STUDY_UID, limit=most + 1)
    return [study_row(model) for model in islice(models, most + 1)]


def _fits(row: StudyRow, wanted: Wanted) -> bool:
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


def _folded(text: str) -> str:
    """Without case and accents."""
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _key(row: StudyRow, order: str) -> tuple[str, ...]:
    column = order.lstrip("-")
    if column == "patient_name":
        return (_folded(row.patient_name),)
    return (row.study_date, row.study_time)
