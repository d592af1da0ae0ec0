"""A study of the archive as the shared panel and the viewer want it; files come while it is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from core.errors import NotFound
from core.net.records import AttachmentRow, SeriesRow, StudyDetail
from ui.models.study_view import AttachmentView, ElementText, PatientText, SeriesView, StudyView

if TYPE_CHECKING:
    from core.imaging.stack import Stack
    from core.net.archive_source import ArchiveSource
    from core.net.v3_client import V3Client

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
Client = Callable[[], "V3Client"]


class ArchiveStudy:
    """Opens the files of one study, through a local cache that lives while a viewer needs it."""

    def __init__(self, client: Client, namespace: str, study_uid: str) -> None:
        self._client = client
        self.namespace = namespace
        self.study_uid = study_uid
        self._lock = threading.Lock()
        self._source: ArchiveSource | None = None

    def stack(self, series_uid: str) -> Stack:
        """The pictures of one series. Slow. Raises KnownError."""
        from core.dicom.refs import Found
        from core.imaging.stack import Stack

        source = self.source()
        found = [f for f in source.headers() if isinstance(f, Found)]
        chosen = [f for f in found if f.header.series_instance_uid == series_uid]
        if not chosen:
            raise NotFound("series", "This series is not in the archive any more.")
        return Stack(source, chosen)

    def source(self) -> ArchiveSource:
        """The cache, made when first needed."""
        from core.net.archive_source import ArchiveSource

        with self._lock:
            if self._source is None:
                self._source = ArchiveSource(self._client(), self.namespace, self.study_uid)
            return self._source

    def release(self) -> None:
        """Drop the cache; it is made again if needed again."""
        with self._lock:
            source, self._source = self._source, None
        if source is not None:
            source.close()

    def thumbnail(self, image_uid: str, version: str, frame: int) -> bytes:
        """A small JPEG, made by the archive."""
        return self._client().thumbnail(self.namespace, self.study_uid, image_uid, version, frame)

    def details(self) -> Sequence[ElementText]:
        """The identifying elements, as the archive lists them."""
        found = self._client().details(self.namespace, self.study_uid)
        return [ElementText(each.name, each.tag, each.value) for each in found]


def view_of(detail: StudyDetail, client: Client) -> StudyView:
    """*detail* as a `StudyView`."""
    row = detail.study
    study = ArchiveStudy(client, row.namespace, row.study_uid)
    return StudyView(
        uid=row.study_uid,
        patient=PatientText(row.patient_name, row.patient_id, row.patient_birth_date, row.patient_sex),
        date=row.study_date,
        time=row.study_time,
        description=row.study_description,
        accession_number=row.accession_number,
        institution=detail.institution_name,
        series=[_series_view(study, series) for series in sorted(detail.series, key=_order)],
        details=study.details,
        stack=study.stack,
        release=study.release,
        attachments=[attachment_view(each) for each in detail.attachments],
    )


def _order(series: SeriesRow) -> tuple[bool, int, str]:
    return (series.number is None, series.number or 0, series.series_uid)


def _series_view(study: ArchiveStudy, series: SeriesRow) -> SeriesView:
    middle = series.images[len(series.images) // 2] if series.images else None
    thumbnail: Callable[[], bytes] = _nothing
    document = False
    if middle is not None:
        frame = max(0, middle.frame_count // 2) if middle.frame_count > 1 else 0
        thumbnail = partial(study.thumbnail, middle.image_uid, middle.version, frame)
        document = middle.sop_class_uid == ENCAPSULATED_PDF
    return SeriesView(
        series.series_uid,
        series.number,
        series.modality,
        series.description,
        len(series.images),
        thumbnail,
        document,
        sum(max(1, image.frame_count) for image in series.images),
    )


def attachment_view(row: AttachmentRow) -> AttachmentView:
    """One attachment as the panel lists it."""
    name = row.name or row.id
    return AttachmentView(row.id, name, row.content_type, row.bytes, row.uploaded_by, row.created)


def _nothing() -> bytes:
    raise NotFound("image", "This series is empty.")
