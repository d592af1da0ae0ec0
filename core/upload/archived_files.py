"""Opens files of a job whose source is a study of the archive; fetches its attachments before it begins."""

from __future__ import annotations

import io
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from core.dicom.refs import FileRef
from core.errors import NotFound, SourceFault, StorageFault, Unreachable
from core.net.archive_source import ArchiveSource
from core.net.credentials import Access
from core.net.records import AttachmentRow
from core.net.v3_client import V3Client
from core.upload.picks import ArchivedStudy

KEPT_BYTES = 256 << 20  # of images on their way; each is needed once
HOUR = 3600


class ArchivedFiles:
    """Files of *study* at the archive behind *url*; close it to let go of what was fetched."""

    def __init__(self, study: ArchivedStudy, url: str, access: Access) -> None:
        self._client = V3Client(url, access)
        self._source = ArchiveSource(
            self._client, study.namespace, study.study_uid, cache_bytes=KEPT_BYTES, name=str(study)
        )

    def open(self, ref: FileRef) -> BinaryIO:
        """The image's bytes; the caller closes it. Raises SourceFault."""
        try:
            file = self._source.open(ref)
        except NotFound as error:
            raise SourceFault("The image is no longer in the archive.", lasting=True) from error
        except Unreachable as error:
            raise SourceFault(error.message, error.remedy) from error
        return nameless(file)

    def close(self) -> None:
        """Drop what was fetched and the connections."""
        self._source.close()
        self._client.close()


def nameless(file: BinaryIO) -> BinaryIO:
    """A fetched file without the name and time of its copy: those say nothing of the image."""
    return cast(BinaryIO, io.BufferedReader(_Fetched(file)))


class _Fetched(io.RawIOBase):
    """Only what can be read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = cast(io.BufferedReader, file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._file.readinto(buffer)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def fetch_attachments(client: V3Client, study: ArchivedStudy, folder: Path) -> list[Path]:
    """Copies of the study's attachments in a new folder below *folder*, where a later run finds them.

    Raises KnownError.
    """
    detail = client.study_detail(study.namespace, study.study_uid)
    if not detail.attachments:
        return []
    own = folder / uuid.uuid4().hex
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        own.mkdir(mode=0o700)
        paths = []
        for number, row in enumerate(detail.attachments):
            path = own / str(number) / file_name(row)
            path.parent.mkdir(mode=0o700)
            with (
                client.attachment(study.namespace, study.study_uid, row.id, row.version) as pieces,
                path.open("wb") as out,
            ):
                out.writelines(pieces)
            paths.append(path)
        return paths
    except OSError as error:
        shutil.rmtree(own, ignore_errors=True)
        raise StorageFault(
            "The attachments could not be copied to this disk.", "Free space on the disk."
        ) from error
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise


def file_name(row: AttachmentRow) -> str:
    """The attachment's name as a file name of every system; a PDF is called one."""
    name = "".join(sign if sign.isprintable() and sign not in '/\\:*?"<>|' else "_" for sign in row.name)
    name = name.strip(" .")[-120:] or "attachment"
    if row.content_type == "application/pdf" and not name.lower().endswith(".pdf"):
        name += ".pdf"
    return name


def sweep(folder: Path, needed: Iterable[Path]) -> None:
    """Remove copies of attachments that no job needs any more; what is new may belong to a job to come."""
    keep = {path.parent.parent for path in needed}
    old = time.time() - HOUR
    for each in folder.iterdir() if folder.is_dir() else ():
        if each not in keep and each.stat().st_mtime < old:
            shutil.rmtree(each, ignore_errors=True)
