"""Routes whose bodies stream: plain ASGI handlers in front of the framework, documented beside its routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import BaseRoute, Match, Route, Router

from server.web.call import App, Receive, Scope, Send

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: *body* and *answers* are media types for the documentation, *query* what parameters do."""

    path: str
    method: str
    handler: Handler
    tag: str
    body: tuple[str, ...] = ()
    answers: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: {200: ("application/json",)})
    query: Mapping[str, str] = field(default_factory=dict)
    documented: bool = True
    fields: Mapping[str, bool] = field(default_factory=dict)
    """Members of a JSON body, and whether each must be there."""


class _Endpoint:
    """Wraps a handler so that the router calls it as ASGI."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.handler(scope, receive, send)


class StreamingRouter:
    """Operations first, then *rest*; errors of both are raised to the gate."""

    def __init__(self, operations: Iterable[Operation], rest: App, others: Sequence[BaseRoute] = ()) -> None:
        """*others* are the routes of *rest*: what an address takes is the same wherever it is served."""
        routes = [Route(each.path, _Endpoint(each.handler), methods=[each.method]) for each in operations]
        shaped = [(_shape(route.path), route) for route in routes]
        shapes = {shape for shape, _ in shaped if shape is not None}
        shapes |= {(count, first, "") for count, first, _ in shapes}
        self._routers = {shape: _router(shaped, rest, shape) for shape in shapes}
        self._other = _router(shaped, rest, None)
        self._all: tuple[BaseRoute, ...] = (*routes, *others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self  # tells the routes to raise what they refuse
        scope["state"]["allowed"] = lambda: self._allowed(scope)
        router = self._router(scope["path"])
        if (handler := _matched(router, scope)) is not None:
            await handler(scope, receive, send)
        else:
            await router(scope, receive, send)

    def _router(self, path: str) -> Router:
        count, first, last = _segments(path)
        routers = self._routers
        return routers.get((count, first, last)) or routers.get((count, first, "")) or self._other

    def _allowed(self, scope: Scope) -> str:
        """Every method the address of *scope* takes, as the header Allow has it."""
        found: set[str] = set()
        for route in self._all:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                found |= route.methods or set()
        return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


_Shape = tuple[int, str, str]
"""How many segments an address has, its first and last: of hundreds of routes few need to be tried."""


def _shape(path: str) -> _Shape | None:
    """The shape of all addresses a route serves, last "" for any; None for one that serves several shapes."""
    count, first, last = _segments(path)
    if ":path}" in path or "{" in first:
        return None
    return count, first, "" if "{" in last else last


def _segments(path: str) -> _Shape:
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return path.count("/"), first, path.rpartition("/")[2]


def _router(shaped: Iterable[tuple[_Shape | None, Route]], rest: App, shape: _Shape | None) -> Router:
    """Serves addresses of one shape."""
    chosen = [route for served, route in shaped if _fits(served, shape)]
    return Router(chosen, redirect_slashes=False, default=rest)


def _matched(router: Router, scope: Scope) -> Handler | None:
    """What serves *scope*, found as the router would; None for what else there is to be said."""
    if scope.get("root_path"):
        return None
    for route in router.routes:
        if not isinstance(route, Route) or not isinstance(route.app, _Endpoint):
            return None
        if scope["method"] in (route.methods or ()) and (match := route.path_regex.match(scope["path"])):
            scope["route"], scope["path_params"] = route, match.groupdict()
            return route.app.handler
    return None


def _fits(served: _Shape | None, shape: _Shape | None) -> bool:
    if served is None or shape is None:
        return served is None
    return served[:2] == shape[:2] and served[2] in ("", shape[2])


def documented(operations: Iterable[Operation]) -> dict[str, dict[str, Any]]:
    """OpenAPI path items of *operations*."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        if each.documented:
            paths.setdefault(each.path.replace(":path}", "}"), {})[each.method.lower()] = _item(each)
    return paths


def _item(operation: Operation) -> dict[str, Any]:
    summary, _, more = (operation.handler.__doc__ or "").partition("\n")
    names = [part[1:-1] for part in _placeholders(operation.path)]
    item: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": summary.strip(),
        "operationId": "_".join((operation.method.lower(), *re.findall("[A-Za-z0-9]+", operation.path))),
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
            *(
                {"name": n, "in": "query", "description": text, "schema": {"type": "string"}}
                for n, text in operation.query.items()
            ),
        ],
        "responses": {
            str(status): {
                "description": "Done" if status < 400 else "Refused",
                "content": {media: {"schema": _schema(media)} for media in types},
            }
            for status, types in operation.answers.items()
        },
    }
    if text := " ".join(more.split()):
        item["description"] = text
    if operation.body:
        item["requestBody"] = {
            "required": True,
            "content": {media: {"schema": _body_schema(media, operation)} for media in operation.body},
        }
    return item


def _placeholders(path: str) -> list[str]:
    return ["{" + part.split("}")[0].split(":")[0] + "}" for part in path.split("{")[1:]]


def _body_schema(media: str, operation: Operation) -> dict[str, Any]:
    if not operation.fields:
        return _schema(media)
    file = {"type": "string", "format": "binary"}
    members = {name: file if name == "file" else {"type": "string"} for name in operation.fields}
    needed = [name for name, must in operation.fields.items() if must]
    return {"type": "object", "properties": members, "required": needed}


def _schema(media: str) -> dict[str, Any]:
    if media.endswith("json"):
        return {"type": "object"}
    if media == "multipart/form-data":
        fields = {"data": {"type": "string", "format": "binary"}, "uploaded_by": {"type": "string"}}
        return {"type": "object", "properties": fields, "required": ["data"]}
    return {"type": "string", "format": "binary"}
