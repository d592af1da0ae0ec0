"""Reading one plain file: its header, or why it is not taken. Runs in worker processes too."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.dicom.file_format import HEAD_BYTES
from core.dicom.reader import DamagedObject, HeaderReader, TruncatedObject
from core.dicom.refs import Header, SkipReason
from core.dicom.view import View, of_descriptor
from core.errors import NotDicom
from core.scan import sentences

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
# Packed documents and programs: ZIP files in which nobody keeps images.
_NO_ARCHIVES = frozenset(
    (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".jar", ".apk", ".epub", ".xpi", ".msix", ".whl")
)


class Instance(NamedTuple):
    """A file that is a whole DICOM instance."""

    size: int
    header: Header


class Directory(NamedTuple):
    """A file that is a DICOMDIR (PS3.10 8.6)."""

    size: int


class Packed(NamedTuple):
    """A file that is a ZIP archive."""

    size: int


class Refused(NamedTuple):
    """A file that is not taken; *again* says that a second try may succeed."""

    reason: SkipReason
    detail: str
    again: bool = False


Verdict = Instance | Directory | Packed | Refused


class File(NamedTuple):
    """A file to be read: where it is, and its path below the folder, with "/" between the parts."""

    full: str
    relative: str


@dataclass(slots=True)
class Task:
    """Some files to read, and what was found once they are read."""

    files: Sequence[File]
    verdicts: Sequence[Verdict] | None = None


def read_path(reader: HeaderReader, path: str) -> Verdict:
    """What the file at *path* is; never raises for what a file or a disc can do."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        return _unreadable(error, path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Refused(SkipReason.NOT_DICOM, sentences.NO_ORDINARY_FILE)
        return judge(reader, of_descriptor(descriptor, HEAD_BYTES, status.st_size), path)
    except OSError as error:
        return _unreadable(error, path)
    finally:
        os.close(descriptor)


def judge(reader: HeaderReader, view: View, name: str) -> Verdict:
    """What the bytes of *view* are. Raises OSError."""
    try:
        header = reader.read(view)
    except NotDicom:
        return _no_dicom(view, name)
    except TruncatedObject:
        if is_directory_name(name):
            return Refused(SkipReason.TRUNCATED, sentences.DIRECTORY_CUT)
        return Refused(SkipReason.TRUNCATED, sentences.TRUNCATED)
    except DamagedObject:
        return Refused(SkipReason.UNREADABLE, sentences.DAMAGED)
    if header.sop_instance_uid and header.study_instance_uid and header.series_instance_uid:
        return Instance(view.size, header)
    if header.sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        return Directory(view.size)
    return Refused(SkipReason.NO_UID, sentences.missing_uids(header))


def is_directory_name(name: str) -> bool:
    """Whether a file is named as a DICOMDIR must be."""
    return os.path.basename(name).upper().split(";")[0].rstrip(".") == "DICOMDIR"


def _no_dicom(view: View, name: str) -> Verdict:
    head = view.take(0, 16)
    if head.startswith(_ZIP_STARTS) and os.path.splitext(name)[1].lower() not in _NO_ARCHIVES:
        return Packed(view.size)
    if is_directory_name(name):
        return Refused(SkipReason.UNREADABLE, sentences.DIRECTORY_DAMAGED)
    return Refused(SkipReason.NOT_DICOM, sentences.no_dicom(head, name))


def _unreadable(error: OSError, path: str) -> Refused:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refused(SkipReason.UNREADABLE, sentences.NOT_ALLOWED)
    if error.errno == errno.ENOENT:
        return Refused(SkipReason.UNREADABLE, sentences.GONE)
    if error.errno in (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP) and _is_odd(path):
        return Refused(SkipReason.NOT_DICOM, sentences.NO_ORDINARY_FILE)
    if error.errno == errno.ENAMETOOLONG:
        return Refused(SkipReason.TOO_DEEP, sentences.PATH_TOO_LONG)
    if error.errno == errno.ELOOP:
        return Refused(SkipReason.UNREADABLE, sentences.LINK_TO_NOWHERE)
    return Refused(SkipReason.UNREADABLE, sentences.READ_FAULT, again=True)


def _is_odd(path: str) -> bool:
    """Whether it is no ordinary file: a drive that went away says the same of every file."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
