"""Sending objects by C-STORE (PS3.4 B): the data set of a file as it lies there, never decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from core.dicom.file_format import data_set_position
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID
from core.errors import SourceFault
from core.net.dimse.association import Association, Context, Message
from core.net.dimse.command import DATA_SET, RESPONSE, Element, Field, Value
from core.net.dimse.faults import AbortReason, Violation
from core.net.dimse.requestor import MOST_CONTEXTS, Wish

T = TypeVar("T")

PLAIN = (EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID)
"""What an object is made into where the peer does not take it as it is."""
SUCCESS = 0x0000
WARNINGS = frozenset({0x0001, 0x0107, 0x0116})
"""Beside those from 0xB000 to 0xBFFF (PS3.7 annex C)."""
ANSWER_S = 300.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One object to be sent, in a file."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path


@dataclass(frozen=True, slots=True)
class Originator:
    """On whose C-MOVE an object is sent."""

    ae_title: str = ""
    message_id: int = 0


def is_warning(status: int) -> bool:
    """Whether the object was stored, with something to be said of it."""
    return status in WARNINGS or 0xB000 <= status <= 0xBFFF


def store(
    association: Association,
    context: Context,
    what: Outgoing,
    *,
    originator: Originator | None = None,
    heard: Callable[[Message], None] | None = None,
) -> int:
    """Send one object and wait for the status. *heard* gets what else the peer says meanwhile.

    Raises LinkLost, Violation; SourceFault: before anything was sent if it is `lasting`, else the message
    was broken off, and the association must be aborted.
    """
    try:
        with what.path.open("rb", buffering=0) as file:
            size = what.path.stat().st_size
            start = data_set_position(file, size)
            file.seek(start)
            message_id = send(
                association, context, what.sop_instance_uid, file, size - start, originator=originator
            )
    except OSError as error:
        raise SourceFault("An object cannot be read.", "Run filmjacket check.", lasting=True) from error
    return answered(association, message_id, heard)


def send(
    association: Association,
    context: Context,
    sop_instance_uid: str,
    data: BinaryIO,
    size: int,
    *,
    originator: Originator | None = None,
) -> int:
    """Send the data set that is the next *size* bytes of *data*; its message's number. Raises as `store`."""
    message_id = association.new_message_id()
    command: dict[Element, Value] = {
        Element.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        Element.COMMAND_FIELD: Field.C_STORE,
        Element.MESSAGE_ID: message_id,
        Element.PRIORITY: 0,
        Element.DATA_SET_TYPE: DATA_SET,
        Element.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
    }
    if originator is not None:
        command[Element.MOVE_ORIGINATOR] = originator.ae_title
        command[Element.MOVE_ORIGINATOR_MESSAGE_ID] = originator.message_id
    association.send_file(context.id, command, data, size)
    return message_id


def answered(
    association: Association, message_id: int, heard: Callable[[Message], None] | None = None
) -> int:
    """The status of the object sent under *message_id*. Raises LinkLost, Violation, PeerReleases."""
    while True:
        message = association.receive(ANSWER_S)
        command = message.command
        if command.field == Field.C_STORE | RESPONSE:
            if command.number(Element.MESSAGE_ID_RESPONDED_TO) != message_id:
                raise Violation("The peer answers what was not asked.", AbortReason.UNEXPECTED_PDU)
            for _ in association.data_set(message):
                pass
            return command.status
        if heard is None:
            raise Violation("The peer says something else than an answer.", AbortReason.UNEXPECTED_PDU)
        heard(message)


def context_for(association: Association, what: Outgoing) -> Context | None:
    """The context that takes the object as it is, else one it can be made to fit, or None."""
    mine = [each for each in association.contexts.values() if each.abstract_syntax == what.sop_class_uid]
    for each in mine:
        if each.transfer_syntax == what.transfer_syntax_uid:
            return each
    return next((each for wanted in PLAIN for each in mine if each.transfer_syntax == wanted), None)


def wishes_of(objects: Iterable[Outgoing]) -> list[Wish]:
    """The contexts to propose for *objects*: each class as it is stored, and plain (PS3.5 10.1)."""
    found: dict[tuple[str, tuple[str, ...]], None] = {}
    for each in objects:
        if each.transfer_syntax_uid not in PLAIN:
            found[each.sop_class_uid, (each.transfer_syntax_uid,)] = None
    for each in objects:
        own = each.transfer_syntax_uid
        found[each.sop_class_uid, (own,) if own in PLAIN else PLAIN[:1]] = None
        found[each.sop_class_uid, (IMPLICIT_LITTLE_UID,)] = None
    return [Wish(sop_class, syntaxes) for sop_class, syntaxes in found]


def batches(objects: Sequence[T], outgoing: Callable[[T], Outgoing]) -> list[list[T]]:
    """*objects* in their order, cut where more contexts were needed than an association has."""
    found: list[list[T]] = [[]]
    kinds: set[tuple[str, str]] = set()
    for each in objects:
        what = outgoing(each)
        kind = what.sop_class_uid, what.transfer_syntax_uid
        if kind not in kinds and (len(kinds) + 1) * 3 > MOST_CONTEXTS:
            found.append([])
            kinds = set()
        kinds.add(kind)
        found[-1].append(each)
    return [each for each in found if each]
