"""Tables of the worklist."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, UniqueConstraint

from core.db.database import Part

_tables = MetaData()
workitems = Table(
    "workitems",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("uid", String, nullable=False),  # SOP Instance UID of the procedure step
    Column("study_uid", String, nullable=False),  # "" where it names no study
    Column("patient_id", String, nullable=False),
    Column("start", String, nullable=False),  # YYYYMMDDHHMMSS, as far as it is known
    Column("state", String, nullable=False),
    Column("transaction_uid", String, nullable=False, default=""),  # who claimed it knows it
    Column("said", String, nullable=False),  # JSON, keyword -> text: what the Modality Worklist shows
    Column("step", String, nullable=False, default="{}"),  # JSON model: what else was said of the step
    Column("revision", Integer, nullable=False, default=1),
    Column("created", Float, nullable=False),  # seconds since 1970, UTC
    Column("changed", Float, nullable=False),
    UniqueConstraint("namespace", "uid"),
    sqlite_autoincrement=True,
)
Index("workitems_by_study", workitems.c.namespace, workitems.c.study_uid)
Index("workitems_by_patient", workitems.c.namespace, workitems.c.patient_id)
Index("workitems_by_start", workitems.c.namespace, workitems.c.state, workitems.c.start)

WORKLIST = Part("worklist", _tables, version=1)
