"""A study of a DICOMweb archive as a `Source`: fetched by WADO-RS as it is looked at."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

from core.dicom.json_model import Model
from core.dicom.model_values import text
from core.dicom.ports import Coded
from core.dicom.refs import FileRef, Found, Skipped
from core.dicom.syntaxes import transfer_syntax
from core.errors import KnownError, NotFound, NotRenderable, Unreachable
from core.net.dicomweb_client import FRAMES, SOP_UID, DicomWebClient
from core.net.dicomweb_study import DicomWebStudy
from core.net.file_cache import DEFAULT_CACHE_BYTES, FileCache
from core.net.header_file import header_file
from core.net.one_part import only_part

LARGEST_BULK = 64 << 20


class DicomWebSource:
    """Images of *study*. Close it to drop what was fetched; any thread may open files.

    *client* is its own to fetch them over, and to be closed; without it that of the study is used.

    An image of one frame is fetched as a file and kept, of one of many frames only what is looked at. Headers
    of a series come in one request.
    """

    def __init__(
        self,
        study: DicomWebStudy,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        name: str = "DICOMweb",
        client: DicomWebClient | None = None,
    ) -> None:
        self._study = study
        self._client = client or study.client
        self._own = client
        self._name = name
        self._cache = FileCache(cache_bytes)
        self._metadata: dict[str, dict[str, Model]] = {}  # by series, then image
        self._reading = threading.Lock()

    @property
    def name(self) -> str:
        """What a clerk would call it."""
        return self._name

    def headers(self) -> Iterator[Found | Skipped]:
        """Every image of the study. Raises KnownError."""
        for series in self._study.detail().series:
            yield from self._study.images(series.series_uid)

    def open(self, ref: FileRef) -> BinaryIO:
        """The image: a file, or one that gives its frames apart. Raises OSError, KnownError."""
        _, series_uid, _ = self._study.image(ref)
        listed = {each.ref: each.header for each in self._study.images(series_uid)}
        header = listed.get(ref)
        if header is None:
            return self.whole(ref)
        if transfer_syntax(header.transfer_syntax_uid).video:
            raise NotRenderable("This object is a video; it cannot be played here.")
        if header.number_of_frames > 1:
            try:
                return FrameFile(self, ref, self._own_header(ref))
            except Unreachable:
                raise
            except KnownError:  # its metadata cannot be used: the whole then
                pass
        return self.whole(ref)

    def open_header(self, ref: FileRef) -> BinaryIO:
        """Everything but the pixel data; those of a whole series come with the first. Raises KnownError."""
        _, series_uid, image_uid = self._study.image(ref)
        with self._reading:
            if series_uid not in self._metadata:
                self._metadata[series_uid] = self._headers_of(series_uid)
            model = self._metadata[series_uid].get(image_uid)
        if model is None:
            raise NotFound("image")
        return io.BytesIO(header_file(model, self._bulk))

    def _headers_of(self, series_uid: str) -> dict[str, Model]:
        """By image, as far as the archive gives them. Raises Unreachable."""
        try:
            models = self._client.metadata(self._study.series(series_uid))
        except Unreachable:
            raise
        except KnownError:  # it will not give them the next time either
            return {}
        return {text(each, SOP_UID): each for each in models}

    def open_one_header(self, ref: FileRef) -> BinaryIO:
        """The same of this image alone. Raises KnownError."""
        return io.BytesIO(self._own_header(ref))

    def whole(self, ref: FileRef) -> BinaryIO:
        """The image's file, from the cache if it is there. Raises OSError, KnownError."""
        resource, _, _ = self._study.image(ref)
        return self._cache.open(ref, lambda out: self._client.instance(resource, out))

    def frame(self, ref: FileRef, index0: int) -> Coded:
        """One frame as it comes. Raises KnownError."""
        resource, _, _ = self._study.image(ref)
        return self._client.frame(resource, index0 + 1)

    def cut(self) -> None:
        """End what is under way over a client of its own, at once; nothing can be fetched any more."""
        if self._own is not None:
            self._own.close()

    def close(self) -> None:
        """Drop what was fetched; the client of the study stays open."""
        self.cut()
        self._cache.close()

    def __enter__(self) -> DicomWebSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _own_header(self, ref: FileRef) -> bytes:
        resource, _, _ = self._study.image(ref)
        models = self._client.metadata(resource)
        if len(models) != 1:
            raise NotFound("image")
        return header_file(models[0], self._bulk)

    def _bulk(self, uri: str) -> bytes:
        """Bulk data of this very archive, whatever host it calls itself: a login goes nowhere else."""
        prefix, path = f"{self._client.address.prefix}/", urlsplit(uri).path
        if not path.startswith(prefix):
            raise KnownError("The archive does not say where a part of this image is.")
        answer = self._client.get(path[len(prefix) - 1 :], FRAMES)
        data = only_part(answer, self._client.peer).data
        if len(data) > LARGEST_BULK:
            raise KnownError("A part of this image is too large.")
        return data


class FrameFile(io.BytesIO):
    """The header of an image as a file; its frames are asked for one by one (`FramesApart`)."""

    def __init__(self, source: DicomWebSource, ref: FileRef, header: bytes) -> None:
        super().__init__(header)
        self._source = source
        self._ref = ref
        self._whole: BinaryIO | None = None

    def frame(self, index0: int) -> Coded:
        """The frame. Raises KnownError."""
        return self._source.frame(self._ref, index0)

    def whole(self) -> BinaryIO:
        """The object as a file. Raises OSError, KnownError."""
        if self._whole is None:
            self._whole = self._source.whole(self._ref)
        return self._whole

    def close(self) -> None:
        """Close it, and the whole."""
        if self._whole is not None:
            self._whole.close()
        super().close()
