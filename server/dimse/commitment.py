"""Storage Commitment, push model (PS3.4 J.3): yes is said after every byte was read and compared again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from tinydb import Query as Where

from core.archive.level_rows import Level
from core.archive.matching_keys import key_of
from core.archive.nouns import StoredImage
from core.archive.query import Query
from core.archive.returned import Searcher
from core.db.database import Database
from core.dicom.digest import new_hash, version_of
from core.dicom.elements import tag_text
from core.dicom.identifier import Answering, Identifier, read_items
from core.dicom.json_model import Model, element_of
from core.documents.tables import DOCUMENTS, Documents
from core.errors import BadInput, KnownError
from core.net.dimse.association import Association, Message
from core.net.dimse.command import DATA_SET, Element, Field, Value, response
from core.net.dimse.faults import PeerReleases
from core.net.dimse.negotiation import Roles
from core.net.dimse.requestor import Peer, Wish, associate
from core.net.tls import of_peer
from server.dimse.admission import Admission, Caller
from server.dimse.contexts import MESSAGE_SYNTAXES
from server.dimse.session import MOST_IDENTIFIER_BYTES
from server.dimse.statuses import Status, comment_of

logger = logging.getLogger("filmjacket.dimse")

COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
ALL_COMMITTED, SOME_FAILED = 1, 2
TRANSACTION_UID, REFERENCED, FAILED = 0x00081195, 0x00081199, 0x00081198
SOP_CLASS, SOP_INSTANCE, REASON = 0x00081150, 0x00081155, 0x00081197
RETRIEVE_AE = 0x00080054
NO_SUCH_INSTANCE, CLASS_CONFLICT, FAILURE = 0x0112, 0x0119, 0x0110
"""Failure Reasons (PS3.3 C.14)."""
AT_ONCE = 100
TABLE = "commitments"
RETRY_S = (5.0, 30.0, 120.0, 600.0, 3600.0)
GIVE_UP_S = 3 * 86_400.0
LOOK_EVERY_S = 5.0
CHUNK = 1 << 20

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for commitment: by whom, of what."""

    calling: str
    called: str
    namespace: str
    transaction_uid: str
    references: Sequence[Reference]


