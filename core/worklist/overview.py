"""The worklist as a page of entries: of some days, found by words, items and orders together."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from core.db.database import Database
from core.dicom import ports
from core.dicom.tree import folded
from core.worklist.claims import CLAIMS, filed_under, locks
from core.worklist.states import State
from core.worklist.worklist import Workitem, Worklist

MOST = 1000
"""Entries of one page."""
BEFORE_ALL, AFTER_ALL = "", "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: days as YYYYMMDD ("" is open), words, modalities and states (none: all)."""

    first: str = ""
    last: str = ""
    text: str = ""
    modalities: Collection[str] = ()
    states: Collection[State] = ()

    def fits(self, said: Mapping[str, str], state: State) -> bool:
        """Whether an entry is meant, its day aside."""
        if self.states and state not in self.states:
            return False
        if self.modalities and said.get("Modality", "") not in self.modalities:
            return False
        return all(_has_word(said, word) for word in self.text.split())


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: an item, or an order that is none yet (*uid* "").

    *ours*: it is in progress and the desktop's to finish. *studies* were filed under it.
    """

    uid: str
    study_uid: str
    said: Mapping[str, str]
    state: State = State.SCHEDULED
    revision: int = 0
    ours: bool = False
    studies: Sequence[str] = ()


class Overview:
    """Entries of one archive; safe from any thread."""

    def __init__(self, worklist: Worklist, orders: ports.Worklist, database: Database) -> None:
        """*orders* are entries that are no items yet."""
        database.ensure(CLAIMS)
        self._worklist = worklist
        self._orders = orders
        self._database = database
        self._run = secrets.token_hex(4)

    def version(self) -> str:
        """Another word once anything of the archive changed, or it was started anew."""
        return f"{self._run}-{self._database.version()}"

    def entries(self, namespace: str, wanted: Wanted) -> tuple[Sequence[Entry], bool]:
        """The entries in the order they start, and whether there are more."""
        items = list(
            islice(self._worklist.between(namespace, wanted.first, wanted.last, fits=wanted.fits), MOST + 1)
        )
        found = [*self._of_items(namespace, items), *self._of_orders(namespace, wanted)]
        found.sort(key=_start)
        return found[:MOST], len(found) > MOST

    def entry(self, item: Workitem) -> Entry:
        """One item as a line."""
        (found,) = self._of_items(item.namespace, [item])
        return found

    def order(self, namespace: str, study_uid: str) -> ports.Scheduled | None:
        """The order with this study, if there is one that is no item yet."""
        for each in self._orders.scheduled(namespace):
            if each.study_instance_uid == study_uid and not self._worklist.of_study(namespace, study_uid):
                return each
        return None

    def _of_items(self, namespace: str, items: Sequence[Workitem]) -> Sequence[Entry]:
        with self._database.read() as connection:
            ours = locks(connection, namespace)
            filed = filed_under(connection, namespace, [item.uid for item in items])
        return [_entry(item, ours, filed.get(item.uid, {})) for item in items]

    def _of_orders(self, namespace: str, wanted: Wanted) -> Iterator[Entry]:
        orders = list(self._orders.scheduled(namespace))
        known = self._worklist.study_uids(namespace) if orders else set()
        for each in orders:
            day = each.values.get("ScheduledProcedureStepStartDate", "")
            in_time = (wanted.first or BEFORE_ALL) <= day <= (wanted.last or AFTER_ALL)
            if each.study_instance_uid in known or not in_time:
                continue
            if wanted.fits(each.values, State.SCHEDULED):
                yield Entry("", each.study_instance_uid, each.values)


def _entry(item: Workitem, ours: Collection[str], studies: Mapping[str, str]) -> Entry:
    mine = item.state is State.IN_PROGRESS and item.transaction_uid in {"", *ours}
    return Entry(item.uid, item.study_uid, item.said, item.state, item.revision, mine, sorted(studies))


def _start(entry: Entry) -> tuple[str, str, str]:
    said = entry.said
    day, time = (said.get(f"ScheduledProcedureStepStart{part}", "") for part in ("Date", "Time"))
    return day, time, entry.study_uid


def _has_word(said: Mapping[str, str], word: str) -> bool:
    """Whether a word of the name begins so, or Patient ID or accession number as a whole."""
    plain = word.casefold()
    for name in ("PatientID", "AccessionNumber"):
        if said.get(name, "").casefold().startswith(plain):
            return True
    parts, names = _words(word), _words(said.get("PatientName", ""))
    return bool(parts) and all(any(each.startswith(part) for each in names) for part in parts)


@lru_cache(maxsize=20_000)
def _words(name: str) -> tuple[str, ...]:
    """Those of all groups of a name, as they are compared; people come again."""
    return tuple(each for group in name.split("=") for each in folded(group).split())
