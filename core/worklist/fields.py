"""What a worklist item says, by keyword: which attributes, of which VR, and the reading of values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.dicom.uids import is_uid
from core.errors import BadInput

LONGEST = {"AE": 16, "CS": 16, "LO": 64, "SH": 16}
LONGEST_NAME_GROUP = 64
TIME = re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?")
CODE = re.compile(r"[A-Z0-9 _]+")
SEXES = frozenset("MFO")  # PS3.3 C.7.1.1


class BadField(BadInput):
    """A value that cannot be accepted; *field* names it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"The field {field} {why}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute; *step*: it stands in the Scheduled Procedure Step Sequence (PS3.4 K.6.1.2.2)."""

    tag: str
    vr: str
    step: bool = False
    needed: bool = False
    sparse: bool = False
    """Whether it is shown only where it has a value."""


FIELDS: Mapping[str, Field] = {
    "AccessionNumber": Field("00080050", "SH", needed=True),
    "ReferringPhysicianName": Field("00080090", "PN"),
    "PatientName": Field("00100010", "PN", needed=True),
    "PatientID": Field("00100020", "LO", needed=True),
    "PatientBirthDate": Field("00100030", "DA"),
    "PatientSex": Field("00100040", "CS"),
    "MedicalAlerts": Field("00102000", "LO"),
    "PregnancyStatus": Field("001021C0", "US"),
    "StudyInstanceUID": Field("0020000D", "UI"),
    "RequestingPhysician": Field("00321032", "PN"),
    "RequestedProcedureDescription": Field("00321060", "LO"),
    "AdmissionID": Field("00380010", "LO"),
    "ServiceEpisodeID": Field("00380060", "LO", sparse=True),
    "CurrentPatientLocation": Field("00380300", "LO"),
    "PatientState": Field("00380500", "LO"),
    "Modality": Field("00080060", "CS", step=True, needed=True),
    "ScheduledStationAETitle": Field("00400001", "AE", step=True, needed=True),
    "ScheduledProcedureStepStartDate": Field("00400002", "DA", step=True, needed=True),
    "ScheduledProcedureStepStartTime": Field("00400003", "TM", step=True, needed=True),
    "ScheduledPerformingPhysiciansName": Field("00400006", "PN", step=True),
    "ScheduledProcedureStepDescription": Field("00400007", "LO", step=True, needed=True),
    "ScheduledProcedureStepID": Field("00400009", "SH", step=True),
    "ScheduledStationName": Field("00400010", "SH", step=True),
    "RequestedProcedureID": Field("00401001", "SH"),
    "PlacerOrderNumberImagingServiceRequest": Field("00402016", "LO"),
    "ConfidentialityConstraintOnPatientDataDescription": Field("00403001", "LO"),
}
"""By keyword; ScheduledPerformingPhysiciansName is PS3.6's ScheduledPerformingPhysicianName, spelled so."""
SPELLINGS = {name.lower(): name for name in FIELDS} | {
    "scheduledperformingphysicianname": "ScheduledPerformingPhysiciansName"
}


def read_fields(document: object) -> dict[str, str]:
    """The values of a posted item; empty and null ones are left out. Raises BadField, BadInput."""
    if not isinstance(document, dict):
        raise BadInput("The body must be a JSON object.")
    if not document:
        raise BadInput("The body is empty.", "Name at least the mandatory fields.")
    found: dict[str, str] = {}
    for given, value in document.items():
        name = SPELLINGS.get(str(given).lower())
        if name is None:
            raise BadField(_shown(str(given)), "is unknown.")
        if name in found:
            raise BadField(name, "is given twice.")
        if text := checked(name, value):
            found[name] = text
    for name, field in FIELDS.items():
        if field.needed and name not in found:
            raise BadField(name, "is missing.")
    return found


def checked(name: str, value: object) -> str:
    """The value of a field as text, "" for none. Raises BadField."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadField(name, "must be text.")
    text = str(value).strip()
    if not text:
        return ""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadField(name, "holds half a character.") from error
    if not text.isprintable():
        raise BadField(name, "has control characters.")
    vr = FIELDS[name].vr
    text = text.upper() if vr == "CS" else text
    if why := _wrong(name, vr, text):
        raise BadField(name, why)
    return text


def _wrong(name: str, vr: str, text: str) -> str:
    """Why a value is none of this VR (PS3.5 6.2), "" if it is one."""
    if vr == "PN":
        long = any(len(group) > LONGEST_NAME_GROUP for group in text.split("="))
        return "is no person's name." if long or text.count("=") > 2 or "\\" in text else ""
    if vr == "DA":
        return "" if is_day(text) else "must be a date, YYYYMMDD."
    if vr == "TM":
        return "" if TIME.fullmatch(text) else "must be a time, HHMMSS."
    if vr == "UI":
        return "" if is_uid(text) else "is no UID."
    if vr == "US":
        return "" if text in {"1", "2", "3", "4"} else "must be 1, 2, 3 or 4 (PS3.3 C.2.3)."
    if len(text) > LONGEST[vr]:
        return f"is longer than {LONGEST[vr]} characters."
    if "\\" in text:
        return "must not have a backslash."
    if name == "PatientSex" and text not in SEXES:
        return "must be M, F or O."
    if vr == "CS" and not CODE.fullmatch(text):
        return "must be capital letters, digits and underscores."
    return "must be ASCII characters." if vr == "AE" and not text.isascii() else ""


def is_day(text: str) -> bool:
    """Whether it is a date, YYYYMMDD."""
    try:
        return (
            len(text) == 8 and text.isascii() and text.isdigit() and bool(datetime.strptime(text, "%Y%m%d"))
        )  # a day has no zone
    except ValueError:
        return False


def _shown(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z_.-]", "?", name)[:64] or "with an empty name"
