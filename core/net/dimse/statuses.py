"""What a peer's status means (PS3.7 annex C, PS3.4 tables C.4-1 to C.4-3), in words for a person."""

from __future__ import annotations

from core.errors import KnownError

SUCCESS = 0x0000
PENDING = (0xFF00, 0xFF01)
CANCELLED = 0xFE00
SOP_CLASS_NOT_SUPPORTED = 0x0122
UNRECOGNIZED_OPERATION = 0x0211
MOVE_DESTINATION_UNKNOWN = 0xA801
SUBOPERATIONS_WITH_FAILURES = 0xB000
CANNOT_PERFORM_SUBOPERATIONS = 0xA702

WORDS: tuple[tuple[range, str], ...] = (
    (range(0x0105, 0x0108), "an attribute is not to its liking"),
    (range(0x0110, 0x0111), "it failed over it"),
    (range(0x0117, 0x0119), "it knows no such object"),
    (range(0x0122, 0x0123), "it does not offer that"),
    (range(0x0124, 0x0125), "it does not allow us to"),
    (range(0x0210, 0x0213), "it does not understand the request"),
    (range(0xA700, 0xA701), "it is out of resources"),
    (range(0xA701, 0xA702), "it is out of resources and cannot count what fits"),
    (range(0xA702, 0xA703), "it is out of resources and cannot send"),
    (range(0xA801, 0xA802), "it does not know where to send to"),
    (range(0xA900, 0xA901), "the question does not fit the service"),
    (range(0xB000, 0xB001), "some objects could not be sent"),
    (range(0xC000, 0xD000), "it cannot process the request"),
    (range(0xFE00, 0xFE01), "it was cancelled"),
)


def words_of(status: int) -> str:
    """`it is out of resources (status 0xA700)`."""
    said = next((words for codes, words in WORDS if status in codes), "it failed")
    return f"{said} (status 0x{status:04X})"


def not_found(title: str, status: int) -> KnownError:
    """Of a C-FIND that *title* ended so."""
    remedy = "Narrow the search." if status == 0xA700 else "Ask its administrator if it goes on."
    return KnownError(f"{title} could not search: {words_of(status)}.", remedy)
