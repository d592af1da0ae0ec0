"""Studies in a DICOMweb archive by what a person types into one box: several questions, one list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from core.net import study_search
from core.net.dicomweb_client import STUDIES, DicomWebClient
from core.net.dicomweb_records import STUDY_FIELDS, STUDY_UID, study_row
from core.net.http import Params
from core.net.records import StudyRow
from core.net.study_search import MOST, MOST_QUESTIONS, Matches, Wanted

__all__ = ["MOST", "MOST_QUESTIONS", "Matches", "Wanted", "questions", "search"]

AT_ONCE = 4


def search(client: DicomWebClient, wanted: Wanted, order: str = "-study_date", most: int = MOST) -> Matches:
    """Studies that match, by *order*: the name of a column, with "-" descending. Raises KnownError."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda each: _ask(client, each, most), questions(wanted)))
    return study_search.gathered(answers, wanted, order, most)


def questions(wanted: Wanted) -> list[Params]:
    """The searches that together find what is wanted: QIDO-RS knows no "or"."""
    return [[("includefield", STUDY_FIELDS), *keys] for keys in study_search.questions(wanted)]


def _ask(client: DicomWebClient, question: Params, most: int) -> list[StudyRow]:
    models = client.search_all(STUDIES, question, STUDY_UID, limit=most + 1)
    return [study_row(model) for model in islice(models, most + 1)]
