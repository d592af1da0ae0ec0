"""In which media type frames are to come, and the transfer syntax each stands for (PS3.18 8.7.3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.dicom.syntaxes import DEFLATED_UID, EXPLICIT_BIG_UID, EXPLICIT_LITTLE_UID, transfer_syntax
from server.web.dicomweb.media import ANY_SYNTAX, EVERYTHING, RELATED, MediaRange

OCTETS = "application/octet-stream"
OF_SYNTAX = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.53": "image/jpeg",
    "1.2.840.10008.1.2.4.55": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
"""The media type of a compressed frame (table 8.7.3-5)."""
ALIASES = {"image/x-dicom-rle": "image/dicom-rle", "image/x-jls": "image/jls", "image/jpg": "image/jpeg"}
NO_FRAMES = (EXPLICIT_BIG_UID, DEFLATED_UID)
"""Transfer syntaxes of objects in which no frame comes (table 8.7.3-4: little endian, nothing around it)."""
MADE = {
    "image/jpeg": ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.50"),
    "image/jls": ("1.2.840.10008.1.2.4.80",),
    "image/jp2": ("1.2.840.10008.1.2.4.90",),
    "image/jphc": ("1.2.840.10008.1.2.4.201",),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
}
"""What a media type without a transfer syntax means where the object has another one, tried in this order."""


@dataclass(frozen=True, slots=True)
class Coding:
    """Frames as parts or as a single body, of *media_type*, in *transfer_syntax*."""

    multipart: bool
    media_type: str
    transfer_syntax: str

    @property
    def content_type(self) -> str:
        """As a header has it."""
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax}"


def codings(accepts: Sequence[MediaRange], stored: str, *, single: bool) -> Iterator[Coding]:
    """Every coding that would do, the best first; *stored* is the transfer syntax the object has."""
    if not transfer_syntax(stored).encapsulated:
        stored = EXPLICIT_LITTLE_UID  # whatever the object is in, its frames come as little-endian samples
    of_stored = OF_SYNTAX.get(stored, OCTETS)
    for each in accepts:
        multipart = each.type in {RELATED, "multipart/*", EVERYTHING}
        if not multipart and not single:
            continue
        inner = "" if multipart and each.type != RELATED else each.inner
        inner = ALIASES.get(inner, inner)
        for media_type, syntax in _wanted(inner, each.transfer_syntax, stored, of_stored):
            yield Coding(multipart, media_type, syntax)


def _wanted(inner: str, asked: str, stored: str, of_stored: str) -> Iterator[tuple[str, str]]:
    """Media types and transfer syntaxes a media range means."""
    if asked in NO_FRAMES:
        return
    if inner in {"", EVERYTHING} or (inner == "image/*" and of_stored != OCTETS):
        if asked in {"", ANY_SYNTAX, stored}:
            yield of_stored, stored
        else:
            yield OF_SYNTAX.get(asked, OCTETS), asked
    elif inner == "image/*":
        made = (made for each in MADE.values() for made in each) if asked in {"", ANY_SYNTAX} else (asked,)
        yield from ((OF_SYNTAX[each], each) for each in made if each in OF_SYNTAX)
    elif inner in {OCTETS, "application/*"}:
        yield OCTETS, stored if asked == ANY_SYNTAX else asked or EXPLICIT_LITTLE_UID
    elif inner in OF_SYNTAX.values():
        if inner == of_stored and asked in {"", ANY_SYNTAX, stored}:
            yield inner, stored
        elif asked in {"", ANY_SYNTAX}:
            yield from ((inner, made) for made in MADE.get(inner, ()))
        elif OF_SYNTAX.get(asked) == inner:
            yield inner, asked
