"""C-STORE to a peer (PS3.7 9.1.1): data sets go out as they lie in their files; associations are kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from core.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from core.dicom.file_format import Raw, data_set, read_file_meta, syntax_of
from core.dicom.nested import Cut, Damaged
from core.dicom.refs import Header
from core.dicom.syntaxes import (
    DEFLATED_UID,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE_UID,
    transfer_syntax,
)
from core.dicom.view import View
from core.errors import KnownError, SourceFault, Unsupported
from core.net.dimse.association import Association, Context
from core.net.dimse.faults import LinkLost, PeerReleases
from core.net.dimse.lines import MOST_OPEN, Kind, Lines
from core.net.dimse.link import Patience
from core.net.dimse.requestor import Peer, Wish
from core.net.dimse.store_scu import PLAIN, answered, send

HEAD_BYTES, LONGEST_HEAD = 4 << 10, 64 << 10
"""Read before it is known where the data set begins; file meta need a few hundred bytes, seldom more."""
AHEAD_BYTES = 1 << 20
"""Of an object that waits for an association so much is read meanwhile: most slices as a whole."""
PATIENCE = Patience(idle_s=120.0, stall_s=30.0)
_WRITTEN = {
    EXPLICIT_LITTLE: EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE: IMPLICIT_LITTLE_UID,
    EXPLICIT_BIG: EXPLICIT_BIG_UID,
}


class Recode(Protocol):
    """Writes objects in another transfer syntax."""

    def __call__(self, content: bytes, transfer_syntax_uid: str, *, compressed: bool) -> bytes:
        """The object of the file *content* as another file. Raises KnownError."""

    def close(self) -> None:
        """Let go of what it took; it may be called again."""


class Body(io.RawIOBase):
    """The data set of a file that can be read only once: what was read ahead of it, then the rest."""

    def __init__(self, data: BinaryIO, size: int) -> None:
        """Reads the file meta. Raises SourceFault, and what *data* raises."""
        head = bytearray(_head(data, min(size, HEAD_BYTES)))

        def more(position: int, count: int) -> bytes:
            wanted = min(size, position + count, LONGEST_HEAD)
            head.extend(_head(data, max(0, wanted - len(head))))
            return bytes(head[position : position + count])

        view = View(bytes(head), size, more)
        meta: Raw = {}
        try:
            start = read_file_meta(view, meta)
            self.transfer_syntax_uid = _written(view, start, syntax_of(meta))
        except (Cut, Damaged, KnownError) as error:
            raise _unreadable() from error
        if start > len(head):
            raise _unreadable()
        self.size = size - start
        self._ahead = memoryview(head)[start:]
        self._data = data

    def read_ahead(self) -> None:
        """Read some of it before it is asked for. Raises what the file does."""
        wanted = min(self.size, AHEAD_BYTES) - len(self._ahead)
        self._ahead = memoryview(bytes(self._ahead) + _head(self._data, max(0, wanted)))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # it is always given one
        if not self._ahead:
            count = self._data.readinto(buffer)  # type: ignore[attr-defined]  # every binary file has it
            return int(count)
        count = min(len(buffer), len(self._ahead))
        buffer[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        return count


class Sender:
    """Stores objects at one peer, from any number of threads; each has an association of its own then."""

    def __init__(
        self, peer: Peer, recode: Recode, patience: Patience = PATIENCE, *, associations: int = MOST_OPEN
    ) -> None:
        """*associations*: so many at once, fewer where the peer takes no more."""
        self.peer = peer
        self._recode = recode
        self._lines = Lines(peer, patience, most=associations)
        self._lock = threading.Lock()
        self._kinds: dict[Kind, None] = {}

    def store(self, header: Header, data: BinaryIO, size: int) -> int:
        """The peer's status for the object in the file *data*, read once from its start.

        Raises Unsupported if it takes neither the SOP class nor a transfer syntax that can be had; Refused,
        LinkLost, Violation, SourceFault, and what *data* raises.
        """
        body = Body(data, size)
        kind = Kind(header.sop_class_uid, body.transfer_syntax_uid or header.transfer_syntax_uid)
        if not kind.sop_class_uid:
            raise Unsupported("The object names no SOP class, so it cannot be sent over DIMSE.")
        with self._lines.taken(kind, self._asked_with(kind), body.read_ahead) as association:
            context = _context(association, kind.sop_class_uid, (kind.transfer_syntax_uid,))
            if context is not None:
                return _store(association, context, header.sop_instance_uid, body, body.size)
            context = _context(association, kind.sop_class_uid, PLAIN)
        if context is None:
            name = transfer_syntax(kind.transfer_syntax_uid).name or kind.transfer_syntax_uid
            raise Unsupported(f"{self.peer.called} does not take objects of this kind ({name}).")
        return self._store_recoded(header, kind, data, size, context.transfer_syntax)

    def asking(self, wishes: Sequence[Wish]) -> AbstractContextManager[Association]:
        """An association for other services; those that are idle make room for it."""
        return self._lines.alone(wishes)

    def one_at_a_time(self) -> None:
        """Send no two objects at once any more."""
        self._lines.one_at_a_time()

    def close(self) -> None:
        """Release all associations."""
        self._lines.close()
        self._recode.close()

    def _asked_with(self, kind: Kind) -> list[Kind]:
        """*kind* and those of earlier objects, which will come again."""
        with self._lock:
            self._kinds.pop(kind, None)
            self._kinds[kind] = None
            return list(self._kinds)

    def _store_recoded(self, header: Header, kind: Kind, data: BinaryIO, size: int, syntax: str) -> int:
        data.seek(0)
        compressed = transfer_syntax(kind.transfer_syntax_uid).encapsulated
        content = self._recode(_head(data, size), syntax, compressed=compressed)
        body = Body(io.BytesIO(content), len(content))
        with self._lines.taken(kind, self._asked_with(kind)) as association:
            context = _context(association, kind.sop_class_uid, (syntax,))
            if context is None:
                raise Unsupported(f"{self.peer.called} does not take objects of this kind any more.")
            return _store(association, context, header.sop_instance_uid, body, body.size)


def _context(association: Association, sop_class: str, syntaxes: Sequence[str]) -> Context | None:
    accepted = {
        each.transfer_syntax: each
        for each in association.contexts.values()
        if each.abstract_syntax == sop_class
    }
    return next((accepted[each] for each in syntaxes if each in accepted), None)


def _store(association: Association, context: Context, sop_uid: str, body: Body, size: int) -> int:
    message_id = send(association, context, sop_uid, body, size)  # type: ignore[arg-type]  # it is only read
    try:
        return answered(association, message_id)
    except PeerReleases as error:
        raise LinkLost("The peer ended the association before it answered.", "Try again.") from error


def _head(data: BinaryIO, size: int) -> bytes:
    head = bytearray()
    while len(head) < size and (piece := data.read(size - len(head))):
        head += piece
    return bytes(head)


def _written(view: View, start: int, raw_syntax: bytes) -> str:
    """The transfer syntax the data set is written in, which is not always what the file meta say."""
    said = raw_syntax.decode("latin-1").strip(" \0")
    if said == DEFLATED_UID or (said and said not in _WRITTEN.values()):
        return said
    return _WRITTEN.get(data_set(view, start, raw_syntax).dialect, "")


def _unreadable() -> SourceFault:
    return SourceFault("The beginning of the file makes no sense.", "Read the source again.", lasting=True)
