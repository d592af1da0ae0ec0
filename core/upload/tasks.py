"""What the threads of an upload do: ask, check, send, attach, verify. Each is one exchange or one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from core.dicom.digest import new_hash, version_of
from core.dicom.refs import FileRef, Header
from core.dicom.stored_object import read_object
from core.errors import (
    BadInput,
    Conflict,
    KnownError,
    NotFound,
    SourceFault,
    StorageFault,
    Unauthenticated,
    Unreachable,
)
from core.upload.destination import Destination
from core.upload.nouns import AttachmentItem, Item, ItemState, Read
from core.upload.parcel import Parcel
from core.upload.payload import Payload, changed, missing, unreadable
from core.upload.tally import Tally

Opener = Callable[[FileRef], BinaryIO]


class Origin(Protocol):
    """An archive elsewhere that files are fetched from."""

    def reachable(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""

    def cut(self) -> None:
        """End whatever is being waited for; from then on it cannot be reached."""


class Hands:
    """Does the tasks of one upload for any number of threads."""

    def __init__(
        self,
        destination: Destination,
        opener: Opener,
        tally: Tally,
        stopped: Callable[[], bool],
    ) -> None:
        self.destination = destination
        self._opener = opener
        self._tally = tally
        self._moved = tally.moved
        self._stopped = stopped

    def send(self, item: Item) -> Read:
        """Send one file. Raises SourceFault, Stopped, or what the destination raises."""
        with self._open(item) as data:
            mtime_ns = _same_file(data, item)
            payload = Payload(data, item.size, self._moved, self._stopped)
            try:
                sent = self.destination.send(item.header, cast(BinaryIO, payload), item.size)
                digest = payload.version
            except BaseException:
                payload.forget()
                raise
            return Read(digest, mtime_ns, sent)

    def send_together(self, items: list[Item]) -> list[Read | Exception]:
        """Send small files in one exchange; what became of each, in order. Raises what befell all of them."""
        parcel = Parcel(items, self._whole, self._moved)
        try:
            return parcel.answered(self.destination.send_together(parcel.images))
        except BaseException:
            parcel.take_back()
            raise

    def _whole(self, item: Item) -> tuple[bytes, Read]:
        """All bytes of a small file."""
        with self._open(item) as data:
            mtime_ns = _same_file(data, item)
            payload = Payload(data, item.size, self._moved, self._stopped)
            try:
                content = payload.read(item.size)
                while len(content) < item.size:
                    content += payload.read(item.size - len(content))
                return content, Read(payload.version, mtime_ns)
            except BaseException:
                payload.forget()
                raise

    def check(self, item: Item) -> Read:
        """Digest of one file; read only if it may have changed since the ledger's digest was made.

        What lies in an archive elsewhere does not change: it is not fetched again to be looked at.
        """
        if item.digest and not item.size:
            return Read(item.digest, 0)
        with self._open(item) as data:
            mtime_ns = _same_file(data, item)
            if item.digest and mtime_ns:
                self._moved(item.size)
                return Read(item.digest, mtime_ns)
            payload = Payload(data, item.size, self._moved, self._stopped)
            try:
                return Read(payload.drain(), mtime_ns)
            except BaseException:
                payload.forget()
                raise

    def attach(self, study_uid: str, items: list[AttachmentItem]) -> None:
        """Send those of *items* that the study does not have; each tells what became of it."""
        held = self.destination.attachments_held(study_uid) if items else set()
        for item in items:
            try:
                item.digest, item.size = digest_of(Path(item.path))
                if not held & {item.digest, item.remote or item.digest}:
                    item.remote = self.destination.attach(
                        study_uid, Path(item.path), item.name, item.content_type
                    )
                item.state, item.reason = ItemState.SENT, ""
            except (SourceFault, BadInput, Conflict, NotFound) as fault:
                item.state, item.reason = ItemState.FAILED, fault.message
        self._confirm(study_uid, items)

    def _confirm(self, study_uid: str, items: list[AttachmentItem]) -> None:
        sent = [item for item in items if item.state is ItemState.SENT]
        held = self.destination.attachments_held(study_uid) if sent else set()
        for item in sent:
            if held & {item.digest, item.remote or item.digest}:
                item.state = ItemState.VERIFIED
            else:
                item.state, item.reason = ItemState.FAILED, "The destination does not have this attachment."

    def _open(self, item: Item) -> BinaryIO:
        """The file. What befell the archive it lies in, if any, is no fault of the file."""
        try:
            data = self._opener(item.ref)
            if not item.size:
                self._learn(item, data)
            return data
        except FileNotFoundError as error:
            raise missing() from error
        except (SourceFault, Unreachable, Unauthenticated, StorageFault):
            raise
        except KnownError as error:
            raise SourceFault(error.message, error.remedy, lasting=True) from error
        except (OSError, ValueError) as error:
            raise unreadable() from error

    def _learn(self, item: Item, data: BinaryIO) -> None:
        """What a list did not say: the file's size, and its own header. Closes it and raises SourceFault."""
        try:
            item.header, item.size = own_header(item, data)
        except BaseException:
            data.close()
            raise
        self._tally.learnt(item.size)


def own_header(item: Item, data: BinaryIO) -> tuple[Header, int]:
    """Header and size of a fetched file. Raises SourceFault if it is not the object that was asked for."""
    size = data.seek(0, os.SEEK_END)
    data.seek(0)
    try:
        found = read_object(data, size)
    except BadInput as error:
        raise SourceFault("The archive sent something that is no image.", lasting=True) from error
    if found.truncated:
        raise SourceFault("The archive sent an image that is cut off.", lasting=True)
    listed, header = item.header, found.header
    if (header.sop_instance_uid, header.study_instance_uid) != (item.sop_uid, listed.study_instance_uid):
        raise SourceFault("The archive sent another image than it lists.", lasting=True)
    data.seek(0)
    return header, size


def digest_of(path: Path) -> tuple[str, int]:
    """Version and size of a file on this machine. Raises SourceFault."""
    running = new_hash()
    try:
        with path.open("rb") as data:
            while piece := data.read(1 << 20):
                running.update(piece)
            return version_of(running), data.tell()
    except FileNotFoundError as error:
        raise missing() from error
    except OSError as error:
        raise unreadable() from error


def _same_file(data: BinaryIO, item: Item) -> int:
    """Modification time of the open file, 0 for a ZIP member. Raises SourceFault if it changed."""
    if item.ref.member:
        return 0
    try:
        status = os.fstat(data.fileno())
    except (OSError, AttributeError, ValueError):  # no file of the system but memory
        return 0
    if status.st_size != item.size or item.mtime_ns not in (0, status.st_mtime_ns):
        raise changed()
    return status.st_mtime_ns
