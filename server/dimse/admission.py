"""Who may associate: by the title they call, their own title, and where they come from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from core.archive.ae_titles import AeTitles
from core.errors import NotFound
from core.net.dimse.negotiation import CALLED_UNKNOWN, CALLING_UNKNOWN, Proposal, Rejection
from core.settings import DimsePeer

ANY = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """An admitted peer: its title, ours that it called, the namespace that means, and what is set of it.

    *view* is the PHI namespace through which it sees what is stored, None for as it is stored.
    """

    calling: str
    called: str
    namespace: str
    address: str
    peer: DimsePeer | None = None
    view: str | None = None


class Admission:
    """The allow list. Names of hosts are looked up anew each time: addresses change."""

    def __init__(self, ae_titles: AeTitles, peers: Sequence[DimsePeer], *, known_only: bool) -> None:
        self._ae_titles = ae_titles
        self._peers = tuple(peers)
        self._known_only = known_only

    def admit(self, proposal: Proposal, address: str) -> Caller | Rejection:
        """Whoever proposes, or why not."""
        calling, called = proposal.calling.strip(), proposal.called.strip()
        try:
            namespace = self._ae_titles.namespace(called)
        except NotFound:
            return CALLED_UNKNOWN
        peer = next((each for each in self._peers if _is(each, calling, called, address)), None)
        if peer is None and self._known_only:
            return CALLING_UNKNOWN
        return Caller(calling, called, namespace, address, peer, self._ae_titles.view(called))

    def allow(self, peer: DimsePeer) -> None:
        """Let one more in, from now on."""
        self._peers = (*self._peers, peer)

    def destination(self, ae_title: str) -> DimsePeer | None:
        """The peer of this title that takes associations, at one address."""
        wanted = ae_title.strip()
        for each in self._peers:
            if each.ae_title == wanted and each.port and each.host and "/" not in each.host:
                return each
        return None


def _is(peer: DimsePeer, calling: str, called: str, address: str) -> bool:
    if peer.ae_title not in (ANY, calling) or peer.called not in ("", called):
        return False
    return not peer.host or _comes_from(peer.host, address)


def _comes_from(host: str, address: str) -> bool:
    try:
        there = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(there, "ipv4_mapped", None)
    there = mapped or there
    try:
        return there in ipaddress.ip_network(host, strict=False)
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(ipaddress.ip_address(str(each[4][0]).partition("%")[0]) == there for each in found)
