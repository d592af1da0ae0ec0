"""The archive's front door: everything the doors, the command line and the desktop may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from core.archive.blobs import Incoming
from core.archive.nouns import (
    CURRENT,
    Attachment,
    Page,
    Report,
    Routing,
    Status,
    StoredAttachment,
    StoredImage,
    StoreResult,
    StudyDetail,
    StudyFilter,
    StudyRow,
    StudySchema,
    StudyTags,
    TrashEntry,
)
from core.db.database import Database
from core.dicom.ports import Thumbnailer


class Archive:
    """One data folder's archive; safe from any thread; close it when done.

    Reading methods return at once from the catalog. Writing methods return a Future that resolves only when
    the change is durable; it raises KnownError: BadInput (400), NotFound (404), StorageFault (507).
    """

    db: Database
    """The database file, shared with accounts and documents."""

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        settle_after_s: float = 3.0,
        thumbnailer: Thumbnailer | None = None,
        exclusive: bool = True,
        trash_days: int = 7,
    ) -> Archive:
        """Open (and make, if absent) the archive in *data*. Raises Busy naming the pid, StorageFault.

        With *exclusive* False another process may be serving it: reading, `check` and `backup` only.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Finish queued writes and let go of the folder; calling it again does nothing."""
        raise NotImplementedError

    # Studies

    def studies(
        self, where: StudyFilter, *, limit: int = 50, offset: int = 0, order: str = "-received"
    ) -> Page[StudyRow]:
        """A page of studies; *order* is received, study_date or patient_name, "-" before it to turn it."""
        raise NotImplementedError

    def study(self, namespace: str, study_uid: str) -> StudyDetail:
        """Everything the desktop shows of a study. Raises NotFound("namespace"), NotFound("study")."""
        raise NotImplementedError

    def schema(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> StudySchema:
        """Series, images, attachments. Raises NotFound("namespace"), NotFound("study")."""
        raise NotImplementedError

    def study_phi(
        self, namespace: str, study_uid: str, phi_namespace: str | None = None
    ) -> Mapping[str, str]:
        """The "average" PHI as "(gggg,eeee)" -> value in tag order: most frequent value, overlay on top."""
        raise NotImplementedError

    def image_phi(
        self,
        namespace: str,
        study_uid: str,
        sop_uid: str,
        version: str = CURRENT,
        phi_namespace: str | None = None,
    ) -> Mapping[str, str]:
        """What this image says, overlay on top. Raises NotFound("image") and as `study_phi`."""
        raise NotImplementedError

    def study_tags(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> StudyTags:
        """Average PHI and attributes, size and counts."""
        raise NotImplementedError

    def transfer_attributes(self, namespace: str, study_uid: str) -> Mapping[str, Sequence[str]]:
        """Distinct values of (0002,0010) TransferSyntaxUID and (0002,0002) MediaStorageSOPClassUID."""
        raise NotImplementedError

    def image(self, namespace: str, study_uid: str, sop_uid: str, version: str = CURRENT) -> StoredImage:
        """One stored object. Raises NotFound("namespace" | "study" | "image")."""
        raise NotImplementedError

    def representative(self, namespace: str, study_uid: str) -> StoredImage:
        """The image that speaks for a study (Details): the first of its first series."""
        raise NotImplementedError

    def held(
        self, namespace: str, study_uid: str, sop_uids: Sequence[str] | None = None
    ) -> Mapping[str, str]:
        """Current version by SOP Instance UID, of all or of those asked; {} for a study not there."""
        raise NotImplementedError

    def namespaces(self) -> Sequence[str]:
        """Every namespace, sorted."""
        raise NotImplementedError

    def status(self) -> Status:
        """The archive in figures."""
        raise NotImplementedError

    # Storing

    def incoming(self, namespace: str, *, limit: int | None = None) -> Incoming:
        """A place for arriving bytes, hashed as they are written; use it in a with statement.

        Raises BadInput for a bad namespace, StorageFault when the disk is full. Its `write` raises TooLarge
        beyond *limit* bytes, StorageFault when the disk fails.
        """
        raise NotImplementedError

    def store(
        self, incoming: Incoming, *, actor: str, via: str = "api", routing: Routing | None = None
    ) -> Future[StoreResult]:
        """Keep the DICOM object that was written into *incoming*, which is taken over in every case.

        The Future raises NotDicom, BadInput (truncated, without UIDs, DICOMDIR) or StorageFault; then nothing
        was kept. It resolves after bytes, folder entry and catalog are on disk.
        """
        raise NotImplementedError

    def attach(
        self,
        namespace: str,
        study_uid: str,
        incoming: Incoming,
        *,
        name: str,
        content_type: str,
        uploaded_by: str,
        actor: str,
    ) -> Future[Attachment]:
        """Keep what was written into *incoming* as an attachment of a study. Raises NotFound("study")."""
        raise NotImplementedError

    def attachment(self, namespace: str, study_uid: str, guid: str, version: str) -> StoredAttachment:
        """One attachment by its version ("*" is its newest). Raises NotFound("attachment")."""
        raise NotImplementedError

    def latest_attachment(self, namespace: str, study_uid: str) -> StoredAttachment:
        """The attachment that came last. Raises NotFound("attachment")."""
        raise NotImplementedError

    # Removing

    def delete_study(self, namespace: str, study_uid: str, actor: str) -> Future[TrashEntry]:
        """Move a study to the trash; when the Future resolves it is gone from every query."""
        raise NotImplementedError

    def trash(self) -> Sequence[TrashEntry]:
        """What was deleted and is still there, newest first."""
        raise NotImplementedError

    def restore(self, entry_id: int, actor: str) -> Future[StudyRow]:
        """Bring a study back; merged with one that came in meanwhile. Raises NotFound("trash entry")."""
        raise NotImplementedError

    def purge(self, entry_id: int, actor: str) -> Future[None]:
        """Remove a deleted study for good. Raises NotFound("trash entry")."""
        raise NotImplementedError

    # Settling

    def series_metadata(self, namespace: str, study_uid: str, series_uid: str) -> bytes | None:
        """Cached attributes of a series' images, gzip JSON, or None while it is not settled."""
        raise NotImplementedError

    def series_thumbnail(self, namespace: str, study_uid: str, series_uid: str) -> bytes | None:
        """Cached JPEG of the middle image, or None while not settled or without a picture."""
        raise NotImplementedError

    def unsettled(self) -> int:
        """How many studies the background pass has yet to do."""
        raise NotImplementedError

    # Care

    def check(self, *, repair: bool = False) -> Report:
        """Prove every blob against its digest; *repair* needs an exclusive archive (else Busy)."""
        raise NotImplementedError

    def backup(self, dest: Path) -> Report:
        """A consistent copy while serving goes on; *dest* becomes a data folder. Raises StorageFault."""
        raise NotImplementedError
