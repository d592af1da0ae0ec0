"""One store request: whole objects, and metadata with bulk data that become objects as their parts arrive."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from core.archive.nouns import StoreResult
from core.dicom.from_model import Described, address, described, put_octets
from core.dicom.json_model import Model
from core.dicom.native_reader import read_xml
from core.dicom.spelling import is_uid
from core.errors import BadInput, KnownError, NotFound, Unsupported
from core.media.agreement import check_class, class_of, describe, inline
from core.media.assemble import DOCUMENT, MOST_NESTED_BYTES, PIXELS, Content, Mismatch, Supply, pieces
from core.media.wrap import ENCAPSULATED_PDF
from server.web.batch import MOST_PARTS, MOST_UNDER_WAY, Batch, Sender
from server.web.body import parse_json
from server.web.dicomweb.bulk_kinds import (
    BULK,
    OCTETS,
    PDF,
    PNG,
    STILLS,
    content_of,
    frames_of,
    is_raw,
    of_raster,
)
from server.web.dicomweb.media import DICOM
from server.web.dicomweb.model_forms import DICOM_JSON, DICOM_XML, JSON
from server.web.errors import BAD_REQUEST, TOO_LARGE, UNSUPPORTED, Refused
from server.web.related import PartBegins
from server.web.services import Services
from server.web.wrapping import HeldFile

METADATA = frozenset({DICOM_JSON, DICOM_XML, JSON, "application/xml", "text/xml"})
MOST_METADATA_BYTES = 16 << 20
"""Of one part, and of all whose bulk data have not come."""
MOST_HELD = 200
"""Parts with bulk data no metadata have named yet: each is an open file."""
NO_MATCH, NO_BULK, CANNOT_UNDERSTAND = 0xA900, 0xA922, 0xC000


class Unmade(BadInput):
    """An object that could not be made of its metadata and bulk data; *reason* as PS3.18 I.2 has them."""

    def __init__(self, message: str, reason: int, model: Any) -> None:
        super().__init__(message)
        self.reason = reason
        self.sop_class_uid, self.sop_uid = (_uid(model, tag) for tag in ("00080016", "00080018"))


@dataclass(slots=True)
class _Awaited:
    """An object whose bulk data are still to come; *place* is its own among the results."""

    place: int
    made: Described
    model: Model
    bytes: int
    missing: set[str]


@dataclass(slots=True)
class _Held:
    """Bulk data that have come whole, of *uses* objects to be made; parts end at *ends*, one a frame.

    *lost*: why they could not be kept.
    """

    file: HeldFile
    media_type: str
    lost: KnownError | None = None
    ends: list[int] = field(default_factory=list)
    uses: int = 0


@dataclass(slots=True)
class _Part:
    """What is arriving: metadata in memory, bulk data in *file*."""

    media_type: str
    location: str = ""
    file: HeldFile | None = None
    lost: KnownError | None = None
    text: bytearray = field(default_factory=bytearray)


class MixedBatch(Batch):
    """The parts of one store request on their way into the archive."""

    def __init__(self, services: Services, namespace: str, sender: Sender) -> None:
        super().__init__(services, namespace, sender)
        self.xml = False
        self.unused = 0
        self._supply = Supply(sender.study_uid, datetime.now())
        self._study: dict[str, Any] | None = None
        self._part: _Part | None = None
        self._awaited: dict[str, list[_Awaited]] = {}
        self._held: dict[str, _Held] = {}
        self._seen: set[str] = set()
        self._waiting_bytes = 0

    async def _begin(self, event: PartBegins) -> None:
        kind = event.headers.get("content-type", DICOM).partition(";")[0].strip().lower()
        said = event.headers.get("content-location")
        location = _location(said) if said else ""
        if kind == DICOM or (kind == OCTETS and not location):
            await super()._begin(event)
        elif kind in METADATA:
            self._part = _Part(kind)
        elif kind in BULK:
            self._begin_bulk(kind, location)
        else:
            raise Refused(UNSUPPORTED, f"A part is {kind[:60]!r}, which cannot be stored.")

    def _begin_bulk(self, kind: str, location: str) -> None:
        if not location:
            raise Refused(BAD_REQUEST, "A part with bulk data has no Content-Location.")
        held = self._held.get(location)
        if held is not None and kind == held.media_type and kind in STILLS:
            self._part = _Part(kind, location, held.file, held.lost)  # one more frame
            return
        if location in self._seen:
            raise Refused(BAD_REQUEST, "Two parts with bulk data have the same Content-Location.")
        if len(self._held) >= MOST_HELD or len(self._seen) >= MOST_PARTS:
            raise Refused(TOO_LARGE, "Too many parts with bulk data come before their metadata.")
        self._seen.add(location)
        archive, namespace, limit = self._services.archive, self._namespace, self._services.limits.image_bytes
        file = HeldFile(self._services.workers, lambda: archive.incoming(namespace, limit=limit))
        self._part = _Part(kind, location, file)

    async def _write(self, data: bytes) -> None:
        part = self._part
        if part is None:
            await super()._write(data)
        elif part.lost is not None:
            return  # read past
        elif part.file is not None:
            try:
                await part.file.write(data)
            except KnownError as error:
                part.lost = error
                await part.file.abort()
        else:
            part.text += data
            if len(part.text) + self._waiting_bytes > MOST_METADATA_BYTES:
                raise Refused(TOO_LARGE, f"The metadata are longer than {MOST_METADATA_BYTES} bytes.")

    async def _end(self) -> None:
        part, self._part = self._part, None
        if part is None:
            await super()._end()
        elif part.file is not None:
            held = self._held.setdefault(part.location, _Held(part.file, part.media_type))
            held.ends.append(part.file.size)
            held.lost = part.lost
            held.uses = len(self._awaited.get(part.location, ()))
            await self._arrived(part.location)
        else:
            await self._described(part)

    async def _look_at_study(self) -> None:
        """What the study of the address says, once; {} while it is not there. Raises Refused."""
        if self._study is None:
            self._study = {}
            if self._sender.study_uid:
                if not is_uid(self._sender.study_uid):  # new objects would bear it
                    raise Refused(BAD_REQUEST, "The address names no Study Instance UID.")
                with suppress(NotFound):
                    self._study = await self._services.wrapper.study(self._namespace, self._sender.study_uid)

    async def _described(self, part: _Part) -> None:
        """Every object the metadata describe is made as soon as it can be."""
        text = bytes(part.text)
        self.xml = "xml" in part.media_type
        found = await self._services.run(lambda: [read_xml(text)] if self.xml else parse_json(text))
        models = found if isinstance(found, list) else [found]
        await self._look_at_study()
        if len(self.results) + len(models) > MOST_PARTS:
            raise Refused(TOO_LARGE, f"The body describes more than {MOST_PARTS} objects.")
        for model in models:
            try:
                made = await self._services.run(lambda model=model: described(model, strict=True))  # type: ignore[misc] # bound now
            except BadInput as error:
                self.results.append(Unmade(error.message, CANNOT_UNDERSTAND, model))
                continue
            await self._await(made, model, len(text) // len(models))

    async def _await(self, made: Described, model: Model, size: int) -> None:
        missing = {uri for uri in made.addresses if not self._is_whole(made, uri)}
        awaited = _Awaited(len(self.results), made, model, size, missing)
        self.results.append(Unmade("The bulk data of an object did not come.", NO_BULK, model))
        for uri in made.addresses & set(self._held):
            self._held[uri].uses += 1
        if not missing:
            await self._make(awaited)
            return
        self._waiting_bytes += size
        for uri in missing:
            self._awaited.setdefault(uri, []).append(awaited)

    def _is_whole(self, made: Described, uri: str) -> bool:
        """Whether all of the bulk data has come: of pictures that have frames, a part for each."""
        held = self._held.get(uri)
        return held is not None and len(held.ends) >= _parts_of(made, uri, held.media_type)

    async def _arrived(self, location: str) -> None:
        waiting = self._awaited.pop(location, [])
        whole = [each for each in waiting if self._is_whole(each.made, location)]
        if len(whole) < len(waiting):
            self._awaited[location] = [each for each in waiting if each not in whole]
        for awaited in whole:
            awaited.missing.discard(location)
            if not awaited.missing:
                self._waiting_bytes -= awaited.bytes
                await self._make(awaited)

    async def _make(self, awaited: _Awaited) -> None:
        try:
            contents = {uri: await self._content(awaited.made, uri) for uri in awaited.made.addresses}
            future = self._kept(await self._services.run(lambda: self._stored(awaited.made, contents)))
            self.results[awaited.place] = future
            self._under_way.append(future)
        except Mismatch as error:
            self.results[awaited.place] = Unmade(error.message, NO_MATCH, awaited.model)
        except BadInput as error:
            self.results[awaited.place] = Unmade(error.message, CANNOT_UNDERSTAND, awaited.model)
        except KnownError as error:
            self.results[awaited.place] = error
        for uri in awaited.made.addresses:
            held = self._held[uri]
            held.uses -= 1
            if not held.uses:
                del self._held[uri]
                await held.file.abort()
        await self._settle(MOST_UNDER_WAY)

    async def _content(self, made: Described, uri: str) -> Content:
        held = self._held[uri]
        if held.lost is not None:
            raise held.lost
        if len(held.ends) != _parts_of(made, uri, held.media_type):
            raise Mismatch("There are more parts with bulk data than frames.")
        path = await held.file.settle()
        if held.media_type == PNG:
            try:
                head, frame = await self._services.wrapper.picture(path)
            except Unsupported as error:
                raise Mismatch(error.message) from error
            return of_raster(path, head, frame)
        if len(held.ends) > 1:
            return await self._services.run(lambda: frames_of(path, held.ends))
        kind = PDF if held.media_type == OCTETS and _is_document(made, uri) else held.media_type
        return await self._services.run(lambda: content_of(path, held.file.size, kind))

    def _stored(self, made: Described, by_uri: dict[str, Content]) -> Future[StoreResult]:
        """Written and on its way; runs on a worker thread. Raises BadInput, StorageFault."""
        contents = {tag: by_uri[uri] for tag, (_, uri) in made.bulk.items()} | inline(made.ds)
        for ds, tag, vr, uri in made.nested:
            if by_uri[uri].length > MOST_NESTED_BYTES:
                raise Mismatch("Bulk data of a text, or within a sequence, are too long.")
            put_octets(ds, tag, vr, b"".join(by_uri[uri].pieces()))
        try:
            self._complete(made.ds, contents)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Mismatch("What the metadata say of the bulk data makes no sense.") from error
        with self._services.archive.incoming(self._namespace) as incoming:
            for piece in pieces(made, contents):
                incoming.write(piece)
            sender = self._sender
            return self._services.archive.store(
                incoming,
                actor=sender.login,
                via=sender.via,
                study_uid=sender.study_uid,
                silent=sender.silent,
            )

    def _complete(self, ds: Any, contents: dict[int, Content]) -> None:
        """Have *ds* say all that its class wants. Raises Mismatch, and what odd values provoke."""
        leading = contents.get(PIXELS) or next(iter(contents.values()), None)
        kind = class_of(ds, leading, raw=is_raw(leading)) if leading else ""
        if not kind and not ds.get("SOPClassUID"):
            raise Mismatch("The metadata name no bulk data and no SOP Class.")
        self._supply.adopt(ds, self._study or {})
        self._supply.complete(ds, kind)
        check_class(ds, contents)
        for tag, content in contents.items():
            describe(ds, content, tag, raw=is_raw(content))

    def _kept(self, future: Future[StoreResult]) -> Future[StoreResult]:
        """Without the elements of the object, which no answer names: of tens of thousands they are much."""
        kept: Future[StoreResult] = Future()
        kept.set_running_or_notify_cancel()

        def done(stored: Future[StoreResult]) -> None:
            if (error := stored.exception()) is not None:
                kept.set_exception(error)
            else:
                kept.set_result(replace(stored.result(), attributes={}))

        future.add_done_callback(done)
        return kept

    async def _give_up(self) -> None:
        part, self._part = self._part, None
        if part is not None and part.file is not None:
            await part.file.abort()
        await super()._give_up()

    async def _settle(self, most: int) -> None:
        await super()._settle(most)
        if not most:
            self.unused = len(self._held)
            held, self._held = self._held, {}
            for each in held.values():
                await each.file.abort()


def _parts_of(made: Described, uri: str, media_type: str) -> int:
    """How many parts are needed: a still picture is one frame, everything else is whole."""
    if media_type not in STILLS or made.bulk.get(PIXELS, ("", ""))[1] != uri:
        return 1
    said = str(made.ds.get("NumberOfFrames") or "1").strip()
    return max(1, int(said)) if said.isdigit() and len(said) < 9 else 1


def _is_document(made: Described, uri: str) -> bool:
    """Whether the octets at *uri* are the document of an Encapsulated PDF, or of an object of no class."""
    kind = str(made.ds.get("SOPClassUID") or "")
    return made.bulk.get(DOCUMENT, ("", ""))[1] == uri and kind in {"", ENCAPSULATED_PDF}


def _location(said: str) -> str:
    """A Content-Location as it is compared: file names come in UTF-8, which a header line is not read as."""
    with suppress(UnicodeDecodeError):
        said = said.encode("latin-1").decode("utf-8")
    return address(said.strip('<>" '))


def _uid(model: Any, tag: str) -> str:
    element = model.get(tag) if isinstance(model, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0].strip() if isinstance(values, list) and values and isinstance(values[0], str) else ""
