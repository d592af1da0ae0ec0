"""V3 storage, study level: schema, PHI, tags, transfer attributes, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from core.access.rights import Right
from core.archive.nouns import By
from core.memory import Recent
from server.web.call import call_of, caller_of
from server.web.errors import encode
from server.web.services import Services
from server.web.v3 import shapes

STUDY = "/api/v3/storage/study/{namespace}/{study_uid}"
ATTACHMENT = f"{STUDY}/attachment"

SCHEMA_BYTES = 32 << 20
"""Of schemas in memory: a thousand of usual studies, dozens of the largest."""

Namespace = Annotated[str, Path(description="Storage namespace.")]
StudyUid = Annotated[str, Path(description="Study Instance UID.")]
ImageUid = Annotated[str, Path(description="SOP Instance UID.")]
Version = Annotated[str, Path(description="Image version, or * for the current one.")]
PhiNamespace = Annotated[str | None, Query(description="Namespace whose PHI overlay is laid on top.")]


def json_response(value: object, status: int = 200) -> Response:
    """A JSON answer made by us."""
    return Response(encode(value), status, media_type="application/json")


def _flags(**flags: str) -> dict[str, Any]:
    """Parameters that are read from the call itself, for the description of a route."""
    found = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in flags.items()
    ]
    return {"parameters": found}


def router(services: Services) -> APIRouter:
    """The routes; each asks the archive once."""
    routes = APIRouter(tags=["V3 storage"])
    archive = services.archive
    kept = Recent(SCHEMA_BYTES)

    def allow(request: Request, namespace: str, phi_namespace: str | None) -> None:
        caller = caller_of(request.scope)
        caller.require(Right.VIEW, namespace)
        if phi_namespace:
            caller.require(Right.VIEW, phi_namespace)

    @routes.get(
        f"{STUDY}/schema",
        responses={200: {"model": shapes.Schema}},
        openapi_extra=_flags(
            extended="1 adds phi_version and transfer_attributes.",
            attachments_only="1 leaves the series out.",
        ),
    )
    def schema(
        request: Request, namespace: Namespace, study_uid: StudyUid, phi_namespace: PhiNamespace = None
    ) -> Response:
        """Images and attachments of a study, by series."""
        allow(request, namespace, phi_namespace)
        call = call_of(request.scope)
        wide, attachments_only = call.flag("extended"), call.flag("attachments_only")
        name = f"{archive.state(namespace, study_uid).name}/{attachments_only}"
        if not wide and (body := kept.get(name)):
            return Response(body, media_type="application/json")
        found = archive.schema(namespace, study_uid, phi_namespace or None)
        value: dict[str, Any] = {**shapes.schema(found, attachments_only=attachments_only)}
        if wide:
            value |= shapes.extended(archive, found, phi_namespace or None)
            return json_response(value)
        body = encode(value)
        kept.put(name, body)
        return Response(body, media_type="application/json")

    @routes.get(f"{STUDY}/phi", responses={200: {"model": shapes.Phi}})
    def study_phi(
        request: Request, namespace: Namespace, study_uid: StudyUid, phi_namespace: PhiNamespace = None
    ) -> Response:
        """The "average" PHI of a study: the most frequent value of each element."""
        allow(request, namespace, phi_namespace)
        values = archive.study_phi(namespace, study_uid, phi_namespace or None)
        return json_response(shapes.phi(study_uid, values))

    @routes.get(f"{STUDY}/tag", responses={200: {"model": shapes.Tags}})
    def study_tags(
        request: Request, namespace: Namespace, study_uid: StudyUid, phi_namespace: PhiNamespace = None
    ) -> Response:
        """Average PHI and attributes of a study, with its size and counts."""
        allow(request, namespace, phi_namespace)
        return json_response(shapes.tags(archive.study_tags(namespace, study_uid, phi_namespace or None)))

    @routes.get(f"{STUDY}/attribute/transfer", responses={200: {"model": shapes.TransferAttributes}})
    def transfer_attributes(
        request: Request, namespace: Namespace, study_uid: StudyUid, phi_namespace: PhiNamespace = None
    ) -> Response:
        """Transfer syntaxes and media storage SOP classes of a study."""
        allow(request, namespace, phi_namespace)
        return json_response(shapes.transfer_attributes(archive.transfer_attributes(namespace, study_uid)))

    @routes.get(STUDY + "/image{image_uid}/version/{version}/phi", include_in_schema=False)
    @routes.get(STUDY + "/image/{image_uid}/version/{version}/phi", responses={200: {"model": shapes.Phi}})
    def image_phi(
        request: Request,
        namespace: Namespace,
        study_uid: StudyUid,
        image_uid: ImageUid,
        version: Version,
        *,
        phi_namespace: PhiNamespace = None,
    ) -> Response:
        """PHI of one image."""
        allow(request, namespace, phi_namespace)
        values = archive.image_phi(namespace, study_uid, image_uid, version, phi_namespace or None)
        return json_response(shapes.phi(image_uid, values))

    @routes.delete(STUDY, status_code=202, openapi_extra=_flags(keep_attachments="1 keeps its attachments."))
    async def delete_study(request: Request, namespace: Namespace, study_uid: StudyUid) -> Response:
        """Delete a study with its PHI, attachments and images; it stays in the trash for a while."""
        caller = caller_of(request.scope)
        caller.require(Right.DELETE, namespace)
        call = call_of(request.scope)
        by = By(caller.login, call.silent)
        if call.flag("keep_attachments"):
            await services.durable(lambda: services.removals.all_images(namespace, study_uid, by))
        else:
            await services.durable(
                lambda: archive.delete_study(namespace, study_uid, by.actor, silent=by.silent)
            )
        await services.run(lambda: services.pictures.forget(namespace, study_uid))
        return Response(status_code=202)

    return routes
