"""The DICOM door as the rest of the archive sees it: where it is, how it stands, and whom it lets in."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from core.settings import DimsePeer
from server.dimse.admission import Admission
from server.dimse.traffic import Traffic

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  they are compared with, not bound to
ELSEWHERE = ("192.0.2.1", 9)
"""An address nobody has (RFC 5737): nothing is sent there, the system only says by which way it would go."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where the door listens; *known_only*: only peers of the list are let in."""

    host: str
    port: int
    tls: bool
    known_only: bool


class Door:
    """Known to the web door from the start; `open` and `shut` by whoever has the port."""

    def __init__(self, ae_title: str) -> None:
        self.ae_title = ae_title
        self.traffic = Traffic()
        self.where: Where | None = None
        self._admission: Admission | None = None

    def open(self, where: Where, admission: Admission) -> None:
        """It listens."""
        self.where, self._admission = where, admission

    def shut(self) -> None:
        """It does not any more."""
        self.where = self._admission = None

    def allow(self, peer: DimsePeer) -> bool:
        """Let *peer* in from now on; False if the door is not open."""
        if self._admission is None:
            return False
        self._admission.allow(peer)
        return True

    @property
    def port(self) -> int:
        """The port, 0 if it is not open."""
        return self.where.port if self.where is not None else 0

    def reachable_from(self, own_address: str) -> bool:
        """Whether a peer to which this machine is *own_address* can reach the door."""
        if self.where is None:
            return False
        if self.where.host in EVERYWHERE or self.where.host == own_address:
            return True
        return not _is_loopback(self.where.host) or _is_loopback(own_address)


def addresses(host: str) -> list[str]:
    """The addresses by which others find what listens on *host*, the likeliest first."""
    if host not in EVERYWHERE:
        return [host]
    found: dict[str, None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            found[str(probe.getsockname()[0])] = None
        except OSError:
            pass
    try:
        own = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        own = []
    found |= dict.fromkeys(str(each[4][0]) for each in own)
    outside = [each for each in found if not _is_loopback(each)]
    return outside or list(found) or ["127.0.0.1"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
