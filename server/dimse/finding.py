"""C-FIND of the Patient and Study Root models (PS3.4 C.4.1) and the worklist: the matching of QIDO-RS."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from core.archive.level_rows import Level
from core.archive.matching_keys import NO_KEY_VRS, Key, key_of
from core.archive.patients import (
    BIRTH_DATE,
    PATIENT_COUNTS,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY_COUNTS,
    patients_of,
)
from core.archive.query import Query
from core.archive.returned import Fields, Searcher
from core.dicom.answer_rows import AnswerRows, writable
from core.dicom.elements import tag_text
from core.dicom.identifier import Answering, Identifier, read_identifier
from core.dicom.json_model import CHARSET, Model, element_of
from core.dicom.recoding import dictionary_vr
from core.errors import BadInput, Busy, KnownError, StorageFault
from core.net.dimse.association import Association, Message
from core.net.dimse.command import DATA_SET, Element, Field, response
from core.net.dimse.faults import AbortReason, LinkLost, PeerReleases, Violation
from server.dimse.admission import Caller
from server.dimse.session import MOST_IDENTIFIER_BYTES
from server.dimse.statuses import Status, comment_of
from server.dimse.worklist import MODALITY_WORKLIST, Entries

logger = logging.getLogger("filmjacket.dimse")

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT = "PATIENT"
LEVELS = {PATIENT: Level.STUDY, "STUDY": Level.STUDY, "SERIES": Level.SERIES, "IMAGE": Level.IMAGE}
QUERY_LEVEL, RETRIEVE_AE, AVAILABILITY = 0x00080052, 0x00080054, 0x00080056
STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
NO_KEYS = frozenset({CHARSET, QUERY_LEVEL, RETRIEVE_AE, AVAILABILITY, 0x00080201})
EVERY = 1 << 40
AT_ONCE, WAIT_S = 24, 30.0
"""So many searches at a time, for each holds a snapshot of the index until its peer has read the answers."""
CHECK_EVERY = 16
"""Answers between two looks for a cancel."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query as it was understood; *unsupported* attributes restricted nothing."""

    level: str
    query: Query
    fields: Fields
    unsupported: Sequence[int] = ()


class Finding:
    """Answers C-FIND from one archive."""

    def __init__(self, searcher: Searcher, entries: Entries) -> None:
        self._searcher = searcher
        self._entries = entries
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def find(self, association: Association, message: Message, caller: Caller) -> None:
        """One C-FIND: an answer a match, until all are told or it is cancelled. Raises as `receive`."""
        data = association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
        try:
            with self._turn():
                status, comment = self._answer(association, message, caller, data), ""
        except (LinkLost, Violation, PeerReleases):
            raise
        except KnownError as error:
            status, comment = find_status(error), comment_of(error)
        except Exception as error:  # our bug: the peer hears of it, the log gets the frames
            logger.error("unforeseen error while searching", exc_info=error)
            status, comment = Status.UNABLE_TO_PROCESS, ""
        association.send(message.context.id, response(message.command, status, ERROR_COMMENT=comment))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=WAIT_S):
            raise Busy("Too many searches are going on.", "Try again later.")
        try:
            yield
        finally:
            self._turns.release()

    def _answer(self, association: Association, message: Message, caller: Caller, data: bytes) -> Status:
        context = message.context
        identifier = read_identifier(data, context.transfer_syntax)
        if context.abstract_syntax == MODALITY_WORKLIST:
            writer = Answering(identifier, context.transfer_syntax)
            found = self._entries.matching(identifier, caller.namespace)
            return _told(association, message, Status.PENDING, (writer.data_set(each) for each in found))
        patient_root = context.abstract_syntax == PATIENT_ROOT_FIND
        wanted = wanted_of(identifier, caller, patient_root=patient_root)
        writer = Answering(identifier, context.transfer_syntax, explicit_tags=(QUERY_LEVEL, RETRIEVE_AE))
        pending = Status.PENDING_WITH_UNSUPPORTED_KEYS if wanted.unsupported else Status.PENDING
        always = {
            f"{QUERY_LEVEL:08X}": element_of("CS", [wanted.level]),
            f"{RETRIEVE_AE:08X}": element_of("AE", [caller.called]),
        }
        with self._answers(wanted, writer, always) as answers:
            return _told(association, message, pending, answers)

    @contextmanager
    def _answers(self, wanted: Wanted, writer: Answering, always: Model) -> Iterator[Iterator[bytes]]:
        """The data sets of the answers: of rows of the catalog where these have all, else of models."""
        tags = sorted(wanted.fields.tags)
        if wanted.level != PATIENT and all(map(writable, tags)):
            with self._searcher.listed(wanted.query, tags) as found:
                if found is not None:
                    yield map(AnswerRows(writer, found.tags, always).data_set, found.rows)
                    return
        yield (writer.data_set(model | always) for model in self._models(wanted))

    def _models(self, wanted: Wanted) -> Iterator[Model]:
        found = (model for _, model in self._searcher.each(wanted.query, wanted.fields))
        return patients_of(found) if wanted.level == PATIENT else found


