"""What an application is told of a study that came: the event of the DICOM Service, read off the catalog."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from core.archive.schema import phi_sets, series, studies
from core.dicom.elements import tag_text

STATION_NAME, REFERRING_PHYSICIAN, STUDY_ID = 0x00081010, 0x00080090, 0x00200010


class ExamEvent(StrEnum):
    """EventType of an exam event."""

    INSTANCES_ADDED = "INSTANCES_ADDED"
    COMPLETED = "COMPLETED"


def settled_events(connection: Connection, source_id: str, namespace: str, study_uid: str) -> Sequence[str]:
    """What to tell of a study that has been quiet: that images came, and that it is complete; JSON.

    Nothing of one that is not there any more.
    """
    query = select(studies).where(
        studies.c.namespace == namespace, studies.c.study_uid == study_uid, studies.c.trash_id.is_(None)
    )
    row = connection.execute(query).first()
    if row is None:
        return []
    texts = list(_texts(connection, row.id))
    modalities = select(series.c.modality).where(series.c.study_id == row.id, series.c.modality != "")
    event = {
        "SourceID": source_id,
        "StudyInstanceUID": study_uid,
        "AccessionNumber": row.accession_number or None,
        "PatientID": row.patient_id or None,
        "NumberOfStudyRelatedSeries": row.series,
        "NumberOfStudyRelatedInstances": row.images,
        "ModalitiesInStudy": sorted(set(connection.execute(modalities).scalars())),
        "AeTitles": [row.source_ae_title] if row.source_ae_title else [],
        "StationNames": sorted({each[STATION_NAME] for each in texts if each[STATION_NAME]}),
        "EventType": "",
        "StudyDate": row.study_date or None,
        "StudyTime": row.study_time or None,
        "StudyID": _first(texts, STUDY_ID),
        "ReferringPhysicianName": _first(texts, REFERRING_PHYSICIAN),
        "StudyDescription": row.study_description or None,
        "PatientName": row.patient_name or None,
        "PatientBirthDate": row.patient_birth_date or None,
        "PatientSex": row.patient_sex or None,
    }
    return [json.dumps(event | {"EventType": str(each)}, ensure_ascii=False) for each in ExamEvent]


def _texts(connection: Connection, study_id: int) -> Iterator[dict[int, str]]:
    query = select(phi_sets.c.tags).where(phi_sets.c.study_id == study_id).order_by(phi_sets.c.id)
    for tags in connection.execute(query).scalars():
        said: dict[str, Any] = json.loads(tags)
        wanted = (STATION_NAME, REFERRING_PHYSICIAN, STUDY_ID)
        yield {tag: str(said.get(tag_text(tag), "")) for tag in wanted}


def _first(texts: Sequence[dict[int, str]], tag: int) -> str | None:
    return next((each[tag] for each in texts if each[tag]), None)
