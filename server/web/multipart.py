"""Multipart form bodies (RFC 7578) as they stream in: one file into an intake, small fields into text."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from server.web.errors import BAD_REQUEST, TOO_LARGE, Refused
from server.web.intake import Intake

MAX_FIELD = 64 << 10
MAX_PARTS = 64
BOUNDARY = re.compile(
    r"[^;]*;.*\bboundary=(?:\"([^\"]{1,250})\"|([^\s;\"]{1,250}))", re.IGNORECASE | re.DOTALL
)

Event = tuple[Literal["part", "data", "end"], bytes]


@dataclass(slots=True)
class Part:
    """Headers of one part; *file_name* is None for a plain field."""

    name: str = ""
    file_name: str | None = None
    content_type: str = ""


@dataclass(slots=True)
class Form:
    """What a form held: text fields, and the one file that went into *intake*."""

    fields: dict[str, str] = field(default_factory=dict)
    file: Part | None = None
    intake: Intake | None = None


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a Content-Type, whatever the type before it says; None if it has none.

    Raises Refused (400) where the type is multipart, which cannot be read without (RFC 2046 5.1.1).
    """
    match = BOUNDARY.match(content_type)
    if match is None and content_type.lstrip().lower().startswith("multipart/"):
        raise Refused(BAD_REQUEST, "The Content-Type is multipart and names no boundary.")
    return (match[1] or match[2]).encode("latin-1") if match else None


async def read_form(
    chunks: AsyncIterator[bytes], boundary: bytes, *, file_field: str, intake: Callable[[], Intake]
) -> Form:
    """Read a form whose file is called *file_field* (or is the only part with a file name).

    On any error the intake is given up. Raises Refused (400, 413) and what *chunks* raises.
    """
    form = Form()
    try:
        await _Reader(form, boundary, file_field, intake).read(chunks)
    except BaseException:
        if form.intake is not None:
            await form.intake.abort()
        raise
    return form


class _Reader:
    """Turns parser callbacks into events, and events into fields and file bytes."""

    def __init__(self, form: Form, boundary: bytes, file_field: str, intake: Callable[[], Intake]) -> None:
        self._form = form
        self._file_field = file_field
        self._intake = intake
        self._events: list[Event] = []
        self._headers: dict[str, bytes] = {}
        self._name = self._value = b""
        self._part = Part()
        self._text: bytearray | None = None
        self._parts = 0
        self._complete = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise Refused(BAD_REQUEST, "The boundary of the multipart body is not usable.") from error

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        """Everything up to the closing boundary."""
        async for chunk in chunks:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise Refused(BAD_REQUEST, f"The multipart body is malformed: {error}.") from error
            events, self._events = self._events, []
            for kind, data in events:
                await self._take(kind, data)
        if not self._complete:
            raise Refused(BAD_REQUEST, "The multipart body ends before its closing boundary.")

    async def _take(self, kind: str, data: bytes) -> None:
        if kind == "part":
            self._begin(data)
        elif kind == "end":
            if self._text is not None:
                self._form.fields[self._part.name] = self._text.decode("utf-8", "replace")
            self._text = None
        elif self._text is not None:
            self._text += data
            if len(self._text) > MAX_FIELD:
                raise Refused(TOO_LARGE, f"The form field {self._part.name[:40]!r} is too long.")
        elif self._form.intake is not None:
            await self._form.intake.write(data)

    def _begin(self, disposition_and_type: bytes) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Refused(TOO_LARGE, f"The form has more than {MAX_PARTS} parts.")
        disposition, content_type = disposition_and_type.split(b"\0", 1)
        self._part = _part(disposition, content_type)
        if self._part.name != self._file_field and self._part.file_name is None:
            self._text = bytearray()
            return
        if self._form.file is not None:
            raise Refused(BAD_REQUEST, "The form has more than one file.")
        self._form.file = self._part
        self._form.intake = self._intake()

    def _callbacks(self) -> MultipartCallbacks:
        def begin() -> None:
            self._headers = {}

        def header_field(data: bytes, start: int, end: int) -> None:
            self._name += data[start:end]

        def header_value(data: bytes, start: int, end: int) -> None:
            self._value += data[start:end]

        def header_end() -> None:
            self._headers[self._name.decode("latin-1").lower()] = self._value
            self._name = self._value = b""

        def headers_finished() -> None:
            found = (
                self._headers.get(name, b"").replace(b"\0", b"")
                for name in ("content-disposition", "content-type")
            )
            self._events.append(("part", b"\0".join(found)))

        def part_data(data: bytes, start: int, end: int) -> None:
            self._events.append(("data", data[start:end]))

        def part_end() -> None:
            self._events.append(("end", b""))

        def end() -> None:
            self._complete = True

        return {
            "on_part_begin": begin,
            "on_header_field": header_field,
            "on_header_value": header_value,
            "on_header_end": header_end,
            "on_headers_finished": headers_finished,
            "on_part_data": part_data,
            "on_part_end": part_end,
            "on_end": end,
        }


def part_of(disposition: str, content_type: str) -> Part:
    """What a request whose body is the file itself says of it in its headers."""
    return _part(disposition.encode("latin-1"), content_type.encode("latin-1"))


def _part(disposition: bytes, content_type: bytes) -> Part:
    _, options = parse_options_header(disposition)
    file_name = options.get(b"filename")
    extended = re.search(rb"filename\*=utf-8''([^\s;]+)", disposition, re.IGNORECASE)
    if extended:
        file_name = unquote_to_bytes(extended[1].decode("latin-1"))
    return Part(
        name=_text(options.get(b"name", b"")),
        file_name=None if file_name is None else clean_name(_text(file_name)),
        content_type=content_type.decode("latin-1").strip(),
    )


def clean_name(name: str) -> str:
    """A file name without folders and control characters, at most 255 characters."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[:255].strip()


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
