"""Having a peer send objects: C-GET over our association, C-MOVE over another (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.dicom.identifier import read_identifier
from core.dicom.syntaxes import EXPLICIT_BIG_UID, EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID, TRANSFER_SYNTAXES
from core.errors import BadInput
from core.net.dimse.asking import cancel, encoded_request, never
from core.net.dimse.association import Association, Context, Message
from core.net.dimse.command import RESPONSE, Element, Field
from core.net.dimse.faults import LinkLost, PeerReleases
from core.net.dimse.negotiation import Roles, unexpected
from core.net.dimse.requestor import MOST_CONTEXTS, Wish
from core.net.dimse.statuses import CANCELLED, PENDING, SUCCESS

STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
TICK_S = 0.2
SILENCE_S = 300.0
"""So long a peer may be at its tapes before the next object comes, or the next word of it."""
CANCEL_S = 10.0
"""So long it may take to end what was cancelled."""
MOST_RESPONSE_BYTES = 4 << 20
FAILED_UIDS = 0x00080058
COMMON = (
    "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.103", "1.2.840.10008.1.2.4.100",
)  # fmt: skip
"""Compressed syntaxes, those that are met most first."""
PLAIN = (EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID)
ORDER = tuple(dict.fromkeys((*COMMON, *(uid for uid in TRANSFER_SYNTAXES if uid not in PLAIN))))


class Keep(Protocol):
    """Whoever takes what a C-GET brings."""

    def __call__(self, association: Association, message: Message) -> None:
        """Read the data set of a C-STORE and answer it. Raises LinkLost, Violation."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Sub-operations, as the peer counts them."""

    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warnings: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a retrieval ended: the peer's *status*, and the SOP Instance UIDs it names as failed."""

    status: int
    counts: Counts = Counts()
    failed: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing is missing, by what the peer says."""
        return self.status == SUCCESS


def wishes_to_get(sop_classes: Iterable[str]) -> tuple[list[Wish], dict[str, Roles]]:
    """What to propose for a C-GET of objects of *sop_classes*, and our role as their SCP (PS3.7 D.3.3.4).

    A context for every syntax there is room for, so that objects can come as they are stored.
    """
    classes = list(dict.fromkeys(sop_classes))[: MOST_CONTEXTS - 1]
    each = max(1, (MOST_CONTEXTS - 1) // max(1, len(classes)))
    wishes = [Wish(STUDY_ROOT_GET, PLAIN)]
    for sop_class in classes:
        wishes.append(Wish(sop_class, PLAIN))
        wishes += [Wish(sop_class, (uid,)) for uid in ORDER[: each - 1] if uid != EXPLICIT_BIG_UID]
    return wishes, {sop_class: Roles(scu=False, scp=True) for sop_class in classes}


class Retrieval:
    """One C-GET or C-MOVE on an association; *hear* is told how far it is, *stopped* is asked often.

    While the peer is silent *hear* is told the same again, so that it can catch up with what it left out.
    """

    def __init__(
        self,
        association: Association,
        context: Context,
        *,
        hear: Callable[[Counts], None],
        stopped: Callable[[], bool] = never,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._association = association
        self._context = context
        self._hear = hear
        self._stopped = stopped
        self._silence_s = silence_s
        self._counts = Counts()

    def get(self, level: str, keys: Mapping[str, Any], keep: Keep) -> Ended:
        """The objects come over this association. Raises LinkLost, Violation."""
        return self._run(Field.C_GET, level, keys, keep)

    def move(self, level: str, keys: Mapping[str, Any], to: str) -> Ended:
        """The peer sends them to the AE title *to*. Raises LinkLost, Violation."""
        return self._run(Field.C_MOVE, level, keys, None, to)

    def _run(
        self, field: Field, level: str, keys: Mapping[str, Any], keep: Keep | None, to: str = ""
    ) -> Ended:
        leveled = {"QueryRetrieveLevel": level, **keys}
        request, data = encoded_request(self._association, self._context, field, leveled)
        if to:
            request[Element.MOVE_DESTINATION] = to
        self._association.send(self._context.id, request, data)
        cancelled = 0.0
        heard = time.monotonic()
        while True:
            now = time.monotonic()
            if not cancelled and self._stopped():
                cancelled = now
                self._association.send(self._context.id, cancel(request))
            if cancelled and now - cancelled > CANCEL_S:
                self._association.abort()
                return Ended(CANCELLED)
            if not self._association.wait(TICK_S):
                if now - heard > self._silence_s:
                    raise LinkLost(f"{self._association.called} sends nothing any more.", "Try again.")
                self._hear(self._counts)
                continue
            ended = self._heard(request, keep)
            if ended is not None:
                return ended
            heard = time.monotonic()

    def _heard(self, request: Mapping[Element, int | str], keep: Keep | None) -> Ended | None:
        """What the peer says next; how it ended, if it has."""
        try:
            message = self._association.receive()
        except PeerReleases as error:
            raise LinkLost(
                f"{self._association.called} ended the association half way.", "Try again."
            ) from error
        command = message.command
        if command.field == Field.C_STORE and keep is not None:
            keep(self._association, message)
            return None
        wanted = (int(request[Element.COMMAND_FIELD]) | RESPONSE, request[Element.MESSAGE_ID])
        if (command.field, command.number(Element.MESSAGE_ID_RESPONDED_TO)) != wanted:
            raise unexpected()
        data = self._association.whole_data_set(message, MOST_RESPONSE_BYTES)
        counts = Counts(
            command.number(Element.REMAINING),
            command.number(Element.COMPLETED),
            command.number(Element.FAILED),
            command.number(Element.WARNING),
        )
        self._counts = counts
        self._hear(counts)
        if command.status in PENDING:
            return None
        return Ended(command.status, counts, _failed(data, message.context.transfer_syntax))


def _failed(data: bytes, transfer_syntax_uid: str) -> tuple[str, ...]:
    """The Failed SOP Instance UID List; what makes no sense says nothing."""
    with contextlib.suppress(BadInput):
        text = read_identifier(data, transfer_syntax_uid).text(FAILED_UIDS) if data else ""
        return tuple(uid for uid in text.split("\\") if uid)
    return ()
