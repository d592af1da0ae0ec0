"""What a plain file is that may become an object, told by its first bytes, whatever its name says."""

from __future__ import annotations

from pathlib import Path

from core.errors import Unsupported

JPEG, PNG, JPEG_2000, PDF = "image/jpeg", "image/png", "image/jp2", "application/pdf"
MP4, MPEG = "video/mp4", "video/mpeg"
ENDINGS = ("pdf", "jpg", "jpeg", "png", "jp2", "mp4", "mpg", "mpeg")
"""Of the names such files usually have."""
HEAD = 1024
"""So far into a file a PDF may begin (ISO 32000-1, implementation note 13)."""
STARTS = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\0\0\0\x0cjP  ", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"\0\0\1\xba", MPEG),
    (b"\0\0\1\xb3", MPEG),
)
PHOTO_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif"})
PACKET = 188
"""Bytes of a packet of an MPEG-2 transport stream (ISO 13818-1 2.4.3.2)."""
DICOM_AT = 128
NONE_OF_THEM = "The file is no PDF, no JPEG, PNG or JPEG 2000 picture, and no MPEG-2 or MP4 video."


def media_type_of(path: Path) -> str:
    """One of the types above. Raises Unsupported, OSError."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    found = next((kind for start, kind in STARTS if head.startswith(start)), "")
    if found:
        return found
    if head[DICOM_AT : DICOM_AT + 4] == b"DICM":
        raise Unsupported("The file is a DICOM object already: store it as it is, or import it.")
    if head[4:8] == b"ftyp":
        if head[8:12] in PHOTO_BRANDS:
            raise Unsupported("HEIC and AVIF pictures cannot be stored: save it as a JPEG picture.")
        return MP4
    if head[:1] == b"\x47" and head[PACKET : PACKET + 1] == b"\x47":
        return MPEG
    if b"%PDF-" in head:
        return PDF
    raise Unsupported(NONE_OF_THEM, "Save it as one of those.")
