"""Files as objects of where they belong: a study that is there, or what a worklist entry announces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.dicom.from_model import Described, put
from core.dicom.recoding import dictionary_vr
from core.errors import Conflict, Unsupported
from core.media.agreement import describe
from core.media.assemble import DOCUMENT, PIXELS, VL_PHOTOGRAPHIC, Content, Supply, pieces
from core.media.wrap import ENCAPSULATED_PDF, SECONDARY_CAPTURE

AS_THEY_ARE = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AdmissionID", "ServiceEpisodeID"),
    *("StudyInstanceUID", "AccessionNumber", "ReferringPhysicianName"),
)
OF_ENTRY = {
    **{each: each for each in AS_THEY_ARE},
    "StudyID": "RequestedProcedureID",
    "StudyDescription": "RequestedProcedureDescription",
}
"""Patient and study elements, and what of a worklist entry they are (IHE RAD TF-2 table A.1-1)."""
REQUEST = (
    *("AccessionNumber", "StudyInstanceUID", "RequestedProcedureID", "RequestedProcedureDescription"),
    *("ScheduledProcedureStepID", "ScheduledProcedureStepDescription"),
)
"""What stands in the Request Attributes Sequence (PS3.3 table 10-9)."""
PERFORMED = {
    "PerformedProcedureStepID": "ScheduledProcedureStepID",
    "PerformedProcedureStepDescription": "ScheduledProcedureStepDescription",
}
PHOTOGRAPH_BITS = 8


@dataclass(frozen=True, slots=True)
class Belonging:
    """What every object is told, by keyword: of patient and *study*, the Study Instance UID among it;
    of an order the elements of the *series*, and those of its Request Attributes Sequence (*request*).
    """

    study: Mapping[str, Any]
    series: Mapping[str, str] = field(default_factory=dict)
    request: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Label:
    """How a person names what is added; *photographs*: pictures are VL Photographic, no Secondary Capture."""

    description: str = ""
    title: str = ""
    photographs: bool = False


def of_entry(
    values: Mapping[str, str], now: datetime, there: Mapping[str, Any] | None = None, patient_id: str = ""
) -> Belonging:
    """What a worklist entry (*values* by keyword) says, and its study where that is *there* already.

    *patient_id* is that of the study as it is shown. The study is believed where both say something. Raises
    Conflict where they are of different patients, or where the entry names none.
    """
    said = {name: text for name, source in OF_ENTRY.items() if (text := values.get(source, ""))}
    if not said.get("PatientID") and not said.get("PatientName"):
        raise Conflict("The worklist entry names no patient.", "Complete it first.")
    moment = {"Date": now.strftime("%Y%m%d"), "Time": now.strftime("%H%M%S")}
    if there is None:
        study = {**said, "StudyDate": moment["Date"], "StudyTime": moment["Time"]}
    else:
        if patient_id.strip() != said.get("PatientID", "").strip():
            raise Conflict(
                "The study of this worklist entry holds images of another patient.",
                "Compare the Patient IDs of the entry and of the study.",
            )
        study = {**said, **{name: value for name, value in there.items() if value not in (None, "")}}
    series = {name: text for name, source in PERFORMED.items() if (text := values.get(source, ""))}
    series |= {f"PerformedProcedureStepStart{part}": text for part, text in moment.items()}
    return Belonging(study, series, {name: text for name in REQUEST if (text := values.get(name, ""))})


class FileObjects:
    """Makes the objects of one sending: a new series of its study for each SOP class among them."""

    def __init__(self, belonging: Belonging, label: Label, now: datetime) -> None:
        self._belonging = belonging
        self._label = label
        self._now = now
        self._supply = Supply(str(belonging.study["StudyInstanceUID"]), now)
        self._descriptions: dict[str, str] = {}

    def object(self, content: Content, name: str) -> Iterator[bytes]:
        """The file *name*, its *content* known, as an object piece by piece. Raises Unsupported, BadInput.

        The objects of a sending must be asked for one after the other.
        """
        kind = self._class(content)
        stem = name.rpartition(".")[0] or name
        made = Described(self._said())
        ds = made.ds
        ds.SOPClassUID = kind
        shown = self._label.description or self._label.title or stem
        ds.SeriesDescription = self._descriptions.setdefault(kind, shown[:64])
        if kind == ENCAPSULATED_PDF:
            ds.DocumentTitle = self._label.title or stem[:1024]
        tag = DOCUMENT if kind == ENCAPSULATED_PDF else PIXELS
        made.bulk[tag] = "OB", name
        self._supply.complete(ds, kind)
        describe(ds, content, tag, raw=False)
        return pieces(made, {tag: content})

    def _class(self, content: Content) -> str:
        kind = content.sop_class_uid
        if kind != SECONDARY_CAPTURE or not self._label.photographs:
            return kind
        if content.says.get("BitsStored", PHOTOGRAPH_BITS) != PHOTOGRAPH_BITS:
            raise Unsupported(
                "A photograph has 8 bits a colour, and this picture has more.", "Send it as a screenshot."
            )
        return VL_PHOTOGRAPHIC

    def _said(self) -> Any:
        from pydicom.dataset import Dataset

        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        _fill(ds, self._belonging.study)
        _fill(ds, self._belonging.series)
        ds.SeriesDate, ds.SeriesTime = self._now.strftime("%Y%m%d"), self._now.strftime("%H%M%S")
        if self._belonging.request:
            item = Dataset()
            _fill(item, self._belonging.request)
            ds.RequestAttributesSequence = [item]
        return ds


def _fill(ds: Any, values: Mapping[str, Any]) -> None:
    from pydicom.datadict import tag_for_keyword

    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        if tag is not None and value not in (None, ""):
            put(ds, tag, dictionary_vr(tag).decode("ascii"), value)
