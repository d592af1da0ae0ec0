"""The API's description at /openapi.json and Swagger UI at /docs, served from our own files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from core.errors import NotFound
from server.web.call import Receive, Scope, Send, answer
from server.web.streaming import Operation, documented
from server.web.v3 import shapes

FILES = {
    "index.html": b"text/html; charset=utf-8",
    "start.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "favicon-32x32.png": b"image/png",
}
POLICY = (
    b"content-security-policy",
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
)
SECURITY = {
    "sid cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "sid parameter": {"type": "apiKey", "in": "query", "name": "sid"},
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Swagger UI."""
    name: str = scope["path_params"].get("file", "index.html")
    if name not in FILES:
        raise NotFound("page", "There is nothing at this address.")
    body = (resources.files("resources") / "swagger" / name).read_bytes()
    headers = [(b"content-type", FILES[name]), (b"cache-control", b"private, max-age=3600"), POLICY]
    await answer(send, 200, body, headers)


def operations() -> list[Operation]:
    """Routes of the page and its files."""
    return [
        Operation("/docs", "GET", page, "Operations", documented=False),
        Operation("/docs/{file}", "GET", page, "Operations", documented=False),
    ]


def describe(app: FastAPI, streaming: Sequence[Operation]) -> None:
    """Make *app* describe the streaming routes beside its own, with our errors and ways to log in."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            value = get_openapi(title=app.title, version=app.version, routes=app.routes)
            for path, items in documented(streaming).items():
                value["paths"].setdefault(path, {}).update(items)
            parts = value.setdefault("components", {})
            parts["securitySchemes"] = SECURITY
            parts.setdefault("schemas", {})["Error"] = _error_schema()
            for items in value["paths"].values():
                for operation in items.values():
                    _with_errors(operation)
                if "get" in items:
                    items["head"] = {**items["get"], "operationId": f"{items['get']['operationId']}_head"}
            value["security"] = [{name: []} for name in SECURITY]
            app.openapi_schema = value
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's own way to extend the description


def _with_errors(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]  # ours are 400, in the API's own form
    answers["default"] = {
        "description": "Refused; the error says why",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _error_schema() -> dict[str, Any]:
    from pydantic import TypeAdapter

    value = TypeAdapter(shapes.Error).json_schema()
    kind = value.pop("$defs")["ErrorKind"]
    value["properties"]["kind"] = kind
    return value
