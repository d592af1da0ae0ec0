"""V3 storage, metadata in the DICOM JSON model: of an instance an object, of a series or study an array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.access.rights import Right
from core.archive import contents
from core.dicom.json_model import metadata
from core.errors import NotFound
from server.web.arrays import send_array
from server.web.call import Receive, Scope, Send, answer, call_of, caller_of
from server.web.errors import encode
from server.web.services import Services
from server.web.streaming import Operation

STUDY = "/api/v3/storage/dicomweb/{namespace}/studies/{study_uid}"
SERIES = f"{STUDY}/series/{{series_uid}}"
INSTANCE = f"{SERIES}/instances/{{image_uid}}"
DICOM_JSON = "application/dicom+json"


class MetadataRoutes:
    """Handlers of metadata over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (DICOM_JSON, "application/json"), 404: ("application/json",)}
        query = {"phi_namespace": "Namespace whose PHI overlay is laid on top."}
        handlers = {STUDY: self.several, SERIES: self.several, INSTANCE: self.one}
        return [
            Operation(f"{path}/metadata", "GET", handler, "V3 storage", answers=answers, query=query)
            for path, handler in handlers.items()
        ]

    async def several(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The elements of every image of a study, or of one series, without bulk data."""
        uids, overlay = await self._services.run(lambda: self._found(scope))
        namespace, study_uid = scope["path_params"]["namespace"], scope["path_params"]["study_uid"]

        def some(chosen: Sequence[str]) -> bytes:
            images = (self._archive.image(namespace, study_uid, uid) for uid in chosen)
            return b",".join(encode(metadata(image.path, overlay)) for image in images)

        await send_array(
            self._services, call_of(scope), send, uids, some, media_type=_media_type(scope).encode()
        )

    async def one(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The elements of one image, without bulk data."""
        params = scope["path_params"]

        def work() -> bytes:
            uids, overlay = self._found(scope)
            if params["image_uid"] not in uids:
                raise NotFound("image", "Image wasn't found by provided ids.")
            image = self._archive.image(params["namespace"], params["study_uid"], params["image_uid"])
            return encode(metadata(image.path, overlay))

        await answer(
            send, 200, await self._services.run(work), [(b"content-type", _media_type(scope).encode())]
        )

    def _found(self, scope: Scope) -> tuple[list[str], Mapping[int, str]]:
        """The images the address names, and what lies over them. Raises NotFound, Denied."""
        params, caller = scope["path_params"], caller_of(scope)
        namespace, study_uid = params["namespace"], params["study_uid"]
        caller.require(Right.VIEW, namespace)
        phi_namespace = call_of(scope).query("phi_namespace")
        if phi_namespace:
            caller.require(Right.VIEW, phi_namespace)
        uids = contents.images_of(self._archive, namespace, study_uid, params.get("series_uid", ""))
        return uids, contents.overlay(self._archive, namespace, study_uid, phi_namespace or None)


def _media_type(scope: Scope) -> str:
    """JSON under its plain name for who asks for that."""
    wanted = call_of(scope).header(b"accept").lower()
    return "application/json" if "application/json" in wanted and DICOM_JSON not in wanted else DICOM_JSON
