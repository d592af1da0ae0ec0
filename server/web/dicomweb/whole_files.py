"""A file as a person chose it, nothing said of it: told apart by its first bytes, and looked into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.errors import BadInput, Unsupported
from core.media.assemble import Content, Mismatch
from core.media.kinds import JPEG, JPEG_2000, PDF, PNG, media_type_of
from server.web.dicomweb.bulk_kinds import JPEG_OF, content_of, of_raster
from server.web.wrapping import Wrapper

LAST_BYTES = 4096
SYCC, ENUMERATED = 18, 1
"""Of the colour specification box of JP2 (ISO 15444-1 I.5.3.3)."""
METHOD_OF_JPEG = "ISO_10918_1"
BASELINE = 0xC0
PNG_ENDS = b"IEND\xae\x42\x60\x82"
"""The last chunk with its checksum (PNG specification 11.2.5)."""
END_OF_CODESTREAM = b"\xff\xd9"


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
    content = content_of(path, size, JPEG_2000)
    with path.open("rb") as stream:
        before = stream.read(content.start)
    if b"pclr" in before or _is_sycc(before):
        raise Unsupported(
            "The colours of this JPEG 2000 picture cannot be kept as they are.", "Save it as a PNG picture."
        )
    with path.open("rb") as stream:
        stream.seek(content.start + content.length - len(END_OF_CODESTREAM))
        if stream.read(2) != END_OF_CODESTREAM:
            raise Mismatch("The JPEG 2000 picture is cut off.", "Copy it again from its origin.")
    return content


def _is_sycc(boxes: bytes) -> bool:
    at = boxes.find(b"colr")
    method, colour = boxes[at + 4 : at + 5], boxes[at + 7 : at + 11]
    return at >= 0 and method == bytes([ENUMERATED]) and int.from_bytes(colour, "big") == SYCC


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, size - LAST_BYTES))
        return stream.read(LAST_BYTES)
