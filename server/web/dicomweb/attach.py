"""PDF, picture and video files added to a study, or to what a worklist entry announces, as objects of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from core.access.rights import Right
from core.archive.incoming import Incoming
from core.archive.nouns import StoreResult
from core.errors import BadInput, Conflict, NotFound, Unsupported
from core.media.belonging import Belonging, FileObjects, Label, of_entry
from core.media.wrap import fresh_uid
from core.worklist.announced import Announced, Announcements, announced
from core.worklist.states import State
from server.web.auth import Caller
from server.web.body import chunks
from server.web.call import FLAGS, Receive, Scope, Send, answer, call_of, caller_of
from server.web.dicomweb.media import DICOM
from server.web.dicomweb.model_forms import DICOM_JSON
from server.web.dicomweb.places import BASES, STUDY, at_each, base_url, namespace_of
from server.web.dicomweb.store import TAG, response, warnings_of
from server.web.dicomweb.whole_files import content_in
from server.web.dicomweb.workitems import ITEM
from server.web.errors import BAD_REQUEST, Refused, encode
from server.web.many_files import Files, read_files
from server.web.multipart import Part, boundary_of
from server.web.services import Services
from server.web.streaming import Operation
from server.web.worklist_rights import PLANNERS, one_of
from server.web.wrapping import HeldFile

ENTRY = ITEM + "/files"
"""At the root /workitems is the DICOM Service's."""
MOST_FILES = 50
PATIENT_ID = 0x00100020
FORM = "multipart/form-data"
FORM_AROUND = 1 << 20
FIELDS = {"file": True, "description": False, "title": False, "photographs": False, "begin": False}
LONGEST_DESCRIPTION, LONGEST_TITLE = 64, 1024
"""VR LO, and ST (PS3.5 6.2)."""


@dataclass(frozen=True, slots=True)
class _Target:
    """What the files are for; *entry* None is a study that is there."""

    belonging: Belonging
    entry: Announced | None = None


