"""What the Worklist page asks of the archive; every function is slow and runs as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import NotFound
from core.net.adding import Adding, Naming, of_entry

if TYPE_CHECKING:
    from core.net.records import StudyRow
    from core.net.worklist_client import EntryPage, EntryRow, WorklistClient
    from ui.services import LocalArchive
    from ui.worklist.search_line import Wanted

NAMESPACE = "default"
"""Where the desktop keeps its studies, and what the archive's AE title means."""


class Calls:
    """The worklist of one archive, asked from worker threads."""

    def __init__(self, archive: LocalArchive) -> None:
        self._archive = archive

    def entries(self, wanted: Wanted, known: str) -> EntryPage | None:
        """What is wanted, None if nothing changed since *known*."""
        return self._client().entries(
            date_from=wanted.first,
            date_to=wanted.last,
            text=wanted.text,
            modalities=wanted.modalities,
            states=wanted.states,
            known=known,
        )

    def studies(self, entry: EntryRow) -> Sequence[StudyRow]:
        """The studies that belong to it and are in the archive."""
        client, found = self._archive.client(), []
        for uid in dict.fromkeys((entry.study_uid, *entry.studies)):
            try:
                found.append(client.study_detail(NAMESPACE, uid).study)
            except NotFound:  # nothing was made for it yet
                continue
        return found

    def create(self, fields: Mapping[str, str]) -> EntryRow:
        """Put an entry on the worklist."""
        return self._client().create(fields)

    def edit(self, entry: EntryRow, fields: Mapping[str, str]) -> EntryRow:
        """Change it, unless somebody else did."""
        return self._client().edit(entry, fields)

    def start(self, entry: EntryRow) -> EntryRow:
        """Begin it."""
        return self._client().start(entry)

    def complete(self, entry: EntryRow) -> EntryRow:
        """It is done."""
        return self._client().complete(entry)

    def cancel(self, entry: EntryRow, reason: str) -> EntryRow:
        """It is given up."""
        return self._client().cancel(entry, reason)

    def remove(self, entry: EntryRow) -> None:
        """Take it off the worklist."""
        self._client().remove(entry)

    def adding(self, entry: EntryRow, files: Sequence[Path], naming: Naming) -> Adding:
        """Files on their way to the entry; it runs by itself, as a task."""
        return Adding(self._archive.client, of_entry(NAMESPACE, entry.uid), files, naming)

    def unfile(self, entry: EntryRow, study_uid: str) -> EntryRow:
        """Let a study be what it was before it was filed."""
        return self._client().unfile(entry, study_uid)

    def _client(self) -> WorklistClient:
        from core.net.worklist_client import WorklistClient

        return WorklistClient(self._archive.client().session, NAMESPACE)
