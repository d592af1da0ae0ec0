"""What bulk data of a media type are (PS3.18 8.7.3.3): transfer syntax, and what their own headers tell."""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import NotRenderable, Unsupported
from core.imaging.codestream import FRAME_MARKERS, Codestream, Kind, inspect
from core.media.assemble import GREY_BYTES, GREY_WORDS, TRUE_COLOUR, Content, Mismatch
from core.media.movie import Movie, read_movie
from core.media.mpeg2 import read_mpeg2
from core.media.wrap import ENCAPSULATED_PDF, VIDEO_PHOTOGRAPHIC

OCTETS, PDF, PNG = "application/octet-stream", "application/pdf", "image/png"
STILLS = frozenset(
    {"image/jpeg", "image/jpg", "image/jls", "image/jp2", "image/jpx", "image/j2k", "image/jphc"}
)
VIDEOS = frozenset({"video/mpeg", "video/mpeg2", "video/mpeg4", "video/mp4", "video/h265"})
BULK = STILLS | VIDEOS | {OCTETS, PDF, PNG}
PDF_WITHIN = 1024
MOST_ROWS = 0xFFFF
Data = mmap.mmap | bytes
JPEG_OF = {
    0xC0: ("1.2.840.10008.1.2.4.50", "ISO_10918_1"),
    0xC1: ("1.2.840.10008.1.2.4.51", "ISO_10918_1"),
    0xC2: ("1.2.840.10008.1.2.4.55", "ISO_10918_1"),
    0xC3: ("1.2.840.10008.1.2.4.57", ""),
    0xF7: ("1.2.840.10008.1.2.4.80", ""),
}
"""Transfer syntax and lossy method by the frame's marker."""
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
FIRST_ORDER, NEAR_LOSSLESS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.81"
J2K, J2K_LOSSLESS = "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.90"
HT, HT_LOSSLESS = "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.201"
END_OF_CODESTREAM = b"\xff\xd9"
SYCC, ENUMERATED = 18, 1
"""Of the colour specification box of JP2 (ISO 15444-1 I.5.3.3)."""
ODD_COLOURS = "The colours of this JPEG 2000 picture cannot be kept as they are.", "Save it as a PNG picture."


def content_of(path: Path, size: int, media_type: str) -> Content:
    """The bulk data in the file at *path*. Raises Mismatch where they are not what the media type says."""
    if not size:
        raise Mismatch("A part with bulk data is empty.")
    if media_type == PDF:
        with path.open("rb") as stream:
            if b"%PDF-" not in stream.read(PDF_WITHIN):
                raise Mismatch("A part is called a PDF and is none.")
        return Content(path, 0, size, sop_class_uid=ENCAPSULATED_PDF)
    if media_type in VIDEOS:
        return _video(path, size)
    if media_type in STILLS:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _readable(path, data)
    return Content(path, 0, size)


def frames_of(path: Path, ends: Sequence[int]) -> Content:
    """Pictures one after the other in the file at *path*, each up to one of *ends*: the frames of an object.

    Raises Mismatch where they are not alike.
    """
    found: list[Content] = []
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for start, end in pairwise((0, *ends)):
            each = _readable(path, data[start:end])
            found.append(replace(each, start=start + each.start))
    first = found[0]
    if any((each.syntax, each.says, each.lossy) != (first.syntax, first.says, first.lossy) for each in found):
        raise Mismatch("The frames of an object are not alike.")
    deep = first.says["BitsAllocated"] > 8
    captured = TRUE_COLOUR if first.says["SamplesPerPixel"] > 1 else GREY_WORDS if deep else GREY_BYTES
    return replace(
        first,
        length=sum(each.length for each in found),
        sop_class_uid=captured,
        says={**first.says, "NumberOfFrames": len(found)},
        frames=tuple((each.start, each.length) for each in found),
    )


def _video(path: Path, size: int) -> Content:
    try:
        with path.open("rb") as stream:
            mp4 = stream.read(8)[4:] == b"ftyp"
            movie = read_movie(stream, size) if mp4 else read_mpeg2(stream)
    except Unsupported as error:
        raise Mismatch(error.message, error.remedy) from error
    return Content(
        path, 0, size, movie.transfer_syntax_uid, VIDEO_PHOTOGRAPHIC, _of_movie(movie), movie.method
    )


def _of_movie(movie: Movie) -> dict[str, Any]:
    return {
        **_samples(movie.rows, movie.columns, 3, 8, "YBR_PARTIAL_420"),
        "NumberOfFrames": movie.frames,
        "FrameTime": f"{1000 * movie.seconds / movie.frames:.6g}",
        "CineRate": max(1, round(movie.frames / movie.seconds)),
        "FrameIncrementPointer": 0x00181063,
    }


def of_raster(path: Path, head: dict[str, Any], frame: bytes) -> Content:
    """A picture that was decoded and packed anew, as *head* says."""
    says = _samples(head["rows"], head["columns"], head["samples"], head["bits"], head["photometric"])
    return Content(path, 0, len(frame), head["syntax"], says=says, data=frame)


def _samples(rows: int, columns: int, samples: int, bits: int, photometric: str) -> dict[str, Any]:
    allocated = 8 if bits <= 8 else 16
    return {
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": photometric,
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        **({"PlanarConfiguration": 0} if samples > 1 else {}),
    }


def _readable(path: Path, data: Data) -> Content:
    """Raises Mismatch. Errors of the reader end here: they hold views, which keep a map from being closed."""
    with suppress(NotRenderable, IndexError):
        return _still(path, data)
    raise Mismatch("The header of a picture cannot be read.")


