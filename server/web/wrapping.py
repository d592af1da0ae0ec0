"""Files that are no DICOM objects on their way into a study: told apart, looked into, wrapped, stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from core.archive.archive import Archive
from core.archive.nouns import By, StoreResult
from core.errors import NotFound, NotRenderable, StorageFault, TooLarge, Unsupported
from core.imaging.worker import HTML_PDF
from core.media import wrap
from core.media.movie import read_movie
from core.media.wrap import Place
from server.web.intake import Intake
from server.web.pictures import Renderer

T = TypeVar("T")

DPI = 200
MOST_PAGE_BYTES = 512 << 20
"""All pages of one document, as they are stored."""
PDF_WITHIN = 1024
"""A PDF may have other bytes before its header (ISO 32000-1, implementation note 13)."""


class Kind(StrEnum):
    """What can be wrapped, told by first bytes."""

    PICTURE = "picture"
    PDF = "pdf"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to become of a file: of a PDF the *document* itself, its *pages* as images, or both."""

    namespace: str
    by: By
    place: Place
    document: bool = True
    pages: bool = False


class HeldFile(Intake):
    """Arriving bytes that are looked at before anything is stored."""

    async def settle(self) -> Path:
        """Where everything that came lies until `abort`. Raises StorageFault."""

        def settled() -> Path:
            incoming = self._flush()
            incoming.flush()
            return incoming.path

        return await asyncio.get_running_loop().run_in_executor(self._workers, settled)


class Wrapper:
    """Has *renderer* look into files, in a process of its own; *workers* do the rest."""

    def __init__(self, archive: Archive, renderer: Renderer, workers: ThreadPoolExecutor) -> None:
        self._archive = archive
        self._renderer = renderer
        self._workers = workers

    async def wrap(self, path: Path, order: Order) -> list[StoreResult]:
        """Store the objects made of the file at *path*. Raises Unsupported (415), StorageFault, TooLarge."""
        kind = await self.run(lambda: kind_of(path))
        size = path.stat().st_size
        if kind is Kind.PDF:
            pages = await self._pages(path, order.place) if order.pages else []
            made = (
                [await self._store(self._document(path, size, order.place), order)] if order.document else []
            )
            return made + [await self._store([each], order) for each in pages]
        if kind is Kind.VIDEO:
            return [await self._store(self._video(path, size, order.place), order)]
        packed = await self._rendered(path, 0, "raster")
        return [await self._store([_captured(order.place, packed)], order)]

    async def picture(self, path: Path) -> tuple[dict[str, Any], bytes]:
        """What a frame made of the picture at *path* is, and the frame. Raises Unsupported (415)."""
        head, _, frame = (await self._rendered(path, 0, "raster")).partition(b"\n")
        return json.loads(head), frame

    async def pages(self, path: Path) -> int:
        """How many pages the PDF at *path* has. Raises Unsupported (415) where it cannot be opened."""
        return int(await self._rendered(path, 0, "pdf-count"))

    async def pdf_of(self, path: Path, charset: str) -> bytes:
        """The HTML page at *path* as a PDF. Raises Unsupported (415)."""
        return await self._rendered(path, 0, HTML_PDF + charset)

    async def study(self, namespace: str, study_uid: str) -> dict[str, Any]:
        """What a stored study says of its patient and itself. Raises NotFound, StorageFault."""

        def look() -> dict[str, Any]:
            try:
                found = wrap.study_of(self._archive.representative(namespace, study_uid).path)
            except NotFound as error:
                if error.kind != "image":
                    raise
                found = by_keyword(self._archive.study_phi(namespace, study_uid))
            except OSError as error:
                raise StorageFault(
                    "A stored object cannot be read from the disk.", "Run filmjacket check."
                ) from error
            return {**found, "StudyInstanceUID": study_uid}

        return await self.run(look)

    async def _pages(self, path: Path, place: Place) -> list[bytes]:
        count = await self.pages(path)
        study = {keyword: value for keyword, value in place.study.items() if keyword != "SeriesInstanceUID"}
        place = replace(place, study=study, series=f"{place.series} pages")
        made: list[bytes] = []
        for index in range(count):
            packed = await self._rendered(path, index, "pdf-page")
            made.append(_captured(place.at(index + 1), packed))
            if sum(map(len, made)) > MOST_PAGE_BYTES:
                raise TooLarge("The pages of the PDF are too large to be made into images.")
        return made

    async def _rendered(self, path: Path, index: int, kind: str) -> bytes:
        try:
            return await asyncio.wrap_future(self._renderer.render(path, index, kind, None, DPI))
        except NotRenderable as error:
            raise Unsupported(error.message, error.remedy) from error

    async def _store(self, pieces: Iterable[bytes], order: Order) -> StoreResult:
        def put() -> Future[StoreResult]:
            with self._archive.incoming(order.namespace) as incoming:
                for piece in pieces:
                    incoming.write(piece)
                return self._archive.store(incoming, actor=order.by.actor, silent=order.by.silent)

        return await asyncio.wrap_future(await self.run(put))

    def _document(self, path: Path, size: int, place: Place) -> Iterator[bytes]:
        with path.open("rb") as stream:
            yield from wrap.document(place, stream, size)

    def _video(self, path: Path, size: int, place: Place) -> Iterator[bytes]:
        with path.open("rb") as stream:
            yield from wrap.video(place, read_movie(stream, size), stream, size)

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)


def kind_of(path: Path) -> Kind:
    """By first bytes, whatever name or type was sent. Raises Unsupported."""
    with path.open("rb") as stream:
        head = stream.read(PDF_WITHIN)
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return Kind.PICTURE
    if b"%PDF-" in head:
        return Kind.PDF
    if head[4:8] == b"ftyp":
        return Kind.VIDEO
    raise Unsupported("Only JPEG, PNG, PDF and MP4 files can be made into DICOM objects.")


def by_keyword(values: Any) -> dict[str, Any]:
    """Values by "(gggg,eeee)" as values by keyword; what has none is left out."""
    from pydicom.datadict import keyword_for_tag

    named = {keyword_for_tag(tag[1:5] + tag[6:10]): value for tag, value in values.items()}
    return {keyword: value for keyword, value in named.items() if keyword}


def _captured(place: Place, packed: bytes) -> bytes:
    head, _, frame = packed.partition(b"\n")
    return wrap.capture(place, json.loads(head), frame)
