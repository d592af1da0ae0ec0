"""Attachments of a study: any bytes, kept as they came, named by a GUID and a version."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from core.archive.blobs import Blob, Blobs
from core.archive.nouns import CURRENT, Attachment, By, StoredAttachment
from core.archive.schema import attachments, studies
from core.archive.search import utc
from core.audit.log import AuditLog, Event
from core.errors import BadInput, NotFound

DEFAULT_TYPE = "application/octet-stream"
MOST_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class Label:
    """What was said of an attachment when it was sent, and by whom."""

    name: str
    content_type: str
    uploaded_by: str
    by: By

    def check(self) -> None:
        """Raises BadInput for control characters or something over-long."""
        for what, text in (("name", self.name), ("type", self.content_type), ("uploader", self.uploaded_by)):
            if len(text) > MOST_CHARACTERS or any(ord(c) < 32 or ord(c) == 127 for c in text):
                raise BadInput(
                    f"The {what} of the attachment is too long or has control characters.", "Change it."
                )


def add(connection: Connection, study: Row[Any], blob: Blob, label: Label, audit: AuditLog) -> Attachment:
    """Write the row of a kept blob, in the writer's transaction."""
    now, guid = time.time(), str(uuid.uuid4())
    kept = Attachment(
        guid,
        blob.version,
        label.name,
        label.content_type or DEFAULT_TYPE,
        blob.bytes,
        label.uploaded_by,
        utc(now),
    )
    row = {**asdict(kept), "created": now, "study_id": study.id, "blob": blob.key}
    connection.execute(insert(attachments), row)
    connection.execute(
        update(studies)
        .where(studies.c.id == study.id)
        .values(
            attachments=studies.c.attachments + 1,
            changed=now,
            revision=studies.c.revision + 1,
            settled=False,
        )
    )
    audit.record(
        connection,
        Event.PATIENT_RECORD,
        "attached",
        actor=label.by.actor,
        namespace=study.namespace,
        study_uid=study.study_uid,
        detail=label.by.detail(guid=guid, version=blob.version),
    )
    return kept


def of_study(connection: Connection, study_id: int) -> tuple[Attachment, ...]:
    """Every version of every attachment, in order of arrival."""
    query = select(attachments).where(attachments.c.study_id == study_id).order_by(attachments.c.id)
    return tuple(_attachment(row) for row in connection.execute(query))


def one(
    connection: Connection, study_id: int, guid: str | None, version: str, blobs: Blobs
) -> StoredAttachment:
    """The newest that fits: of any GUID if None, of any version if "*". Raises NotFound("attachment")."""
    query = select(attachments).where(attachments.c.study_id == study_id)
    if guid is not None:
        query = query.where(attachments.c.guid == guid)
    if version != CURRENT:
        query = query.where(attachments.c.version == version)
    row = connection.execute(query.order_by(attachments.c.id.desc()).limit(1)).first()
    if row is None:
        raise NotFound("attachment", "Attachment wasn't found by provided ids.")
    return StoredAttachment(_attachment(row), blobs.path(row.blob))


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(
        row.guid, row.version, row.name, row.content_type, row.bytes, row.uploaded_by, utc(row.created)
    )