def _still(path: Path, data: Data) -> Content:
    with memoryview(data) as view:
        found = inspect(view)
    if found is None:
        raise Mismatch("A part is called a JPEG or JPEG 2000 picture and is none.")
    if found.components not in (1, 3) or not 2 <= found.bits <= 16:
        raise Mismatch("A picture has colours or bits that no DICOM object holds.")
    if not (0 < found.rows <= MOST_ROWS and 0 < found.columns <= MOST_ROWS):
        raise Mismatch("A picture is larger than any that a DICOM object holds, or its header is damaged.")
    if found.kind is Kind.JPEG_2000:
        start, length = _codestream(data)
        return _jpeg_2000(path, data, start, length, found)
    if found.kind in {Kind.JPEG, Kind.JPEG_LS}:
        return _jpeg(path, data, found)
    raise Mismatch("A picture is none that can be stored.")


def _jpeg(path: Path, data: Data, found: Codestream) -> Content:
    at = 2
    while data[at] == 0xFF and data[at + 1] not in FRAME_MARKERS | {0xF7}:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    marker = data[at + 1]
    if data[at] != 0xFF or marker not in JPEG_OF:
        raise Mismatch("DICOM has no transfer syntax for this kind of JPEG.", "Save it as a baseline JPEG.")
    if not _ends(data, at):
        raise Mismatch("A JPEG picture is cut off.")
    subsampled = found.components == 3 and data[at + 11] != 0x11
    syntax, lossy = JPEG_OF[marker]
    scan = data.find(b"\xff\xda", at)
    parameter = data[scan + 5 + 2 * data[scan + 4]] if scan > 0 else 0
    if marker == 0xC3 and parameter == 1:
        syntax = FIRST_ORDER
    if marker == 0xF7 and parameter:
        syntax, lossy = NEAR_LOSSLESS, "ISO_14495_1"
    colour = "YBR_FULL_422" if subsampled or marker == 0xC0 else "YBR_FULL"
    if found.transform is False or (found.transform is None and found.lossless):
        colour = "RGB"
    photometric = colour if found.components == 3 else "MONOCHROME2"
    says = _samples(found.rows, found.columns, found.components, found.bits, photometric)
    sure = found.transform is not None and not found.lossless  # whose colours are seldom transformed
    return Content(path, 0, len(data), syntax, says=says, lossy=lossy, colour_is_sure=sure)


def _ends(data: Data, at: int) -> bool:
    """Whether the end marker comes after the frame at *at*; one of a thumbnail before it is not this one's.

    Segments have lengths; in a scan, and in what is between, every marker is 0xFF and another byte that no
    compressed data have behind it (ITU-T T.81 B.1.1.2, T.87 C.1).
    """
    while marker := MARKER.search(data, at):
        if marker[1] == b"\xd9":
            return True
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False


def _codestream(data: Data) -> tuple[int, int]:
    """Where the codestream lies in a JP2 file; what is around it is no part of an object (PS3.5 A.4.4)."""
    if data[:2] == b"\xff\x4f":
        return 0, len(data)
    at = 0
    while at + 16 <= len(data):
        length, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + length if length else len(data)
        if kind == b"jp2c":
            return start, end - start
        if end <= at or end > len(data):
            break
        at = end
    raise Mismatch("A JPEG 2000 picture is cut off, or holds none.")


def _jpeg_2000(path: Path, data: Data, start: int, length: int, found: Codestream) -> Content:
    if length <= 0 or start + length > len(data):
        raise Mismatch("A JPEG 2000 picture is cut off.")
    if has_odd_colours(data[:start]):
        raise Mismatch(*ODD_COLOURS)
    at, throughput, reversible = start + 2, False, False
    while data[at] == 0xFF and data[at + 1] not in (0x90, 0xD9):
        throughput |= data[at + 1] == 0x50
        if data[at + 1] == 0x52:
            reversible = data[at + 13] == 1
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if data.rfind(END_OF_CODESTREAM, at, start + length) < 0:  # no compressed data have it within (T.800 A.1)
        raise Mismatch("A JPEG 2000 picture is cut off.", "Copy it again from its origin.")
    colour = ("YBR_RCT" if reversible else "YBR_ICT") if found.transform else "RGB"
    photometric = colour if found.components == 3 else "MONOCHROME2"
    says = _samples(found.rows, found.columns, found.components, found.bits, photometric)
    says["PixelRepresentation"] = int(found.signed)
    syntax = (HT_LOSSLESS if reversible else HT) if throughput else (J2K_LOSSLESS if reversible else J2K)
    method = "" if reversible else "ISO_15444_15" if throughput else "ISO_15444_1"
    sure = bool(found.transform)
    return Content(path, start, length, syntax, says=says, lossy=method, colour_is_sure=sure)


def has_odd_colours(boxes: bytes) -> bool:
    """Whether the *boxes* before a codestream say that its samples are no RGB or grey (ISO 15444-1 I.5.3)."""
    at = boxes.find(b"colr")
    method, colour = boxes[at + 4 : at + 5], boxes[at + 7 : at + 11]
    is_sycc = at >= 0 and method == bytes([ENUMERATED]) and int.from_bytes(colour, "big") == SYCC
    return is_sycc or b"pclr" in boxes


def is_raw(content: Content) -> bool:
    """Whether these are uncompressed values."""
    return content.syntax == EXPLICIT_LITTLE_UID and content.sop_class_uid != ENCAPSULATED_PDF
