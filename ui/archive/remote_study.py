"""A study of a DICOMweb archive as the shared panel and the viewer want it; all is fetched when looked at."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from core.errors import KnownError, NotFound, Unreachable
from ui.models.study_view import THUMBNAIL_BOX, ElementLike, PatientText, SeriesView, StudyView

if TYPE_CHECKING:
    from core.dicom.refs import Found
    from core.imaging.stack import Stack
    from core.net.dicomweb_client import DicomWebClient
    from core.net.dicomweb_source import DicomWebSource
    from core.net.records import SeriesRow

DOCUMENT = "DOC"
READERS = 4
"""Threads that read ahead: an answer of another machine takes its time, several come in no more."""


class RemoteStudy:
    """Opens what is looked at; files are kept while a viewer needs them. Everything here is slow."""

    def __init__(self, client: DicomWebClient, study_uid: str, name: str) -> None:
        from core.net.dicomweb_study import DicomWebStudy

        self.listed = DicomWebStudy(client, study_uid)
        self._name = name
        self._lock = threading.Lock()
        self._source: DicomWebSource | None = None
        self._going: list[DicomWebSource] = []
        self._thumbnails: dict[str, bytes] = {}  # by series: panel and viewer show the same ones

    def view(self) -> StudyView:
        """The study. Raises KnownError."""
        detail = self.listed.detail()
        row = detail.study
        return StudyView(
            uid=row.study_uid,
            patient=PatientText(row.patient_name, row.patient_id, row.patient_birth_date, row.patient_sex),
            date=row.study_date,
            time=row.study_time,
            description=row.study_description,
            accession_number=row.accession_number,
            series=[self._series(each) for each in sorted(detail.series, key=_order)],
            details=self.details,
            stack=self.stack,
            release=self.release,
            hang_up=self.hang_up,
            origin=self._name,
        )

    def stack(self, series_uid: str) -> Stack:
        """The pictures of one series. Raises KnownError."""
        from core.imaging.stack import Stack

        return Stack(self._opened(), self.listed.images(series_uid), threads=READERS)

    def hang_up(self) -> None:
        """End what is being fetched for a viewer that closes; the next one begins anew. Quick."""
        with self._lock:
            source, self._source = self._source, None
            if source is not None:
                self._going.append(source)
        if source is not None:
            source.cut()

    def release(self) -> None:
        """Drop what was fetched for viewers that have closed; it is fetched again if needed again."""
        with self._lock:
            going, self._going = self._going, []
        for source in going:
            source.close()

    def details(self) -> Sequence[ElementLike]:
        """The identifying elements of the first image, in the characters the archive gives them in."""
        from core.dicom.details import identifying_elements

        detail = self.listed.detail()
        if not detail.series:
            return ()
        first = self.listed.images(sorted(detail.series, key=_order)[0].series_uid)[0]
        with self._passing() as source, source.open_one_header(first.ref) as file:
            return identifying_elements(file)

    def thumbnail(self, series_uid: str) -> bytes:
        """A small JPEG: the archive's, or made here of the image in the middle. Raises KnownError."""
        if series_uid not in self._thumbnails:
            self._thumbnails[series_uid] = self._thumbnail(series_uid)
        return self._thumbnails[series_uid]

    def _thumbnail(self, series_uid: str) -> bytes:
        try:
            return self.listed.thumbnail(series_uid)
        except Unreachable:
            raise
        except KnownError:  # it makes none
            pass
        from core.imaging.render import thumbnail

        middle = self._middle(series_uid)
        with self._passing() as source, source.open(middle.ref) as file:
            return thumbnail(file, middle.header.number_of_frames // 2, THUMBNAIL_BOX)

    def _series(self, row: SeriesRow) -> SeriesView:
        return SeriesView(
            row.series_uid,
            row.number,
            row.modality,
            row.description,
            self.listed.count(row.series_uid),
            partial(self.thumbnail, row.series_uid),
            row.modality == DOCUMENT,
        )

    def _middle(self, series_uid: str) -> Found:
        images = self.listed.images(series_uid)
        if not images:
            raise NotFound("image", "This series is empty.")
        return images[len(images) // 2]

    def _opened(self) -> DicomWebSource:
        with self._lock:
            if self._source is None:
                self._source = self._passing(self.listed.client.another())
            return self._source

    def _passing(self, client: DicomWebClient | None = None) -> DicomWebSource:
        """One that whoever asked closes."""
        from core.net.dicomweb_source import DicomWebSource

        return DicomWebSource(self.listed, name=self._name, client=client)


def _order(series: SeriesRow) -> tuple[bool, int, str]:
    return (series.number is None, series.number or 0, series.series_uid)
