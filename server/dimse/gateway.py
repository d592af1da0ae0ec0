"""The DICOM network door as a whole: it listens, gives each association a thread, and ends them all."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.net.dimse.link import Link, Patience
from core.net.dimse.negotiation import TOO_MANY, Rejection
from server.dimse.admission import Admission
from server.dimse.contexts import Supported
from server.dimse.session import Service, Session
from server.dimse.traffic import Traffic, Turned

logger = logging.getLogger("filmjacket.dimse")

ACCEPT_S = 0.5
FINISH_S = 15.0
"""So long what has begun may take when the archive stops."""
TO_REJECT = 16
"""So many more than the limit are heard, to be told that there are too many."""
HANDSHAKE_S = 15.0


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """What peers may take: associations at once, bytes of a PDU, and time."""

    associations: int = 100
    pdu_bytes: int = 128 << 10
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class GatewayState:
    """How it stands: associations now and ever, rejected ever, the last admitted title and when (seconds)."""

    associations: int = 0
    admitted: int = 0
    rejected: int = 0
    last_calling: str = ""
    last_time: float = 0.0


class Gateway:
    """Accepts associations on a listening socket; `start` it, and `close` it when done."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        admission: Admission,
        supported: Supported,
        services: Mapping[int, Service],
        limits: GatewayLimits | None = None,
        tls: ssl.SSLContext | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self._listening = listening
        self._admission = admission
        self._supported = supported
        self._services = services
        self._limits = limits or GatewayLimits()
        self._tls = tls
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, Link | None] = {}
        self._closing = False
        self.traffic = traffic or Traffic()
        self._thread = threading.Thread(target=self._accept, name="dimse", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._listening.settimeout(ACCEPT_S)
        self._thread.start()

    def close(self) -> None:
        """Take no more, let what is under way be answered, end all; calling it again does nothing."""
        self._closing = True
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            left = dict(self._open)
        for link in left.values():
            if link is not None:
                link.shut()
        until = time.monotonic() + FINISH_S
        for thread in left:
            thread.join(max(0.0, until - time.monotonic()))

    def state(self) -> GatewayState:
        """How it stands."""
        traffic = self.traffic
        with self._lock:
            return GatewayState(len(self._open), traffic.admissions, traffic.rejections, *traffic.last)

    def figures(self) -> dict[str, tuple[str, float]]:
        """Gauges: name -> (help, value)."""
        state = self.state()
        return {
            "filmjacket_dimse_associations": ("DICOM associations open now.", state.associations),
            "filmjacket_dimse_admitted_total": ("DICOM associations accepted.", state.admitted),
            "filmjacket_dimse_rejected_total": ("DICOM associations rejected.", state.rejected),
            "filmjacket_dimse_last_association_seconds": ("When one was accepted last.", state.last_time),
        }

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, address = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._closing:
                    return
                time.sleep(ACCEPT_S)  # too many files open: some will be closed
                continue
            self._begin(sock, str(address[0]))

    def _begin(self, sock: socket.socket, address: str) -> None:
        with self._lock:
            count = len(self._open)
            if count >= self._limits.associations + TO_REJECT:
                sock.close()
                return
            full = TOO_MANY if count >= self._limits.associations else None
            thread = threading.Thread(
                target=self._run, args=(sock, address, full), name="dimse association", daemon=True
            )
            self._open[thread] = None
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had
            self._forget(thread)
            sock.close()

    def _run(self, sock: socket.socket, address: str, full: Rejection | None) -> None:
        thread = threading.current_thread()
        try:
            secured = self._secured(sock, address)
            if secured is None:
                return
            link = Link(secured, self._limits.patience, pdu_bytes=self._limits.pdu_bytes)
            with self._lock:
                self._open[thread] = link
            if self._closing:
                link.shut()
            Session(
                link,
                address,
                admission=self._admission,
                supported=self._supported,
                services=self._services,
                watch=self.traffic,
            ).run(full)
        except Exception as error:  # our bug: this association ends, the others go on
            logger.error("unforeseen error on an association", exc_info=error)
        finally:
            with contextlib.suppress(OSError):
                sock.close()
            self._forget(thread)

    def _secured(self, sock: socket.socket, address: str) -> socket.socket | None:
        if self._tls is None:
            return sock
        sock.settimeout(HANDSHAKE_S)
        try:
            return self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            logger.info("a peer could not be spoken to over TLS")
            self.traffic.turn(Turned(time.time(), "", "", address, "tls", "it does not speak TLS as we do"))
            return None

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            self._open.pop(thread, None)
