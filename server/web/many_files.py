"""A form with several files (RFC 7578) as it streams in: each file onto the disk, small fields into text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from server.web.errors import BAD_REQUEST, TOO_LARGE, Refused
from server.web.multipart import MAX_FIELD, Part, part_of
from server.web.related import PartBegins, PartData, read_parts
from server.web.wrapping import HeldFile

MOST_FIELDS = 64


@dataclass(slots=True)
class Files:
    """What a form held; `abort` gives the files up."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[Part, HeldFile]] = field(default_factory=list)

    async def abort(self) -> None:
        """Take everything off the disk; no error if it is gone."""
        for _, held in self.files:
            await held.abort()


async def read_files(
    chunks: AsyncIterator[bytes],
    boundary: bytes,
    *,
    file_field: str,
    hold: Callable[[], HeldFile],
    most: int,
) -> Files:
    """The form in *chunks*: its files are called *file_field*, or have a file name.

    On any error nothing is left on the disk. Raises Refused (400, 413) and what *chunks* raises.
    """
    found = Files()
    try:
        await _read(found, chunks, boundary, file_field=file_field, hold=hold, most=most)
    except BaseException:
        await found.abort()
        raise
    return found


async def _read(
    found: Files,
    chunks: AsyncIterator[bytes],
    boundary: bytes,
    *,
    file_field: str,
    hold: Callable[[], HeldFile],
    most: int,
) -> None:
    part, held, text = Part(), None, bytearray()
    async for event in read_parts(chunks, boundary):
        if isinstance(event, PartBegins):
            part, held, text = _part(event), None, bytearray()
            if part.name == file_field or part.file_name is not None:
                if len(found.files) >= most:
                    raise Refused(
                        TOO_LARGE, f"The form has more than {most} files.", "Send them in several requests."
                    )
                held = hold()
                found.files.append((part, held))
        elif isinstance(event, PartData):
            if held is not None:
                await held.write(event.data)
                continue
            text += event.data
            if len(text) > MAX_FIELD:
                raise Refused(TOO_LARGE, f"The form field {part.name[:40]!r} is too long.")
        elif held is None:
            if len(found.fields) >= MOST_FIELDS:
                raise Refused(TOO_LARGE, f"The form has more than {MOST_FIELDS} fields.")
            found.fields[part.name] = text.decode("utf-8", "replace")


def _part(event: PartBegins) -> Part:
    part = part_of(event.headers.get("content-disposition", ""), event.headers.get("content-type", ""))
    if not part.name and part.file_name is None:
        raise Refused(BAD_REQUEST, "A part of the form has no name.", "Send a form with fields called file.")
    return part
