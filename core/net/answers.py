"""An HTTP answer, and the known error that an unwelcome one means.

| status | error |
|---|---|
| 400 406 412 416 422 | BadInput |
| 401 | Unauthenticated |
| 403 | Denied |
| 404 405 410 | NotFound |
| 409 | Conflict |
| 413 | TooLarge |
| 415 | Unsupported |
| 429 502 503 | Unreachable (with Retry-After) |
| 408 504 | TookTooLong |
| 507 | StorageFault |
| any other | KnownError |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import (
    BadInput,
    Conflict,
    Denied,
    KnownError,
    NotFound,
    StorageFault,
    TookTooLong,
    TooLarge,
    Unauthenticated,
    Unreachable,
    Unsupported,
)

ACCESS_DENIED = 7
"""V3 error code of a bad session as well as of an unknown namespace."""
KINDS = {14: "image", 16: "attachment", 17: "series", 18: "study"}
"""V3 error codes that say what is missing."""
LONGEST_QUOTE = 200
LONGEST_WAIT_S = 30.0

REFUSED: dict[int, tuple[type[KnownError], str]] = {
    400: (BadInput, "It refused the request"),
    401: (Unauthenticated, "It does not accept the login"),
    403: (Denied, "The account may not do this there"),
    406: (BadInput, "It refused the request"),
    409: (Conflict, "It collides with what is there"),
    412: (BadInput, "It refused the request"),
    413: (TooLarge, "It is too large for it or for a proxy before it"),
    415: (Unsupported, "It does not take this kind of object"),
    416: (BadInput, "It refused the request"),
    422: (BadInput, "It refused the request"),
    507: (StorageFault, "Its disk is full or failing"),
}
REMEDIES: dict[type[KnownError], str] = {
    Unauthenticated: "Check the login and the password of the destination.",
    Denied: "Ask its administrator for the right to do this, or use another account or namespace.",
    StorageFault: "Free space at the destination, then go on with the upload.",
    TooLarge: "Ask its administrator to raise the limit for the size of a request.",
}
TRY_LATER = frozenset({408, 429, 502, 503, 504})
TOO_SLOW = frozenset({408, 504})


class UnknownNamespace(Denied):
    """Denied by the code that also means: there is no such namespace (yet)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and whole body of one answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises KnownError if it is none."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise KnownError(
                "The answer is not the JSON that was expected.",
                "Check that the address is that of an archive that speaks V3 storage.",
            ) from error

    def object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises KnownError."""
        value = self.json()
        if not isinstance(value, dict):
            raise KnownError("The answer is not the JSON object that was expected.")
        return value


def v3_code(answer: Answer) -> int:
    """The code of a V3 error answer, 0 if it has none."""
    try:
        code = answer.object().get("kind", {}).get("code", 0)
    except (KnownError, AttributeError):
        return 0
    return code if isinstance(code, int) else 0


def known_error(answer: Answer, peer: str) -> KnownError:
    """What an answer that is not 2xx means to the caller; *peer* is who gave it, for the message."""
    status, said = answer.status, _quoted(answer)
    if status in TRY_LATER:
        kind = TookTooLong if status in TOO_SLOW else Unreachable
        return kind(
            f"{peer} is busy or out of service (HTTP {status}).",
            "Wait a little, then try again.",
            retry_after_s=_retry_after_s(answer),
        )
    if status in {404, 405, 410}:
        return NotFound(
            KINDS.get(v3_code(answer), "resource"), f"{peer} does not have it (HTTP {status}).{said}"
        )
    if 300 <= status < 400:
        return KnownError(
            f"{peer} answered with a redirect, which is not followed (HTTP {status}).",
            "Use the address of the archive itself.",
        )
    if status == 403 and v3_code(answer) == ACCESS_DENIED:
        return UnknownNamespace(f"{peer} knows no such namespace, or not for this account.{said}")
    if status in REFUSED:
        refused, sentence = REFUSED[status]
        return refused(f"{peer}: {sentence} (HTTP {status}).{said}", REMEDIES.get(refused, ""))
    if 400 <= status < 500:
        return BadInput(f"{peer}: It refused the request (HTTP {status}).{said}")
    return KnownError(
        f"{peer} had a fault of its own (HTTP {status}).{said}", "Try again; else ask its administrator."
    )


def _quoted(answer: Answer) -> str:
    """The sentence of a V3 error answer, made fit to be shown; anything else a peer says is left out."""
    try:
        body = answer.object()
    except KnownError:
        return ""
    message = body.get("message")
    if "kind" not in body or not isinstance(message, str) or not message.strip():
        return ""
    clean = "".join(c if c.isprintable() else " " for c in message).strip()
    return f" It says: {clean[:LONGEST_QUOTE]}"


def _retry_after_s(answer: Answer) -> float:
    value = answer.headers.get("retry-after", "")
    return min(float(value), LONGEST_WAIT_S) if value.isascii() and value.isdigit() else 0.0
