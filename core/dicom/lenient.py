"""The lenient reader: pydicom, imported only when a file makes no sense to the header walker."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

from core.dicom import charset
from core.dicom.refs import Header
from core.dicom.view import View

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_TEXT = {
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_id": "StudyID",
    "study_description": "StudyDescription",
    "accession_number": "AccessionNumber",
    "referring_physician_name": "ReferringPhysicianName",
    "institution_name": "InstitutionName",
    "modality": "Modality",
    "series_description": "SeriesDescription",
    "body_part_examined": "BodyPartExamined",
}


class ViewStream(io.RawIOBase):
    """A view as a readable, seekable stream."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._view.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._view.take(self._position, min(len(buffer), max(0, self._view.size - self._position)))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def read(view: View) -> Header | None:
    """What pydicom makes of a file's header, or None if it cannot read it either."""
    from pydicom import dcmread

    quieten()
    with warnings.catch_warnings(), io.BufferedReader(ViewStream(view)) as stream:
        warnings.simplefilter("ignore")
        try:
            ds = dcmread(stream, force=True, stop_before_pixels=True, specific_tags=_tags())
            return header_of(ds)
        except Exception:  # it raises whatever its parts raise on nonsense: struct, key, value, OS errors
            return None


def quieten() -> None:
    """pydicom logs the values it finds odd: they identify patients, so nothing of it may reach a log."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _tags() -> list[str]:
    return [*_TEXT.values(), "SeriesNumber", "InstanceNumber", "NumberOfFrames", "Rows", "Columns"]


def header_of(ds: FileDataset) -> Header:
    """The header of a data set that pydicom has read."""
    values = {field: _text(ds, keyword) for field, keyword in _TEXT.items()}
    meta = getattr(ds, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    if not values["sop_class_uid"] and meta is not None:
        values["sop_class_uid"] = str(meta.get("MediaStorageSOPClassUID", ""))
    frames = _integer(ds, "NumberOfFrames")
    return Header(
        transfer_syntax_uid=syntax,
        series_number=_integer(ds, "SeriesNumber"),
        instance_number=_integer(ds, "InstanceNumber"),
        number_of_frames=frames if frames and frames > 0 else 1,
        rows=_integer(ds, "Rows") or 0,
        columns=_integer(ds, "Columns") or 0,
        **values,
    )


def _value(ds: FileDataset, keyword: str) -> Any:
    try:
        return ds.get(keyword)
    except Exception:  # a value that does not fit its VR raises what its converter raises
        return None


def _text(ds: FileDataset, keyword: str) -> str:
    from pydicom.multival import MultiValue

    value = _value(ds, keyword)
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(str(one) for one in value)
    return str(value)


def _integer(ds: FileDataset, keyword: str) -> int | None:
    from pydicom.multival import MultiValue

    value = _value(ds, keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    if isinstance(value, int):
        return charset.held(int(value))
    return charset.integer(str(value).encode("latin-1", "replace")) if value else None
