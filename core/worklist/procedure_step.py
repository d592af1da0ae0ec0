"""An item as a Unified Procedure Step (PS3.4 table CC.2.5-3), made of what the worklist says and back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from core.dicom.from_model import described
from core.dicom.json_model import UTF_8, Model, element_of
from core.errors import BadInput
from core.worklist.fields import FIELDS, BadField, checked
from core.worklist.model import items_of, value_at
from core.worklist.worklist import Workitem

PUSH = "1.2.840.10008.5.1.4.34.6.1"  # the SOP Class of every step (PS3.4 CC.3.1)
CHARSET, SOP_CLASS, SOP_INSTANCE = "00080005", "00080016", "00080018"
TRANSACTION_UID, STATE = "00081195", "00741000"
PRIORITY, WORKLIST_LABEL, LABEL = "00741200", "00741202", "00741204"
START, MODIFIED, READINESS = "00404005", "00404010", "00404041"
STATIONS, REQUESTS, PROGRESS = "00404025", "0040A370", "00741002"
PERFORMED = "00741216"
OURS = frozenset({SOP_CLASS, SOP_INSTANCE, TRANSACTION_UID, STATE, MODIFIED})
"""What no description of a step may set: the archive does."""
OF_REQUEST = (
    "AccessionNumber",
    "StudyInstanceUID",
    "RequestingPhysician",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "PlacerOrderNumberImagingServiceRequest",
)
"""What stands in the Referenced Request Sequence."""
ENUMERATED = {
    PRIORITY: ("HIGH", "MEDIUM", "LOW"),
    READINESS: ("READY", "UNAVAILABLE", "INCOMPLETE"),
}
NEEDED = {
    PRIORITY: "ScheduledProcedureStepPriority",
    LABEL: "ProcedureStepLabel",
    START: "ScheduledProcedureStepStartDateTime",
    READINESS: "InputReadinessState",
    STATE: "ProcedureStepState",
}
"""Type 1 for whoever creates a step."""

RESPOKEN = {
    frozenset(OF_REQUEST): REQUESTS,
    frozenset({"ScheduledProcedureStepDescription"}): LABEL,
    frozenset({"ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"}): START,
    frozenset({"ScheduledStationAETitle", "ScheduledStationName"}): STATIONS,
}
"""Which element of a step says what several fields of an entry say."""


def step_model(item: Workitem) -> Model:
    """Everything there is to say of a step, but the transaction UID, which is its performer's secret."""
    own = {
        CHARSET: element_of("CS", [UTF_8]),
        SOP_CLASS: element_of("UI", [PUSH]),
        SOP_INSTANCE: element_of("UI", [item.uid]),
        STATE: element_of("CS", [str(item.state)]),
        MODIFIED: element_of("DT", [moment(item.changed)]),
    }
    return dict(sorted({**_from_worklist(item), **item.step, **own}.items()))


def moment(seconds: float) -> str:
    """A time as DT, in UTC."""
    return time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(seconds))


def _from_worklist(item: Workitem) -> Model:
    said = item.said
    model: Model = {
        PRIORITY: element_of("CS", ["MEDIUM"]),
        WORKLIST_LABEL: element_of("LO", []),
        LABEL: element_of("LO", [said.get("ScheduledProcedureStepDescription") or "Procedure step"]),
        READINESS: element_of("CS", ["READY"]),
    }
    for name, field in FIELDS.items():
        if not field.step and name not in OF_REQUEST and (name in said or not field.sparse):
            model[field.tag] = element_of(field.vr, [said.get(name, "")])
    request = {FIELDS[name].tag: element_of(FIELDS[name].vr, [said.get(name, "")]) for name in OF_REQUEST}
    model[REQUESTS] = {"vr": "SQ", "Value": [dict(sorted(request.items()))]}
    if day := said.get("ScheduledProcedureStepStartDate"):
        model[START] = element_of("DT", [day + said.get("ScheduledProcedureStepStartTime", "")])
    if title := said.get("ScheduledStationAETitle"):
        meaning = said.get("ScheduledStationName") or title
        station = {"00080100": ("SH", title), "00080102": ("SH", "99FILMJACKET"), "00080104": ("LO", meaning)}
        coded = {tag: element_of(vr, [value]) for tag, (vr, value) in station.items()}
        model[STATIONS] = {"vr": "SQ", "Value": [coded]}
    return model


