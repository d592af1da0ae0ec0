"""V3 orders as entries of the worklist: what a modality can be told of an order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from tinydb import Query

from core.archive.matching import digits
from core.archive.orders import DATES, SEXES
from core.archive.overlays import ORDERS, OVERLAYS, orders_out_of_sight
from core.db.database import Database
from core.dicom.ports import Scheduled
from core.documents import DOCUMENTS, Documents

NAMES = {
    "patient_name": "PatientName",
    "patient_mrn": "PatientID",
    "patient_dob": "PatientBirthDate",
    "patient_gender": "PatientSex",
    "order_id": "AccessionNumber",
    "order_description": "ScheduledProcedureStepDescription",
    "study_date": "ScheduledProcedureStepStartDate",
    "referring_physician": "ReferringPhysicianName",
}
"""Fields of an order, and the keywords a modality knows them by."""
LONGEST = {"AccessionNumber": 16}
"""VR SH; the others are LO and PN, of which 64 characters are kept."""


class ScheduledOrders:
    """A `core.dicom.ports.Worklist` over the orders of one archive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        for part in (OVERLAYS, DOCUMENTS):
            database.ensure(part)

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """Every order that can be seen; its study's UID is made of its GUID, always the same."""
        with self._database.read() as connection:
            hidden = orders_out_of_sight(connection, namespace)
            rows = Documents(self._database, connection).table(ORDERS).search(Query().namespace == namespace)
        for row in rows:
            if row["guid"] not in hidden:
                yield _entry(row)


def _entry(row: Mapping[str, Any]) -> Scheduled:
    study_uid = f"2.25.{uuid.UUID(row['guid']).int}"
    values = {"StudyInstanceUID": study_uid}
    for field, keyword in NAMES.items():
        text = str(row["data"].get(field, "")).strip()
        if field in DATES:
            text = digits(text) if len(digits(text)) == 8 else ""
        elif field == "patient_gender":
            text = SEXES.get(text.upper(), text.upper())[:16]
        if text := text.replace("\\", " ")[: LONGEST.get(keyword, 64)]:
            values[keyword] = text
    if "ScheduledProcedureStepDescription" in values:
        values["RequestedProcedureDescription"] = values["ScheduledProcedureStepDescription"]
    return Scheduled(study_uid, values)
