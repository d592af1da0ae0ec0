"""What the Archive page asks of the archive; every function is slow and runs as a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.dicom.refs import Found
from core.dicom.tree import Tree
from core.errors import BadInput, NotFound
from core.net.adding import Adding, Naming, of_study
from ui.archive.search_line import Search
from ui.services import Archived, Order, Picked

if TYPE_CHECKING:
    from core.net.records import Page, StudyDetail, StudyRow, TrashEntry
    from ui.services import LocalArchive

LARGEST_PDF = 200 * 1024 * 1024


class Calls:
    """One archive, asked from worker threads."""

    def __init__(self, archive: LocalArchive) -> None:
        self._archive = archive

    def page(self, search: Search, order: str, offset: int, limit: int) -> Page[StudyRow]:
        """One page of a search."""
        return self._archive.client().search(
            search.text,
            date_from=search.date_from,
            date_to=search.date_to,
            modalities=search.modalities,
            limit=limit,
            offset=offset,
            order=order,
        )

    def detail(self, namespace: str, study_uid: str) -> StudyDetail:
        """One study with its series, images and attachments."""
        return self._archive.client().study_detail(namespace, study_uid)

    def order(self, namespace: str, study_uid: str) -> Order:
        """The study as it is now, with all its attachments, to be sent somewhere."""
        from core.net.archive_source import ArchiveSource

        client, tree = self._archive.client(), Tree()
        with ArchiveSource(client, namespace, study_uid) as source:
            for found in source.headers():
                if isinstance(found, Found):
                    tree.add(found)
        detail = client.study_detail(namespace, study_uid)
        names = tuple(Path(each.name) for each in detail.attachments)
        stored = detail.study.stored_patient
        picked = tuple(Picked(patient, study) for patient, study in tree.studies())
        if not picked:
            raise NotFound("study", "This study has no images any more.")
        archived = Archived(namespace, study_uid, stored if stored.differs else None)
        return Order(archived, picked, {study_uid: names}, destination="")

    def adding(self, namespace: str, study_uid: str, files: Sequence[Path], naming: Naming) -> Adding:
        """Files on their way to the images of a study; it runs by itself, as a task."""
        return Adding(self._archive.client, of_study(namespace, study_uid), files, naming)

    def attach(self, namespace: str, study_uid: str, path: Path, uploaded_by: str) -> str:
        """Add a PDF; gives back its name. Raises BadInput if it is none."""
        if path.stat().st_size > LARGEST_PDF:
            raise BadInput("This file is too large to attach (over 200 MB).")
        with path.open("rb") as file:
            if b"%PDF-" not in file.read(1024):
                raise BadInput("This file is no PDF.", "Choose a PDF file.")
            file.seek(0)
            self._archive.client().attach(
                namespace,
                study_uid,
                file,
                name=path.name,
                content_type="application/pdf",
                uploaded_by=uploaded_by,
            )
        return path.name

    def attachment(self, namespace: str, study_uid: str, attachment_id: str, version: str) -> bytes:
        """The attached file."""
        with self._archive.client().attachment(namespace, study_uid, attachment_id, version) as pieces:
            return b"".join(pieces)

    def delete(self, namespace: str, study_uid: str) -> None:
        """Move the study to the trash."""
        self._archive.client().delete_study(namespace, study_uid)

    def trash(self) -> Sequence[TrashEntry]:
        """What was deleted and is still kept, newest first."""
        return self._archive.client().trash()

    def restore_entry(self, entry_id: str) -> None:
        """Bring this study back."""
        self._archive.client().restore(entry_id)

    def purge(self, entry_id: str) -> None:
        """Delete this study for good."""
        self._archive.client().purge(entry_id)

    def restore(self, namespace: str, study_uid: str) -> None:
        """Bring the latest deleted study of this UID back."""
        client = self._archive.client()
        entries = [e for e in client.trash() if e.study_uid == study_uid and e.namespace == namespace]
        if not entries:
            raise NotFound("study", "This study is not in the trash any more.")
        client.restore(max(entries, key=lambda entry: entry.deleted).id)
