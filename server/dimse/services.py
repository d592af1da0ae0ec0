"""What the gateway answers: commands and the SOP classes they come with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from core.archive.archive import Archive
from core.archive.nouns import StoreResult
from core.archive.returned import Searcher
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Field, response
from core.settings import DimseSettings
from core.worklist.performed import PerformedSteps
from server.dimse.admission import Admission, Caller
from server.dimse.commitment import COMMITMENT, Commitment
from server.dimse.contexts import VERIFICATION, Supported
from server.dimse.finding import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, Finding
from server.dimse.performing import PERFORMED_STEP, Performing
from server.dimse.retrieving import PATIENT_ROOT, STUDY_ROOT, Retrieving
from server.dimse.session import MOST_IDENTIFIER_BYTES, Service, echo
from server.dimse.statuses import Status
from server.dimse.storing import Storing
from server.dimse.suboperations import Converter, Sight
from server.dimse.worklist import MODALITY_WORKLIST, Entries

FIND = (PATIENT_ROOT_FIND, STUDY_ROOT_FIND)
GET = (PATIENT_ROOT["GET"], STUDY_ROOT["GET"])
MOVE = (PATIENT_ROOT["MOVE"], STUDY_ROOT["MOVE"])
RELATIONAL = b"\1"
FIND_OPTIONS = b"\1\1"
"""Relational queries and date-time matching are done (PS3.4 C.5.1.1); names match as they always do."""


def supported_of(chosen: DimseSettings) -> Supported:
    """What is accepted when an association is negotiated."""
    return Supported(
        (VERIFICATION, *FIND, *GET, *MOVE, COMMITMENT, MODALITY_WORKLIST, PERFORMED_STEP),
        private_sop_classes=chosen.private_sop_classes,
        private_transfer_syntaxes=chosen.private_transfer_syntaxes,
        extended=dict.fromkeys(FIND, FIND_OPTIONS) | dict.fromkeys((*GET, *MOVE), RELATIONAL),
        pdu_bytes=chosen.pdu_bytes,
    )


def services_of(
    archive: Archive,
    searcher: Searcher,
    supported: Supported,
    *,
    admission: Admission,
    convert: Converter,
    see: Sight,
    commitment: Commitment,
    entries: Entries,
    steps: PerformedSteps,
    heard: Callable[[Caller, StoreResult], None],
) -> Mapping[int, Service]:
    """Who answers which command; *admission* knows where peers are found, *heard* is told what came."""
    storing, finding = Storing(archive, heard), Finding(searcher, entries)
    performing = Performing(steps)
    retrieving = Retrieving(archive, searcher, admission, convert, see)

    def store(association: Association, message: Message, caller: Caller) -> None:
        if supported.is_storage(message.context.abstract_syntax):
            storing.store(association, message, caller)
        else:
            _not_here(association, message)

    return {
        Field.C_ECHO: echo,
        Field.C_STORE: store,
        Field.C_FIND: _only((*FIND, MODALITY_WORKLIST), finding.find),
        Field.C_GET: _only(GET, retrieving.get),
        Field.C_MOVE: _only(MOVE, retrieving.move),
        Field.N_CREATE: _only((PERFORMED_STEP,), performing.create),
        Field.N_SET: _only((PERFORMED_STEP,), performing.set),
        Field.N_ACTION: _only((COMMITMENT,), commitment.action),
    }


def _only(sop_classes: Iterable[str], service: Service) -> Service:
    """*service* in the contexts of its SOP classes."""
    mine = frozenset(sop_classes)

    def checked(association: Association, message: Message, caller: Caller) -> None:
        if message.context.abstract_syntax in mine:
            service(association, message, caller)
        else:
            _not_here(association, message)

    return checked


def _not_here(association: Association, message: Message) -> None:
    """The command does not belong to the SOP class of its presentation context."""
    association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
    association.send(message.context.id, response(message.command, Status.SOP_CLASS_NOT_SUPPORTED))
