"""What a DICOMDIR says should be on its disc: every file its records name (PS3.3 F.3, PS3.10 8).

Records are taken in the order they lie in the file, not by their offsets: broken offsets hide nothing then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.dicom.charset import plain
from core.dicom.elements import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED_LENGTH, Dialect
from core.dicom.file_format import Raw, data_set, read_file_meta, syntax_of
from core.dicom.nested import Cut, Damaged, element_at, elements, skip_undefined
from core.dicom.view import View, of_bytes
from core.errors import NotDicom

MAX_BYTES = 256 << 20
DIRECTORY_RECORD_SEQUENCE = 0x00041220
RECORD_IN_USE = 0x00041410
REFERENCED_FILE_ID = 0x00041500
REFERENCED_SOP_INSTANCE_UID = 0x00041511
INACTIVE = b"\0\0"
_WANTED = frozenset((RECORD_IN_USE, REFERENCED_FILE_ID, REFERENCED_SOP_INSTANCE_UID))


@dataclass(frozen=True, slots=True)
class Listed:
    """One file a record names: its path, "/" between the parts, and the SOP Instance UID it should have."""

    path: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files a DICOMDIR names; *whole* is False where the DICOMDIR ends or breaks before its end."""

    listed: tuple[Listed, ...]
    whole: bool


def read_dicomdir(data: bytes) -> Listing:
    """What the DICOMDIR in *data* names, as far as it can be read."""
    view = of_bytes(data)
    listed: list[Listed] = []
    try:
        meta: Raw = {}
        start = data_set(view, read_file_meta(view, meta), syntax_of(meta))
        for element in elements(start.view, start.position, start.dialect):
            if element.tag == DIRECTORY_RECORD_SEQUENCE:
                listed.extend(_records(start.view, element.start, element.end, start.dialect))
    except (Cut, Damaged, NotDicom):
        return Listing(_salvaged(view) or tuple(listed), whole=False)
    return Listing(tuple(listed), not start.cut)


def _salvaged(view: View) -> tuple[Listed, ...]:
    """The records of a DICOMDIR whose sequence does not end as it should."""
    listed: list[Listed] = []
    try:
        meta: Raw = {}
        start = data_set(view, read_file_meta(view, meta), syntax_of(meta))
        position = start.position
        while True:
            tag, vr, length, value = element_at(start.view, position, start.dialect)
            if tag == DIRECTORY_RECORD_SEQUENCE:
                for record in _records(start.view, value, start.view.size, start.dialect):
                    listed.append(record)
            if length == UNDEFINED_LENGTH:
                position = skip_undefined(start.view, value, start.dialect, vr)
            else:
                position = value + length
    except (Cut, Damaged, NotDicom):
        return tuple(listed)


def _records(view: View, position: int, end: int, dialect: Dialect) -> Iterator[Listed]:
    """The files named by the items from *position* on. Raises Cut, Damaged."""
    while position < end:
        at = view.at(position, 8)
        if at < 0:
            raise Cut
        wire, length = dialect.long(view.data, at)
        tag = dialect.wire(wire)
        position += 8
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise Damaged("a directory record is no item")
        stop = position + length if length != UNDEFINED_LENGTH else 0
        values: dict[int, bytes] = {}
        position = _record(view, position, stop, dialect, values)
        listed = _listed(values)
        if listed is not None:
            yield listed


def _record(view: View, position: int, stop: int, dialect: Dialect, values: dict[int, bytes]) -> int:
    """Read one record up to *stop*, or up to its delimiter if that is 0; where it ends."""
    while not stop or position < min(stop, view.size):  # a last item whose length overstates hides nothing
        tag, vr, length, start = element_at(view, position, dialect)
        if tag == ITEM_END:
            return start
        if length == UNDEFINED_LENGTH:
            position = skip_undefined(view, start, dialect, vr)
            continue
        position = start + length
        if position > view.size:
            raise Cut
        if tag in _WANTED:
            values[tag] = view.take(start, length)
    return position


def _listed(values: dict[int, bytes]) -> Listed | None:
    if values.get(RECORD_IN_USE, b"\xff\xff")[:2] == INACTIVE:
        return None
    parts = [part.strip() for part in plain(values.get(REFERENCED_FILE_ID, b"")).split("\\")]
    if not any(parts):
        return None
    return Listed("/".join(parts), plain(values.get(REFERENCED_SOP_INSTANCE_UID, b"")))
