"""Bodies of several parts (multipart/related, RFC 2387; framing of RFC 2046 5.1.1) as they stream in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum

from server.web.errors import BAD_REQUEST, Refused
from server.web.finding import find

MAX_PART_HEADERS = 16 << 10
MAX_BOUNDARY = 200
MAX_PADDING = 100
PADDING = b" \t"


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part with its headers, names in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is complete: the delimiter after it has been seen."""


Event = PartBegins | PartData | PartEnds
END = PartEnds()


class _At(Enum):
    PREAMBLE = 1
    HEADERS = 2
    DATA = 3
    EPILOGUE = 4


async def read_parts(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Event]:
    """The parts of a body, nothing of them gathered but their headers.

    Raises Refused (400) where the body is malformed or ends before its closing delimiter, and what *chunks*
    raises; `PartEnds` has been given for every part that was complete by then.
    """
    splitter = Splitter(boundary)
    async for chunk in chunks:
        for event in splitter.feed(chunk):
            yield event
    splitter.finish()


class Splitter:
    """Finds parts in bytes fed to it piece by piece; what it hands on has been copied once."""

    def __init__(self, boundary: bytes) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise Refused(BAD_REQUEST, "The boundary of the multipart body is not usable.")
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first delimiter may stand at the very beginning
        self._position = 0
        self._at = _At.PREAMBLE
        self._parts = 0
        self._left: int | None = None  # of a part that says its Content-Length

    def feed(self, chunk: bytes) -> list[Event]:
        """What *chunk* completes. Raises Refused."""
        events: list[Event] = []
        if self._at is _At.EPILOGUE:
            return events
        if self._left and self._position == len(self._buffer) and len(chunk) <= self._left:
            self._left -= len(chunk)
            return [PartData(chunk)]
        left = self._buffer[self._position :]
        self._buffer, self._position = left + chunk if left else chunk, 0
        while self._step(events):
            pass
        return events

    def finish(self) -> None:
        """The body has ended. Raises Refused if that was too early."""
        if self._at is _At.PREAMBLE:
            raise Refused(BAD_REQUEST, "The multipart body has no part: its boundary was not found.")
        if self._at is not _At.EPILOGUE:
            raise Refused(
                BAD_REQUEST, f"The multipart body ends within part {self._parts}, before its boundary."
            )

    def _step(self, events: list[Event]) -> bool:
        """Go on by one delimiter or one block of headers; False if more bytes are needed."""
        if self._at is _At.HEADERS:
            return self._read_headers(events)
        if self._left is not None:
            return self._read_to_length(self._left, events)
        found = find(self._buffer, self._delimiter, self._position)
        if found >= 0:
            self._hand_on(found, events)
            return self._pass_delimiter(events)
        self._hand_on(self._may_begin(), events)
        return False

    def _may_begin(self) -> int:
        """Where the last bytes may begin a delimiter: as a rule nowhere, and all is handed on."""
        start = self._buffer.find(b"\r", max(self._position, len(self._buffer) - len(self._delimiter) + 1))
        while start >= 0 and not self._delimiter.startswith(self._buffer[start:]):
            start = self._buffer.find(b"\r", start + 1)
        return start if start >= 0 else len(self._buffer)

    def _read_to_length(self, left: int, events: list[Event]) -> bool:
        """A part that says its length need not be searched for the delimiter, which must then follow."""
        end = min(self._position + left, len(self._buffer))
        left -= end - self._position
        self._hand_on(end, events)
        self._left = left
        ahead = self._buffer[end : end + len(self._delimiter)]
        if left or (len(ahead) < len(self._delimiter) and self._delimiter.startswith(ahead)):
            return False
        if ahead != self._delimiter:
            raise Refused(BAD_REQUEST, f"Part {self._parts} is longer than its Content-Length.")
        self._left = None
        return self._pass_delimiter(events)

    def _hand_on(self, until: int, events: list[Event]) -> None:
        if self._at is _At.DATA and until > self._position:
            events.append(PartData(self._buffer[self._position : until]))
        self._position = until

    def _pass_delimiter(self, events: list[Event]) -> bool:
        """Behind the delimiter stand "--" or, after padding, the end of the line (RFC 2046 5.1.1)."""
        start = self._position + len(self._delimiter)
        line_end = self._buffer.find(b"\r\n", start, start + MAX_PADDING)
        closes = self._buffer.startswith(b"--", start)
        if not closes and line_end < 0 and len(self._buffer) < start + MAX_PADDING:
            padding = self._buffer[start:].strip(PADDING)
            if padding in (b"", b"-", b"\r"):
                return False
        if not closes and (line_end < 0 or self._buffer[start:line_end].strip(PADDING)):
            raise Refused(
                BAD_REQUEST, f"The multipart body is malformed behind the boundary after part {self._parts}."
            )
        if self._at is _At.DATA:
            events.append(END)
        if closes:
            self._at, self._buffer, self._position = _At.EPILOGUE, b"", 0
            return False
        self._at, self._position = _At.HEADERS, line_end
        self._parts += 1
        return True

    def _read_headers(self, events: list[Event]) -> bool:
        """They start with the CRLF of the delimiter's line: an empty block is CRLF CRLF at once."""
        start = self._position
        end = self._buffer.find(b"\r\n\r\n", start, start + MAX_PART_HEADERS)
        if end < 0:
            if len(self._buffer) - start >= MAX_PART_HEADERS:
                raise Refused(BAD_REQUEST, f"The headers of part {self._parts} are too long.")
            return False
        # a part may end with its headers: then the line end before its content is the delimiter's
        ahead = self._buffer[end + 2 : end + 2 + len(self._delimiter)]
        if len(ahead) < len(self._delimiter) and self._delimiter.startswith(ahead):
            return False
        headers = self._parsed(self._buffer[start + 2 : end])
        events.append(PartBegins(headers))
        bare = ahead == self._delimiter
        self._at, self._position = _At.DATA, end + (2 if bare else 4)
        self._left = None if bare else self._length(headers.get("content-length", ""))
        return True

    def _length(self, said: str) -> int | None:
        if said and not (said.isascii() and said.isdigit() and len(said) < 16):
            raise Refused(BAD_REQUEST, f"The Content-Length of part {self._parts} is no number.")
        return int(said) if said else None

    def _parsed(self, block: bytes) -> dict[str, str]:
        headers: dict[str, str] = {}
        if b"\r\n " in block or b"\r\n\t" in block:  # a long line that was folded (RFC 2822 2.2.3)
            block = re.sub(rb"\r\n[ \t]+", b" ", block)
        for line in block.split(b"\r\n") if block else ():
            name, colon, value = line.partition(b":")
            if not colon or not name.strip():
                raise Refused(BAD_REQUEST, f"Part {self._parts} has a header line without a name.")
            headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
        return headers
