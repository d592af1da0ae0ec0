"""A-ASSOCIATE PDUs (PS3.8 9.3.2 to 9.3.4, PS3.7 annex D): what is proposed, accepted, rejected.

The PDUs are written and read by pynetdicom's classes; what a peer sends that they cannot read is a Violation.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from core.dicom.maker import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from core.dicom.syntaxes import IMPLICIT_LITTLE_UID
from core.net.dimse.faults import AbortReason, Violation
from core.net.dimse.link import ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_HEAD = struct.Struct(">BxL")

logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # its lines name what the peer sent


class Answer(IntEnum):
    """What became of a presentation context (PS3.8 table 9-18)."""

    ACCEPTED = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class Proposed:
    """A presentation context as the requestor proposes it."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """Who may be what for a SOP class (PS3.7 D.3.3.4), as the requestor sees itself."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """An association as its requestor wants it; *pdu_bytes* is what it takes, 0 = any length."""

    calling: str
    called: str
    contexts: tuple[Proposed, ...]
    pdu_bytes: int = 0
    roles: Mapping[str, Roles] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    """Service class application information by SOP Class UID (PS3.7 D.3.3.5)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the acceptor makes of one context."""

    id: int
    answer: Answer
    transfer_syntax: str = IMPLICIT_LITTLE_UID


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the acceptor makes of a proposal."""

    contexts: Sequence[Answered]
    pdu_bytes: int = 0
    roles: Mapping[str, Roles] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is rejected (PS3.8 table 9-21); *lasting*: trying again cannot help."""

    lasting: bool
    source: int
    reason: int
    words: str = ""


NO_REASON = Rejection(True, 1, 1, "no reason given")
CALLING_UNKNOWN = Rejection(True, 1, 3, "it does not know our AE title")
CALLED_UNKNOWN = Rejection(True, 1, 7, "it does not know the AE title it was called by")
TOO_MANY = Rejection(False, 3, 2, "it has too many associations now")
REJECTIONS = (
    Rejection(True, 1, 2, "it does not know our application context"),
    *(CALLING_UNKNOWN, CALLED_UNKNOWN, TOO_MANY, NO_REASON),
    Rejection(False, 3, 1, "it is congested"),
)


def read_proposal(content: bytes) -> Proposal:
    """An A-ASSOCIATE-RQ without its head. Raises Violation."""
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    try:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(_HEAD.pack(ASSOCIATE_RQ, len(content)) + content)
        contexts = tuple(
            Proposed(
                int(each.context_id or 0),
                str(each.abstract_syntax or ""),
                tuple(str(syntax) for syntax in each.transfer_syntax),
            )
            for each in pdu.presentation_context
        )
        most, roles, extended = _user_items(pdu.user_information)
        proposal = Proposal(pdu.calling_ae_title, pdu.called_ae_title, contexts, most, roles, extended)
    except Exception as error:  # the library raises whatever its own errors are
        raise Violation("The request for an association makes no sense.") from error
    if not contexts or len({each.id for each in contexts if each.id % 2}) < len(contexts):
        raise Violation("The request for an association has no usable presentation contexts.")
    return proposal


def accept(proposal: Proposal, acceptance: Acceptance) -> bytes:
    """The A-ASSOCIATE-AC PDU."""
    from pynetdicom.pdu import A_ASSOCIATE_AC

    primitive = _primitive(proposal, acceptance.pdu_bytes, acceptance.roles, acceptance.extended)
    contexts = []
    for each in acceptance.contexts:
        context = _context(each.id, "", (each.transfer_syntax,))
        context.result = int(each.answer)
        contexts.append(context)
    primitive.presentation_context_definition_results_list = contexts
    primitive.result = 0
    return bytes(A_ASSOCIATE_AC(primitive).encode())


def reject(why: Rejection) -> bytes:
    """The A-ASSOCIATE-RJ PDU."""
    return _HEAD.pack(ASSOCIATE_RJ, 4) + bytes((0, 1 if why.lasting else 2, why.source, why.reason))


def read_rejection(content: bytes) -> Rejection:
    """An A-ASSOCIATE-RJ without its head. Raises Violation."""
    if len(content) < 4:
        raise Violation("The rejection of the association makes no sense.")
    _, result, source, reason = content[:4]
    words = next((each.words for each in REJECTIONS if (each.source, each.reason) == (source, reason)), "")
    return Rejection(result == 1, source, reason, words or f"source {source}, reason {reason}")


def request(proposal: Proposal) -> bytes:
    """The A-ASSOCIATE-RQ PDU."""
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    primitive = _primitive(proposal, proposal.pdu_bytes, proposal.roles, proposal.extended)
    primitive.presentation_context_definition_list = [
        _context(each.id, each.abstract_syntax, each.transfer_syntaxes) for each in proposal.contexts
    ]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def read_acceptance(content: bytes) -> Acceptance:
    """An A-ASSOCIATE-AC without its head. Raises Violation."""
    from pynetdicom.pdu import A_ASSOCIATE_AC

    try:
        pdu = A_ASSOCIATE_AC()
        pdu.decode(_HEAD.pack(ASSOCIATE_AC, len(content)) + content)
        contexts = [
            Answered(
                int(each.context_id or 0),
                Answer.ACCEPTED if each.result == 0 else Answer.ABSTRACT_SYNTAX_NOT_SUPPORTED,
                str(each.transfer_syntax or "") if each.result == 0 else "",
            )
            for each in pdu.presentation_context
        ]
        return Acceptance(contexts, *_user_items(pdu.user_information))
    except Exception as error:  # as above
        raise Violation("The answer to the request for an association makes no sense.") from error


def unexpected() -> Violation:
    """Something else came where an A-ASSOCIATE PDU was due."""
    return Violation("The peer sent something out of turn.", AbortReason.UNEXPECTED_PDU)


def _user_items(item: Any) -> tuple[int, dict[str, Roles], dict[str, bytes]]:
    if item is None:
        return 0, {}, {}
    roles = {
        str(uid): Roles(bool(each.scu_role), bool(each.scp_role)) for uid, each in item.role_selection.items()
    }
    extended = {str(each.uid): bytes(each.app_info) for each in item.ext_neg}
    return int(item.maximum_length or 0), roles, extended


def _primitive(
    proposal: Proposal, pdu_bytes: int, roles: Mapping[str, Roles], extended: Mapping[str, bytes]
) -> Any:
    from pynetdicom import pdu_primitives as items

    primitive = items.A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = proposal.calling, proposal.called
    length = items.MaximumLengthNotification()
    length.maximum_length_received = pdu_bytes
    implementation = items.ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = items.ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive.user_information = [length, implementation, version]
    for uid, wanted in roles.items():
        role = items.SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = uid, wanted.scu, wanted.scp
        primitive.user_information.append(role)
    for uid, information in extended.items():
        more = items.SOPClassExtendedNegotiation()
        more.sop_class_uid, more.service_class_application_information = uid, information
        primitive.user_information.append(more)
    return primitive


def _context(context_id: int, abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> Any:
    from pynetdicom.presentation import PresentationContext

    context = PresentationContext()
    context.context_id = context_id
    if abstract_syntax:
        context.abstract_syntax = abstract_syntax
    context.transfer_syntax = list(transfer_syntaxes)
    return context
