"""A file as a person chose it, nothing said of it: told apart by its first bytes, and looked into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.errors import BadInput, Unsupported
from core.media.assemble import Content
from core.media.kinds import JPEG, JPEG_2000, PDF, PNG, media_type_of
from server.web.dicomweb.bulk_kinds import JPEG_OF, ODD_COLOURS, content_of, has_odd_colours, of_raster
from server.web.wrapping import Wrapper

LAST_BYTES = 4096
METHOD_OF_JPEG = "ISO_10918_1"
BASELINE = 0xC0
PNG_ENDS = b"IEND\xae\x42\x60\x82"
"""The last chunk with its checksum (PNG specification 11.2.5)."""
BOXES, CODESTREAM = 4 << 20, b"jp2c"
"""What stands before the picture in a JP2 file is shorter, as a rule."""


async def content_in(path: Path, size: int, wrapper: Wrapper) -> Content:
    """What the file at *path* is made into. Raises Unsupported, BadInput (empty, cut off, damaged)."""
    if not size:
        raise BadInput("The file is empty.", "Check that it is the right one.")
    kind = await wrapper.run(lambda: media_type_of(path))
    if kind == PDF:
        return await _document(path, size, wrapper)
    if kind in {JPEG, PNG}:
        return await _picture(path, size, kind, wrapper)
    if kind == JPEG_2000:
        return await wrapper.run(lambda: _jpeg_2000(path, size))
    return await wrapper.run(lambda: content_of(path, size, kind))


async def _document(path: Path, size: int, wrapper: Wrapper) -> Content:
    if b"%%EOF" not in await wrapper.run(lambda: _tail(path, size)):
        raise BadInput("The PDF is cut off: its end is missing.", "Copy it again from its origin.")
    await wrapper.pages(path)
    return await wrapper.run(lambda: content_of(path, size, PDF))


async def _picture(path: Path, size: int, kind: str, wrapper: Wrapper) -> Content:
    """A baseline JPEG as it is; what is turned, progressive or PNG is decoded and packed without loss."""
    if kind == PNG and PNG_ENDS not in await wrapper.run(lambda: _tail(path, size)):
        raise BadInput("The PNG picture is cut off: its end is missing.", "Copy it again from its origin.")
    head, frame = await wrapper.picture(path)
    if kind == PNG:
        return of_raster(path, head, frame)
    if head["syntax"] == JPEG_OF[BASELINE][0]:
        return await wrapper.run(lambda: content_of(path, size, JPEG))
    made = of_raster(path, head, frame)
    plain = head["rows"] * head["columns"] * head["samples"] * head["bits"] // 8
    ratio = f"{plain / size:.4g}"  # of the file that came, not of what it was packed into
    return replace(made, lossy=METHOD_OF_JPEG, says={**made.says, "LossyImageCompressionRatio": ratio})


def _jpeg_2000(path: Path, size: int) -> Content:
    with path.open("rb") as stream:
        if has_odd_colours(stream.read(BOXES).partition(CODESTREAM)[0]):
            raise Unsupported(*ODD_COLOURS)
    return content_of(path, size, JPEG_2000)


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, size - LAST_BYTES))
        return stream.read(LAST_BYTES)
