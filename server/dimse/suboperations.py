"""The C-STORE sub-operations of C-MOVE and C-GET (PS3.4 C.4.2.3): counted, told of, and stopped if wished."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.archive.nouns import StoredImage
from core.dicom.identifier import Answering, Identifier
from core.dicom.json_model import element_of
from core.errors import KnownError, SourceFault
from core.net.dimse.association import Association, Message
from core.net.dimse.command import DATA_SET, Element, Field, Value, response
from core.net.dimse.faults import AbortReason, LinkLost, PeerReleases, Violation
from core.net.dimse.store_scu import SUCCESS, Originator, Outgoing, context_for, is_warning, store
from server.dimse.statuses import Status

FAILED_UIDS = 0x00080058
TELL_EVERY_S = 0.5
MOST_COUNTED = 0xFFFF
MOST_NAMED = 0xFFFE // 65
"""UIDs that a value in explicit VR has room for (PS3.5 7.1.2); the counts tell of all."""
Converter = Callable[[StoredImage, str], StoredImage]
"""An object as if it had been stored in another transfer syntax. Raises KnownError."""
Sight = Callable[[list[StoredImage], str | None], list[StoredImage]]
"""Objects as a view shows them. Raises KnownError."""


class DestinationGone(Exception):
    """The association over which objects are sent has ended; *why* says how."""

    def __init__(self, why: KnownError) -> None:
        super().__init__(why.message)
        self.why = why


def outgoing(image: StoredImage) -> Outgoing:
    """What is sent of a stored image."""
    return Outgoing(image.sop_class_uid, image.sop_instance_uid, image.transfer_syntax_uid, image.path)


@dataclass(slots=True)
class Tally:
    """What became of the sub-operations; *left* have not begun."""

    left: int
    completed: int = 0
    warnings: int = 0
    failed: list[str] = field(default_factory=list)

    def fail(self, images: list[StoredImage]) -> None:
        """None of these can be sent."""
        self.left -= len(images)
        self.failed += [each.sop_instance_uid for each in images]

    def count(self, image: StoredImage, status: int) -> None:
        """One was sent, and answered so."""
        self.left -= 1
        if status == SUCCESS:
            self.completed += 1
        elif is_warning(status):
            self.warnings += 1
        else:
            self.failed.append(image.sop_instance_uid)

    @property
    def status(self) -> Status:
        """How it ended, if it was not cancelled (PS3.4 tables C.4-2 and C.4-3)."""
        if not self.failed and not self.warnings:
            return Status.SUCCESS
        if self.completed or self.warnings:
            return Status.WARNING_SUBOPERATIONS
        return Status.CANNOT_PERFORM_SUBOPERATIONS


class Suboperations:
    """Those of one C-MOVE or C-GET, asked for by *message* on *asking*."""

    def __init__(self, asking: Association, message: Message, count: int, convert: Converter) -> None:
        self.tally = Tally(count)
        self.cancelled = False
        self._asking = asking
        self._message = message
        self._convert = convert
        self._told = time.monotonic()

    def send(
        self, over: Association, images: list[StoredImage], originator: Originator | None = None
    ) -> None:
        """Send *images* until it is cancelled. Raises LinkLost, Violation, DestinationGone."""
        for image in images:
            if self._is_cancelled():
                return
            self.tally.count(image, self._sent(over, image, originator))
            if self.tally.left and time.monotonic() - self._told > TELL_EVERY_S:
                self._told = time.monotonic()
                self._answer(Status.PENDING)

    def finish(self, status: Status | None = None, comment: str = "") -> None:
        """The last answer, with what could not be sent. Raises LinkLost."""
        wanted = Status.CANCEL if self.cancelled else self.tally.status
        self._answer(wanted if status is None else status, comment)

    def _sent(self, over: Association, image: StoredImage, originator: Originator | None) -> int:
        """The status of one; what cannot be sent is processed with failure. Raises as `send`."""
        what = outgoing(image)
        context = context_for(over, what)
        if context is None:
            return Status.SOP_CLASS_NOT_SUPPORTED
        try:
            if context.transfer_syntax != what.transfer_syntax_uid:
                what = outgoing(self._convert(image, context.transfer_syntax))
            heard = self._heard if over is self._asking else None
            return store(over, context, what, originator=originator, heard=heard)
        except (LinkLost, Violation) as error:
            if over is self._asking:
                raise
            raise DestinationGone(error) from error
        except PeerReleases as error:
            if over is self._asking:
                raise
            raise DestinationGone(LinkLost("The destination ended the association.")) from error
        except SourceFault as error:
            if error.lasting:
                return Status.PROCESSING_FAILURE
            over.abort()  # half of it is sent: nothing more can be said there
            if over is self._asking:
                raise LinkLost("An object could not be read to its end.", "Run filmjacket check.") from error
            raise DestinationGone(error) from error
        except KnownError:
            return Status.PROCESSING_FAILURE

    def _is_cancelled(self) -> bool:
        if not self.cancelled and self._asking.waiting():
            self._heard(self._asking.receive())
        return self.cancelled

    def _heard(self, came: Message) -> None:
        """What the peer that asks says meanwhile: it may only cancel."""
        command = came.command
        if command.field != Field.C_CANCEL:
            raise Violation("The peer asks for more while an operation goes on.", AbortReason.UNEXPECTED_PDU)
        if command.number(Element.MESSAGE_ID_RESPONDED_TO) == self._message.command.message_id:
            self.cancelled = True

    def _answer(self, status: Status, comment: str = "") -> None:
        tally, context = self.tally, self._message.context
        command: dict[Element, Value] = response(self._message.command, status, ERROR_COMMENT=comment)
        command[Element.COMPLETED] = min(tally.completed, MOST_COUNTED)
        command[Element.FAILED] = min(len(tally.failed), MOST_COUNTED)
        command[Element.WARNING] = min(tally.warnings, MOST_COUNTED)
        if status in (Status.PENDING, Status.CANCEL):
            command[Element.REMAINING] = min(tally.left, MOST_COUNTED)
        data = None
        if tally.failed and status is not Status.PENDING:
            command[Element.DATA_SET_TYPE] = DATA_SET
            writer = Answering(Identifier({}), context.transfer_syntax, explicit_tags=(FAILED_UIDS,))
            data = writer.data_set({f"{FAILED_UIDS:08X}": element_of("UI", tally.failed[:MOST_NAMED])})
        self._asking.send(context.id, command, data)
