"""A gateway over a real archive on a free port of the loopback, and raw pieces of the protocol."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE

from core.archive.ae_titles import AeTitles, Meaning
from core.archive.archive import Archive
from core.archive.blobs import LocalBlobs
from core.archive.files import FileSystem
from core.archive.nouns import StoredImage
from core.archive.returned import Searcher
from core.dicom.ports import Scheduled, Worklist
from core.dicom.uids import UidMaker
from core.imaging.transcode import transcode
from core.net.dimse.link import Patience
from core.net.dimse.negotiation import Proposal, Proposed, request
from core.settings import DimsePeer, DimseSettings
from core.worklist.entries import entry_model
from core.worklist.performed import PerformedSteps
from core.worklist.worklist import Worklist as Items
from server.dimse.admission import Admission
from server.dimse.commitment import Commitment, Prover
from server.dimse.contexts import Supported
from server.dimse.gateway import Gateway, GatewayLimits
from server.dimse.services import services_of, supported_of
from server.dimse.session import Service
from server.dimse.suboperations import Converter
from server.dimse.traffic import Traffic
from server.dimse.worklist import Entries
from server.node import Listener
from server.web.views import Views

AET = "FILMJACKET"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


@dataclass(frozen=True)
class Running:
    """A gateway that accepts, and the archive behind it."""

    gateway: Gateway
    archive: Archive
    port: int
    admission: Admission

    def connect(self, timeout: float = 10) -> socket.socket:
        """A plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    @contextmanager
    def associated(
        self, *contexts: tuple[str, str], calling: str = "CT1", called: str = AET
    ) -> Iterator[Any]:
        """An association of pynetdicom for (abstract, transfer syntax) pairs."""
        ae = AE(calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        for abstract, transfer in contexts:
            ae.add_requested_context(abstract, transfer)
        association = ae.associate("127.0.0.1", self.port, ae_title=called)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    @contextmanager
    def answering(self, instead: Mapping[int, Service], *offered: str) -> Iterator[None]:
        """Answer some commands otherwise, and offer *offered* alone if it is given, until the block ends."""
        before = self.gateway._services, self.gateway._supported
        self.gateway._services = {**before[0], **instead}
        if offered:
            self.gateway._supported = Supported(offered, pdu_bytes=128 << 10)
        try:
            yield
        finally:
            self.gateway._services, self.gateway._supported = before

    def store(self, ds: Dataset, **who: str) -> int:
        """Store one object by pynetdicom; the status."""
        with self.associated((ds.SOPClassUID, ds.file_meta.TransferSyntaxUID), **who) as association:
            assert association.is_established
            return int(association.send_c_store(ds).Status)


@contextmanager
def gateway(
    data: Path,
    *,
    peers: tuple[DimsePeer, ...] = (),
    known_only: bool = False,
    ae_titles: Mapping[str, Meaning] | None = None,
    limits: GatewayLimits | None = None,
    settings: DimseSettings | None = None,
    tls: ssl.SSLContext | None = None,
    files: FileSystem | None = None,
    worklist: Worklist | None = None,
) -> Generator[Running, None, None]:
    """Serve *data* until the block ends."""
    chosen = settings or DimseSettings()
    with (
        closing(Archive.open(data, settle_after_s=60, files=files)) as archive,
        closing(Listener("127.0.0.1", 0)) as listener,
    ):
        supported = supported_of(chosen)
        admission = Admission(AeTitles(AET, ae_titles or {}), peers, known_only=known_only)
        searcher = Searcher(archive.db, LocalBlobs(data / "archive"))
        commitment = Commitment(archive.db, Prover(searcher), admission)
        traffic = Traffic()
        door = Gateway(
            listener.socket,
            admission=admission,
            supported=supported,
            services=services_of(
                archive,
                searcher,
                supported,
                admission=admission,
                convert=converter(data),
                see=Views(archive, Kept(data)).images,
                commitment=commitment,
                steps=PerformedSteps(archive.db, worklist_of(archive), worklist or Nothing()),
                entries=Entries(worklist or Nothing(), lambda entry: entry_model(entry.values)),
                heard=traffic.received,
            ),
            limits=limits or GatewayLimits(patience=Patience(10, 10)),
            tls=tls,
            traffic=traffic,
        )
        with closing(commitment), closing(door):
            commitment.start()
            door.start()
            yield Running(door, archive, listener.port, admission)


def worklist_of(archive: Archive) -> Items:
    """The workitems of an archive."""
    return Items(archive.db, archive.audit, UidMaker())


class Nothing:
    """A worklist of nothing."""

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """None."""
        return iter(())


@dataclass(frozen=True)
class Kept:
    """Keeps what was made of objects in *folder*."""

    folder: Path

    def file_here(self, image: StoredImage, ending: str, make: Callable[[], Future[bytes]]) -> Path:
        """Made anew each time."""
        path = self.folder / f"{image.version}-{ending}"
        path.write_bytes(make().result())
        return path


def converter(folder: Path) -> Converter:
    """Transcodes in this process."""

    def convert(image: StoredImage, target: str) -> StoredImage:
        made = folder / f"{image.sop_instance_uid}.{target}"
        made.write_bytes(transcode(image.path, target))
        return replace(image, path=made, transfer_syntax_uid=target, bytes=made.stat().st_size)

    return convert


def proposal(*abstract: str, syntaxes: tuple[str, ...] = (EXPLICIT, IMPLICIT)) -> bytes:
    """An A-ASSOCIATE-RQ PDU."""
    contexts = tuple(Proposed(2 * n + 1, each, syntaxes) for n, each in enumerate(abstract))
    return request(Proposal("RAW", AET, contexts, 16384))


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Type and content of the next PDU; (0, b"") if the peer has closed."""
    head = _exactly(connection, 6)
    if len(head) < 6:
        return 0, b""
    return head[0], _exactly(connection, int.from_bytes(head[2:], "big"))


def opened(running: Running, *abstract: str) -> socket.socket:
    """A connection whose association is accepted."""
    connection = running.connect()
    connection.sendall(proposal(*abstract))
    kind, _ = read_pdu(connection)
    assert kind == 2
    return connection


def pdata(data: bytes, *, control: int = 3, context: int = 1) -> bytes:
    """A P-DATA-TF PDU with one value."""
    value = len(data).__add__(2).to_bytes(4, "big") + bytes((context, control)) + data
    return b"\4\0" + len(value).to_bytes(4, "big") + value


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            break
        found += part
    return found
