"""The front door to headers: one object's `Header` for the tree, or all the archive wants to know of it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from core.dicom.file_format import HEAD_BYTES
from core.dicom.reader import DamagedObject, HeaderReader, TruncatedObject
from core.dicom.refs import Header
from core.dicom.stored_object import HeaderResult, read_object
from core.dicom.view import of_stream, opened

__all__ = ["DamagedObject", "HeaderResult", "TruncatedObject", "read_header", "read_object"]


def read_header(file: Path | BinaryIO) -> Header:
    """The header of one object. Raises NotDicom, TruncatedObject, DamagedObject, OSError."""
    with opened(file) as stream:
        return HeaderReader().read(of_stream(stream, HEAD_BYTES))
