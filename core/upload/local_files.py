"""Opens files of a job from the ledger alone, for going on without reading the whole source again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import BadZipFile, ZipFile

from core.dicom.refs import FileRef
from core.upload.job import UploadJob
from core.upload.payload import missing


class LocalFiles:
    """Files and ZIP members below a job's sources; close it to let go of the ZIP files."""

    def __init__(self, job: UploadJob) -> None:
        self._files = job.files()
        self._sources: Sequence[Path] = job.sources
        self._archives: dict[Path, ZipFile] = {}
        self._lock = threading.Lock()

    def open(self, ref: FileRef) -> BinaryIO:
        """The file's bytes; the caller closes it. Raises OSError, SourceFault."""
        for path in self._candidates(ref):
            if path.is_file():
                return self._member(path, ref.member) if ref.member else path.open("rb")
        raise missing()

    def close(self) -> None:
        """Close the ZIP files."""
        with self._lock:
            archives, self._archives = list(self._archives.values()), {}
        for archive in archives:
            archive.close()

    def _candidates(self, ref: FileRef) -> Iterator[Path]:
        if ref in self._files:
            yield self._files[ref]
        for source in self._sources:
            yield source / ref.path
            if source.name == Path(ref.path).name:
                yield source
            yield source.parent / ref.path

    def _member(self, path: Path, member: str) -> BinaryIO:
        with self._lock:
            try:
                if path not in self._archives:
                    self._archives[path] = ZipFile(path)
                return cast(BinaryIO, self._archives[path].open(member))
            except (KeyError, BadZipFile, NotImplementedError, RuntimeError) as error:
                raise missing() from error
