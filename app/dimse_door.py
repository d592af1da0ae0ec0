"""Wires the DICOM network door: its port, TLS, allow list and services, over an open archive."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.usage import Usage
from core.errors import BadInput

if TYPE_CHECKING:
    from app.compose import Open, Site, Web
    from core.settings import Settings
    from server.node import Listener, Tls

OFF = "off"


@contextmanager
def dimse_door(
    open_archive: Open, site: Site, found: Settings, port: int, *, tls: Tls | None, web: Web
) -> Generator[str, None, None]:
    """Accept associations on *port* (-1 = none); gives AET@HOST:PORT. Raises BadInput, Busy, StorageFault."""
    if port < 0:
        yield OFF
        return
    from server.node import Listener

    host = found.dimse.host or site.host
    with closing(Listener(host, port)) as listener:
        context = _tls_context(tls, found.dimse.tls_ca) if found.dimse.tls else None
        with _serving(open_archive, site, found, listener, tls=context, web=web):
            shown = f"[{host}]" if ":" in host else host
            yield f"{site.ae_title}@{shown}:{listener.port}"


def check_exposure(found: Settings, host: str, *, no_auth: bool) -> None:
    """Raises Usage where every caller would be an administrator on the network."""
    from server.web.guard import is_loopback

    if no_auth and not is_loopback(found.dimse.host or host):
        raise Usage(
            f"--no-auth would let anyone who can reach {found.dimse.host} in.", "Use loopback addresses only."
        )


@contextmanager
def _serving(
    open_archive: Open,
    site: Site,
    found: Settings,
    listener: Listener,
    *,
    tls: ssl.SSLContext | None,
    web: Web,
) -> Generator[None, None, None]:
    from core.archive.ae_titles import AeTitles
    from core.archive.blobs import LocalBlobs
    from core.archive.returned import Searcher
    from core.net.dimse.link import Patience
    from core.worklist.entries import entry_model
    from core.worklist.performed import PerformedSteps
    from server.dimse.admission import Admission
    from server.dimse.commitment import Commitment, Prover
    from server.dimse.door import Where
    from server.dimse.gateway import Gateway, GatewayLimits
    from server.dimse.services import services_of, supported_of
    from server.dimse.worklist import Entries
    from server.web.guard import is_loopback

    chosen = found.dimse
    known_only = chosen.accept == "known" or (chosen.accept == "auto" and not is_loopback(listener.host))
    admission = Admission(AeTitles(site.ae_title, found.ae_titles), chosen.peers, known_only=known_only)
    limits = GatewayLimits(chosen.max_associations, chosen.pdu_bytes, Patience(chosen.idle_s, chosen.stall_s))
    supported = supported_of(chosen)
    archive = open_archive.archive
    searcher = Searcher(archive.db, LocalBlobs(open_archive.data / "archive"))
    door = web.door
    commitment = Commitment(archive.db, Prover(searcher), admission)
    gateway = Gateway(
        listener.socket,
        admission=admission,
        supported=supported,
        services=services_of(
            archive,
            searcher,
            supported,
            admission=admission,
            convert=web.convert,
            see=web.see,
            commitment=commitment,
            entries=Entries(web.worklist, lambda entry: entry_model(entry.values)),
            steps=PerformedSteps(archive.db, web.workitems, web.worklist),
            heard=door.traffic.received,
        ),
        limits=limits,
        tls=tls,
        traffic=door.traffic,
    )
    with closing(commitment), closing(gateway):
        commitment.start()
        gateway.start()
        web.metrics.show(gateway.figures)
        door.open(Where(listener.host, listener.port, tls is not None, known_only), admission)
        try:
            yield
        finally:
            door.shut()


def _tls_context(tls: Tls | None, authority: str) -> ssl.SSLContext:
    """TLS 1.2 and later (PS3.15 B.9, BCP 195); with *authority* peers must show a certificate."""
    if tls is None:
        raise BadInput(
            "DIMSE over TLS needs a certificate.", "Give --tls-cert and --tls-key, or set dimse.tls to false."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if authority:
            context.load_verify_locations(Path(authority))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise BadInput("dimse.tls_ca cannot be used.", "Give a PEM file that can be read.") from error
    return context
