"""Tables of the upload ledger in `client.db`: jobs, their studies, instances and attachments."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Dialect, Float, ForeignKey, Index, Integer, MetaData, String, Table
from sqlalchemy.types import TypeDecorator

from core.db.database import Part
from core.dicom.file_names import storable, stored


class FileName(TypeDecorator[str]):
    """A path; bytes of it that are no text come back as they were."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else stored(value)


metadata = MetaData()

jobs = Table(
    "upload_jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created", Float, nullable=False),  # seconds since 1970
    Column("updated", Float, nullable=False),
    Column("destination", String, nullable=False),
    Column("namespace", String, nullable=False),
    # JSON array of absolute paths, or of one archive:NAMESPACE/STUDY or remote:NAME:DEST
    Column("sources", String, nullable=False),
    Column("state", String, nullable=False),
    Column("replace", Integer, nullable=False, default=0),
    Column("owner_pid", Integer, nullable=False, default=0),  # the process that runs it, 0 = none
    Column("owner_started", Float, nullable=False, default=0.0),
    Column("receipt", String, nullable=False, default=""),  # JSON of the last run
    Column("entry", String, nullable=False, server_default=""),  # UID of the worklist entry it is for
    sqlite_autoincrement=True,
)
Index("ix_upload_jobs_source", jobs.c.sources, jobs.c.destination, jobs.c.namespace)


def _job_id() -> Column[int]:
    return Column("job_id", Integer, ForeignKey("upload_jobs.id", ondelete="CASCADE"), primary_key=True)


studies = Table(
    "upload_studies",
    metadata,
    _job_id(),
    Column("study_uid", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("patient_name", String, nullable=False),
    Column("patient_id", String, nullable=False),
    Column("patient_birth_date", String, nullable=False),
    Column("patient_sex", String, nullable=False),
    Column("study_date", String, nullable=False),
    Column("study_description", String, nullable=False),
    Column("accession_number", String, nullable=False),
)

instances = Table(
    "upload_instances",
    metadata,
    _job_id(),
    Column("study_uid", String, primary_key=True),
    Column("sop_uid", String, primary_key=True),
    Column("series_uid", String, nullable=False),
    Column("sop_class_uid", String, nullable=False),
    Column("transfer_syntax_uid", String, nullable=False),
    Column("path", FileName, nullable=False),  # as the source names it
    Column("member", FileName, nullable=False),  # of a ZIP file, "" = none
    Column("file", FileName, nullable=False),  # absolute path of the file, or of the ZIP file; "" = not known
    Column("size", Integer, nullable=False),  # 0 = not known
    Column("mtime_ns", Integer, nullable=False),  # 0 = not known
    Column("digest", String, nullable=False),  # of what was read, "" = not read
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    sqlite_with_rowid=False,
)

attachments = Table(
    "upload_attachments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("upload_jobs.id", ondelete="CASCADE"), nullable=False),
    Column("study_uid", String, nullable=False),
    Column("path", FileName, nullable=False),
    Column("name", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("digest", String, nullable=False),
    Column("remote", String, nullable=False),  # digest the destination gave
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
)
Index("ix_upload_attachments_job", attachments.c.job_id, attachments.c.study_uid)


def _add_entry(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE upload_jobs ADD COLUMN entry VARCHAR NOT NULL DEFAULT ''")


LEDGER = Part("upload", metadata, version=2, migrations={1: _add_entry})
