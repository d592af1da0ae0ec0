"""Client of an archive's worklist: the desktop's own routes for entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from core.errors import KnownError
from core.net.http import Params
from core.net.session import Session

DESKTOP = "/api/desktop/v1/namespaces"


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry; *fields* by DICOM keyword, *state* a Procedure Step State.

    *uid* "": an order that is no entry yet. *ours*: in progress, ours to finish. *studies* belong to it
    beside its own *study_uid*.
    """

    uid: str
    study_uid: str
    state: str = "SCHEDULED"
    revision: int = 0
    ours: bool = False
    studies: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What no other entry is called."""
        return self.uid or self.study_uid

    def said(self, keyword: str) -> str:
        """A value, "" if there is none."""
        return self.fields.get(keyword, "")


@dataclass(frozen=True, slots=True)
class EntryPage:
    """What was found; *more* was left out. *version* is another once anything changed."""

    entries: tuple[EntryRow, ...]
    more: bool = False
    version: str = ""


class WorklistClient:
    """The worklist of one namespace, from any number of threads; the session is whose it was."""

    def __init__(self, session: Session, namespace: str = "default") -> None:
        self._session = session
        self._base = f"{DESKTOP}/{quote(namespace, safe='')}"

    def entries(
        self,
        *,
        date_from: str = "",
        date_to: str = "",
        text: str = "",
        modalities: Sequence[str] = (),
        states: Sequence[str] = (),
        known: str = "",
    ) -> EntryPage | None:
        """Entries of some days (YYYYMMDD), None if nothing changed since the version *known*."""
        given = {"date_from": date_from, "date_to": date_to, "text": text, "known": known}
        params: Params = [(name, value) for name, value in given.items() if value]
        params += [("modality", each) for each in modalities]
        params += [("state", each) for each in states]
        answer = self._session.request("GET", f"{self._base}/worklist", params=params).object()
        if answer.get("same") is True:
            return None
        rows = answer.get("entries")
        if not isinstance(rows, list):
            raise _unexpected()
        entries = tuple(_entry(row) for row in rows)
        return EntryPage(entries, answer.get("more") is True, str(answer.get("version", "")))

    def create(self, fields: Mapping[str, str]) -> EntryRow:
        """Put an entry on the worklist."""
        return self._do("POST", "worklist", dict(fields))

    def take_over(self, study_uid: str) -> EntryRow:
        """Make an entry of an order."""
        return self._do("POST", f"orders/{quote(study_uid)}/entry")

    def edit(self, entry: EntryRow, fields: Mapping[str, str]) -> EntryRow:
        """Let *entry* say this, if it is still as it was."""
        return self._do("PUT", _path(entry), {"revision": entry.revision, "fields": dict(fields)})

    def remove(self, entry: EntryRow) -> None:
        """Take it off the worklist."""
        self._session.request("DELETE", f"{self._base}/{_path(entry)}")

    def start(self, entry: EntryRow) -> EntryRow:
        """Begin it; an order becomes an entry first."""
        if not entry.uid:
            entry = self.take_over(entry.study_uid)
        return self._do("POST", f"{_path(entry)}/start")

    def complete(self, entry: EntryRow) -> EntryRow:
        """It is done."""
        return self._do("POST", f"{_path(entry)}/complete")

    def cancel(self, entry: EntryRow, reason: str) -> EntryRow:
        """It is given up."""
        return self._do("POST", f"{_path(entry)}/cancel", {"reason": reason})

    def file(self, uid: str, study_uids: Sequence[str]) -> EntryRow:
        """Let studies of the archive belong to the entry *uid*."""
        return self._do("POST", f"worklist/{quote(uid)}/studies", {"study_uids": list(study_uids)})

    def unfile(self, entry: EntryRow, study_uid: str) -> EntryRow:
        """Let a study be what it was before."""
        return self._do("DELETE", f"{_path(entry)}/studies/{quote(study_uid)}")

    def _do(self, method: str, path: str, body: object = None) -> EntryRow:
        return _entry(self._session.request(method, f"{self._base}/{path}", body=body).json())


def _path(entry: EntryRow) -> str:
    return f"worklist/{quote(entry.uid)}"


def _entry(row: Any) -> EntryRow:
    """Raises KnownError."""
    if not isinstance(row, dict) or not isinstance(row.get("fields"), dict):
        raise _unexpected()
    studies, revision = row.get("studies"), row.get("revision")
    return EntryRow(
        uid=str(row.get("uid", "")),
        study_uid=str(row.get("study_uid", "")),
        state=str(row.get("state", "")),
        revision=revision if isinstance(revision, int) else 0,
        ours=row.get("ours") is True,
        studies=tuple(str(each) for each in studies) if isinstance(studies, list) else (),
        fields={str(name): str(value) for name, value in row["fields"].items()},
    )


def _unexpected() -> KnownError:
    return KnownError("The answer is not what was expected of an archive (worklist).")
