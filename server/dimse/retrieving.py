"""C-MOVE and C-GET of the Patient and Study Root models (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from core.archive.archive import Archive
from core.archive.level_rows import Level
from core.archive.matching_keys import Key, key_of
from core.archive.nouns import StoredImage
from core.archive.patients import PATIENT_ID
from core.archive.query import Query
from core.archive.returned import Searcher
from core.audit.log import Event, Note
from core.dicom.elements import tag_text
from core.dicom.identifier import Identifier, read_identifier
from core.errors import BadInput, KnownError, StorageFault
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Element, response
from core.net.dimse.requestor import Peer, associate
from core.net.dimse.store_scu import Originator, batches, wishes_of
from core.net.tls import of_peer
from server.dimse.admission import Admission, Caller
from server.dimse.finding import EVERY, QUERY_LEVEL, SERIES_UID, SOP_UID, STUDY_UID
from server.dimse.session import MOST_IDENTIFIER_BYTES
from server.dimse.statuses import Status, comment_of
from server.dimse.suboperations import Converter, DestinationGone, Sight, Suboperations, outgoing

logger = logging.getLogger("filmjacket.dimse")

PATIENT_ROOT = {"MOVE": "1.2.840.10008.5.1.4.1.2.1.2", "GET": "1.2.840.10008.5.1.4.1.2.1.3"}
STUDY_ROOT = {"MOVE": "1.2.840.10008.5.1.4.1.2.2.2", "GET": "1.2.840.10008.5.1.4.1.2.2.3"}
UNIQUE = {"PATIENT": PATIENT_ID, "STUDY": STUDY_UID, "SERIES": SERIES_UID, "IMAGE": SOP_UID}
"""The unique key of each level (PS3.4 C.6.1.1): without it nothing is retrieved."""


class Retrieving:
    """Answers C-MOVE and C-GET from one archive."""

    def __init__(
        self, archive: Archive, searcher: Searcher, admission: Admission, convert: Converter, see: Sight
    ) -> None:
        self._archive = archive
        self._searcher = searcher
        self._admission = admission
        self._convert = convert
        self._see = see

    def get(self, association: Association, message: Message, caller: Caller) -> None:
        """C-GET: the images over this association. Raises LinkLost, Violation."""
        images = self._images(association, message, caller)
        if images is None:
            return
        work = Suboperations(association, message, len(images), self._convert)
        self._noted(images, caller, caller.calling)  # before: the peer may leave with what it got
        work.send(association, images)
        work.finish()

    def move(self, association: Association, message: Message, caller: Caller) -> None:
        """C-MOVE: the images to the peer named. Raises LinkLost, Violation."""
        images = self._images(association, message, caller)
        if images is None:
            return
        title = message.command.text(Element.MOVE_DESTINATION)
        destination = self._admission.destination(title)
        if destination is None:
            answer = response(message.command, Status.MOVE_DESTINATION_UNKNOWN)
            association.send(message.context.id, answer)
            return
        work = Suboperations(association, message, len(images), self._convert)
        comment = ""
        originator = Originator(caller.calling, message.command.message_id)
        tls = of_peer(destination)
        peer = Peer(destination.ae_title, destination.host, destination.port, caller.called, tls)
        self._noted(images, caller, title)
        for batch in batches(images, outgoing):
            if not work.cancelled:
                comment = _moved(work, batch, peer, originator) or comment
        work.finish(comment=comment)

    def _images(self, association: Association, message: Message, caller: Caller) -> list[StoredImage] | None:
        """What is asked for; None after an answer that says why it cannot be had."""
        data = association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
        try:
            identifier = read_identifier(data, message.context.transfer_syntax)
            patient_root = message.context.abstract_syntax in PATIENT_ROOT.values()
            found = self._searcher.images(query_of(identifier, caller, patient_root=patient_root))
            return self._see(found, caller.view)
        except KnownError as error:
            status, comment = _status(error), comment_of(error)
        except Exception as error:  # our bug: the peer hears of it, the log gets the frames
            logger.error("unforeseen error while retrieving", exc_info=error)
            status, comment = Status.UNABLE_TO_PROCESS, ""
        association.send(message.context.id, response(message.command, status, ERROR_COMMENT=comment))
        return None

    def _noted(self, images: list[StoredImage], caller: Caller, to: str) -> None:
        """Write down who got which studies."""
        counts: dict[str, int] = {}
        for each in images:
            counts[each.study_uid] = counts.get(each.study_uid, 0) + 1
        notes = [
            Note(
                Event.BEGIN_TRANSFERRING,
                "sent",
                caller.calling,
                namespace=caller.namespace,
                study_uid=study_uid,
                detail={"to": to, "images": count},
            )
            for study_uid, count in counts.items()
        ]
        audit, database = self._archive.audit, self._archive.db
        written: Future[None] = database.write(lambda connection: audit.append(connection, notes))
        written.add_done_callback(_complain)


def _moved(work: Suboperations, images: list[StoredImage], peer: Peer, originator: Originator) -> str:
    """Send over an association of our own; what went wrong, "" if nothing did. Raises LinkLost, Violation."""
    before = work.tally.left
    try:
        over = associate(peer, wishes_of([outgoing(each) for each in images]))
    except KnownError as error:
        work.tally.fail(images)
        return comment_of(error)
    try:
        work.send(over, images, originator)
        over.release()
    except DestinationGone as gone:
        work.tally.fail(images[before - work.tally.left :])
        return comment_of(gone.why)
    finally:
        over.close()
    return ""


def query_of(identifier: Identifier, caller: Caller, *, patient_root: bool) -> Query:
    """The images an identifier names. Raises BadInput where the unique key of its level is missing."""
    level = identifier.text(QUERY_LEVEL).strip().upper()
    if level not in UNIQUE or (level == "PATIENT" and not patient_root):
        raise BadInput("The identifier has no level this model knows.")
    keys: list[Key] = []
    for name, tag in UNIQUE.items():
        text = identifier.text(tag).strip()
        if name == level and (not text or any(letter in text for letter in '*?"')):
            raise BadInput("The identifier lacks the unique key of its level.")
        if text and (key := key_of(tag_text(tag), (tag,), text)) is not None:
            keys.append(key)
    study = identifier.text(STUDY_UID).strip()
    study = "" if "\\" in study else study
    return Query(Level.IMAGE, caller.namespace, study, keys=keys, limit=EVERY, view=caller.view)


def _status(error: KnownError) -> Status:
    if isinstance(error, StorageFault):
        return Status.CANNOT_COUNT_MATCHES
    return Status.DATA_SET_DOES_NOT_MATCH if isinstance(error, BadInput) else Status.UNABLE_TO_PROCESS


def _complain(written: Future[None]) -> None:
    error = written.exception()
    if error is not None:
        logger.error("what was sent could not be written down", exc_info=error)
