"""Modality Performed Procedure Step (PS3.4 F.7): N-CREATE and N-SET move the worklist."""

from __future__ import annotations

import logging

from core.dicom.identifier import read_items
from core.errors import BadInput, Conflict, KnownError, NotFound, StorageFault
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Element, Value, response
from core.worklist.performed import NoLonger, Performed, PerformedSteps, Reference, status_of
from server.dimse.admission import Caller
from server.dimse.session import MOST_IDENTIFIER_BYTES
from server.dimse.statuses import Status, comment_of

logger = logging.getLogger("filmjacket.dimse")

PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
STEP_STATUS = 0x00400252
SCHEDULED_STEPS = 0x00400270
PATIENT_ID = 0x00100020
STUDY_UID, STEP_ID = 0x0020000D, 0x00400009
MAY_NO_LONGER = 0xA710
"""Error ID (0000,0903) of PS3.4 F.7.2.2.3."""
STATUSES: tuple[tuple[type[KnownError], Status], ...] = (
    (NoLonger, Status.PROCESSING_FAILURE),
    (Conflict, Status.DUPLICATE_SOP_INSTANCE),
    (NotFound, Status.NO_SUCH_OBJECT_INSTANCE),
    (BadInput, Status.INVALID_ATTRIBUTE_VALUE),
    (StorageFault, Status.RESOURCE_LIMITATION),
)


class Performing:
    """Answers N-CREATE and N-SET."""

    def __init__(self, steps: PerformedSteps) -> None:
        self._steps = steps

    def create(self, association: Association, message: Message, caller: Caller) -> None:
        """N-CREATE. Raises LinkLost, Violation."""
        uid = message.command.text(Element.AFFECTED_SOP_INSTANCE_UID)
        self._answer(association, message, caller, uid, create=True)

    def set(self, association: Association, message: Message, caller: Caller) -> None:
        """N-SET. Raises LinkLost, Violation."""
        uid = message.command.text(Element.REQUESTED_SOP_INSTANCE_UID)
        self._answer(association, message, caller, uid, create=False)

    def _answer(
        self, association: Association, message: Message, caller: Caller, uid: str, *, create: bool
    ) -> None:
        data = association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
        more: dict[str, Value] = {"AFFECTED_SOP_INSTANCE_UID": uid}
        status = Status.SUCCESS
        try:
            said = said_of(data, message.context.transfer_syntax, caller.namespace, uid)
            (self._steps.create if create else self._steps.set)(said, caller.calling).result()
        except KnownError as error:
            status = next(
                (code for kind, code in STATUSES if isinstance(error, kind)), Status.PROCESSING_FAILURE
            )
            more["ERROR_COMMENT"] = comment_of(error)
            if isinstance(error, NoLonger):
                more["ERROR_ID"] = MAY_NO_LONGER
        except Exception as error:  # our bug: the peer hears of it, the log gets the frames
            logger.error("unforeseen error about a performed step", exc_info=error)
            status = Status.PROCESSING_FAILURE
        association.send(message.context.id, response(message.command, status, **more))


def said_of(data: bytes, syntax: str, namespace: str, uid: str) -> Performed:
    """What a message says. Raises BadInput."""
    if not uid:
        raise BadInput("The performed procedure step has no SOP Instance UID.")
    texts, items = read_items(data, syntax, SCHEDULED_STEPS)
    text = texts.get(STEP_STATUS, "")
    references = [Reference(each.get(STUDY_UID, ""), each.get(STEP_ID, "")) for each in items]
    return Performed(
        namespace,
        uid,
        status_of(text) if text else None,
        [each for each in references if each.study_uid],
        data,
        texts.get(PATIENT_ID, "").strip(),
    )
