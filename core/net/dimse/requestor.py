"""Asking a peer for an association (PS3.8 7.1): connect, propose, and hear what it takes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import Unreachable
from core.net.dimse.association import Association, Context
from core.net.dimse.faults import LinkLost, Refused, Violation
from core.net.dimse.link import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, Link, Patience
from core.net.dimse.negotiation import (
    CALLED_UNKNOWN,
    CALLING_UNKNOWN,
    Answer,
    Proposal,
    Proposed,
    Rejection,
    Roles,
    read_acceptance,
    read_rejection,
    request,
    unexpected,
)
from core.net.tls import Tls, asks_for_ours, wants_ours

PDU_BYTES = 128 << 10
MOST_CONTEXTS = 128
CONNECT_S = 10.0
ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM application on the network, and who we are to it."""

    called: str
    host: str
    port: int
    calling: str = "FILMJACKET"
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One abstract syntax and the transfer syntaxes that would do, as one presentation context."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


def associate(
    peer: Peer,
    wishes: Sequence[Wish],
    *,
    roles: Mapping[str, Roles] | None = None,
    extended: Mapping[str, bytes] | None = None,
    patience: Patience | None = None,
    answer_s: float = ANSWER_S,
) -> Association:
    """An association with at least one of *wishes*.

    Raises Refused, LinkLost, Unreachable, Violation, and what `Tls.wrap` does.
    """
    proposal = Proposal(
        peer.calling,
        peer.called,
        tuple(
            Proposed(2 * index + 1, wish.abstract_syntax, wish.transfer_syntaxes)
            for index, wish in enumerate(wishes[:MOST_CONTEXTS])
        ),
        PDU_BYTES,
        roles or {},
        extended or {},
    )
    link = Link(_connected(peer), patience or Patience(), pdu_bytes=PDU_BYTES)
    try:
        return _negotiated(link, peer, proposal, answer_s)
    except BaseException:
        link.close()
        raise


def _connected(peer: Peer) -> socket.socket:
    where = f"{peer.host}:{peer.port}"
    try:
        sock = socket.create_connection((peer.host, peer.port), timeout=CONNECT_S)
    except ConnectionRefusedError as error:
        raise Unreachable(
            f"{where} refuses the connection: nothing takes associations at this port.",
            "Check the port, and that the other side is running.",
        ) from error
    except TimeoutError as error:
        raise Unreachable(
            f"{where} does not answer within {CONNECT_S:.0f} seconds.",
            "Check the address, the network and firewalls between.",
        ) from error
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(f"The network does not know the name {peer.host}.", "Check the address.") from error
    except OSError as error:
        raise Unreachable(
            f"{where} cannot be reached.", "Check address, port and that it is running."
        ) from error
    if peer.tls is None:
        return sock
    try:
        return peer.tls.wrap(sock, peer.host, where)
    except BaseException:
        sock.close()
        raise


def _negotiated(link: Link, peer: Peer, proposal: Proposal, answer_s: float) -> Association:
    kind, content = _answer(link, peer, proposal, answer_s)
    if kind == ASSOCIATE_RJ:
        raise _refused(peer, read_rejection(bytes(content)))
    if kind == ABORT:
        raise LinkLost(f"{peer.called} aborted the association.", "Try again.")
    if kind != ASSOCIATE_AC:
        raise unexpected()
    answer = read_acceptance(bytes(content))
    proposed = {each.id: each for each in proposal.contexts}
    accepted = {
        each.id: Context(each.id, proposed[each.id].abstract_syntax, each.transfer_syntax)
        for each in answer.contexts
        if each.answer is Answer.ACCEPTED and each.id in proposed
    }
    if any(each.transfer_syntax not in proposed[each.id].transfer_syntaxes for each in accepted.values()):
        raise Violation("The peer accepts what was not proposed.")
    association = Association(
        link, accepted, calling=peer.calling, called=peer.called, peer_pdu_bytes=answer.pdu_bytes
    )
    if not accepted:
        association.release()
        raise Refused(f"{peer.called} takes none of what was proposed.", "Ask what it supports.")
    return association


def _answer(link: Link, peer: Peer, proposal: Proposal, answer_s: float) -> tuple[int, memoryview]:
    """What comes back. Raises LinkLost, which says what kind of peer behaves so."""
    try:
        with contextlib.suppress(LinkLost):  # who hung up before we asked has said why, and that is read
            link.send(request(proposal))
        return link.read(answer_s)
    except LinkLost as error:
        if wants_ours(error.__cause__):  # in TLS 1.3 that is heard only now
            raise asks_for_ours(f"{peer.host}:{peer.port}") from error
        if peer.tls is not None:
            raise LinkLost(
                f"{peer.host}:{peer.port} ended the secure connection before it answered. {error.message}",
                "It may want a certificate of ours, or another one: ask its administrator.",
            ) from error
        raise LinkLost(
            f"{peer.host}:{peer.port} is there, but does not answer as a DICOM node. {error.message}",
            "Check the port, and whether the other side wants TLS or knows this machine.",
        ) from error


def _refused(peer: Peer, why: Rejection) -> Refused:
    """The error for a rejection, with what to do about it."""
    code = (why.source, why.reason)
    if code == (CALLED_UNKNOWN.source, CALLED_UNKNOWN.reason):
        remedy = f"Ask for the AE title of the node at {peer.host}:{peer.port}; {peer.called} is wrong."
    elif code == (CALLING_UNKNOWN.source, CALLING_UNKNOWN.reason):
        remedy = f"Have its administrator enter our AE title, {peer.calling}."
    elif why.lasting:
        remedy = "Check both AE titles, and that the other side knows ours."
    else:
        remedy = "Try again later."
    return Refused(f"{peer.called} rejects the association: {why.words}.", remedy)


def contexts_of(association: Association, abstract_syntax: str) -> Iterable[Context]:
    """The accepted contexts for an abstract syntax."""
    return [each for each in association.contexts.values() if each.abstract_syntax == abstract_syntax]
