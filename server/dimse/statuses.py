"""Statuses of responses (PS3.7 annex C, PS3.4 B.2.3, C.4) and which error gets which."""

from __future__ import annotations

from enum import IntEnum

from core.archive.arrival import CutShort, NotSaid
from core.errors import BadInput, Busy, KnownError, MissingElement, NotDicom, StorageFault


class Status(IntEnum):
    """What a response says."""

    SUCCESS = 0x0000
    PENDING = 0xFF00
    PENDING_WITH_UNSUPPORTED_KEYS = 0xFF01
    CANCEL = 0xFE00
    INVALID_ATTRIBUTE_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT_VALUE = 0x0115
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    CANNOT_COUNT_MATCHES = 0xA701
    CANNOT_PERFORM_SUBOPERATIONS = 0xA702
    MOVE_DESTINATION_UNKNOWN = 0xA801
    DATA_SET_DOES_NOT_MATCH = 0xA900
    WARNING_SUBOPERATIONS = 0xB000
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC001


STORE: tuple[tuple[type[Exception], Status], ...] = (
    (StorageFault, Status.OUT_OF_RESOURCES),
    (Busy, Status.OUT_OF_RESOURCES),
    (NotSaid, Status.DATA_SET_DOES_NOT_MATCH),
    (MissingElement, Status.DATA_SET_DOES_NOT_MATCH),
    (CutShort, Status.CANNOT_UNDERSTAND),
    (NotDicom, Status.CANNOT_UNDERSTAND),
    (BadInput, Status.CANNOT_UNDERSTAND),
    (KnownError, Status.CANNOT_UNDERSTAND),
)
"""Of C-STORE (PS3.4 table B.2-1), the first that fits; what is not here is our fault: 0x0110."""


def store_status(error: BaseException) -> Status:
    """The status of a C-STORE that failed so."""
    return next((status for kind, status in STORE if isinstance(error, kind)), Status.PROCESSING_FAILURE)


def comment_of(error: BaseException) -> str:
    """What the peer's operator is told (0000,0902): no patient's values, ASCII, at most 64 characters."""
    return error.message[:64] if isinstance(error, KnownError) else ""