def read_step(document: Any, *, new: bool) -> Model:
    """The attributes that were sent, checked. Raises BadInput naming what is wrong."""
    if isinstance(document, list):
        if len(document) != 1:
            raise BadInput("The body must be one workitem.")
        (document,) = document
    if not isinstance(document, dict) or not document:
        raise BadInput("The body must be a workitem in the DICOM JSON model.")
    if described(document).bulk:
        raise BadInput("A workitem must hold its values itself.")
    model = {name.upper(): element for name, element in document.items()}
    if new:
        for tag, name in NEEDED.items():
            if not value_at(model, int(tag, 16)):
                raise BadInput(f"The attribute {name} ({tag}) is missing.")
        if value_at(model, int(STATE, 16)) != "SCHEDULED":
            raise BadInput("A new workitem must have the ProcedureStepState SCHEDULED.")
        if value_at(model, int(TRANSACTION_UID, 16)):
            raise BadInput("A new workitem must have no TransactionUID.")
    for tag, known in ENUMERATED.items():
        if tag in model and value_at(model, int(tag, 16)) not in known:
            raise BadInput(f"The attribute {NEEDED[tag]} ({tag}) must be {', '.join(known)}.")
    return {
        name: element
        for name, element in model.items()
        if name not in OURS and name[:4] not in {"0000", "0002"} and name != CHARSET
    }


def said_of(step: Model, before: dict[str, str]) -> dict[str, str]:
    """What the worklist shows of a step: as *before*, with what the step says over it."""
    said = dict(before)
    request = (items_of(step, REQUESTS) or [{}])[0]
    for name, field in FIELDS.items():
        if field.step:
            continue
        for place in (step, request) if name in OF_REQUEST else (step,):
            if field.tag in place:
                _put(said, name, value_at(place, int(field.tag, 16)))
    if LABEL in step:
        _put(said, "ScheduledProcedureStepDescription", value_at(step, int(LABEL, 16)))
    if START in step:
        start = value_at(step, int(START, 16)).partition("+")[0].partition("-")[0]
        _put(said, "ScheduledProcedureStepStartDate", start[:8])
        _put(said, "ScheduledProcedureStepStartTime", start[8:])
    if STATIONS in step:
        _put(said, "ScheduledStationAETitle", value_at(step, int(STATIONS, 16), 0x00080100))
        _put(said, "ScheduledStationName", value_at(step, int(STATIONS, 16), 0x00080104)[:16])
    return said


def respoken(step: Model, before: Mapping[str, str], after: Mapping[str, str]) -> Model:
    """*step* without what it says otherwise than *after* wherever that differs from *before*."""
    changed = {name for name in FIELDS if before.get(name, "") != after.get(name, "")}
    stale = {FIELDS[name].tag for name in changed if not FIELDS[name].step and name not in OF_REQUEST}
    for names, tag in RESPOKEN.items():
        if changed & names:
            stale.add(tag)
    return {tag: element for tag, element in step.items() if tag not in stale}


def _put(said: dict[str, str], name: str, value: str) -> None:
    said.pop(name, None)
    with suppress(BadField):  # the step keeps it as it was sent; a modality is not shown it
        if text := checked(name, value):
            said[name] = text


def completes(step: Model) -> bool:
    """Whether it says what was performed, as a completed step must (table CC.2.5-3, final state)."""
    performed = (items_of(step, PERFORMED) or [{}])[0]
    needed = (0x00404050, 0x00404051)  # start and end
    return all(value_at(performed, tag) for tag in needed) and all(
        items_of(performed, tag) for tag in ("00404019", "00404028")
    )


def canceled(step: Model, now: float, reason: str = "") -> Model:
    """The step with when, and why, it was canceled, if it does not say so itself."""
    progress = dict((items_of(step, PROGRESS) or [{}])[0])
    if not value_at(progress, 0x00404052):
        progress["00404052"] = element_of("DT", [moment(now)])
    if reason and not value_at(progress, 0x00741238):
        progress["00741238"] = element_of("LT", [reason])
    return {**step, PROGRESS: {"vr": "SQ", "Value": [dict(sorted(progress.items()))]}}
