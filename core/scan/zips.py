"""ZIP files as sources: their members are judged without ever being unpacked to a folder.

A member inside a ZIP file inside a ZIP file is named "inner.zip!/member".
"""

from __future__ import annotations

import lzma
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from core.dicom.file_format import HEAD_BYTES
from core.dicom.reader import HeaderReader
from core.dicom.refs import SkipReason
from core.dicom.view import of_stream
from core.errors import NotFound, TooLarge
from core.scan import sentences
from core.scan.reading import Packed, Refused, Verdict, judge

MAX_NESTED = 3  # a ZIP file in a ZIP file in a ZIP file is read, one deeper is not
MAX_MEMBERS = 1_000_000
MAX_RATIO = 200  # only held against what is big: a black image alone packs a thousandfold
BIG_MEMBER = 1 << 30
BIG_ARCHIVE = 4 << 30
IN_MEMORY = (
    16 << 20
)  # a member up to this size is unpacked to memory, a bigger one to a nameless temporary file

NESTED = "!/"
_ENCRYPTED = 0x1
_BROKEN = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError)
FAULTS = (*_BROKEN, NotImplementedError, RuntimeError)  # NotImplemented: the method; Runtime: a password


def members(reader: HeaderReader, archive: IO[bytes], size: int) -> Iterator[tuple[str, Verdict]]:
    """Every file in the ZIP file, in the order it lies there; never raises for what a ZIP file can do."""
    yield from _members(reader, archive, size, "", 1)


def _members(
    reader: HeaderReader, archive: IO[bytes], size: int, prefix: str, depth: int
) -> Iterator[tuple[str, Verdict]]:
    with ExitStack() as opened:
        try:
            packed = opened.enter_context(ZipFile(archive))
        except (*FAULTS, OSError):
            yield prefix.removesuffix(NESTED), Refused(SkipReason.UNREADABLE, sentences.ZIP_DAMAGED)
            return
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        if _is_bomb(entries, size):
            yield prefix.removesuffix(NESTED), Refused(SkipReason.UNREADABLE, sentences.ZIP_BOMB)
            return
        for entry in sorted(entries, key=_offset):
            name = prefix + entry.filename
            verdict = _verdict(reader, packed, entry)
            if packed.NameToInfo[entry.filename] is not entry:
                verdict = Refused(SkipReason.UNREADABLE, sentences.ZIP_SHADOWED)
            if not isinstance(verdict, Packed):
                yield name, verdict
            elif depth >= MAX_NESTED:
                yield name, Refused(SkipReason.TOO_DEEP, sentences.ZIP_DEEP)
            else:
                yield from _nested(reader, packed, entry, name, depth)


def _nested(
    reader: HeaderReader, packed: ZipFile, entry: ZipInfo, name: str, depth: int
) -> Iterator[tuple[str, Verdict]]:
    try:
        inner = unpacked(packed, entry)
    except (*FAULTS, OSError):
        yield name, Refused(SkipReason.UNREADABLE, sentences.ZIP_FAULT)
        return
    with inner:
        yield from _members(reader, inner, entry.file_size, name + NESTED, depth + 1)


def _offset(entry: ZipInfo) -> int:
    return entry.header_offset


def _is_bomb(entries: list[ZipInfo], size: int) -> bool:
    total = sum(entry.file_size for entry in entries)
    return len(entries) > MAX_MEMBERS or (total > BIG_ARCHIVE and total > MAX_RATIO * size)


def _verdict(reader: HeaderReader, packed: ZipFile, entry: ZipInfo) -> Verdict:
    if leads_out(entry.filename):
        return Refused(SkipReason.UNREADABLE, sentences.ZIP_SLIP)
    if entry.flag_bits & _ENCRYPTED:
        return Refused(SkipReason.ENCRYPTED, sentences.ZIP_ENCRYPTED)
    if entry.file_size > BIG_MEMBER and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return Refused(SkipReason.UNREADABLE, sentences.ZIP_BOMB)
    try:
        with packed.open(entry) as stream:
            view = of_stream(cast(BinaryIO, stream), HEAD_BYTES, entry.file_size)
            return judge(reader, view, entry.filename)
    except NotImplementedError:
        return Refused(SkipReason.UNREADABLE, sentences.ZIP_METHOD)
    except RuntimeError:
        return Refused(SkipReason.ENCRYPTED, sentences.ZIP_ENCRYPTED)
    except (*_BROKEN, OSError):
        return Refused(SkipReason.UNREADABLE, sentences.ZIP_FAULT)


def leads_out(name: str) -> bool:
    """Whether a member's name would leave the folder it is unpacked to, on any system."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def unpacked(packed: ZipFile, entry: ZipInfo) -> BinaryIO:
    """A member's bytes, checked against its CRC, as a seekable stream that the caller closes.

    Raises BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError (password), TooLarge.
    """
    if entry.file_size > BIG_MEMBER and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        raise TooLarge(sentences.ZIP_BOMB)
    with ExitStack() as kept:
        spooled = kept.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))
        with packed.open(entry) as stream:
            while piece := stream.read(1 << 20):
                spooled.write(piece)
        spooled.seek(0)
        kept.pop_all()
        return cast(BinaryIO, spooled)


def entry_of(packed: ZipFile, member: str) -> tuple[ZipInfo, str]:
    """The member of this name, or the nested ZIP it lies in and what remains of the name. Raises NotFound."""
    names = packed.NameToInfo
    if member in names:
        return names[member], ""
    at = member.find(NESTED)
    while at >= 0:
        if member[:at] in names:
            return names[member[:at]], member[at + len(NESTED) :]
        at = member.find(NESTED, at + 1)
    raise NotFound("file", f"{os.path.basename(member)} is no longer in its ZIP file.")
