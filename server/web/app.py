"""The web application: one gate, streaming routes in front, the framework's documented routes behind."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from core.errors import KnownError
from server.web import docs
from server.web.call import App
from server.web.cors import Cors
from server.web.desktop import routes as desktop
from server.web.desktop.gateway import GatewayRoutes
from server.web.desktop.pacs import PacsRoutes
from server.web.desktop.together import TogetherRoutes
from server.web.desktop.worklist import WorklistRoutes
from server.web.dicomweb import routes as dicomweb
from server.web.dicomweb import subscribers
from server.web.errors import BAD_REQUEST, Refused
from server.web.guard import Guard
from server.web.middleware import Gate, refuse
from server.web.operations import OperationRoutes
from server.web.pages import routes as pages
from server.web.service import routes as service
from server.web.services import Services
from server.web.streaming import StreamingRouter
from server.web.trusted import Loopback
from server.web.v3 import channel, further, study
from server.web.v3.attachments import AttachmentRoutes
from server.web.v3.images import ImageRoutes
from server.web.v3.notifications import NotificationRoutes
from server.web.v3.orders import OrderRoutes
from server.web.v3.session import SessionRoutes
from server.web.v3.studies import StudyServiceRoutes


def build(services: Services, guard: Guard, cors: Cors | None = None) -> App:
    """The application for the public listener."""
    streaming = [
        *ImageRoutes(services).operations(),
        *AttachmentRoutes(services).operations(),
        *OrderRoutes(services).operations(),
        *further.operations(services),
        *SessionRoutes(services).operations(),
        *StudyServiceRoutes(services).operations(),
        *TogetherRoutes(services).operations(),
        *WorklistRoutes(services).operations(),
        *PacsRoutes(services).operations(),
        *GatewayRoutes(services).operations(),
        *dicomweb.operations(services),
        *service.operations(services),
        *OperationRoutes(services).operations(),
        *docs.operations(),
        *pages.operations(services),
    ]
    framework = _framework(services)
    routers = (study.router(services), desktop.router(services))
    for router in routers:
        framework.include_router(router)
    docs.describe(framework, streaming)
    return Gate(
        StreamingRouter(streaming, framework, [route for router in routers for route in router.routes]),
        guard,
        services.authenticator,
        services.metrics,
        jobs=services.jobs,
        sockets={channel.PATH: channel.Channel(services), **subscribers.sockets(services)},
        cors=cors or Cors(),
    )


def build_internal(services: Services, guard: Guard) -> App:
    """The application for the internal listener: probes, notifications and scans; loopback is trusted."""
    streaming = OperationRoutes(services).operations()
    if services.notifying is not None:
        streaming += NotificationRoutes(services, services.notifying).operations()
    return Gate(
        StreamingRouter(streaming, _framework(services, None)),
        guard,
        Loopback(),
        services.metrics,
    )


def _framework(services: Services, openapi_url: str | None = "/openapi.json") -> FastAPI:
    app = FastAPI(
        title="Filmjacket",
        version=services.about.version,
        openapi_url=openapi_url,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )

    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = " ".join(str(part) for part in first["loc"])
            error = Refused(BAD_REQUEST, f"The {where} is not valid: {first['msg']}.")
        refusal = refuse(error, request.scope)
        headers = {name.decode(): value.decode() for name, value in refusal.headers}
        return Response(refusal.body, refusal.status, headers)

    for kind in (KnownError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, refused)
    return app
