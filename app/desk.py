"""The window's ports (`ui.services`) over the real ledger, destinations, settings and local archive."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from app.embedded import EmbeddedArchive, State, Wishes
from core import settings
from core.errors import KnownError, Unreachable
from core.imaging.recoder import Recoder
from core.media.attached import encapsulate
from core.net.credentials import Access, Credentials, Token
from core.net.dicomweb_client import DicomWebClient
from core.net.dimse.node import parse_node
from core.net.dimse.pacs import Pacs
from core.net.http import Timeouts
from core.net.own_addresses import addresses
from core.net.v3_client import V3Client
from core.settings import Settings
from core.upload.destinations import Found, Means, connect, find, from_environment
from core.upload.ledger import Ledger
from core.upload.saved import Destinations, SavedDestination
from core.upload.target import TargetKind, parse
from ui import services as ports

DEFAULT_NAMESPACE = "default"
LOOKING = Timeouts(connect_s=4.0, answer_s=30.0)
"""How long a person who looks at an archive elsewhere waits for a connection, and for an answer."""

STATES = {
    State.OFF: ports.ArchiveState.OFF,
    State.STARTING: ports.ArchiveState.STARTING,
    State.RUNNING: ports.ArchiveState.RUNNING,
    State.FAILED: ports.ArchiveState.FAILED,
}


class SettingsFile:
    """The settings of one data folder; *on_change* hears of every save."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._now = settings.load(data)
        self.on_change: Callable[[Settings], None] = lambda found: None

    @property
    def now(self) -> Settings:
        """As they were last read or saved."""
        return self._now

    def save(self, found: Settings) -> None:
        """Keep and write them. Raises StorageFault."""
        settings.save(self._data, found)
        self._now = found
        self.on_change(found)


class LocalArchive:
    """The embedded archive with one client that is signed in; close it at the end."""

    def __init__(self, data: Path, found: Settings) -> None:
        self._ae_title = found.serve.ae_title
        self._archive = EmbeddedArchive(data, _wishes(found))
        self._client: tuple[str, V3Client] | None = None
        self._lock = threading.Lock()
        self._doors: dict[str, str] = {}

    @property
    def state(self) -> ports.ArchiveState:
        """How it stands."""
        return STATES[self._archive.state]

    @property
    def where(self) -> str:
        """`FILMJACKET @ 192.0.2.10:11112`, its DICOM door or else its web door; "" while it does not run."""
        ready = self._archive.ready
        if ready is None:
            return ""
        return self._doors.get(ready.dimse) or f"{self._ae_title} @ {ready.http_url.partition('//')[2]}"

    def start(self) -> None:
        """Start or adopt it. Raises KnownError."""
        dimse = self._archive.start().dimse
        title, _, where = dimse.rpartition("@")
        host, _, port = where.rpartition(":")
        if where:  # looked up here, where it may take its time
            self._doors[dimse] = f"{title} @ {addresses(host.strip('[]'))[0]}:{port}"

    def stop(self) -> None:
        """Stop it, or let it go on if the settings say so."""
        self._archive.stop()
        self._forget_client()

    def client(self) -> V3Client:
        """The shared client; it is ours to close. Raises Unreachable while the archive does not run."""
        ready = self._archive.ready
        if ready is None:
            reason = self._archive.reason or "The local archive is not running."
            raise Unreachable(reason, "Switch it on in the settings.")
        with self._lock:
            if self._client is None or self._client[0] != ready.token:
                self._close_client()
                self._client = (ready.token, V3Client(ready.http_url, Token(ready.token)))
            return self._client[1]

    def door(self) -> tuple[str, Access]:
        """Its address and how to sign in, for an upload; started if it does not run. Raises KnownError."""
        ready = self._archive.start()
        return ready.http_url, Token(ready.token)

    @property
    def means(self) -> Means:
        """What an upload's destination may need."""
        return Means(self.door, encapsulate, Recoder(), self._ae_title)

    def changed(self, found: Settings) -> None:
        """New settings: whether it outlives the window holds at once, ports from the next start."""
        self._ae_title = found.serve.ae_title
        self._archive.wish(_wishes(found))

    def _forget_client(self) -> None:
        with self._lock:
            self._close_client()

    def _close_client(self) -> None:
        if self._client is not None:
            self._client[1].close()
            self._client = None


def _wishes(found: Settings) -> Wishes:
    return Wishes(
        port=found.desktop.port,
        internal_port=found.desktop.internal_port,
        dimse_port=found.desktop.dimse_port,
        ae_title=found.serve.ae_title,
        keep_running=found.desktop.keep_running,
    )


class SavedDestinations:
    """The saved destinations as the settings page shows them."""

    def __init__(self, ledger: Ledger, archive: LocalArchive) -> None:
        self._saved = Destinations(ledger.database)
        self._archive = archive
        self._clients: dict[Found, DicomWebClient] = {}
        self._lock = threading.Lock()

    def all(self) -> Sequence[ports.DestinationText]:
        """By name."""
        return [
            ports.DestinationText(each.name, each.spec, each.login, has_secret=bool(each.login))
            for each in self._saved.all()
        ]

    def save(self, destination: ports.DestinationText, secret: str | None) -> None:
        """Add or replace by name. Raises KnownError."""
        self._saved.save(SavedDestination(destination.name, destination.spec, destination.login), secret)

    def remove(self, name: str) -> None:
        """Forget it. Raises NotFound."""
        self._saved.remove(name)

    def remotes(self) -> Sequence[str]:
        """Names of the DICOMweb archives."""
        return [each.name for each in self._saved.all() if parse(each.spec).kind is TargetKind.STOW]

    def remote(self, name: str) -> DicomWebClient:
        """The client of one of them, kept until `close`; another one when its login was changed."""
        found = find(name, self._saved, os.environ)
        with self._lock:
            if found not in self._clients:
                self._clients[found] = DicomWebClient(found.target.address, found.access, LOOKING)
            return self._clients[found]

    def nodes(self) -> Sequence[str]:
        """Names of the DICOM nodes."""
        return [each.name for each in self._saved.all() if parse(each.spec).kind is TargetKind.DIMSE]

    def pacs(self, name: str, stopped: Callable[[], bool]) -> Pacs:
        """One of them. Raises NotFound."""
        node = parse_node(parse(self._saved.find(name).spec).address)
        return Pacs(node.peer(self._archive.means.ae_title), stopped)

    def hang_up(self) -> None:
        """Cut what is under way with the archives; from then on their clients say so at once."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def test(self, destination: ports.DestinationText, secret: str | None) -> str:
        """Call it and say what answered. Raises KnownError."""
        target = parse(destination.spec)
        local = target.kind is TargetKind.ARCHIVE
        found = Found(destination.name, target, None if local else self._access(destination, secret))
        with closing(connect(found, DEFAULT_NAMESPACE, self._archive.means, timeouts=LOOKING)) as opened:
            return opened.test()

    def _access(self, destination: ports.DestinationText, secret: str | None) -> Access:
        if not destination.login:
            return from_environment(os.environ)  # as a sending to it would
        spec = str(parse(destination.spec))
        if secret is None:
            secret = self._saved.password(SavedDestination(destination.name, spec, destination.login))
        if secret is not None:
            return Credentials(destination.login, secret)
        found = from_environment(os.environ)
        if found is None or found.login != destination.login:
            raise KnownError("No password is kept for this login at this address.", "Enter it.")
        return found
