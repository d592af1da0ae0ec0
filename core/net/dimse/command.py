"""Command sets (PS3.7 6.3.1 and annex E): group 0000, Implicit VR Little Endian."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum

from core.net.dimse.faults import Violation

NO_DATA_SET = 0x0101
DATA_SET = 0x0001
RESPONSE = 0x8000
MOST_COMMAND_BYTES = 64 << 10


class Element(IntEnum):
    """Elements of a command set (PS3.7 E.1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    ERROR_ID = 0x0903
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008
    REMAINING = 0x1020
    COMPLETED = 0x1021
    FAILED = 0x1022
    WARNING = 0x1023
    MOVE_ORIGINATOR = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


class Field(IntEnum):
    """Command Field (0000,0100): which request it is; a response has 0x8000 more."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    C_CANCEL = 0x0FFF
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150


NUMBERS = frozenset(
    {
        Element.COMMAND_FIELD, Element.MESSAGE_ID, Element.MESSAGE_ID_RESPONDED_TO, Element.PRIORITY,
        Element.DATA_SET_TYPE, Element.STATUS, Element.ERROR_ID, Element.EVENT_TYPE_ID,
        Element.ACTION_TYPE_ID, Element.REMAINING, Element.COMPLETED, Element.FAILED, Element.WARNING,
        Element.MOVE_ORIGINATOR_MESSAGE_ID,
    }
)  # fmt: skip
UIDS = frozenset(
    {
        Element.AFFECTED_SOP_CLASS_UID, Element.REQUESTED_SOP_CLASS_UID,
        Element.AFFECTED_SOP_INSTANCE_UID, Element.REQUESTED_SOP_INSTANCE_UID,
    }
)  # fmt: skip
TEXTS = frozenset({Element.MOVE_DESTINATION, Element.MOVE_ORIGINATOR, Element.ERROR_COMMENT})
COMMENT_CHARACTERS = 64

_ELEMENT = struct.Struct("<HHL")
Value = int | str


class Command:
    """One command set: numbers and texts by element."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[int, Value]) -> None:
        self._values = values

    def number(self, element: Element) -> int:
        """A number; 0 if it is not there."""
        value = self._values.get(element, 0)
        return value if isinstance(value, int) else 0

    def text(self, element: Element) -> str:
        """A UID or another text; "" if it is not there."""
        value = self._values.get(element, "")
        return value if isinstance(value, str) else ""

    @property
    def field(self) -> int:
        """What is asked or answered."""
        return self.number(Element.COMMAND_FIELD)

    @property
    def message_id(self) -> int:
        """The number its answers name."""
        return self.number(Element.MESSAGE_ID)

    @property
    def status(self) -> int:
        """Of a response."""
        return self.number(Element.STATUS)

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self._values.get(Element.DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET

    @property
    def sop_class_uid(self) -> str:
        """The affected SOP Class UID, or the requested one (PS3.7 10.1)."""
        return self.text(Element.AFFECTED_SOP_CLASS_UID) or self.text(Element.REQUESTED_SOP_CLASS_UID)


def encode(values: Mapping[Element, Value]) -> bytes:
    """A command set, elements in order, with its group length."""
    body = b"".join(_encoded(element, values[element]) for element in sorted(values))
    return _ELEMENT.pack(0, Element.GROUP_LENGTH, 4) + struct.pack("<L", len(body)) + body


def decode(data: bytes) -> Command:
    """The command set of *data*. Raises Violation."""
    values: dict[int, Value] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < _ELEMENT.size:
            raise Violation("A command set of the peer is cut short.")
        group, element, length = _ELEMENT.unpack_from(data, position)
        position += _ELEMENT.size
        if group != 0 or length > end - position:
            raise Violation("A command set of the peer makes no sense.")
        value = data[position : position + length]
        position += length
        if element in NUMBERS:
            if length < 2:
                raise Violation("A number in a command set of the peer has no value.")
            values[element] = int.from_bytes(value[:2], "little")
        elif element in UIDS or element in TEXTS:
            values[element] = value.decode("latin-1").strip(" \0")
    if Element.COMMAND_FIELD not in values:
        raise Violation("A command set of the peer has no command.")
    return Command(values)


def response(request: Command, status: int, **more: Value) -> dict[Element, Value]:
    """The elements every response has; *more* by the names of Element."""
    values: dict[Element, Value] = {
        Element.COMMAND_FIELD: request.field | RESPONSE,
        Element.MESSAGE_ID_RESPONDED_TO: request.message_id,
        Element.DATA_SET_TYPE: NO_DATA_SET,
        Element.STATUS: status,
    }
    if request.sop_class_uid:
        values[Element.AFFECTED_SOP_CLASS_UID] = request.sop_class_uid
    return values | {Element[name]: value for name, value in more.items() if value != ""}


def _encoded(element: Element, value: Value) -> bytes:
    if element in NUMBERS and isinstance(value, int):
        raw = struct.pack("<H", value)
    elif element is Element.OFFENDING_ELEMENT and isinstance(value, int):
        raw = struct.pack("<HH", value >> 16, value & 0xFFFF)
    else:
        raw = str(value).encode("ascii", "replace")
        if element is Element.ERROR_COMMENT:
            raw = raw[:COMMENT_CHARACTERS]
        if len(raw) % 2:
            raw += b"\0" if element in UIDS else b" "
    return _ELEMENT.pack(0, element, len(raw)) + raw
