"""Asking a peer: C-ECHO, C-FIND (PS3.4 C.4.1) and Storage Commitment (PS3.4 J.3), as their SCU."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.dicom.identifier import UTF_8, Identifier, read_identifier
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID
from core.errors import KnownError
from core.net.dimse import statuses
from core.net.dimse.association import Association, Context, Message
from core.net.dimse.command import DATA_SET, NO_DATA_SET, RESPONSE, Element, Field, Value, response
from core.net.dimse.faults import LinkLost, PeerReleases
from core.net.dimse.negotiation import unexpected
from core.net.dimse.requestor import Wish
from core.net.dimse.statuses import CANCELLED, PENDING, SUCCESS

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
SYNTAXES = (EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID)
MOST_ANSWER_BYTES = 1 << 20
MOST_ANSWERS = 100_000
TICK_S = 0.2
SILENCE_S = 120.0
"""So long a peer may search before it gives its next answer."""
MOST_REPORTS = 100
"""Messages while one report is waited for: those of earlier requests may come first."""
REPORT_S = 15.0
"""So long a report of commitment is waited for; peers may send it later, over an association of their own."""


class Stopped(KnownError):
    """Whoever asked does not want to know any more."""


def never() -> bool:
    """Whether to stop: no."""
    return False


def wish(sop_class_uid: str) -> Wish:
    """A context for a service whose data sets are written here."""
    return Wish(sop_class_uid, SYNTAXES)


def context_for(association: Association, sop_class_uid: str) -> Context | None:
    """The accepted context of a service."""
    return next(
        (each for each in association.contexts.values() if each.abstract_syntax == sop_class_uid), None
    )


def echo(association: Association, context: Context) -> None:
    """C-ECHO. Raises LinkLost, Violation, KnownError if the peer does not say yes."""
    request = _request(association, Field.C_ECHO, VERIFICATION, NO_DATA_SET)
    association.send(context.id, request)
    answer = _answer(association, request)
    if answer.command.status != 0:
        raise KnownError(f"{association.called} answers C-ECHO with status 0x{answer.command.status:04X}.")


def find(
    association: Association,
    context: Context,
    level: str,
    keys: Mapping[str, Any],
    *,
    charset: str = UTF_8,
    most: int | None = None,
    stopped: Callable[[], bool] = never,
) -> Iterator[Identifier]:
    """The matches of a C-FIND; *keys* are values by keyword, "" = to be returned, lists of such as sequences.

    After *most* of them, or when *stopped* says so, it is cancelled. *level* "" is that of a worklist. Raises
    LinkLost, Violation, BadInput, KnownError if the peer does not end with success.
    """
    leveled = {"QueryRetrieveLevel": level, **keys} if level else keys
    request, body = encoded_request(association, context, Field.C_FIND, leveled, charset)
    association.send(context.id, request, body)
    for _ in range(MOST_ANSWERS if most is None else most):
        if (data := _match(association, context, request, stopped)) is None:
            return
        yield read_identifier(data, context.transfer_syntax, lenient=True)
    association.send(context.id, cancel(request))
    for _ in range(0 if most is None else MOST_ANSWERS):
        if _match(association, context, request, stopped) is None:
            return
    raise KnownError(f"{association.called} gives more answers than can be.", "Narrow the search.")


def _match(
    association: Association, context: Context, request: Mapping[Element, Value], stopped: Callable[[], bool]
) -> bytes | None:
    """The identifier of the next match, None after the last one."""
    began = time.monotonic()
    while True:
        if stopped():
            association.send(context.id, cancel(request))
            raise Stopped("The search was stopped.")
        if association.wait(TICK_S):
            break
        if time.monotonic() - began > SILENCE_S:
            raise LinkLost(f"{association.called} does not answer.", "Try again, or narrow the search.")
    answer = _answer(association, request)
    status = answer.command.status
    data = association.whole_data_set(answer, MOST_ANSWER_BYTES)
    if status in PENDING:
        return data
    if status not in (SUCCESS, CANCELLED):
        raise statuses.not_found(association.called, status)
    return None


def encoded_request(
    association: Association, context: Context, field: Field, keys: Mapping[str, Any], charset: str = UTF_8
) -> tuple[dict[Element, Value], bytes]:
    """The command and identifier of a request that has one."""
    request = _request(association, field, context.abstract_syntax, DATA_SET)
    return request, _encoded(keys, context.transfer_syntax, charset)


def cancel(request: Mapping[Element, Value]) -> dict[Element, Value]:
    """C-CANCEL of what was asked for (PS3.7 9.3.2.3)."""
    return {
        Element.COMMAND_FIELD: Field.C_CANCEL,
        Element.MESSAGE_ID_RESPONDED_TO: request[Element.MESSAGE_ID],
        Element.DATA_SET_TYPE: NO_DATA_SET,
    }


def commit(
    association: Association, context: Context, objects: Sequence[tuple[str, str]], wait_s: float = REPORT_S
) -> frozenset[str] | None:
    """The SOP Instance UIDs the peer commits itself to keep, of (SOP class, instance) pairs.

    None if its report does not come over this association in time. Raises LinkLost, Violation, KnownError.
    """
    from pydicom.uid import generate_uid

    transaction_uid = str(generate_uid(prefix=None))
    request = _request(association, Field.N_ACTION, "", DATA_SET) | {
        Element.REQUESTED_SOP_CLASS_UID: COMMITMENT,
        Element.REQUESTED_SOP_INSTANCE_UID: COMMITMENT_INSTANCE,
        Element.ACTION_TYPE_ID: 1,
    }
    items = [{"ReferencedSOPClassUID": kind, "ReferencedSOPInstanceUID": uid} for kind, uid in objects]
    asked = {"TransactionUID": transaction_uid, "ReferencedSOPSequence": items}
    association.send(context.id, request, _encoded(asked, context.transfer_syntax))
    committed: frozenset[str] | None = None
    answered = False
    until = time.monotonic() + wait_s
    for _ in range(MOST_REPORTS):
        try:
            message = association.receive(max(0.0, until - time.monotonic()))
        except (PeerReleases, LinkLost):
            if answered:
                return committed
            raise
        if message.command.field == Field.N_ACTION | RESPONSE:
            association.whole_data_set(message, MOST_ANSWER_BYTES)
            if message.command.status != 0:
                raise KnownError(f"{association.called} does not take requests for commitment now.")
            answered, until = True, time.monotonic() + wait_s
        elif message.command.field == Field.N_EVENT_REPORT:
            report = _reported(association, message, transaction_uid)
            committed = committed if report is None else report
        else:
            raise unexpected()
        if answered and committed is not None:
            return committed
    raise KnownError(f"{association.called} reports everything but what was asked.")


def _reported(association: Association, message: Message, transaction_uid: str) -> frozenset[str] | None:
    """What a report commits to, None if it is of another transaction; answers it."""
    ds = _decoded(
        association.whole_data_set(message, MOST_ANSWER_BYTES * 16), message.context.transfer_syntax
    )
    event = message.command.number(Element.EVENT_TYPE_ID)
    association.send(
        message.context.id,
        response(
            message.command,
            0,
            AFFECTED_SOP_INSTANCE_UID=COMMITMENT_INSTANCE,
            EVENT_TYPE_ID=event,
        ),
    )
    if str(ds.get("TransactionUID", "")) != transaction_uid:
        return None
    items = ds.get("ReferencedSOPSequence") or ()
    return frozenset(str(item.get("ReferencedSOPInstanceUID", "")) for item in items)


def _request(association: Association, field: Field, sop_class: str, kind: int) -> dict[Element, Value]:
    values: dict[Element, Value] = {
        Element.COMMAND_FIELD: field,
        Element.MESSAGE_ID: association.new_message_id(),
        Element.DATA_SET_TYPE: kind,
    }
    if sop_class:
        values[Element.AFFECTED_SOP_CLASS_UID] = sop_class
    if field in (Field.C_FIND, Field.C_GET, Field.C_MOVE):
        values[Element.PRIORITY] = 0
    return values


def _answer(association: Association, request: Mapping[Element, Value]) -> Message:
    try:
        message = association.receive()
    except PeerReleases as error:
        raise LinkLost("The peer ended the association before it answered.", "Try again.") from error
    wanted = (int(request[Element.COMMAND_FIELD]) | RESPONSE, request[Element.MESSAGE_ID])
    if (message.command.field, message.command.number(Element.MESSAGE_ID_RESPONDED_TO)) != wanted:
        raise unexpected()
    return message


def is_ascii(values: Mapping[str, Any]) -> bool:
    """Whether they need no Specific Character Set."""
    return all(
        all(map(is_ascii, value)) if isinstance(value, list) else str(value).isascii()
        for value in values.values()
    )


def _encoded(values: Mapping[str, Any], transfer_syntax_uid: str, charset: str = UTF_8) -> bytes:
    """A data set of values by keyword, lists of mappings as sequences; *charset* if they are not ASCII."""
    from pydicom.dataset import Dataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    def filled(some: Mapping[str, Any]) -> Dataset:
        ds = Dataset()
        for keyword, value in some.items():
            setattr(ds, keyword, [filled(each) for each in value] if isinstance(value, list) else value)
        return ds

    ds = filled(values)
    if not is_ascii(values):
        ds.SpecificCharacterSet = charset
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, transfer_syntax_uid == IMPLICIT_LITTLE_UID
    write_dataset(out, ds)
    return out.getvalue()


def _decoded(data: bytes, transfer_syntax_uid: str) -> Any:
    from pydicom.filereader import read_dataset

    try:
        return read_dataset(io.BytesIO(data), transfer_syntax_uid == IMPLICIT_LITTLE_UID, True)
    except Exception as error:  # whatever the library makes of what is none
        raise unexpected() from error
