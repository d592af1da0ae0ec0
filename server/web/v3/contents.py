"""V3 storage, what is inside of images: elements as JSON, the PDF, the video, findings, counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.access.rights import Right
from core.archive import contents
from core.archive.nouns import CURRENT, StoredImage
from core.dicom.cad import cad_findings
from core.dicom.dump import Filter, dump
from core.dicom.inside import Inside, pdf_in, video_in
from core.errors import NotAcceptable, StorageFault
from server.web.arrays import send_array
from server.web.call import Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.errors import encode
from server.web.files import Stored, send_stored
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.study import STUDY

TAG = "V3 storage"
SPELLINGS = ("/image/{image_uid}", "/image{image_uid}")
FILTERS = {
    "phi_namespace": "Namespace whose PHI overlay is laid on top.",
    "groups": "Groups wanted, decimal or 0x hexadecimal, with commas.",
    "include_tags": "Tags wanted, as 00080018, with commas.",
    "exclude_unnamed": "1 leaves out elements without a name.",
}
VALUES = {**FILTERS, "all_dicom_values": "1 gives all values of an element, joined by a backslash."}


class ContentRoutes:
    """Handlers of what is inside of stored objects."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        phi = {"phi_namespace": FILTERS["phi_namespace"]}
        found = [
            Operation(
                f"{STUDY}/json", "GET", self.study_json, TAG, query={**VALUES, "series_uid": "One series."}
            ),
            Operation(
                f"{STUDY}/count",
                "GET",
                self.count,
                TAG,
                query={
                    "images_only": "1 counts images only.",
                    "attachments_only": "1 counts attachments only.",
                    "count_files": "1 looks for each file.",
                },
            ),
        ]
        for spelling in SPELLINGS:
            image, plain = f"{STUDY}{spelling}/version/{{version}}", spelling == SPELLINGS[0]
            pdf = {200: ("application/pdf",), 415: ("application/json",)}
            video = {200: ("video/mp4", "video/mpeg"), 415: ("application/json",)}
            reencode = {"reencode_video": "1 wants what browsers play: MP4; other streams are 406."}
            found += [
                Operation(f"{image}/json", "GET", self.image_json, TAG, query=VALUES, documented=plain),
                Operation(f"{image}/attribute", "GET", self.attribute, TAG, query=FILTERS, documented=plain),
                Operation(f"{image}/cadsr", "GET", self.cadsr, TAG, query=phi, documented=plain),
                Operation(f"{image}/pdf", "GET", self.pdf, TAG, answers=pdf, query=phi, documented=plain),
                Operation(
                    f"{image}/video", "GET", self.video, TAG, answers=video, query=reencode, documented=plain
                ),
            ]
        return found

    async def study_json(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The elements of every image of a study, or of one series, streamed as a JSON array."""
        wanted, laid_over = self._filter(scope), self._overlay(scope)
        namespace, study_uid = scope["path_params"]["namespace"], scope["path_params"]["study_uid"]
        series_uid = call_of(scope).query("series_uid")
        overlay = await self._services.run(laid_over)
        uids = await self._services.run(
            lambda: contents.images_of(self._archive, namespace, study_uid, series_uid)
        )

        def some(chosen: Sequence[str]) -> bytes:
            images = (self._archive.image(namespace, study_uid, uid) for uid in chosen)
            return b",".join(encode({"tags": dump(image.path, wanted, overlay)}) for image in images)

        await send_array(self._services, call_of(scope), send, uids, some)

    async def image_json(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every element of an image up to its pixel data: name, group, element, vr, vl, value."""
        wanted, laid_over = self._filter(scope), self._overlay(scope)
        value = await self._services.run(
            lambda: {"tags": dump(self._find(scope).path, wanted, laid_over())},
        )
        await answer_json(send, 200, value)

    async def attribute(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The elements of an image, all values of each."""
        await self.image_json(scope, receive, send)

    async def cadsr(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The findings of a CAD structured report; none if it is another object."""
        await answer_json(send, 200, await self._services.run(lambda: cad_findings(self._find(scope).path)))

    async def pdf(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The PDF an object encapsulates; 415 if it does not."""
        await self._inside(scope, receive, send, pdf_in, "pdf")

    async def video(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The video stream an object holds; 415 if it does not."""
        playable = call_of(scope).flag("reencode_video")

        def find_in(path: Path) -> Inside:
            inside = video_in(path)
            if playable and inside.media_type != "video/mp4":
                raise NotAcceptable(
                    "The video is stored as it came, and there is no encoder here to make another of it.",
                    "Leave reencode_video out.",
                )
            return inside

        await self._inside(scope, receive, send, find_in, "video")

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """How many images and attachments a study has."""
        params, call = scope["path_params"], call_of(scope)
        namespace, study_uid = params["namespace"], params["study_uid"]
        caller_of(scope).require(Right.VIEW, namespace)
        on_disk = call.flag("count_files")
        only = {"image_count": call.flag("images_only"), "attachment_count": call.flag("attachments_only")}
        found = await self._services.run(
            lambda: contents.counts(self._archive, namespace, study_uid, on_disk=on_disk)
        )
        value = {"image_count": found.images, "attachment_count": found.attachments}
        if any(only.values()):
            value = {name: number for name, number in value.items() if only[name]}
        await answer_json(send, 200, {"namespace": namespace, "study_uid": study_uid, **value})

    async def _inside(
        self, scope: Scope, receive: Receive, send: Send, find_in: Callable[[Path], Inside], what: str
    ) -> None:
        pinned = scope["path_params"]["version"] != CURRENT

        def find() -> Stored:
            image = self._find(scope)
            try:
                inside = find_in(image.path)
            except OSError as error:
                raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
            ending = {"application/pdf": "pdf", "video/mpeg": "mpg", "video/mp2t": "ts"}.get(
                inside.media_type, "mp4"
            )
            return Stored(
                path=image.path,
                bytes=inside.size,
                version=f"{image.version}-{what}",
                content_type=inside.media_type,
                pinned=pinned,
                file_name=f"{image.sop_instance_uid}.{ending}",
                spans=inside.spans,
            )

        await send_stored(call_of(scope), receive, send, self._services.workers, find)

    def _filter(self, scope: Scope) -> Filter:
        call = call_of(scope)
        every = str(scope["path"]).endswith("/attribute") or call.flag("all_dicom_values")
        return Filter.of(
            call.query("groups"),
            call.query("include_tags"),
            exclude_unnamed=call.flag("exclude_unnamed"),
            all_values=every,
        )

    def _overlay(self, scope: Scope) -> Callable[[], Mapping[int, str]]:
        namespace, study_uid = scope["path_params"]["namespace"], scope["path_params"]["study_uid"]
        phi_namespace = self._allow(scope)
        return lambda: contents.overlay(self._archive, namespace, study_uid, phi_namespace or None)

    def _find(self, scope: Scope) -> StoredImage:
        params: dict[str, Any] = scope["path_params"]
        self._allow(scope)
        return self._archive.image(
            params["namespace"], params["study_uid"], params["image_uid"], params["version"]
        )

    def _allow(self, scope: Scope) -> str:
        caller, phi_namespace = caller_of(scope), call_of(scope).query("phi_namespace")
        caller.require(Right.VIEW, scope["path_params"]["namespace"])
        if phi_namespace:
            caller.require(Right.VIEW, phi_namespace)
        return phi_namespace
