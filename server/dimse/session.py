"""One association from its first PDU to its last: negotiated, then a message after the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from core.net.dimse.association import Association, Context, Message
from core.net.dimse.command import RESPONSE, Field, response
from core.net.dimse.faults import LinkLost, PeerReleases, Violation
from core.net.dimse.link import ASSOCIATE_RQ, Link
from core.net.dimse.negotiation import (
    Answer,
    Proposal,
    Rejection,
    accept,
    read_proposal,
    reject,
    unexpected,
)
from server.dimse.admission import Admission, Caller
from server.dimse.contexts import Supported
from server.dimse.statuses import Status

logger = logging.getLogger("filmjacket.dimse")

REQUEST_S = 30.0
"""So long a peer may take from connecting to asking for an association (PS3.8 9.1.5, ARTIM)."""
REJECTED_S = 2.0
MOST_IDENTIFIER_BYTES = 4 << 20


class Service(Protocol):
    """Whatever answers one kind of command."""

    def __call__(self, association: Association, message: Message, caller: Caller) -> None:
        """Read what is left of the message and answer it. Raises LinkLost, Violation."""


class Watch(Protocol):
    """Who wants to hear of associations."""

    def admitted(self, caller: Caller) -> None:
        """One was accepted."""

    def serving(self, caller: Caller, field: int) -> None:
        """It gives a command."""

    def ended(self, caller: Caller) -> None:
        """It is over."""

    def rejected(self, proposal: Proposal, address: str, why: Rejection) -> None:
        """One was not accepted."""


class Session:
    """Serves one peer on its own thread until it has gone."""

    def __init__(
        self,
        link: Link,
        address: str,
        *,
        admission: Admission,
        supported: Supported,
        services: Mapping[int, Service],
        watch: Watch,
    ) -> None:
        self._link = link
        self._address = address
        self._admission = admission
        self._supported = supported
        self._services = services
        self._watch = watch

    def run(self, full: Rejection | None = None) -> None:
        """Until the end; *full*: reject it, whoever it is. Never raises what a peer can cause."""
        try:
            association_and_caller = self._negotiate(full)
            if association_and_caller is not None:
                self._serve(*association_and_caller)
        except LinkLost:
            logger.info("an association ended early")
        except Violation as error:
            logger.info("an association was aborted: %s", error.message)
        finally:
            self._link.close()

    def _negotiate(self, full: Rejection | None) -> tuple[Association, Caller] | None:
        try:
            kind, content = self._link.read(REQUEST_S)
            if kind != ASSOCIATE_RQ:
                raise unexpected()
            proposal = read_proposal(bytes(content))
        except Violation as error:
            Association(self._link, {}, calling="", called="").abort(error.reason)
            raise
        found = full or self._admission.admit(proposal, self._address)
        if isinstance(found, Rejection):
            logger.info("an association from %s was rejected: %s", self._address, found.words)
            self._watch.rejected(proposal, self._address, found)
            self._link.send(reject(found))
            self._link.linger(REJECTED_S)
            return None
        acceptance = self._supported.answer(proposal)
        abstract = {each.id: each.abstract_syntax for each in proposal.contexts}
        contexts = {
            each.id: Context(each.id, abstract[each.id], each.transfer_syntax)
            for each in acceptance.contexts
            if each.answer is Answer.ACCEPTED
        }
        self._link.send(accept(proposal, acceptance))
        association = Association(
            self._link,
            contexts,
            calling=found.calling,
            called=found.called,
            peer_pdu_bytes=proposal.pdu_bytes,
        )
        return association, found

    def _serve(self, association: Association, caller: Caller) -> None:
        self._watch.admitted(caller)
        try:
            while True:
                message = association.receive()
                self._watch.serving(caller, message.command.field)
                self._answer(association, message, caller)
        except PeerReleases:
            association.released()
        except Violation as error:
            association.abort(error.reason)
            raise
        finally:
            self._watch.ended(caller)
            association.close()

    def _answer(self, association: Association, message: Message, caller: Caller) -> None:
        command = message.command
        service = self._services.get(command.field)
        if service is not None:
            service(association, message, caller)
            return
        association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
        if command.field == Field.C_CANCEL or command.field & RESPONSE:
            return  # it comes too late, or answers what was not asked
        association.send(message.context.id, response(command, Status.UNRECOGNIZED_OPERATION))


def echo(association: Association, message: Message, caller: Caller) -> None:
    """C-ECHO (PS3.4 A): we are here."""
    association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
    association.send(message.context.id, response(message.command, Status.SUCCESS))
