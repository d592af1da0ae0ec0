"""One study of a DICOMweb archive as it is listed by QIDO-RS: asked once, kept while it is looked at."""

from __future__ import annotations

import threading

from core.dicom.json_model import Model
from core.dicom.model_values import number, text
from core.dicom.refs import FileRef, Found
from core.errors import KnownError, NotFound
from core.net.archive_source import header_of
from core.net.dicomweb_client import STUDIES, DicomWebClient
from core.net.dicomweb_records import (
    IMAGE_FIELDS,
    SERIES_FIELDS,
    SERIES_UID,
    SOP_UID,
    STUDY_FIELDS,
    STUDY_UID,
    image_row,
    series_row,
    study_row,
)
from core.net.http import Params
from core.net.records import SeriesRow, StudyDetail


class DicomWebStudy:
    """Its series and images; any thread may ask. `FileRef.path` of an image is "study/series/image"."""

    def __init__(self, client: DicomWebClient, study_uid: str) -> None:
        self.client = client
        self.study_uid = study_uid
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}  # by series: whoever comes second waits for the answer
        self._detail: StudyDetail | None = None
        self._counts: dict[str, int] = {}
        self._found: dict[str, list[Found]] = {}  # by series

    def detail(self, client: DicomWebClient | None = None) -> StudyDetail:
        """The study and its series, without their images; asked for over *client*. Raises KnownError."""
        with self._turn(""):
            if self._detail is None:
                self._detail = self._asked(client or self.client)
            return self._detail

    def _asked(self, client: DicomWebClient) -> StudyDetail:
        params: Params = [("StudyInstanceUID", self.study_uid), ("includefield", STUDY_FIELDS)]
        studies = client.search(STUDIES, params, limit=1)
        if not studies or text(studies[0], STUDY_UID) != self.study_uid:
            raise NotFound("study", "The archive does not have this study any more.")
        resource = f"{STUDIES}/{self.study_uid}/series"
        fields: Params = [("includefield", SERIES_FIELDS)]
        study = study_row(studies[0])
        models = list(client.search_all(resource, fields, SERIES_UID, count=study.series))
        self._counts = {text(each, SERIES_UID): number(each, "00201209") or 0 for each in models}
        return StudyDetail(study, tuple(map(series_row, models)))

    def _turn(self, series_uid: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(series_uid, threading.Lock())

    def count(self, series_uid: str) -> int:
        """How many images a series has, 0 if the archive does not say."""
        self.detail()
        return self._counts.get(series_uid, 0)

    def images(self, series_uid: str) -> list[Found]:
        """The images of one series, at least one; their sizes are not known (0). Raises KnownError."""
        found = self.listed(series_uid)
        if not found:
            raise KnownError("The archive lists no images of this series.")
        return found

    def listed(self, series_uid: str) -> list[Found]:
        """What the archive lists of one series, which may be nothing. Raises KnownError."""
        detail = self.detail()
        series = next((each for each in detail.series if each.series_uid == series_uid), None)
        if series is None:
            raise NotFound("series", "The archive does not have this series any more.")
        with self._turn(series_uid):
            if series_uid not in self._found:
                resource, fields = f"{self.series(series_uid)}/instances", [("includefield", IMAGE_FIELDS)]
                count = self._counts.get(series_uid, 0)
                models = self.client.search_all(resource, [*fields], SOP_UID, count=count)
                self._found[series_uid] = [self._image(detail, series, model) for model in models]
            return self._found[series_uid]

    def series(self, series_uid: str) -> str:
        """The resource of a series."""
        return f"{STUDIES}/{self.study_uid}/series/{series_uid}"

    def image(self, ref: FileRef) -> tuple[str, str, str]:
        """The resource of an image, its series and its UID. Raises NotFound if it is none of this study."""
        resource = resource_of(ref)
        study_uid, series_uid, image_uid = ref.path.split("/")
        if study_uid != self.study_uid:
            raise NotFound("image")
        return resource, series_uid, image_uid

    def thumbnail(self, series_uid: str) -> bytes:
        """A small JPEG of a series, made by the archive. Raises KnownError where it makes none."""
        answer = self.client.get(f"{self.series(series_uid)}/thumbnail", "image/jpeg")
        if not answer.content.startswith(b"\xff\xd8\xff"):
            raise KnownError(f"{self.client.peer} sent something else than a picture.")
        return answer.content

    def _image(self, detail: StudyDetail, series: SeriesRow, model: Model) -> Found:
        row = image_row(model)
        ref = FileRef(f"{self.study_uid}/{series.series_uid}/{row.image_uid}")
        return Found(ref, header_of(detail, series, row), 0)


def resource_of(ref: FileRef) -> str:
    """The resource of an image of any study. Raises NotFound if *ref* names none."""
    parts = ref.path.split("/")
    if len(parts) != 3 or ref.member:
        raise NotFound("image")
    return f"{STUDIES}/{parts[0]}/series/{parts[1]}/instances/{parts[2]}"
