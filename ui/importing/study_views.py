"""A study of a scan as the shared panel and the viewer want it: nothing is read before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core.dicom.refs import FileRef, Found, Skipped
from core.dicom.tree import Patient, Series, Study
from ui.models.study_view import (
    THUMBNAIL_BOX,
    AttachmentView,
    ElementLike,
    PatientText,
    SeriesView,
    StudyView,
)

if TYPE_CHECKING:
    from core.imaging.stack import Stack
    from core.scan.scanner import Scan

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def view_of(
    scan: Scan, patient: Patient, study: Study, attachments: Sequence[Path], skipped: Sequence[Skipped] | None
) -> StudyView:
    """*study* as it is now; make a new one when it has grown."""
    header = study.header
    series = sorted(study.series.values(), key=_series_order)
    first = next((s.instances[0] for s in series if s.instances), None)
    return StudyView(
        uid=study.study_instance_uid,
        patient=PatientText(
            patient.header.patient_name,
            patient.header.patient_id,
            patient.header.patient_birth_date,
            patient.header.patient_sex,
        ),
        date=header.study_date,
        time=header.study_time,
        description=header.study_description,
        accession_number=header.accession_number,
        institution=header.institution_name,
        series=[_series_view(scan, s) for s in series],
        details=partial(_details, scan, first),
        stack=partial(_stack, scan, study),
        attachments=[_attachment(path) for path in attachments],
        skipped=skipped,
    )


def _series_order(series: Series) -> tuple[bool, int, str]:
    number = series.header.series_number
    return (number is None, number or 0, series.series_instance_uid)


def _series_view(scan: Scan, series: Series) -> SeriesView:
    header = series.header
    middle = series.instances[len(series.instances) // 2]
    return SeriesView(
        series.series_instance_uid,
        header.series_number,
        header.modality,
        header.series_description,
        len(series.instances),
        partial(_thumbnail, scan, middle),
        header.sop_class_uid == ENCAPSULATED_PDF,
        sum(max(1, found.header.number_of_frames) for found in series.instances),
    )


def _attachment(path: Path) -> AttachmentView:
    try:
        size = path.stat().st_size
    except OSError:  # it is gone; sending it will say so
        size = 0
    return AttachmentView(str(path), path.name, "application/pdf", size)


def get_ready() -> tuple[object, ...]:
    """Load what the first thumbnail needs: amid the reading of a disc, loading it held the window up."""
    from core.dicom import details, encapsulated
    from core.imaging import render, stack

    return details, encapsulated, render, stack


def _thumbnail(scan: Scan, found: Found) -> bytes:
    from core.imaging.render import thumbnail

    with scan.open(found.ref) as file:
        return thumbnail(file, max(0, found.header.number_of_frames // 2), THUMBNAIL_BOX)


def _details(scan: Scan, found: Found | None) -> Sequence[ElementLike]:
    from core.dicom.details import identifying_elements

    if found is None:
        return ()
    with scan.open(found.ref) as file:
        return identifying_elements(file)


def _stack(scan: Scan, study: Study, series_uid: str) -> Stack:
    from core.imaging.stack import Stack

    return Stack(ScannedSource(scan), study.series[series_uid].in_order())


class ScannedSource:
    """A scan that has ended, as the `Source` a viewer opens."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan

    @property
    def name(self) -> str:
        """What was read."""
        return ", ".join(source.name for source in self._scan.sources)

    def headers(self) -> Iterator[Found | Skipped]:
        """What the scan found, then what it skipped."""
        for _patient, study in self._scan.tree.studies():
            for series in study.series.values():
                yield from series.instances
        yield from self._scan.skipped

    def open(self, ref: FileRef) -> BinaryIO:
        """The file's bytes."""
        return self._scan.open(ref)
