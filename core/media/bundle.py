"""The bundle: what lies on an interchange medium, made file by file and given to a target as it is made."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from core.dicom.digest import new_hash, version_of
from core.dicom.inside import NotPdf, Pieces, pdf_in
from core.dicom.overlaying import Overlaid
from core.dicom.refs import Header
from core.dicom.syntaxes import transfer_syntax
from core.errors import KnownError, SourceFault, StorageFault
from core.media.changing import READ_FAULTS, Changes, Item, changed, identified, seekable
from core.media.clips import Clips
from core.media.fileset import FileSet, keys_of, record_type
from core.media.page import Contents, Pictured, index, readme
from core.media.targets import Target
from core.media.trial import TrialFolders

AHEAD = 8
"""Pictures being made while earlier ones are written."""
MOST_FRAMES = 200
"""Pictures of one object at most; of more frames these are spread evenly."""
PIECE = 1 << 20
PDF = "application/pdf"
ENDINGS = {PDF: "PDF", "image/jpeg": "JPG", "image/png": "PNG", "text/plain": "TXT", "video/mp4": "MP4"}

Picture = Callable[[Item, int], "Future[bytes]"]
"""Starts making the JPEG of a 0-based frame; the Future raises KnownError."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A document that goes along."""

    name: str
    content_type: str
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a medium is to hold.

    *documents*: encapsulated PDFs lie beside as plain files; *wrapped*: the DICOM objects that hold them are
    there too. *trial*: folders have names for people, so that there is no DICOMDIR. *careful*: no viewer page
    if anything failed. *video*: avi or mp4, of objects with several frames, or of the series *moving* names.
    """

    version: str
    dicom: bool = True
    viewer: bool = True
    wrapped: bool = True
    documents: bool = True
    flat: bool = False
    trial: bool = False
    careful: bool = False
    label: str = "IMAGES"
    video: str = ""
    moving: frozenset[str] = frozenset()
    changes: Changes = field(default_factory=Changes)


class Written(NamedTuple):
    """A file on the medium; *digest* is its SHA-256 in hexadecimal."""

    path: str
    size: int
    digest: str


class Failure(NamedTuple):
    """What is not on the medium, and why."""

    name: str
    reason: str


class _Shown(NamedTuple):
    item: Item
    series: Pictured
    frame: int


class Bundle:
    """One medium being made; `run` does the work and yields what can be sent already, b"" between."""

    def __init__(
        self, plan: Plan, items: Iterable[Item], papers: Sequence[Paper], picture: Picture, target: Target
    ) -> None:
        self.failures: list[Failure] = []
        self.written: list[Written] = []
        self.objects = 0
        self.patients: set[tuple[str, str]] = set()
        self.studies: set[str] = set()
        self._plan = plan
        self._items = items
        self._papers = papers
        self._picture = picture
        self._target = target
        self._files = FileSet(plan.label, flat=plan.flat)
        self._clips = Clips(plan.video, plan.moving)
        self._trial = TrialFolders(flat=plan.flat)
        self._contents = Contents()
        self._to_show: list[_Shown] = []
        self._without: set[str] = set()

    def run(self) -> Iterator[bytes]:
        """Make everything. Raises StorageFault; closing the generator gives up."""
        plan = self._plan
        for item in self._items:
            yield from self._object(item)
        if plan.dicom and not plan.trial:
            yield from self._small("DICOMDIR", self._files.dicomdir())
        if not plan.changes.anonymize:  # nobody knows what documents say
            for paper in self._papers:
                yield from self._paper(paper)
        yield from self._videos()
        viewer = plan.viewer and not (plan.careful and self.failures)
        if viewer:
            yield from self._pictures()
            yield from self._small("INDEX.HTM", index(self._contents))
        directory = plan.dicom and not plan.trial
        videos = any(one.path.startswith("VIDEO/") for one in self.written)
        text = readme(plan.version, self._contents, dicom=directory, viewer=viewer, videos=videos)
        yield from self._small("README.TXT", text)
        if self.failures:
            lines = [f"{one.name}: {one.reason}" for one in self.failures]
            yield from self._small("ERROR.txt", ("\r\n".join(lines) + "\r\n").encode("utf-8"))
        yield from self._target.finish()

    def _object(self, item: Item) -> Iterator[bytes]:
        try:
            with changed(item, self._plan.changes) as data, seekable(data) as stream:
                header = identified(stream)
                stands_for_it = yield from self._unwrapped(item, header)
                if self._plan.dicom and not stands_for_it:
                    trial = self._plan.trial
                    path = self._trial.place(header, stream) if trial else self._files.place(header)
                    keys = None if trial else keys_of(header, stream)
                    yield from self._put(path, data.size, _pieces(data, item, self._plan.changes))
                    if keys is not None:
                        self._files.add(path, header, keys)
        except StorageFault:
            raise
        except KnownError as error:
            self.failures.append(Failure(item.name, error.message))
            return
        self.objects += 1
        self.studies.add(header.study_instance_uid)
        self.patients.add((header.patient_id, header.patient_name))
        self._show(item, header)
        self._clips.add(item, header)

    def _unwrapped(self, item: Item, header: Header) -> Generator[bytes, None, bool]:
        """Put the PDF an object holds beside; whether that stands for the object."""
        plan, path = self._plan, item.path
        wanted = plan.documents and not plan.changes.anonymize
        if path is None or not wanted or record_type(header.sop_class_uid) != "ENCAP DOC":
            return False
        try:
            inside = pdf_in(path)
        except NotPdf:
            return False

        def opened() -> BinaryIO:
            return Pieces(path.open("rb"), inside.spans)  # type: ignore[return-value]

        title = header.series_description or "Document"
        yield from self._paper(Paper(title, PDF, inside.size, opened))
        return not plan.wrapped

    def _paper(self, paper: Paper) -> Iterator[bytes]:
        number = len(self._contents.papers) + 1
        path = f"DOCS/D{number:06}.{_ending(paper)}"
        try:
            yield from self._put(path, paper.size, _copied(paper))
        except StorageFault:
            raise
        except KnownError as error:
            self.failures.append(Failure(f"document {number}", error.message))
            return
        self._contents.papers.append((path, paper.name or path))

    def _show(self, item: Item, header: Header) -> None:
        """Remember the pictures to be made of an object."""
        key = (header.study_instance_uid, header.series_instance_uid)
        known = self._contents.series
        if key not in known:
            known[key] = Pictured(header, f"IHE_PDI/S{len(known) + 1:06}")
        series = known[key]
        series.objects += 1
        if not header.rows or not header.columns or transfer_syntax(header.transfer_syntax_uid).video:
            return
        count = max(1, header.number_of_frames)
        frames = range(count) if count <= MOST_FRAMES else _spread(count)
        self._to_show.extend(_Shown(item, series, frame) for frame in frames)

    def _pictures(self) -> Iterator[bytes]:
        """Pictures in order, some being made ahead."""
        making: deque[tuple[_Shown, Future[bytes]]] = deque()
        try:
            for shown in self._to_show:
                making.append((shown, self._picture(shown.item, shown.frame)))
                if len(making) > AHEAD:
                    yield from self._made(*making.popleft())
            while making:
                yield from self._made(*making.popleft())
        finally:
            for _, future in making:
                future.cancel()

    def _made(self, shown: _Shown, future: Future[bytes]) -> Iterator[bytes]:
        try:
            data = future.result()
        except (KnownError, CancelledError) as error:
            reason = error.message if isinstance(error, KnownError) else "Rendering has been shut down."
            if shown.item.name not in self._without:  # one line tells enough of an object
                self._without.add(shown.item.name)
                self.failures.append(Failure(f"picture of {shown.item.name}", reason))
            return
        shown.series.count += 1
        yield from self._small(f"{shown.series.folder}/I{shown.series.count:06}.JPG", data)

    def _videos(self) -> Iterator[bytes]:
        for clip in self._clips.files(self._picture, self._failed):
            try:
                yield from self._put(*clip)
            except StorageFault:
                raise
            except KnownError as error:
                self._failed(clip.path, error.message)

    def _failed(self, name: str, reason: str) -> None:
        self.failures.append(Failure(name, reason))

    def _small(self, path: str, data: bytes) -> Iterator[bytes]:
        yield from self._put(path, len(data), [data])

    def _put(self, path: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        seen = 0

        def counted() -> Iterator[bytes]:
            nonlocal seen
            for chunk in chunks:
                digest.update(chunk)
                seen += len(chunk)
                yield chunk

        yield from self._target.put(path, size, counted())
        self.written.append(Written(path, seen, digest.hexdigest()))


def _pieces(data: Overlaid, item: Item, changes: Changes) -> Iterator[bytes]:
    """The bytes in order, proven against their digest if they are the stored ones. Raises SourceFault."""
    digest = new_hash()
    try:
        for chunk in data.chunks():
            digest.update(chunk)
            yield chunk
    except READ_FAULTS as error:
        raise SourceFault("The file cannot be read.") from error
    if item.version and not changes.overlay and not changes.anonymize and version_of(digest) != item.version:
        raise SourceFault("The stored object is damaged.", "Run filmjacket check.")


def _copied(paper: Paper) -> Iterator[bytes]:
    try:
        with paper.open() as file:
            while chunk := file.read(PIECE):
                yield chunk
    except READ_FAULTS as error:
        raise SourceFault("The file cannot be read.") from error


def _ending(paper: Paper) -> str:
    """What ISO 9660 level 1 takes of a document's own ending."""
    own = Path(paper.name).suffix[1:].upper()
    if 0 < len(own) <= 3 and own.isascii() and own.isalnum():
        return own
    return ENDINGS.get(paper.content_type.split(";")[0].strip().lower(), "BIN")


def _spread(count: int) -> list[int]:
    return sorted({round(n * (count - 1) / (MOST_FRAMES - 1)) for n in range(MOST_FRAMES)})
