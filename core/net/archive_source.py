"""A study in a remote archive as a `Source`: fetched files are kept in a local cache while it is open."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.dicom.refs import FileRef, Found, Header, Skipped
from core.errors import NotFound, StorageFault
from core.net.records import ImageRow, SeriesRow, StudyDetail
from core.net.v3_client import V3Client

DEFAULT_CACHE_BYTES = 2 * 1024**3


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
        self._folder = tempfile.TemporaryDirectory(prefix="filmjacket-")
        self._budget = cache_bytes
        self._files: OrderedDict[FileRef, tuple[Path, int]] = OrderedDict()
        self._fetching: dict[FileRef, threading.Lock] = {}
        self._lock = threading.Lock()
        self._serial = 0

    @property
    def name(self) -> str:
        """What a clerk would call it."""
        return self._name

    def headers(self) -> Iterator[Found | Skipped]:
        """Every image of the study, from one question to the archive. Raises KnownError."""
        detail = self._client.study_detail(self._namespace, self._study_uid)
        for series in detail.series:
            for image in series.images:
                yield Found(self.ref(image), _header(detail, series, image), image.bytes)

    def ref(self, image: ImageRow) -> FileRef:
        """Where *image* of this study lies."""
        return FileRef(f"{self._study_uid}/{image.image_uid}/{image.version}")

    def open(self, ref: FileRef) -> BinaryIO:
        """The image's file, from the cache if it is there. Raises OSError, KnownError."""
        with self._lock:
            turn = self._fetching.setdefault(ref, threading.Lock())
        with turn:
            for _ in range(2):
                path = self._cached(ref) or self._fetch(ref)
                try:
                    return path.open("rb")
                except FileNotFoundError:  # another thread's fetch has just pushed it out
                    self._forget(ref)
        raise StorageFault("The cache for images of the archive is too small.", "Free space on the disk.")

    def close(self) -> None:
        """Drop the cache; the client stays open."""
        self._folder.cleanup()

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cached(self, ref: FileRef) -> Path | None:
        with self._lock:
            if ref not in self._files:
                return None
            self._files.move_to_end(ref)
            return self._files[ref][0]

    def _forget(self, ref: FileRef) -> None:
        with self._lock:
            self._files.pop(ref, None)

    def _fetch(self, ref: FileRef) -> Path:
        parts = ref.path.split("/")
        if len(parts) != 3 or parts[0] != self._study_uid or ref.member:
            raise NotFound("image")
        with self._lock:
            self._serial += 1
            path = Path(self._folder.name) / f"{self._serial}.dcm"
        try:
            with self._client.payload(self._namespace, *parts) as pieces, path.open("wb") as out:
                for piece in pieces:
                    out.write(piece)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StorageFault(
                "An image of the archive could not be kept on this disk.", "Free space on the disk."
            ) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(ref, path)
        return path

    def _keep(self, ref: FileRef, path: Path) -> None:
        size = path.stat().st_size
        with self._lock:
            self._files[ref] = (path, size)
            total = sum(each for _, each in self._files.values())
            gone = []
            while total > self._budget and len(self._files) > 1:
                _, (old, freed) = self._files.popitem(last=False)
                total -= freed
                gone.append(old)
        for old in gone:
            try:
                os.unlink(old)
            except OSError:  # open elsewhere on a system that then keeps it; the folder goes at the end
                continue


def _header(detail: StudyDetail, series: SeriesRow, image: ImageRow) -> Header:
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
