"""Files of the pages and the pages themselves, with the headers that keep a page to itself."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from functools import cache
from importlib import resources

from core.errors import NotFound
from server.web.call import Headers, Receive, Scope, Send, answer, call_of
from server.web.streaming import Operation

TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
HTML = (b"content-type", b"text/html; charset=utf-8")
POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
)
PAGE: Headers = [
    HTML,
    POLICY,
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    content_type: bytes
    tag: bytes


@cache
def _assets() -> dict[str, Asset]:
    """Every file of the pages by its name."""
    found: dict[str, Asset] = {}
    for file in (resources.files("resources") / "web").iterdir():
        kind = TYPES.get(file.name[file.name.rfind(".") :])
        if kind is not None:
            body = file.read_bytes()
            found[file.name] = Asset(body, kind, b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())
    return found


@cache
def _template(name: str) -> str:
    return (resources.files("resources") / "web" / name).read_text("utf-8")


async def asset(scope: Scope, receive: Receive, send: Send) -> None:
    """A style sheet, a script or a drawing of the pages."""
    found = _assets().get(scope["path_params"]["file"])
    if found is None:
        raise NotFound("page", "There is nothing at this address.")
    headers = [
        (b"content-type", found.content_type),
        (b"etag", found.tag),
        (b"cache-control", b"no-cache"),  # asked for again, so that no page mixes two versions
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
    if found.tag in call_of(scope).headers.get(b"if-none-match", b""):
        await answer(send, 304, headers=headers)
    else:
        await answer(send, 200, found.body, headers)


async def send_page(send: Send, status: int, name: str, values: dict[str, str] | None = None) -> None:
    """A page; each {{name}} in it becomes its value, which is text, never markup."""
    text = _template(name)
    for key, value in (values or {}).items():
        text = text.replace("{{" + key + "}}", html.escape(value, quote=True))
    await answer(send, status, text.encode(), PAGE)


def operations() -> list[Operation]:
    """Routes of the files."""
    return [Operation("/pages/{file}", "GET", asset, "Pages", documented=False)]
