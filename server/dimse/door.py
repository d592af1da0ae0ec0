"""The DICOM door as the rest of the archive sees it: where it is, how it stands, and whom it lets in."""

from __future__ import annotations

from dataclasses import dataclass

from core.net.own_addresses import EVERYWHERE, is_loopback
from core.settings import DimsePeer
from server.dimse.admission import Admission
from server.dimse.traffic import Traffic


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
        return not is_loopback(self.where.host) or is_loopback(own_address)
