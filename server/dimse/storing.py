"""C-STORE (PS3.4 B): the received bytes on their way into the archive, below any data set layer."""

from __future__ import annotations

import logging
from collections.abc import Callable

from core.archive.archive import Archive
from core.archive.incoming import Incoming
from core.archive.nouns import Routing, StoreResult, Via
from core.archive.store import Said, Sending
from core.dicom.maker import opening
from core.errors import KnownError, MissingElement
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Element, response
from core.net.dimse.faults import LinkLost, Violation
from server.dimse.admission import Caller
from server.dimse.statuses import Status, comment_of, store_status

logger = logging.getLogger("filmjacket.dimse")


class Storing:
    """Stores what C-STORE brings, for all associations."""

    def __init__(self, archive: Archive, heard: Callable[[Caller, StoreResult], None]) -> None:
        """*heard* is told of every object that is on disk."""
        self._archive = archive
        self._heard = heard

    def store(
        self, association: Association, message: Message, caller: Caller, study_uid: str = ""
    ) -> Status:
        """One C-STORE: success is answered once the object is on disk. Raises LinkLost, Violation.

        With *study_uid* an object of another study is refused.
        """
        command = message.command
        status, comment = self._kept(association, message, caller, study_uid)
        answer = response(
            command,
            status,
            AFFECTED_SOP_INSTANCE_UID=command.text(Element.AFFECTED_SOP_INSTANCE_UID),
            ERROR_COMMENT=comment,
        )
        association.send(message.context.id, answer)
        return status

    def _kept(
        self, association: Association, message: Message, caller: Caller, study_uid: str
    ) -> tuple[Status, str]:
        command = message.command
        said = Said(command.sop_class_uid, command.text(Element.AFFECTED_SOP_INSTANCE_UID), study_uid)
        sending = Sending(caller.calling, Via.DIMSE.value, Routing(caller.calling, caller.called), said=said)
        arriving = _Arriving(association, message)
        try:
            with self._archive.incoming(caller.namespace, in_pieces=True) as incoming:
                arriving.into(incoming, said)
                result = self._archive.receive(incoming, sending, here=True).result()
        except (LinkLost, Violation):
            raise
        except KnownError as error:
            arriving.skip()
            return store_status(error), comment_of(error)
        except Exception as error:  # our bug: the peer keeps its object, the log gets the frames
            logger.error("unforeseen error while storing", exc_info=error)
            arriving.skip()
            return Status.PROCESSING_FAILURE, ""
        self._heard(caller, result)
        return Status.SUCCESS, ""


class _Arriving:
    """The data set of one C-STORE; it is read to its end whatever becomes of it."""

    def __init__(self, association: Association, message: Message) -> None:
        self._message = message
        self._fragments = association.data_set(message)

    def into(self, incoming: Incoming, said: Said) -> None:
        """Write file meta and data set. Raises LinkLost, Violation, StorageFault, MissingElement."""
        if not self._message.command.has_data_set:
            raise MissingElement("A C-STORE came without a data set.", "Send the object.")
        incoming.write(opening(said.sop_class_uid, said.sop_uid, self._message.context.transfer_syntax))
        while (fragment := self._next()) is not None:
            incoming.write(fragment)

    def skip(self) -> None:
        """Read what is left of it. Raises LinkLost, Violation."""
        while self._next() is not None:
            pass

    def _next(self) -> memoryview | None:
        return next(self._fragments, None)
