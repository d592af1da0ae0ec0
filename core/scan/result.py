"""What a scan has found so far: tree, skipped files, and the receipt that says whether that is all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core.dicom.refs import FileRef, Found, Skipped, SkipReason
from core.dicom.tree import Tree
from core.errors import NotFound

if TYPE_CHECKING:
    from core.scan.zip_files import ZipFiles

# What stands in the way of "everything on this disc is indexed".
GAPS = frozenset(
    (
        SkipReason.TRUNCATED,
        SkipReason.NO_UID,
        SkipReason.UNREADABLE,
        SkipReason.CONFLICT,
        SkipReason.ENCRYPTED,
        SkipReason.TOO_DEEP,
    )
)
DAMAGE = frozenset((SkipReason.TRUNCATED, SkipReason.UNREADABLE))


@dataclass(frozen=True, slots=True)
class Receipt:
    """Counts of one scan; *complete* means that every file was read and nothing is missing or amiss."""

    files: int
    instances: int
    bytes: int
    listed_but_missing: int
    not_listed: int
    duplicates: int
    damaged: int
    complete: bool


class _ZipFilesOnceNeeded:
    """The ZIP files of a source; most sources have none and need not load what reads them."""

    def __init__(self) -> None:
        self._files: ZipFiles | None = None

    def open(self, path: Path, member: str) -> BinaryIO:
        if self._files is None:
            from core.scan.zip_files import ZipFiles

            self._files = ZipFiles()
        return self._files.open(path, member)


@dataclass(frozen=True, slots=True)
class PathSource:
    """One path given to a scan, a `Source`: a disc, a folder, a ZIP file or a single file.

    References into it start with *prefix*, which is empty when it is the only one.
    """

    path: Path
    prefix: str = ""
    zip_files: _ZipFilesOnceNeeded = field(default_factory=_ZipFilesOnceNeeded, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What a clerk would call it."""
        return self.path.name or str(self.path)

    def headers(self) -> Iterator[Found | Skipped]:
        """Every file once, as it is found."""
        from core.scan.scanner import Scanner  # it needs this module first

        for progress in Scanner([self.path]).run():
            yield from progress.found
            yield from progress.skipped

    def covers(self, ref: FileRef) -> bool:
        """Whether this reference leads here."""
        return (
            ref.path == self.prefix or not self.prefix or ref.path.startswith(self.prefix.rstrip("/") + "/")
        )

    def file(self, ref: FileRef) -> Path:
        """The plain file that is or holds the one referred to."""
        relative = ref.path[len(self.prefix) :]
        return self.path / relative if self.path.is_dir() else self.path

    def open(self, ref: FileRef) -> BinaryIO:
        """The file's bytes, seekable; the caller closes it. Raises OSError, BadInput, NotFound."""
        path = self.file(ref)
        if not ref.member:
            return path.open("rb")
        return self.zip_files.open(path, ref.member)


@dataclass(slots=True)
class Scan:
    """The result of a scan, filled while it runs.

    *missing* are the files a DICOMDIR names that are not there, as it names them. Only the thread that scans
    may change it; others read the receipt and, once the scan has ended, everything.
    """

    sources: list[PathSource]
    tree: Tree = field(default_factory=Tree)
    skipped: list[Skipped] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0
    finished: bool = False
    files: int = 0
    instances: int = 0
    bytes: int = 0
    not_listed: int = 0
    counts: dict[SkipReason, int] = field(default_factory=dict)

    @property
    def receipt(self) -> Receipt:
        """The counts at this moment; complete only once the scan has ended."""
        counts = self.counts
        return Receipt(
            files=self.files,
            instances=self.instances,
            bytes=self.bytes,
            listed_but_missing=len(self.missing),
            not_listed=self.not_listed,
            duplicates=counts.get(SkipReason.DUPLICATE, 0),
            damaged=sum(counts.get(reason, 0) for reason in DAMAGE),
            complete=self.finished and not self.missing and not any(counts.get(gap, 0) for gap in GAPS),
        )

    def open(self, ref: FileRef) -> BinaryIO:
        """The file's bytes, seekable, for reading; the caller closes it. Raises OSError or KnownError."""
        return self._source(ref).open(ref)

    def local_path(self, ref: FileRef) -> Path | None:
        """The plain file on disk; None for a ZIP member."""
        return None if ref.member else self._source(ref).file(ref)

    def _source(self, ref: FileRef) -> PathSource:
        for source in self.sources:
            if source.covers(ref):
                return source
        raise NotFound("file", f"{ref.path} is in none of the folders that were read.")