class AttachRoutes:
    """The handlers, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._announcements = Announcements(services.worklist, services.overview)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        error = ("application/json",)
        answers = {200: (DICOM_JSON,), 202: (DICOM_JSON,)}
        answers |= {status: error for status in (400, 404, 409, 413, 415)}
        places = (
            *((path, self.to_study, shown) for path, shown in at_each(STUDY + "/files")),
            *((base + ENTRY, self.to_entry, base == BASES[0]) for base in BASES[:-1]),
        )
        return [
            Operation(path, "POST", handler, TAG, (FORM,), answers, documented=documented, fields=FIELDS)
            for path, handler, documented in places
        ]

    async def to_study(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make files into objects of a study: PDF, JPEG, PNG, JPEG 2000, MPEG-2, MP4.

        Form fields: `file`, several times; `description` of the new series; `title` of documents;
        `photographs` 1 for VL Photographic instead of Secondary Capture. Patient and study are those of the
        study; of one that is not there, those of the worklist entry that announces it. A file that cannot be
        taken refuses them all; the answer is that of the store transaction.
        """
        namespace = namespace_of(self._services, scope, Right.STORE)
        study_uid: str = scope["path_params"]["study_uid"]
        caller = caller_of(scope)

        async def find() -> _Target:
            try:
                return _Target(Belonging(await self._services.wrapper.study(namespace, study_uid)))
            except NotFound:
                entry = await self._services.run(lambda: self._announcements.of_study(namespace, study_uid))
                if entry is None:
                    raise NotFound("study") from None
            caller.require(one_of(caller, PLANNERS), namespace)
            return _Target(of_entry(entry.values, datetime.now()), entry)

        await self._take(scope, receive, send, namespace, find)

    async def to_entry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make files into objects of the study a worklist entry announces: patient and order are the entry's.

        Form fields as for a study. The entry stays in its state; `begin` 1 starts one that is
        scheduled, as the desktop does. 409 for one that is canceled, or whose study is another patient's.
        """
        namespace = namespace_of(self._services, scope, Right.STORE)
        caller = caller_of(scope)
        caller.require(one_of(caller, PLANNERS), namespace)
        uid: str = scope["path_params"]["workitem_uid"]

        async def find() -> _Target:
            entry = await self._services.run(lambda: self._announcements.entry(namespace, uid))
            return _Target(await self._of_entry(namespace, entry), entry)

        await self._take(scope, receive, send, namespace, find)

    async def _of_entry(self, namespace: str, entry: Announced) -> Belonging:
        """What an entry and its study, if it is there, say. Raises Conflict."""
        now, uid = datetime.now(), entry.study_uid
        try:
            there = await self._services.wrapper.study(namespace, uid)
            laid = await self._services.run(lambda: self._services.views.values(namespace, uid, namespace))
        except NotFound:
            return of_entry(entry.values, now)
        shown = laid.get(PATIENT_ID, str(there.get("PatientID") or ""))
        return of_entry(entry.values, now, there, shown)

    async def _take(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        namespace: str,
        find: Callable[[], Awaitable[_Target]],
    ) -> None:
        call, caller = call_of(scope), caller_of(scope)
        await find()  # what cannot be is refused before the files are sent
        form = await self._form(scope, receive, namespace)
        try:
            label, begins = _label(form), _flag(form, "begin")
            target = await self._placed(namespace, await find(), caller)  # as things are now
            made = await self._made(form, FileObjects(target.belonging, label, datetime.now()), namespace)
        finally:
            await form.abort()
        results = await self._stored(made, target, caller, silent=call.silent)
        if target.entry is not None and begins:
            await self._begin(namespace, target.entry, caller)
        failed = [error for each in results if isinstance(error := each.exception(), Exception)]
        told = encode(response(base_url(scope), results))
        headers = [(b"content-type", DICOM_JSON.encode("ascii")), *warnings_of(failed)]
        await answer(send, 202 if failed else 200, told, headers)

    async def _form(self, scope: Scope, receive: Receive, namespace: str) -> Files:
        """The form, its files on the disk. Raises Refused (400, 413)."""
        call, limits = call_of(scope), self._services.limits
        boundary = boundary_of(call.header(b"content-type"))
        if boundary is None:
            remedy = f"Send {FORM} with fields called file; DICOM objects ({DICOM}) go to /studies."
            raise Refused(BAD_REQUEST, "The body is no form.", remedy)
        archive, workers = self._services.archive, self._services.workers

        def hold() -> HeldFile:
            return HeldFile(workers, lambda: archive.incoming(namespace, limit=limits.image_bytes))

        body = chunks(call, receive, limit=MOST_FILES * limits.image_bytes + FORM_AROUND, limits=limits)
        form = await read_files(body, boundary, file_field="file", hold=hold, most=MOST_FILES)
        if not form.files:
            raise Refused(BAD_REQUEST, "The form has no file.", "Send each file in a field called file.")
        return form

    async def _placed(self, namespace: str, target: _Target, caller: Caller) -> _Target:
        """The target with a study: an entry that names none gets one, durable before anything is stored."""
        entry, services = target.entry, self._services
        if entry is None or entry.study_uid:
            return target
        place, uid = self._announcements.place, fresh_uid("study")
        placed = announced(await services.durable(lambda: place(namespace, entry, uid, actor=caller.login)))
        return _Target(await self._of_entry(namespace, placed), placed)

    async def _begin(self, namespace: str, entry: Announced, caller: Caller) -> None:
        """Start a scheduled entry, an order as an item; one that has moved or gone meanwhile is left."""
        desk, login, uid = self._services.desk, caller.login, entry.uid
        with suppress(Conflict, NotFound):
            if not uid:
                study_uid = entry.study_uid
                item = await self._services.durable(lambda: desk.take_over(namespace, study_uid, actor=login))
                uid = item.uid
            if entry.state is State.SCHEDULED:
                await self._services.durable(lambda: desk.start(namespace, uid, actor=login))

    async def _made(self, form: Files, objects: FileObjects, namespace: str) -> list[Incoming]:
        """Every file as an object on the disk, none of them stored yet. Raises BadInput naming the file."""
        made: list[Incoming] = []
        try:
            for number, (part, held) in enumerate(form.files, 1):
                try:
                    made.append(await self._object(part, held, objects, namespace))
                except BadInput as error:
                    which = f"File {number} of {len(form.files)}: " if len(form.files) > 1 else ""
                    kind = Unsupported if isinstance(error, Unsupported) else BadInput
                    raise kind(which + error.message, error.remedy) from error
                await held.abort()
        except BaseException:
            for each in made:
                await self._services.run(each.abort)
            raise
        return made

    async def _object(self, part: Part, held: HeldFile, objects: FileObjects, namespace: str) -> Incoming:
        content = await content_in(await held.settle(), held.size, self._services.wrapper)

        def written() -> Incoming:
            incoming = self._services.archive.incoming(namespace)
            try:
                for piece in objects.object(content, part.file_name or "file"):
                    incoming.write(piece)
            except BaseException:
                incoming.abort()
                raise
            return incoming

        return await self._services.run(written)

    async def _stored(
        self, made: Sequence[Incoming], target: _Target, caller: Caller, *, silent: bool
    ) -> list[Future[StoreResult]]:
        """What became of each; at least one is durable. Raises StorageFault, Conflict where none is."""
        archive, study_uid = self._services.archive, str(target.belonging.study["StudyInstanceUID"])

        def put() -> list[Future[StoreResult]]:
            login = caller.login
            return [archive.store(each, actor=login, silent=silent, study_uid=study_uid) for each in made]

        results = await self._services.run(put)
        await asyncio.gather(*map(asyncio.wrap_future, results), return_exceptions=True)
        failed = [error for each in results if (error := each.exception()) is not None]
        if len(failed) == len(results):
            raise failed[0]
        return results


def _label(form: Files) -> Label:
    """What the form's fields say. Raises Refused (400) naming one that makes no sense."""
    return Label(
        _text(form, "description", LONGEST_DESCRIPTION),
        _text(form, "title", LONGEST_TITLE),
        _flag(form, "photographs"),
    )


def _text(form: Files, name: str, longest: int) -> str:
    text = form.fields.get(name, "").strip()
    if len(text) > longest:
        raise Refused(BAD_REQUEST, f"The field {name} is longer than {longest} characters.")
    if not text.isprintable() or "\\" in text:
        raise Refused(BAD_REQUEST, f"The field {name} must be one line, without a backslash.")
    return text


def _flag(form: Files, name: str) -> bool:
    value = form.fields.get(name, "").strip().lower()
    if value not in FLAGS:
        raise Refused(BAD_REQUEST, f"The field {name} must be 0 or 1.")
    return FLAGS[value]
