"""What can go wrong on an association, and what A-ABORT says of it (PS3.8 9.3.8).

KnownError
├── BadInput
│   └── Violation         the peer does not keep to PS3.7 or PS3.8: the association is aborted
└── Unreachable
    ├── LinkLost          the connection broke or fell silent; nothing more can be said to the peer
    └── Refused           the peer rejected the association, or took none of the contexts
"""

from __future__ import annotations

from enum import IntEnum

from core.errors import BadInput, Unreachable


class AbortReason(IntEnum):
    """Why the provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class Violation(BadInput):
    """The peer does not keep to the standard; *reason* is what it is told."""

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(message, "The peer must be mended.")
        self.reason = reason


class LinkLost(Unreachable):
    """The connection is gone."""


class Refused(Unreachable):
    """The peer is there, but wants no association."""


class PeerReleases(Exception):
    """The peer asks for the association to end, as it should."""
