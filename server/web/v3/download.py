"""V3 storage, a study as a medium: a ZIP file sent while it is read, or a disc image."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from core.access.rights import Right
from core.archive import contents
from core.archive.nouns import Attachment, StoredImage
from core.audit.log import Event
from core.dicom.editable import LOCKED, checked
from core.errors import BadInput, KnownError, NotFound
from core.media.bundle import Bundle, Paper, Plan
from core.media.changing import Changes, Item
from core.media.clips import FORMATS
from core.media.targets import IsoTarget, Target, ZipTarget
from server.web.body import ClientGone, read_document
from server.web.call import Call, Receive, Scope, Send, call_of, caller_of
from server.web.errors import ANONYMIZE_FORMAT, BAD_REQUEST, UNSUPPORTED, Refused
from server.web.files import content_disposition
from server.web.pictures import Wanted
from server.web.services import Services
from server.web.streaming import Operation
from server.web.transcoding import AS_STORED
from server.web.v3.study import STUDY

BUNDLES = ("dicom", "image", "iso", "osx", "win")
DELETE = "__DELETE__"
LONGEST_FORM = 1 << 20
ENOUGH = 512 << 10
"""Bytes gathered before they are sent."""
SHOWN = Wanted("thumbnail", (1024, 1024), 85)
UID = re.compile(r"\d+(\.\d+)+")
SETTING = re.compile(r"(0x[0-9A-Fa-f]{1,8}|\d{1,10})=(.*)", re.DOTALL)
QUERY = {
    "bundle": "dicom, image, iso, osx or win; all but image hold the DICOM files.",
    "series_uid": "Only these series, with commas.",
    "image_uid": "Only these images, with commas.",
    "phi_namespace": "Namespace whose PHI overlay is laid on top.",
    "include_wrapped_dicoms": "1 adds the DICOM objects of documents that lie beside as plain files.",
    "flat_directory": "1 puts all DICOM files into one folder.",
    "roche_directory": "1 names folders by date, trial time point, modality and series; without DICOMDIR.",
    "video_format": "avi or mp4: objects with several frames are there as videos, too.",
    "video_series_uids": "Only these series, with commas; their single images make one video.",
    "transfer_syntax": "UID of the transfer syntax the objects are wanted in.",
    "anonymize_tags": "TAG=VALUE with commas, tags as numbers; the value __DELETE__ removes the element.",
    "exclude_viewer": "1 leaves the page for browsers out.",
    "stop_on_failure": "1 leaves it out if anything failed.",
}


class DownloadRoutes:
    """Handlers of study downloads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive
        self._space = self._archive.db.path.parent / "media"
        shutil.rmtree(self._space, ignore_errors=True)  # what a process that was killed left there

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: ("application/zip", "application/x-iso9660-image"), 404: ("application/json",)}
        get = Operation(f"{STUDY}/download", "GET", self.download, "V3 storage", answers=answers, query=QUERY)
        form = ("application/x-www-form-urlencoded",)
        return [get, replace(get, method="POST", body=form)]

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A study as a ZIP file or disc image: DICOMDIR, README.TXT, a page for browsers, attachments.

        What could not be read is named in ERROR.txt inside.
        """
        call = await self._with_form(call_of(scope), receive)
        caller, namespace = caller_of(scope), scope["path_params"]["namespace"]
        caller.require(Right.VIEW, namespace)
        if phi_namespace := call.query("phi_namespace"):
            caller.require(Right.VIEW, phi_namespace)
        study_uid, kind = scope["path_params"]["study_uid"], _bundle(call)
        plan = _plan(call, kind, self._services.about.version)
        source = await self._services.run(lambda: _Source(self._services, call, namespace, study_uid))
        plan = replace(plan, changes=replace(plan.changes, overlay=source.overlay))
        media, ending = (
            ("application/x-iso9660-image", "iso") if kind == "iso" else ("application/zip", "zip")
        )
        headers = [
            (b"content-type", media.encode()),
            (b"content-disposition", content_disposition("attachment", f"study.{ending}")),
        ]
        if call.head:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._services.durable(lambda: self._recorded(caller.login, namespace, study_uid, kind))
        target = await self._services.run(lambda: self._target(kind))
        stream = Bundle(plan, source.items(), source.papers, source.picture, target).run()
        try:
            await self._send(stream, headers, receive, send)
        finally:
            await self._services.run(lambda: _given_up(stream, target))

    async def _send(
        self, stream: Iterator[bytes], headers: list[tuple[bytes, bytes]], receive: Receive, send: Send
    ) -> None:
        """The first bytes are made before the answer begins: what fails at once is told as an error."""
        gone = asyncio.ensure_future(_gone(receive))
        started = False
        try:
            while True:
                data, more = await self._services.run(lambda: _gathered(stream))
                if gone.done():
                    raise ClientGone
                if not started and (data or not more):
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                    started = True
                if data or not more:
                    await send({"type": "http.response.body", "body": data, "more_body": more})
                if not more:
                    return
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _with_form(self, call: Call, receive: Receive) -> Call:
        """The call with the fields of a posted form among its query parameters."""
        if call.method != "POST":
            return call
        body = await read_document(call, receive, limits=self._services.limits, limit=LONGEST_FORM)
        kind = call.header(b"content-type").split(";")[0].strip().lower()
        if body and kind not in ("", "application/x-www-form-urlencoded"):
            raise Refused(UNSUPPORTED, "The body must be a form (application/x-www-form-urlencoded).")
        both = b"&".join(part for part in (call.query_string, body.strip()) if part)
        return replace(call, query_string=both, _query=None)

    def _target(self, kind: str) -> Target:
        return IsoTarget("IMAGES", self._space) if kind == "iso" else ZipTarget()

    def _recorded(self, login: str, namespace: str, study_uid: str, kind: str) -> Future[None]:
        audit = self._archive.audit
        return self._archive.db.write(
            lambda connection: audit.record(
                connection,
                Event.EXPORT,
                "downloaded",
                actor=login,
                namespace=namespace,
                study_uid=study_uid,
                detail={"bundle": kind},
            )
        )


class _Source:
    """What of a study was asked for. Raises NotFound for anything that is not there."""

    def __init__(
        self,
        services: Services,
        call: Call,
        namespace: str,
        study_uid: str,
    ) -> None:
        self._services = services
        self._syntax = call.query("transfer_syntax")
        self._archive = services.archive
        self._study = namespace, study_uid
        schema = self._archive.schema(namespace, study_uid)
        series, images = _uids(call, "series_uid"), _uids(call, "image_uid")
        rows = [(one.series_uid, image.sop_instance_uid) for one in schema.series for image in one.images]
        if series - {row[0] for row in rows}:
            raise NotFound("series", "Series not found by following ids.")
        if _uids(call, "video_series_uids") - {row[0] for row in rows}:
            raise NotFound("series", "Series not found by following ids.")
        if images - {row[1] for row in rows}:
            raise NotFound("image", "Image wasn't found by provided ids.")
        self._uids = [
            uid for one, uid in rows if (not series or one in series) and (not images or uid in images)
        ]
        whole = not series and not images
        self.papers = [self._paper(each) for each in _newest(schema.attachments)] if whole else []
        phi_namespace = call.query("phi_namespace")
        self.overlay: Mapping[int, str] = (
            contents.overlay(self._archive, namespace, study_uid, phi_namespace) if phi_namespace else {}
        )

    def items(self) -> Iterator[Item]:
        """The objects, each looked up when its turn comes; one deleted meanwhile fails."""
        for uid in self._uids:
            try:
                image = self._archive.image(*self._study, uid)
                yield self._item(uid, image)
            except KnownError as error:
                yield _missing(uid, error)

    def _item(self, uid: str, image: StoredImage) -> Item:
        """The object in the transfer syntax that is wanted. Raises NotAcceptable; blocks a worker thread."""
        recoded = self._services.transcoder.image_here(image, self._syntax)
        proof = image.version if recoded is image else ""
        return Item(uid, recoded.bytes, recoded.open, recoded.path, proof)

    def picture(self, item: Item, frame: int) -> Future[bytes]:
        """Starts making a picture."""
        if item.path is None:  # objects of the archive have one
            raise RuntimeError("an object of the archive has no file")
        return self._services.pictures.start(item.path, SHOWN.at(frame))

    def _paper(self, attachment: Attachment) -> Paper:
        stored = self._archive.attachment(*self._study, attachment.guid, attachment.version)
        return Paper(attachment.name, attachment.content_type, attachment.bytes, stored.open)


def _missing(uid: str, error: KnownError) -> Item:
    """An object that is named in ERROR.txt."""

    def fail() -> BinaryIO:
        raise error

    return Item(uid, 0, fail)


def _newest(attachments: tuple[Attachment, ...]) -> list[Attachment]:
    return list({each.guid: each for each in attachments}.values())


def _uids(call: Call, name: str) -> set[str]:
    return {uid.strip() for value in call.queries(name) for uid in value.split(",") if uid.strip()}


def _bundle(call: Call) -> str:
    kind = call.query("bundle", "dicom").lower()
    if kind not in BUNDLES:
        raise Refused(BAD_REQUEST, "The parameter bundle must be dicom, image, iso, osx or win.")
    if kind == "iso" and call.flag("roche_directory"):
        raise Refused(BAD_REQUEST, "An ISO image cannot hold the long folder names of roche_directory.")
    syntax = call.query("transfer_syntax")
    if syntax not in AS_STORED and (len(syntax) > 64 or not UID.fullmatch(syntax)):
        raise Refused(BAD_REQUEST, "The parameter transfer_syntax must be a UID.")
    call.flag("v3")
    if call.query("video_format").lower() not in ("", *FORMATS):
        raise Refused(BAD_REQUEST, "The parameter video_format must be avi or mp4.")
    return kind


def _plan(call: Call, kind: str, version: str) -> Plan:
    moving = frozenset(_uids(call, "video_series_uids"))
    return Plan(
        version,
        dicom=kind != "image",
        viewer=not call.flag("exclude_viewer"),
        wrapped=call.flag("include_wrapped_dicoms"),
        flat=call.flag("flat_directory"),
        trial=call.flag("roche_directory"),
        video=call.query("video_format").lower() or ("avi" if moving else ""),
        moving=moving,
        careful=call.flag("stop_on_failure"),
        changes=_changes(call.query("anonymize_tags")),
    )


def _changes(text: str) -> Changes:
    """`TAG=VALUE,TAG=VALUE`; a comma belongs to a value unless a tag follows it. Raises BadInput."""
    values: dict[int, str] = {}
    removed: set[int] = set()
    for part in re.split(r",(?=\s*(?:0x[0-9A-Fa-f]{1,8}|\d{1,10})=)", text) if text.strip() else ():
        match = SETTING.fullmatch(part.strip())
        tag = int(match[1], 0 if match[1].lower().startswith("0x") else 10) if match else 0
        if match is None or not 0x00080000 <= tag <= 0xFFFFFFFF:
            raise Refused(
                ANONYMIZE_FORMAT,
                "The parameter anonymize_tags must be TAG=VALUE with commas, tags as numbers.",
            )
        if match[2] == DELETE:
            _check_removable(tag)
            removed.add(tag)
        else:
            values[tag] = checked(tag, match[2])
    return Changes(values=values, removed=frozenset(removed))


def _check_removable(tag: int) -> None:
    group = tag >> 16
    if tag in LOCKED or group in (0x0028, 0x7FE0):
        raise BadInput("An element the object or its picture cannot do without cannot be removed.")


def _gathered(stream: Iterator[bytes]) -> tuple[bytes, bool]:
    """Some bytes, and whether more come; b"" between, so that nobody waits for one who has gone."""
    pieces: list[bytes] = []
    size = 0
    for piece in stream:
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size += len(piece)
        if size >= ENOUGH:
            return b"".join(pieces), True
    return b"".join(pieces), False


def _given_up(stream: Iterator[bytes], target: Target) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()
    target.close()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
