"""A study in a remote archive as a `Source`: fetched files are kept in a local cache while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from core.dicom.refs import FileRef, Found, Header, Skipped
from core.errors import NotFound
from core.net.file_cache import DEFAULT_CACHE_BYTES, FileCache
from core.net.records import ImageRow, SeriesRow, StudyDetail
from core.net.v3_client import V3Client


class ArchiveSource:
    """Images of one study of an archive; `FileRef.path` is "study/image/version". Close it to drop the cache.

    The cache holds at most *cache_bytes*, the longest unused file goes first; any thread may open files.
    """

    def __init__(
        self,
        client: V3Client,
        namespace: str,
        study_uid: str,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        name: str = "Archive",
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._study_uid = study_uid
        self._name = name
        self._cache = FileCache(cache_bytes)

    @property
    def name(self) -> str:
        """What a clerk would call it."""
        return self._name

    def headers(self) -> Iterator[Found | Skipped]:
        """Every image of the study, from one question to the archive. Raises KnownError."""
        detail = self._client.study_detail(self._namespace, self._study_uid)
        for series in detail.series:
            for image in series.images:
                yield Found(self.ref(image), header_of(detail, series, image), image.bytes)

    def ref(self, image: ImageRow) -> FileRef:
        """Where *image* of this study lies."""
        return FileRef(f"{self._study_uid}/{image.image_uid}/{image.version}")

    def open(self, ref: FileRef) -> BinaryIO:
        """The image's file, from the cache if it is there. Raises OSError, KnownError."""
        parts = ref.path.split("/")
        if len(parts) != 3 or parts[0] != self._study_uid or ref.member:
            raise NotFound("image")

        def fetch(out: BinaryIO) -> None:
            with self._client.payload(self._namespace, *parts) as pieces:
                out.writelines(pieces)

        return self._cache.open(ref, fetch)

    def close(self) -> None:
        """Drop the cache; the client stays open."""
        self._cache.close()

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def header_of(detail: StudyDetail, series: SeriesRow, image: ImageRow) -> Header:
    """What an archive's rows say of one image."""
    study = detail.study
    return Header(
        sop_class_uid=image.sop_class_uid,
        sop_instance_uid=image.image_uid,
        study_instance_uid=study.study_uid,
        series_instance_uid=series.series_uid,
        transfer_syntax_uid=image.transfer_syntax_uid,
        patient_name=study.patient_name,
        patient_id=study.patient_id,
        patient_birth_date=study.patient_birth_date,
        patient_sex=study.patient_sex,
        study_date=study.study_date,
        study_time=study.study_time,
        study_description=study.study_description,
        accession_number=study.accession_number,
        institution_name=detail.institution_name,
        modality=series.modality,
        series_number=series.number,
        series_description=series.description,
        instance_number=image.instance_number,
        number_of_frames=image.frame_count,
    )
