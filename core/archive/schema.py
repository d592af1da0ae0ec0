"""Tables of the catalog. A deleted study keeps its rows: `trash_id` takes it out of every query."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)

from core.db.database import Part

catalog = MetaData()

namespaces = Table(
    "namespaces",
    catalog,
    Column("name", String, primary_key=True),
    Column("created", Float, nullable=False),
)

studies = Table(
    "studies",
    catalog,
    Column("id", Integer, primary_key=True),
    Column("namespace", String, ForeignKey("namespaces.name"), nullable=False),
    Column("study_uid", String, nullable=False),
    Column("trash_id", Integer),
    # as the images say it: at first the first image, once settled the average
    Column("patient_name", String, nullable=False),
    Column("patient_id", String, nullable=False),
    Column("patient_birth_date", String, nullable=False),
    Column("patient_sex", String, nullable=False),
    Column("study_date", String, nullable=False),
    Column("study_time", String, nullable=False),
    Column("study_description", String, nullable=False),
    Column("accession_number", String, nullable=False),
    # the same without case and accents, for indexes
    Column("name_key", String, nullable=False),
    Column("patient_id_key", String, nullable=False),
    Column("accession_key", String, nullable=False),
    # counts of current versions, kept up to date with every change
    Column("series", Integer, nullable=False, default=0),
    Column("images", Integer, nullable=False, default=0),
    Column("bytes", Integer, nullable=False, default=0),
    Column("attachments", Integer, nullable=False, default=0),
    Column("conflicts", Integer, nullable=False, default=0),
    Column("via", String, nullable=False),
    Column("source_ae_title", String, nullable=False, default=""),
    Column("destination_ae_title", String, nullable=False, default=""),
    Column("created", Float, nullable=False),  # seconds since 1970, UTC
    Column("changed", Float, nullable=False),
    Column("revision", Integer, nullable=False, default=1),
    Column("settled", Boolean, nullable=False, default=False),
)
alive = text("trash_id IS NULL")
Index("studies_by_uid", studies.c.namespace, studies.c.study_uid, unique=True, sqlite_where=alive)
Index("studies_by_created", studies.c.created, sqlite_where=alive)
Index("studies_by_date", studies.c.study_date, studies.c.study_time, sqlite_where=alive)
Index("studies_by_name", studies.c.name_key, sqlite_where=alive)
Index("studies_by_patient_id", studies.c.patient_id_key, sqlite_where=alive)
Index("studies_by_accession", studies.c.accession_key, sqlite_where=alive)
Index("studies_to_settle", studies.c.changed, sqlite_where=text("settled IS 0 AND trash_id IS NULL"))

words = Table(
    "study_words",
    catalog,
    Column("word", String, primary_key=True),
    Column("kind", String, primary_key=True),  # name | id | accession
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("words_of_study", words.c.study_id)

series = Table(
    "series",
    catalog,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("series_uid", String, nullable=False),
    Column("ordinal", Integer, nullable=False),  # the "id" of V3: order of arrival, 1-based, never reused
    Column("number", Integer),
    Column("modality", String, nullable=False),
    Column("description", String, nullable=False),
    UniqueConstraint("study_id", "series_uid"),
    UniqueConstraint("study_id", "ordinal"),
)
Index("series_by_modality", series.c.modality, series.c.study_id)
series_by_uid = Index("series_by_uid", series.c.series_uid)

phi_sets = Table(
    "phi_sets",
    catalog,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("digest", String, nullable=False),
    Column("tags", String, nullable=False),  # JSON: most images of a study share one set
    UniqueConstraint("study_id", "digest"),
)

instances = Table(
    "instances",
    catalog,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    # no foreign keys, each would need an index of its own: both rows belong to this study, `check` proves it
    Column("series_id", Integer, nullable=False),
    Column("phi_set_id", Integer, nullable=False),
    Column("sop_uid", String, nullable=False),
    Column("version", String, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("conflict", String, nullable=False, default=""),  # "" | uid | patient
    Column("sop_class_uid", String, nullable=False),
    Column("transfer_syntax_uid", String, nullable=False),
    Column("instance_number", Integer),
    Column("frames", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("normal", String, nullable=False),  # rounded slice normal, "" without geometry
    Column("position", Float),  # mm along the normal
    Column("bytes", Integer, nullable=False),
    Column("blob", String, nullable=False),
    Column("received", Float, nullable=False),
    UniqueConstraint("sop_uid", "series_id", "version"),
)
Index(
    "instances_current",
    instances.c.series_id,
    instances.c.sop_uid,
    unique=True,
    sqlite_where=text("current IS 1"),
)
Index("instances_of_study", instances.c.study_id, instances.c.phi_set_id)
Index("instances_in_conflict", instances.c.sop_uid, sqlite_where=text("conflict <> ''"))

attachments = Table(
    "attachments",
    catalog,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("guid", String, nullable=False),
    Column("version", String, nullable=False),
    Column("name", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("uploaded_by", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("blob", String, nullable=False),
    UniqueConstraint("study_id", "guid", "version"),
)

overlays = Table(
    "overlays",
    catalog,
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("phi_namespace", String, primary_key=True),
    Column("tags", String, nullable=False),  # JSON
)

trash = Table(
    "trash",
    catalog,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("deleted", Float, nullable=False),
    Column("deleted_by", String, nullable=False),
    Column("expires", Float, nullable=False),
    Column("purging", Boolean, nullable=False, default=False),  # its blobs may be gone already
    sqlite_autoincrement=True,
)
Index("trash_by_expiry", trash.c.expires)
Index("trash_to_purge", trash.c.purging, sqlite_where=text("purging IS 1"))

averages = Table(
    "averages",
    catalog,
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("tags", String, nullable=False),  # JSON
)

series_cache = Table(
    "series_cache",
    catalog,
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String, nullable=False),  # digest of the images it was made from
    Column("metadata", LargeBinary, nullable=False),  # gzip JSON
    Column("thumbnail", LargeBinary),  # JPEG; NULL where no picture can be made
)

series_models = Table(
    "series_models",
    catalog,
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("names", String, nullable=False),  # lines of SOP Instance UID and version
    Column("address", String, nullable=False),  # what stands for the address of bulk data
    Column("packed", LargeBinary, nullable=False),  # as many lines of JSON, zlib
)


def unindexed(column: Column[Any]) -> ColumnElement[Any]:
    """The column with SQLite's unary plus: the planner then drives the query from another, narrower index.

    https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
    """
    return literal_column(f"+{column}", column.type)


def _with_models(connection: Connection) -> None:
    """Models of settled images; those of older archives are made in the background."""
    series_models.create(connection)
    series_by_uid.create(connection)


def _as_compared_today(connection: Connection) -> None:
    """Names are filed without the strokes of their letters by now, dates as they are written today.

    Older archives have both as they came.
    """
    from core.archive.homes import file_again  # which builds on these tables
    from core.dicom.moments import current_form
    from core.dicom.tree import STROKES, folded

    stroked = or_(*(func.instr(words.c.word, letter) > 0 for letter in STROKES))
    for study_id in connection.execute(select(words.c.study_id).where(stroked).distinct()).scalars().all():
        mine = studies.c.id == study_id
        name = connection.execute(select(studies.c.patient_name).where(mine)).scalar_one()
        connection.execute(update(studies).where(mine).values(name_key=folded(name)))
        file_again(connection, study_id)
    moments = {studies.c.study_date: ".", studies.c.study_time: ":", studies.c.patient_birth_date: "."}
    for column, sign in moments.items():
        old = select(column).where(func.instr(column, sign) > 0).distinct()
        for written in connection.execute(old).scalars().all():
            value = current_form("TM" if sign == ":" else "DA", written)
            connection.execute(update(studies).where(column == written).values({column: value}))


CATALOG = Part("catalog", catalog, version=3, migrations={1: _with_models, 2: _as_compared_today})
