"""The one part of a multipart/related answer (RFC 2387): of WADO-RS, one object or one frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message
from typing import BinaryIO, NamedTuple

from core.errors import KnownError, Unreachable
from core.net.answers import Answer

LONGEST_HEAD = 64 << 10
LONGEST_TAIL = 1024
"""The last boundary and what may stand around it."""


class Parted(NamedTuple):
    """Content-Type of a part with its parameters, and its bytes."""

    media_type: str
    parameters: Mapping[str, str]
    data: bytes


def only_part(answer: Answer, peer: str) -> Parted:
    """The first part of *answer*, or its body where that is not multipart. Raises KnownError."""
    media_type, parameters = content_type(answer.headers.get("content-type", ""))
    if not media_type.startswith("multipart/"):
        return Parted(media_type, parameters, answer.content)
    boundary = b"--" + parameters.get("boundary", "").encode("latin-1", "replace")
    start = answer.content.find(boundary)
    head_end = answer.content.find(b"\r\n\r\n", start)
    if len(boundary) == 2 or start < 0 or head_end < 0:
        raise _not_multipart(peer)
    end = answer.content.find(b"\r\n" + boundary, head_end + 2)
    if end < 0:
        raise Unreachable(f"{peer} broke off in the middle of an image.", "Try again.")
    own_type, own_parameters = content_type(_header(answer.content[start:head_end], b"content-type"))
    if not own_type:  # some say it of all parts at once
        own_type, own_parameters = content_type(parameters.get("type", ""))
    return Parted(own_type, own_parameters, answer.content[head_end + 4 : end])


def copy_only_part(pieces: Iterator[bytes], out: BinaryIO, peer: str) -> None:
    """Write the first part of a body, or the body itself where it is none, to *out*. Raises KnownError."""
    head = b""
    for piece in pieces:
        head += piece
        if b"\r\n\r\n" in head or len(head) > LONGEST_HEAD or not b"--".startswith(head.lstrip()[:2]):
            break
    body = head.lstrip(b"\r\n")
    if not body.startswith(b"--"):
        out.write(head)
        out.writelines(pieces)
        return
    top, blank, rest = body.partition(b"\r\n\r\n")
    if not blank:
        raise _not_multipart(peer)
    out.write(rest)
    out.writelines(pieces)
    size = out.tell()
    out.seek(max(0, size - LONGEST_TAIL))
    tail = out.read()
    end = tail.rfind(b"\r\n" + top.split(b"\r\n", 1)[0].rstrip())
    if end < 0:
        raise Unreachable(f"{peer} broke off in the middle of an image.", "Try again.")
    out.truncate(size - len(tail) + end)


def content_type(text: str) -> tuple[str, Mapping[str, str]]:
    """Media type in small letters, and parameters; *type* may be a media type with parameters again."""
    message = Message()
    message["content-type"] = text
    found = {name.lower(): value for name, value in message.get_params(failobj=[])[1:]}
    return (message.get_content_type() if text else ""), found


def _header(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n"):
        key, colon, value = line.partition(b":")
        if colon and key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return ""


def _not_multipart(peer: str) -> KnownError:
    return KnownError(f"{peer} sent an image in a form that cannot be read.", "Ask its administrator.")
