"""Rows of the desktop's lists from matches of QIDO-RS (PS3.18 10.6.3), as far as an archive gives them."""

from __future__ import annotations

from core.dicom.json_model import Model
from core.dicom.model_values import number, text, texts
from core.net.records import ImageRow, SeriesRow, StudyRow

STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"
STUDY_FIELDS = (
    "00080020,00080030,00080050,00080061,00081030,00100010,00100020,00100030,00100040,00201206,00201208"
)
SERIES_FIELDS = "00080060,0008103E,00200011,00201209"
IMAGE_FIELDS = "00080016,00083002,00200013,00280008"


def study_row(model: Model) -> StudyRow:
    """One study of a search."""
    return StudyRow(
        namespace="",
        study_uid=text(model, STUDY_UID),
        patient_name=text(model, "00100010"),
        patient_id=text(model, "00100020"),
        patient_birth_date=text(model, "00100030"),
        patient_sex=text(model, "00100040"),
        study_date=text(model, "00080020"),
        study_time=text(model, "00080030"),
        study_description=text(model, "00081030"),
        accession_number=text(model, "00080050"),
        modalities=tuple(each for each in texts(model, "00080061") if each),
        series=number(model, "00201206") or 0,
        images=number(model, "00201208") or 0,
    )


def series_row(model: Model) -> SeriesRow:
    """One series of a study, without its images."""
    return SeriesRow(
        series_uid=text(model, SERIES_UID),
        number=number(model, "00200011"),
        modality=text(model, "00080060"),
        description=text(model, "0008103E"),
    )


def image_row(model: Model) -> ImageRow:
    """One image of a series; its transfer syntax only where the archive says it."""
    return ImageRow(
        image_uid=text(model, SOP_UID),
        version="",
        instance_number=number(model, "00200013"),
        frame_count=max(1, number(model, "00280008") or 1),
        sop_class_uid=text(model, "00080016"),
        transfer_syntax_uid=text(model, "00083002"),
    )
