"""The archive's front door: everything the doors, the command line and the desktop may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, select

from core.archive import attachments, search, settle, studies
from core.archive.attachments import Label
from core.archive.backup import back_up
from core.archive.blobs import Blob, LocalBlobs
from core.archive.check import Inspector
from core.archive.files import FileSystem, make_folders
from core.archive.finding import Finder, StudyState
from core.archive.incoming import Incoming
from core.archive.listing import Listed, listed
from core.archive.lock import FolderLock
from core.archive.nouns import (
    CURRENT,
    Attachment,
    By,
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
from core.archive.phi import only_phi, overlaid
from core.archive.schema import CATALOG, namespaces
from core.archive.store import Said, Sending, Store, check_namespace
from core.archive.trash import Trash
from core.audit.log import AuditLog
from core.db.database import Database
from core.dicom.ports import Modeller, Thumbnailer
from core.errors import Busy, NotFound

SWEEP_EVERY_S = 600.0
"""How often the trash is looked through."""
WAIT_FOR_SWEEPER_S = 60.0


class Archive:
    """One data folder's archive; safe from any thread; close it when done.

    Reading is at once; a Future of writing resolves when the change is durable, or raises KnownError.
    """

    db: Database
    """The database file, shared with accounts and documents."""
    audit: AuditLog
    """The audit log in it."""

    def __init__(
        self,
        data: Path,
        database: Database,
        blobs: LocalBlobs,
        *,
        lock: FolderLock | None,
        settle_after_s: float,
        thumbnailer: Thumbnailer | None,
        modeller: Modeller | None,
        trash_days: float,
    ) -> None:
        self._data = data
        self._lock = lock
        self._blobs = blobs
        self.db = database
        self.audit = AuditLog(database)
        self._removal_lock = database.path.with_name("removal.lock")
        self._settler: settle.Settler | None = None
        self._finder = Finder(database, blobs)
        self.known_image = self._finder.known  # `image` from memory, or None: an event loop may ask
        self._store = Store(database, blobs, self.audit, self.changed)
        self._trash = Trash(
            database,
            blobs,
            self.audit,
            days=trash_days,
            removal_lock=self._removal_lock,
            sweep_soon=self._sweep_soon,
        )
        if lock is not None:
            blobs.sweep_incoming()
            self._settler = settle.Settler(
                database,
                blobs,
                thumbnailer,
                modeller=modeller,
                after_s=settle_after_s,
                sweep=self._trash.sweep,
                sweep_every_s=SWEEP_EVERY_S,
            )

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        settle_after_s: float = 3.0,
        thumbnailer: Thumbnailer | None = None,
        modeller: Modeller | None = None,
        exclusive: bool = True,
        trash_days: float = 7,
        files: FileSystem | None = None,
    ) -> Archive:
        """Open (and make, if absent) the archive in *data*. Raises Busy naming the pid, StorageFault.

        With *exclusive* False another process may be serving it: reading, `check` and `backup` only.
        """
        folder = data / "archive"
        make_folders(data, folder)
        lock = FolderLock(folder / "lock") if exclusive else None
        try:
            blobs = LocalBlobs(folder, files)
            database = Database.open(folder / "archive.db", CATALOG)
        except BaseException:
            if lock is not None:
                lock.close()
            raise
        return cls(
            data,
            database,
            blobs,
            lock=lock,
            settle_after_s=settle_after_s,
            thumbnailer=thumbnailer,
            modeller=modeller,
            trash_days=trash_days,
        )

    def close(self) -> None:
        """Finish queued writes and let go of the folder; calling it again does nothing."""
        self._store.close()
        if self._settler is not None:
            self._settler.close()
        self._finder.close()
        self.db.close()
        if self._lock is not None:
            self._lock.close()

    # Studies

    def studies(
        self, where: StudyFilter, *, limit: int = 50, offset: int = 0, order: str = "-received"
    ) -> Page[StudyRow]:
        """A page of studies; *order* is received, study_date or patient_name, "-" before it to turn it."""
        with self.db.read() as connection:
            return search.find(connection, where, limit, offset, order)

    def study(self, namespace: str, study_uid: str) -> StudyDetail:
        """Everything the desktop shows of a study. Raises NotFound("namespace"), NotFound("study")."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            return StudyDetail(
                search.study_rows(connection, [row])[0],
                studies.series_of(connection, row.id, conflicts=True),
                attachments.of_study(connection, row.id),
            )

    def schema(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> StudySchema:
        """Series, images, attachments; the same through every *phi_namespace*. Raises NotFound."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            found = studies.series_of(connection, row.id, conflicts=False)
            return StudySchema(namespace, study_uid, found, attachments.of_study(connection, row.id))

    def state(self, namespace: str, study_uid: str) -> StudyState:
        """How a study stands: its name there tells whether anything in it has changed. Raises NotFound."""
        return self._finder.study(namespace, study_uid)

    def study_phi(
        self, namespace: str, study_uid: str, phi_namespace: str | None = None
    ) -> Mapping[str, str]:
        """The "average" PHI as "(gggg,eeee)" -> value in tag order: most frequent value, overlay on top."""
        return only_phi(*self._finder.values(self._finder.study(namespace, study_uid, phi_namespace)))

    def image_phi(
        self,
        namespace: str,
        study_uid: str,
        sop_uid: str,
        version: str = CURRENT,
        phi_namespace: str | None = None,
    ) -> Mapping[str, str]:
        """What this image says, overlay on top. Raises NotFound("image") and as `study_phi`."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            image = studies.image_row(connection, row.id, sop_uid, version)
            overlay = studies.overlay_of(connection, row, phi_namespace)
            return only_phi(studies.tags_of_set(connection, image.phi_set_id), overlay)

    def study_tags(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> StudyTags:
        """Average PHI and attributes, size and counts."""
        found = self._finder.study(namespace, study_uid, phi_namespace)
        tags = overlaid(*self._finder.values(found))
        return StudyTags(namespace, study_uid, tags, found.bytes, found.images, found.attachments)

    def transfer_attributes(self, namespace: str, study_uid: str) -> Mapping[str, Sequence[str]]:
        """Distinct values of (0002,0010) TransferSyntaxUID and (0002,0002) MediaStorageSOPClassUID."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            return studies.transfer_attributes(connection, row.id)

    def image(self, namespace: str, study_uid: str, sop_uid: str, version: str = CURRENT) -> StoredImage:
        """One stored object. Raises NotFound("namespace" | "study" | "image")."""
        return self._finder.image(namespace, study_uid, sop_uid, version)

    def representative(self, namespace: str, study_uid: str) -> StoredImage:
        """The image that speaks for a study (Details): the first of its first series."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            for one in studies.series_of(connection, row.id, conflicts=False):
                image = studies.image_row(connection, row.id, one.images[0].sop_instance_uid, CURRENT)
                return studies.stored_image(row, image, self._blobs)
        raise NotFound("image", "The study has no images.")

    def held(self, namespace: str, study_uid: str, sop_uids: Sequence[str] | None = None) -> dict[str, str]:
        """Current version by SOP Instance UID, of all or of those asked; {} for a study not there."""
        with self.db.read() as connection:
            try:
                row = studies.study_row(connection, namespace, study_uid)
            except NotFound:
                return {}
            return studies.held(connection, row.id, sop_uids)

    def namespaces(self) -> Sequence[str]:
        """Every namespace, sorted."""
        with self.db.read() as connection:
            return connection.execute(select(namespaces.c.name).order_by(namespaces.c.name)).scalars().all()

    def status(self) -> Status:
        """The archive in figures."""
        with self.db.read() as connection:
            count, images, size = search.sums(connection)
            return Status(count, images, size, self._blobs.free_bytes(), settle.unsettled(connection))

    # Storing

    def incoming(self, namespace: str, *, limit: int | None = None, in_pieces: bool = False) -> Incoming:
        """A place for arriving bytes, hashed as they come if *in_pieces*; use it in a with statement.

        Raises BadInput for a bad namespace, StorageFault when the disk is full. Its `write` raises TooLarge
        beyond *limit* bytes, StorageFault when the disk fails.
        """
        check_namespace(namespace)
        self._owned()
        return self._blobs.incoming(namespace, limit, in_pieces=in_pieces)

    def store(
        self,
        incoming: Incoming,
        *,
        actor: str,
        via: str = "api",
        routing: Routing | None = None,
        silent: bool = False,
        study_uid: str = "",
    ) -> Future[StoreResult]:
        """Keep the DICOM object in *incoming*, which is taken over in every case; *silent* notifies nobody.

        The Future raises NotDicom, BadInput (truncated, without UIDs, DICOMDIR), OtherStudy than *study_uid*,
        StorageFault; then nothing was kept. It resolves after bytes, folder entry and catalog are on disk.
        """
        said = Said(study_uid=study_uid)
        return self.receive(incoming, Sending(actor, via, routing or Routing(), silent, said))

    def receive(self, incoming: Incoming, sending: Sending, *, here: bool = False) -> Future[StoreResult]:
        """The same, with all there is to say of a sending; the Future raises NotSaid, too.

        With *here* the calling thread works and waits for the disk.
        """
        return self._store.object(incoming, sending, here=here)

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
        silent: bool = False,
    ) -> Future[Attachment]:
        """Keep what was written into *incoming* as an attachment of a study. Raises NotFound("study")."""
        label = Label(name, content_type, uploaded_by, By(actor, silent))

        def refuse() -> None:
            label.check()
            with self.db.read() as connection:
                studies.study_row(connection, namespace, study_uid)

        def write(connection: Connection, blob: Blob) -> Attachment:
            study = studies.study_row(connection, namespace, study_uid)
            return attachments.add(connection, study, blob, label, self.audit)

        return self._store.blob(incoming, write, refuse=refuse)

    def attachment(self, namespace: str, study_uid: str, guid: str, version: str) -> StoredAttachment:
        """One attachment by its version ("*" is its newest). Raises NotFound("attachment")."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            return attachments.one(connection, row.id, guid, version, self._blobs)

    def latest_attachment(self, namespace: str, study_uid: str) -> StoredAttachment:
        """The attachment that came last. Raises NotFound("attachment")."""
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            return attachments.one(connection, row.id, None, CURRENT, self._blobs)

    # Removing

    def delete_study(
        self, namespace: str, study_uid: str, actor: str, *, silent: bool = False, reason: str = ""
    ) -> Future[TrashEntry]:
        """Move a study to the trash; when the Future resolves it is gone from every query."""
        self._owned()
        return self._trash.delete(namespace, study_uid, By(actor, silent, reason))

    def trash(self) -> Sequence[TrashEntry]:
        """What was deleted and is still there, newest first."""
        return self._trash.entries()

    def restore(self, entry_id: int, actor: str) -> Future[StudyRow]:
        """Bring a study back; merged with one that came in meanwhile. Raises NotFound("trash entry")."""
        self._owned()
        return self._trash.restore(entry_id, actor)

    def purge(self, entry_id: int, actor: str) -> Future[None]:
        """Remove a deleted study for good. Raises NotFound("trash entry")."""
        self._owned()
        return self._trash.purge(entry_id, actor)

    # Settling

    def series_metadata(self, namespace: str, study_uid: str, series_uid: str) -> bytes | None:
        """Cached attributes of a series' images, gzip JSON, or None while it is not settled."""
        return self._cached(namespace, study_uid, series_uid, "metadata")

    def series_thumbnail(self, namespace: str, study_uid: str, series_uid: str) -> bytes | None:
        """Cached JPEG of the middle image, or None while not settled or without a picture."""
        return self._cached(namespace, study_uid, series_uid, "thumbnail")

    def unsettled(self) -> int:
        """How many studies the background pass has yet to do."""
        with self.db.read() as connection:
            return settle.unsettled(connection)

    # Care

    def check(self, *, repair: bool = False) -> Report:
        """Prove every blob against its digest; *repair* needs an exclusive archive (else Busy)."""
        if repair:
            self._owned()
        return Inspector(self.db, self._blobs, self.audit).check(repair=repair)

    def backup(self, dest: Path) -> Report:
        """A consistent copy while serving goes on; *dest* becomes a data folder. Raises StorageFault."""
        lock = FolderLock.wait_shared(self._removal_lock, WAIT_FOR_SWEEPER_S)
        with closing(lock):
            back_up(self.db.path, self._blobs, self._data, dest)
        with closing(Archive.open(dest, exclusive=False)) as copy:
            return copy.check()

    def _cached(self, namespace: str, study_uid: str, series_uid: str, column: str) -> bytes | None:
        with self.db.read() as connection:
            row = studies.study_row(connection, namespace, study_uid)
            return studies.cached(connection, row.id, series_uid, column)

    def listed(self, namespace: str, study_uid: str, *below: str) -> Sequence[Listed]:
        """The objects of a study, series or image (UIDs *below*) in order. Raises NotFound."""
        return listed(self.db, self._blobs, (namespace, study_uid), *below)

    def _owned(self) -> None:
        if self._lock is None:
            raise Busy("The archive is open for reading only.", "Stop the process that serves it first.")

    def changed(self) -> None:
        """Tell the background that a study has changed."""
        if self._settler is not None:
            self._settler.changed()

    def _sweep_soon(self) -> None:
        if self._settler is not None:
            self._settler.sweep_soon()
