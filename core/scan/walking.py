"""Walks the files of a folder as they come, without listing the whole of it first."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from core.dicom.refs import SkipReason
from core.scan import sentences
from core.scan.reading import File, Refused

MAX_FOLDERS_DEEP = 200


class Odd(NamedTuple):
    """An entry that is not read, and why."""

    relative: str
    refused: Refused


def files(root: str, *, in_disc_order: bool = False) -> Iterator[File | Odd | None]:
    """Every file below *root*; None after each folder, so that the caller may do something else.

    By name, or on optical discs by their directory records, which lie in about the order of the contents.
    Links are followed once: a folder already walked is not walked again. Raises OSError for the root alone.
    """
    cut = len(root.rstrip(os.sep)) + 1
    walked: set[tuple[int, int]] = set()
    pending = [(root, 0, False)]
    while pending:
        folder, depth, linked = pending.pop()
        relative = _slashes(folder[cut:])
        if depth > MAX_FOLDERS_DEEP:
            yield Odd(relative, Refused(SkipReason.TOO_DEEP, sentences.PATH_TOO_LONG))
            continue
        try:
            status = os.stat(folder)
            identity = (status.st_dev, status.st_ino)
            if identity in walked and (linked or identity[1]):
                continue
            walked.add(identity)
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            if depth == 0:
                raise
            yield Odd(relative, _no_folder(error))
            continue
        entries.sort(key=_inode if in_disc_order else _name)
        folders = []
        for entry in entries:
            if _is_folder(entry):
                folders.append((entry.path, depth + 1, entry.is_symlink()))
            elif entry.is_symlink() and _leads_inside(entry.path, root):
                continue  # its target is found where it lies
            else:
                yield File(entry.path, _slashes(entry.path[cut:]))
        pending.extend(reversed(folders))
        yield None


def _slashes(path: str) -> str:
    return path if os.sep == "/" else path.replace(os.sep, "/")


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _inode(entry: os.DirEntry[str]) -> int:
    return entry.inode()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle: reading it says so


def _leads_inside(path: str, root: str) -> bool:
    try:
        target = os.path.realpath(path, strict=True)
    except OSError:
        return False
    return os.path.commonpath((target, os.path.realpath(root))) == os.path.realpath(root)


def _no_folder(error: OSError) -> Refused:
    if isinstance(error, PermissionError):
        return Refused(SkipReason.UNREADABLE, sentences.NOT_ALLOWED)
    if isinstance(error, FileNotFoundError):
        return Refused(SkipReason.UNREADABLE, sentences.GONE)
    if error.errno == errno.ENAMETOOLONG:
        return Refused(SkipReason.TOO_DEEP, sentences.PATH_TOO_LONG)
    return Refused(SkipReason.UNREADABLE, sentences.FOLDER_FAULT)
