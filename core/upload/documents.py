"""A document on its way into a study: written as an object of it, for destinations that keep nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.dicom.json_model import Model
from core.errors import StorageFault

Encapsulate = Callable[[Model, Path, str, BinaryIO], str]
"""Writes the document at a path, titled, as an object of a study; its SOP Instance UID. Raises KnownError."""


@dataclass(frozen=True, slots=True)
class Document:
    """The object: its SOP Instance UID, and its *size* bytes from the beginning of *file*."""

    sop_uid: str
    file: BinaryIO
    size: int


@contextmanager
def document(encapsulate: Encapsulate, study: Model, path: Path, name: str) -> Iterator[Document]:
    """The document at *path* as an object of *study*, while it is sent. Raises KnownError."""
    try:
        with tempfile.TemporaryFile() as file:
            sop_uid = encapsulate(study, path, name, file)
            size = file.tell()
            file.seek(0)
            yield Document(sop_uid, file, size)
    except OSError as error:
        raise StorageFault(
            "A document to attach could not be written to this disk.", "Free space on the disk."
        ) from error
