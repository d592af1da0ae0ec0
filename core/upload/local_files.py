"""Opens files of a job from the ledger alone, for going on without reading the whole source again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from core.dicom.refs import FileRef
from core.errors import NotFound
from core.upload.job import UploadJob
from core.upload.payload import missing

OpenMember = Callable[[Path, str], BinaryIO]
"""Opens one member of a ZIP file, nested ones too. Raises OSError, BadInput, NotFound."""


class LocalFiles:
    """Files and ZIP members below a job's sources."""

    def __init__(self, job: UploadJob, open_member: OpenMember) -> None:
        self._files = job.files()
        self._sources: Sequence[Path] = job.sources
        self._open_member = open_member

    def open(self, ref: FileRef) -> BinaryIO:
        """The file's bytes; the caller closes it. Raises OSError, BadInput, SourceFault."""
        for path in self._candidates(ref):
            if path.is_file():
                return self._member(path, ref.member) if ref.member else path.open("rb")
        raise missing()

    def _candidates(self, ref: FileRef) -> Iterator[Path]:
        if ref in self._files:
            yield self._files[ref]
        for source in self._sources:
            yield source / ref.path
            if source.name == Path(ref.path).name:
                yield source
            yield source.parent / ref.path

    def _member(self, path: Path, member: str) -> BinaryIO:
        try:
            return self._open_member(path, member)
        except NotFound as error:
            raise missing() from error
