"""Studies in a DICOMweb archive by what a person types into one box: several questions, one list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import islice

from core.net import study_search
from core.net.dicomweb_client import STUDIES, DicomWebClient
from core.net.dicomweb_records import STUDY_FIELDS, STUDY_UID, study_row
from core.net.http import Params
from core.net.records import StudyRow
from core.net.study_search import MOST, MOST_QUESTIONS, Matches, Wanted

__all__ = ["MOST", "MOST_QUESTIONS", "Matches", "Wanted", "questions", "search"]

AT_ONCE = 4
NEWEST_FIRST = "-study_date"
DAYS = (0, 6, 30, 91, 365, 1826, 7305)
"""How far is looked back for the newest studies."""
ENOUGH = 5
"""So small a part of the most that are shown is worth no further question."""


def search(client: DicomWebClient, wanted: Wanted, order: str = NEWEST_FIRST, most: int = MOST) -> Matches:
    """Studies that match, by *order*: the name of a column, with "-" descending. Raises KnownError.

    Where there are more, the newest are given: an archive that is asked for some gives any it likes.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found, newest = _matches(client, wanted, order, most, pool)
        if not found.more or newest or order != NEWEST_FIRST or wanted.date_from:
            return found
        return _newest(client, wanted, most, pool) or found


def _newest(client: DicomWebClient, wanted: Wanted, most: int, pool: ThreadPoolExecutor) -> Matches | None:
    """All of the last days, as many as give enough and no more than *most*; None if not even a day does."""
    best: Matches | None = None
    until = datetime.strptime(wanted.date_to, "%Y%m%d").date() if wanted.date_to else date.today()
    for days in DAYS:
        since = f"{until - timedelta(days=days):%Y%m%d}"
        found, _ = _matches(client, replace(wanted, date_from=since), NEWEST_FIRST, most, pool)
        if found.more:
            break
        if found.rows:
            best = replace(found, more=True, since=since)
        if len(found.rows) >= most // ENOUGH:
            break
    return best


def _matches(
    client: DicomWebClient, wanted: Wanted, order: str, most: int, pool: ThreadPoolExecutor
) -> tuple[Matches, bool]:
    """What is found, and whether the archive gave the newest first."""
    answers = list(pool.map(lambda each: _ask(client, each, most), questions(wanted)))
    dates = ([row.study_date for row in each] for each in answers if len(each) > most)
    newest = all(each == sorted(each, reverse=True) for each in dates)
    return study_search.gathered(answers, wanted, order, most), newest


def questions(wanted: Wanted) -> list[Params]:
    """The searches that together find what is wanted: QIDO-RS knows no "or"."""
    return [[("includefield", STUDY_FIELDS), *keys] for keys in study_search.questions(wanted)]


def _ask(client: DicomWebClient, question: Params, most: int) -> list[StudyRow]:
    models = client.search_all(STUDIES, question, STUDY_UID, limit=most + 1)
    return [study_row(model) for model in islice(models, most + 1)]