def _told(association: Association, message: Message, pending: Status, answers: Iterator[bytes]) -> Status:
    """Send every answer until it is cancelled; the last status. Raises as `receive` and *answers* do."""
    command = response(message.command, pending) | {Element.DATA_SET_TYPE: DATA_SET}
    send = association.repeating(message.context.id, command)
    for number, data in enumerate(answers, 1):
        send(data)
        if number % CHECK_EVERY == 0 and cancelled(association, message):
            return Status.CANCEL
    return Status.SUCCESS


def cancelled(association: Association, message: Message) -> bool:
    """Whether the peer has cancelled this operation. Raises LinkLost, Violation for anything else."""
    if not association.waiting():
        return False
    came = association.receive()
    if came.command.field != Field.C_CANCEL:
        raise Violation("The peer asks for more while an operation goes on.", AbortReason.UNEXPECTED_PDU)
    return came.command.number(Element.MESSAGE_ID_RESPONDED_TO) == message.command.message_id


def find_status(error: KnownError) -> Status:
    """The status of a C-FIND that failed so (PS3.4 table C.4-1)."""
    if isinstance(error, StorageFault | Busy):
        return Status.OUT_OF_RESOURCES
    return Status.DATA_SET_DOES_NOT_MATCH if isinstance(error, BadInput) else Status.UNABLE_TO_PROCESS


def wanted_of(identifier: Identifier, caller: Caller, *, patient_root: bool) -> Wanted:
    """What an identifier of *caller* asks for. Raises BadInput."""
    level = identifier.text(QUERY_LEVEL).strip().upper()
    if level not in LEVELS or (level == PATIENT and not patient_root):
        raise BadInput("The identifier has no level this model knows.")
    keys: list[Key] = []
    unsupported: list[int] = []
    for path, text in identifier.texts.items():
        if path[0] in NO_KEYS or path[0] in PATIENT_COUNTS or path[0] & 0xFFFF == 0:
            continue
        if dictionary_vr(path[-1]).decode() in NO_KEY_VRS:
            if text:
                unsupported.append(path[-1])
            continue
        if (key := key_of(tag_text(path[-1]), path, text)) is not None:
            keys.append(key)
    unfit = (NO_KEYS - {AVAILABILITY}).union(PATIENT_COUNTS)
    tags = frozenset(tag for tag in identifier.asked if tag not in unfit)
    if level == PATIENT:
        tags |= {PATIENT_ID, PATIENT_NAME, BIRTH_DATE, *STUDY_COUNTS}
    study, series = _one(identifier, STUDY_UID), _one(identifier, SERIES_UID)
    below = LEVELS[level] is not Level.STUDY
    query = Query(
        LEVELS[level],
        caller.namespace,
        study if below else "",
        series if below and LEVELS[level] is Level.IMAGE and study else "",
        keys,
        limit=EVERY,
        view=caller.view,
    )
    return Wanted(level, query, Fields(tags, only=True), unsupported)


def _one(identifier: Identifier, tag: int) -> str:
    """A UID, if exactly one is given."""
    text = identifier.text(tag).strip()
    return "" if any(letter in text for letter in '\\*?,"') else text
