"""A worklist entry of today, by keyword; its name is in two scripts and its family name has an umlaut."""

from __future__ import annotations

from datetime import date

TODAY = f"{date.today():%Y%m%d}"
SAID = {
    "PatientName": "Änderung^Karl=山田^太郎",
    "PatientID": "W-1",
    "PatientBirthDate": "19700102",
    "PatientSex": "M",
    "AccessionNumber": "ACC-77",
    "Modality": "CT",
    "ScheduledStationAETitle": "CT1",
    "ScheduledProcedureStepStartDate": TODAY,
    "ScheduledProcedureStepStartTime": "0930",
    "ScheduledProcedureStepDescription": "CT Abdomen",
}
