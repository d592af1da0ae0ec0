"""Where an object belongs: the rows of its study, series and PHI set, made when it is the first of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Insert, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.archive.arrival import Arrival, key_of, study_words
from core.archive.blobs import Blob
from core.archive.nouns import Routing
from core.archive.schema import namespaces, overlays, phi_sets, series, studies, words
from core.db.prepared import Prepared
from core.dicom.moments import current_form
from core.dicom.refs import Header
from core.dicom.tree import folded

_HOME = Prepared(
    select(
        studies.c.id,
        studies.c.patient_id,
        series.c.id.label("series_id"),
        phi_sets.c.id.label("phi_set_id"),
    )
    .outerjoin(
        series, and_(series.c.study_id == studies.c.id, series.c.series_uid == bindparam("series_uid"))
    )
    .outerjoin(phi_sets, and_(phi_sets.c.study_id == studies.c.id, phi_sets.c.digest == bindparam("digest")))
    .where(
        studies.c.namespace == bindparam("namespace"),
        studies.c.study_uid == bindparam("study_uid"),
        studies.c.trash_id.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class Placing:
    """What is to be placed: the object, its blob, and how it came."""

    namespace: str
    arrival: Arrival
    blob: Blob
    via: str
    routing: Routing


@dataclass(slots=True)
class Home:
    """The rows an object belongs under; *new_series* says that the series was made for it."""

    study_id: int
    patient_id: str
    series_id: int
    phi_set_id: int
    new_series: bool = False


def home_of(connection: Connection, new: Placing, now: float) -> Home:
    header = new.arrival.header
    row = _HOME(
        connection,
        {
            "namespace": new.namespace,
            "study_uid": header.study_instance_uid,
            "series_uid": header.series_instance_uid,
            "digest": new.arrival.phi.digest,
        },
    ).fetchone()
    if row is None:
        row = _new_study(connection, new, now), header.patient_id.strip(), None, None
    study_id, patient_id, series_id, phi_set_id = row
    new_series = series_id is None
    if series_id is None:
        series_id = _new_series(connection, study_id, header)
    if phi_set_id is None:
        phi = {"study_id": study_id, "digest": new.arrival.phi.digest, "tags": new.arrival.phi.tags}
        phi_set_id = _new_id(connection, insert(phi_sets).values(phi))
    if not patient_id and header.patient_id.strip():
        patient_id = header.patient_id.strip()
        _name_patient(connection, study_id, header)
    return Home(study_id, patient_id, series_id, phi_set_id, new_series)


def _new_study(connection: Connection, new: Placing, now: float) -> int:
    add_namespace(connection, new.namespace)
    header = new.arrival.header
    study_id = _new_id(
        connection,
        insert(studies).values(
            namespace=new.namespace,
            study_uid=header.study_instance_uid,
            patient_name=header.patient_name,
            patient_id=header.patient_id.strip(),
            patient_birth_date=current_form("DA", header.patient_birth_date),
            patient_sex=header.patient_sex,
            study_date=current_form("DA", header.study_date),
            study_time=current_form("TM", header.study_time),
            study_description=header.study_description,
            accession_number=header.accession_number,
            name_key=folded(header.patient_name),
            patient_id_key=key_of(header.patient_id),
            accession_key=key_of(header.accession_number),
            via=new.via,
            source_ae_title=new.routing.source_ae_title,
            destination_ae_title=new.routing.destination_ae_title,
            created=now,
            changed=now,
        ),
    )
    write_words(connection, study_id, header.patient_name, header.patient_id, header.accession_number)
    return study_id


def _new_series(connection: Connection, study_id: int, header: Header) -> int:
    ordinal = connection.execute(
        select(func.coalesce(func.max(series.c.ordinal), 0) + 1).where(series.c.study_id == study_id)
    ).scalar_one()
    return _new_id(
        connection,
        insert(series).values(
            study_id=study_id,
            series_uid=header.series_instance_uid,
            ordinal=ordinal,
            number=header.series_number,
            modality=header.modality,
            description=header.series_description,
        ),
    )


def _name_patient(connection: Connection, study_id: int, header: Header) -> None:
    """The first images had no Patient ID: the first that has one gives it to the study."""
    patient_id = header.patient_id.strip()
    connection.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(patient_id=patient_id, patient_id_key=key_of(patient_id))
    )
    found = [{"kind": k, "word": w, "study_id": study_id} for k, w in study_words("", patient_id, "")]
    connection.execute(sqlite_insert(words).on_conflict_do_nothing(), found)


def add_namespace(connection: Connection, name: str) -> None:
    """Make a namespace known, if it is not."""
    statement = sqlite_insert(namespaces).values(name=name, created=time.time())
    connection.execute(statement.on_conflict_do_nothing())


def write_words(connection: Connection, study_id: int, name: str, patient_id: str, accession: str) -> None:
    """The words a study is found by, replacing those it had."""
    _file(connection, study_id, study_words(name, patient_id, accession))


def file_again(connection: Connection, study_id: int) -> None:
    """Let a study be found by what its row says, and by what lies over it for those who ask for no other."""
    query = select(studies, overlays.c.tags.label("laid")).outerjoin(
        overlays, and_(overlays.c.study_id == studies.c.id, overlays.c.phi_namespace == studies.c.namespace)
    )
    row = connection.execute(query.where(studies.c.id == study_id)).one()
    found = study_words(row.patient_name, row.patient_id, row.accession_number)
    laid = json.loads(row.laid or "{}")
    found |= study_words(*(laid.get(tag, "") for tag in ("(0010,0010)", "(0010,0020)", "(0008,0050)")))
    _file(connection, study_id, found)


def _file(connection: Connection, study_id: int, found: set[tuple[str, str]]) -> None:
    connection.execute(delete(words).where(words.c.study_id == study_id))
    if found:
        connection.execute(
            insert(words), [{"kind": kind, "word": word, "study_id": study_id} for kind, word in found]
        )


def _new_id(connection: Connection, statement: Insert) -> int:
    return int(connection.execute(statement).lastrowid)