class Prover:
    """Tells of each object whether it is here, whole, and of the class it is said to be."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    def report(self, asked: Asked) -> Model:
        """The event information (PS3.4 J.3.3). Raises StorageFault."""
        kept: list[Model] = []
        failed: list[Model] = []
        for start in range(0, len(asked.references), AT_ONCE):
            some = asked.references[start : start + AT_ONCE]
            found = self._found(asked.namespace, [uid for _, uid in some])
            for sop_class, uid in some:
                reason = _reason(found.get(uid, []), sop_class)
                item: Model = {
                    f"{SOP_CLASS:08X}": element_of("UI", [sop_class]),
                    f"{SOP_INSTANCE:08X}": element_of("UI", [uid]),
                }
                if reason:
                    failed.append({**item, f"{REASON:08X}": element_of("US", [reason])})
                else:
                    kept.append(item)
        model: Model = {f"{TRANSACTION_UID:08X}": element_of("UI", [asked.transaction_uid])}
        if kept:
            model[f"{RETRIEVE_AE:08X}"] = element_of("AE", [asked.called])
            model[f"{REFERENCED:08X}"] = {"vr": "SQ", "Value": kept}
        if failed:
            model[f"{FAILED:08X}"] = {"vr": "SQ", "Value": failed}
        return model

    def _found(self, namespace: str, uids: Iterable[str]) -> Mapping[str, list[StoredImage]]:
        key = key_of(tag_text(0x00080018), (0x00080018,), "\\".join(uids))
        found: dict[str, list[StoredImage]] = {}
        if key is not None:
            for each in self._searcher.images(Query(Level.IMAGE, namespace, keys=[key], limit=1 << 30)):
                found.setdefault(each.sop_instance_uid, []).append(each)
        return found


def _reason(images: Sequence[StoredImage], sop_class: str) -> int:
    """Why it cannot be committed to, 0 if it can: every byte is read again."""
    if not images:
        return NO_SUCH_INSTANCE
    image = next((each for each in images if each.sop_class_uid == sop_class), None)
    if image is None:
        return CLASS_CONFLICT
    running = new_hash()
    try:
        with image.open() as file:
            while chunk := file.read(CHUNK):
                running.update(chunk)
    except OSError:
        return FAILURE
    if version_of(running) != image.version:
        logger.error("a stored object is not what it was; run filmjacket check")
        return FAILURE
    return 0


class Commitment:
    """Answers N-ACTION; reports to known peers on associations of its own, to others on theirs.

    What is to be reported to a known peer is kept until it has taken it, for three days at most.
    """

    def __init__(self, database: Database, prover: Prover, admission: Admission) -> None:
        database.ensure(DOCUMENTS)
        self._database = database
        self._prover = prover
        self._admission = admission
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="storage commitment", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def close(self) -> None:
        """Stop after what is under way."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def action(self, association: Association, message: Message, caller: Caller) -> None:
        """One N-ACTION. Raises LinkLost, Violation."""
        data = association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
        command = message.command
        names: dict[str, Value] = {
            "AFFECTED_SOP_INSTANCE_UID": command.text(Element.REQUESTED_SOP_INSTANCE_UID),
            "ACTION_TYPE_ID": command.number(Element.ACTION_TYPE_ID),
        }
        status, asked, comment = self._understood(message, caller, data)
        kept = asked is not None and self._admission.destination(caller.calling) is not None
        if kept and asked is not None:
            try:
                self._keep(asked).result()
            except KnownError as error:
                status, asked, comment = Status.PROCESSING_FAILURE, None, comment_of(error)
        association.send(message.context.id, response(command, status, ERROR_COMMENT=comment, **names))
        if asked is not None and kept:
            self._wake.set()
        elif asked is not None:
            self._report(association, message.context.id, message.context.transfer_syntax, asked)

    def _understood(self, message: Message, caller: Caller, data: bytes) -> tuple[Status, Asked | None, str]:
        command = message.command
        if command.text(Element.REQUESTED_SOP_INSTANCE_UID) != COMMITMENT_INSTANCE:
            return Status.NO_SUCH_OBJECT_INSTANCE, None, ""
        if command.number(Element.ACTION_TYPE_ID) != REQUEST_COMMITMENT:
            return Status.NO_SUCH_ACTION, None, ""
        try:
            texts, items = read_items(data, message.context.transfer_syntax, REFERENCED)
            references = [(each.get(SOP_CLASS, ""), each.get(SOP_INSTANCE, "")) for each in items]
            transaction_uid = texts.get(TRANSACTION_UID, "")
        except BadInput as error:
            return Status.INVALID_ARGUMENT_VALUE, None, comment_of(error)
        if not transaction_uid or not references or not all(all(each) for each in references):
            return Status.INVALID_ARGUMENT_VALUE, None, "Transaction UID or references are missing."
        asked = Asked(caller.calling, caller.called, caller.namespace, transaction_uid, references)
        return Status.SUCCESS, asked, ""

    def _keep(self, asked: Asked) -> Future[None]:
        row = {
            "calling": asked.calling, "called": asked.called, "namespace": asked.namespace,
            "transaction_uid": asked.transaction_uid, "references": [list(each) for each in asked.references],
            "asked": time.time(), "tried": 0, "next": 0.0,
        }  # fmt: skip
        same = (Where().transaction_uid == asked.transaction_uid) & (Where().calling == asked.calling)

        def work(connection: Connection) -> None:
            Documents(self._database, connection).table(TABLE).upsert(row, same)

        return self._database.write(work)

    def _run(self) -> None:
        while not self._closing:
            try:
                self._round()
            except KnownError:
                logger.warning("storage commitment waits for the database")
            except Exception as error:  # our bug: the others are still reported
                logger.error("unforeseen error in storage commitment", exc_info=error)
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _round(self) -> None:
        table = Documents(self._database).table(TABLE)
        now = time.time()
        for row in table.search(Where().next <= now):
            if self._closing:
                return
            if self._delivered(row) or now - row["asked"] > GIVE_UP_S:
                table.remove(doc_ids=[row.doc_id])
                continue
            wait = RETRY_S[min(row["tried"], len(RETRY_S) - 1)]
            table.update({"tried": row["tried"] + 1, "next": time.time() + wait}, doc_ids=[row.doc_id])

    def _delivered(self, row: Mapping[str, Any]) -> bool:
        """Whether the peer has taken the report."""
        destination = self._admission.destination(row["calling"])
        if destination is None:
            return False
        asked = Asked(
            row["calling"], row["called"], row["namespace"], row["transaction_uid"],
            [(each[0], each[1]) for each in row["references"]],
        )  # fmt: skip
        tls = of_peer(destination)
        peer = Peer(destination.ae_title, destination.host, destination.port, asked.called, tls)
        try:
            over = associate(
                peer, [Wish(COMMITMENT, MESSAGE_SYNTAXES)], roles={COMMITMENT: Roles(scu=False, scp=True)}
            )
        except KnownError:
            logger.info("a storage commitment could not be reported yet")
            return False
        try:
            context = next(iter(over.contexts.values()))
            self._report(over, context.id, context.transfer_syntax, asked)
            answer = over.receive()
            for _ in over.data_set(answer):
                pass
            over.release()
            return answer.command.status == Status.SUCCESS
        except (KnownError, PeerReleases):
            return False
        finally:
            over.close()

    def _report(self, over: Association, context_id: int, syntax: str, asked: Asked) -> None:
        """N-EVENT-REPORT. Raises LinkLost, StorageFault."""
        model = self._prover.report(asked)
        failed = f"{FAILED:08X}" in model
        command: dict[Element, Value] = {
            Element.AFFECTED_SOP_CLASS_UID: COMMITMENT,
            Element.COMMAND_FIELD: Field.N_EVENT_REPORT,
            Element.MESSAGE_ID: over.new_message_id(),
            Element.DATA_SET_TYPE: DATA_SET,
            Element.AFFECTED_SOP_INSTANCE_UID: COMMITMENT_INSTANCE,
            Element.EVENT_TYPE_ID: SOME_FAILED if failed else ALL_COMMITTED,
        }
        tags = [int(name, 16) for name in model]
        over.send(context_id, command, Answering(Identifier({}), syntax, explicit_tags=tags).data_set(model))
