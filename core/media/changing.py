"""Objects as they go onto a medium: other values, elements removed, always with file meta."""

from __future__ import annotations

import io
import logging
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import BadZipFile

from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_file_meta_info
from pydicom.uid import UID

from core.dicom.elements import Dialect
from core.dicom.file_format import HEAD_BYTES, Raw, data_set, has_preamble, read_file_meta
from core.dicom.header import read_header
from core.dicom.overlaying import Overlaid, overlaid
from core.dicom.recoding import dictionary_vr
from core.dicom.refs import Header
from core.dicom.syntaxes import DEFLATED_UID, EXPLICIT_BIG_UID, EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID
from core.dicom.view import of_stream
from core.errors import BadInput, KnownError, SourceFault, Unsupported

logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its lines quote values
READ_FAULTS = (OSError, EOFError, BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Item:
    """One DICOM object for a medium; *name* tells it from others without saying whose it is.

    *path* is its plain file, if it has one; *version* its digest, if it is known.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    path: Path | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is other on the medium: *overlay* at the top level; *values* and *removed* at any depth."""

    overlay: Mapping[int, str] = field(default_factory=dict)
    values: Mapping[int, str] = field(default_factory=dict)
    removed: frozenset[int] = frozenset()

    @property
    def anonymize(self) -> bool:
        """Whether elements are replaced or removed at any depth."""
        return bool(self.values or self.removed)


@contextmanager
def changed(item: Item, changes: Changes) -> Iterator[Overlaid]:
    """The object's bytes as they are to be written. Raises KnownError."""
    try:
        stream = item.open()
    except READ_FAULTS as error:
        raise SourceFault("The file cannot be read.") from error
    made: list[Overlaid] = []
    try:
        made.append(_whole(stream, item.size))
        for change in _steps(changes):
            made.append(change(seekable(made[-1]), made[-1].size))
        yield made[-1]
    except READ_FAULTS as error:
        raise SourceFault("The file cannot be read.") from error
    finally:
        for each in reversed(made):
            each.close()
        stream.close()


def seekable(data: Overlaid) -> BinaryIO:
    """*data* as a stream."""
    return cast(BinaryIO, io.BufferedReader(_Stream(data), 1 << 16))


class _Stream(io.RawIOBase):
    name = ""  # pydicom asks for one

    def __init__(self, data: Overlaid) -> None:
        super().__init__()
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._data.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._data.read(self._at, len(buffer)) if self._at < self._data.size else b""
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


Step = Callable[[BinaryIO, int], Overlaid]


def _steps(changes: Changes) -> Iterator[Step]:
    if changes.overlay:
        yield lambda stream, size: overlaid(stream, size, changes.overlay)
    if changes.anonymize:
        yield lambda stream, size: _edited(stream, size, changes)


def _whole(stream: BinaryIO, size: int) -> Overlaid:
    """The file as it is; one without preamble and file meta gets both (PS3.10 7.1)."""
    head = stream.read(HEAD_BYTES)
    if has_preamble(head):
        return Overlaid(stream, [(0, size)])
    header = identified(stream)
    view = of_stream(stream, HEAD_BYTES, size)
    found: Raw = {}
    start = read_file_meta(view, found)
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(header.sop_class_uid, IGNORE)
    meta.MediaStorageSOPInstanceUID = UID(header.sop_instance_uid, IGNORE)
    meta.TransferSyntaxUID = UID(
        header.transfer_syntax_uid or _as_written(data_set(view, start, b"").dialect)
    )
    meta.ImplementationClassUID = UID("2.25.113059749145936325402354257176981405696")
    out = DicomBytesIO()
    out.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(out, meta)
    return Overlaid(stream, [out.getvalue(), (start, size)])


def identified(stream: BinaryIO) -> Header:
    """The header of an object that can be told from others. Raises BadInput."""
    header = read_header(stream)
    if not all(header[:4]):
        raise BadInput("The object lacks a UID, so it cannot be told from others.")
    return header


def _as_written(dialect: Dialect) -> str:
    if not dialect.explicit:
        return IMPLICIT_LITTLE_UID
    return EXPLICIT_LITTLE_UID if dialect.little else EXPLICIT_BIG_UID


def _edited(stream: BinaryIO, size: int, changes: Changes) -> Overlaid:
    """With other values in every data set that has the element, and at the top; pixels are copied."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says of odd values was so before
            stream.seek(0)
            ds = dcmread(stream, stop_before_pixels=True)
            end = stream.tell()
            if ds.file_meta.TransferSyntaxUID == DEFLATED_UID:
                raise Unsupported("Elements of a deflated object cannot be replaced here.")
            ds.decode()
            if not all(value.isascii() for value in changes.values.values()):
                ds.SpecificCharacterSet = "ISO_IR 192"
            _edit(ds, changes, top=True)
            out = DicomBytesIO()
            dcmwrite(out, ds, enforce_file_format=True)
    except (KnownError, *READ_FAULTS):
        raise
    except Exception as error:  # whatever a damaged header provokes is the matter of this object alone
        raise Unsupported("Elements of this object cannot be replaced: its header makes no sense.") from error
    return Overlaid(stream, [out.getvalue(), (end, size)])


def _edit(ds: Dataset, changes: Changes, *, top: bool) -> None:
    for tag in changes.removed:
        if tag in ds:
            del ds[tag]
    for tag, value in changes.values.items():
        if top or tag in ds:
            vr = dictionary_vr(tag).decode("ascii")
            ds[tag] = DataElement(tag, "LO" if vr == "UN" else vr, value)
    for element in list(ds):
        if element.VR == "SQ":
            for each in element.value:
                _edit(each, changes, top=False)
