"""HTTP to one peer, synchronous, over kept connections; faults of the network become known errors.

Redirects are never followed (a body or a token must not go where nobody chose), proxies of the environment
are not used, and no message names more than the peer. `core.net.post` sends large bodies faster.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO
from weakref import WeakSet

from core.errors import BadInput, KnownError, TookTooLong, Unreachable
from core.net.address import Address
from core.net.answers import Answer
from core.net.tls import Untrusted, asks_for_ours, doubted, speaks_none, wants_ours

if TYPE_CHECKING:
    import httpx

Params = list[tuple[str, str | int | float | bool | None]]
LARGEST_ANSWER = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Patience with one transfer, never with a job, in seconds."""

    connect_s: float = 10.0
    idle_s: float = 60.0  # for the next piece of a body, either way
    answer_s: float = 120.0  # from the last byte sent to the first of the answer


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a multipart form."""

    field: str
    name: str
    data: BinaryIO
    content_type: str


OPENED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
"""Events of the extension "trace" of httpcore after which a connection is there."""
SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing at the peer (RFC 9110 9.2.1): they may be repeated."""


class Transport:
    """Requests to one peer from any number of threads; whoever made it closes it."""

    def __init__(
        self,
        address: Address,
        timeouts: Timeouts | None = None,
        *,
        connections: int = 8,
        context: ssl.SSLContext | None = None,
    ) -> None:
        import httpx

        times = timeouts or Timeouts()
        self.address = address
        self.context = context or _certificates(address)
        self._lock = threading.Lock()
        self._closed = False
        self._streams: WeakSet[Any] = WeakSet()
        self._client = httpx.Client(
            base_url=str(address),
            timeout=httpx.Timeout(
                connect=times.connect_s, read=times.answer_s, write=times.idle_s, pool=times.answer_s
            ),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=self.context,
            follow_redirects=False,
            trust_env=False,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        upload: Upload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One exchange, whatever its status; *body* is sent as JSON. Raises Unreachable, KnownError."""
        files = {upload.field: (upload.name, upload.data, upload.content_type)} if upload else None
        with self._answer(
            method, path, params=params or None, json=body, data=form, files=files, headers=headers
        ) as response:
            return _whole(response, self.address.peer)

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None
    ) -> Iterator[Answer | Iterator[bytes]]:
        """GET *path*: an iterator over the body of a 2xx answer as it comes in, else the whole answer."""
        with self._answer("GET", path, headers=headers) as response:
            if response.is_success:
                yield response.iter_bytes(256 * 1024)
            else:
                yield _whole(response, self.address.peer)

    @contextmanager
    def _answer(self, method: str, path: str, **given: Any) -> Iterator[httpx.Response]:
        """The answer as it begins. Raises KnownError."""
        with self._mapped():
            response = self._send(self._client.build_request(method, path, **given))
            try:
                yield response
            finally:
                response.close()

    def _send(self, request: httpx.Request) -> httpx.Response:
        """A kept connection that was just being closed says nothing of the peer: then it is asked again."""
        import httpx

        while True:
            opened: list[str] = []

            def trace(event: str, info: Mapping[str, Any], opened: list[str] = opened) -> None:
                if event in OPENED:
                    opened.append(event)
                    self._watch(info)

            request.extensions["trace"] = trace
            try:
                return self._client.send(request, stream=True)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if opened or self._closed or request.method not in SAFE:
                    raise

    def close(self) -> None:
        """Close every connection; who waits for an answer hears Unreachable at once."""
        with self._lock:
            self._closed = True
            streams = list(self._streams)
        for stream in streams:
            cut(stream.get_extra_info("socket"))
        self._client.close()

    def _watch(self, info: Mapping[str, Any]) -> None:
        """Know every connection, so that it can be cut."""
        stream = info["return_value"]
        with self._lock:
            self._streams.add(stream)
            closed = self._closed
        if closed:
            cut(stream.get_extra_info("socket"))

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        with mapped(self.address.peer):
            try:
                if self._closed:
                    raise unreachable(self.address.peer)
                yield
            except RuntimeError as error:  # the library's own, of a client that was just closed
                if self._closed:
                    raise unreachable(self.address.peer) from error
                raise


def _certificates(address: Address) -> ssl.SSLContext:
    """Whom to trust; reading that takes a third of a second, which plain HTTP does not need."""
    return address.tls.context() if address.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def mapped(peer: str) -> Iterator[None]:
    """Turn what httpx raises within into known errors that name *peer* and nothing else."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise TookTooLong(*too_slow(peer)) from error
    except httpx.TransportError as error:
        root = _root(error)
        if isinstance(root, ssl.SSLError) and not is_cut(root):
            raise untrusted(root, peer) from error
        raise unreachable(peer, root) from error
    except httpx.InvalidURL as error:
        raise BadInput("The address is no valid URL.", "Write it as http://HOST:PORT.") from error
    except httpx.HTTPError as error:
        raise KnownError(f"{peer} gave an answer that is no proper HTTP.") from error


def unreachable(peer: str, error: BaseException | None = None) -> Unreachable:
    """The error for a peer that refused or dropped the connection, or whose name nobody knows."""
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"{peer} cannot be reached: the network does not know this name.",
            "Check the address, and that this computer is in the network.",
        )
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            f"{peer} cannot be reached: nothing answers at this port.",
            "Check the address, and that it is running.",
        )
    return Unreachable(
        f"{peer} cannot be reached, or it dropped the connection.",
        "Check the address, that it is running and that the network is up.",
    )


def too_slow(peer: str) -> tuple[str, str]:
    """Message and remedy for a peer that did not answer in time."""
    return f"{peer} took too long to answer.", "Check that it is running, then try again."


def untrusted(error: ssl.SSLError, peer: str) -> Untrusted:
    """What it means that *peer* has no certificate, or no encryption, that is acceptable."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return doubted(error, peer.rpartition(":")[0].strip("[]"), peer)
    if wants_ours(error):
        return asks_for_ours(peer)
    remedy = "Ask its administrator for a valid certificate, and check that the name in the address is right."
    if speaks_none(error):
        remedy = "It does not answer over TLS: check the port, or write http:// if it has no encryption."
    return Untrusted(f"No trusted encrypted connection to {peer} is possible.", remedy)


def cut(sock: socket.socket | None) -> None:
    """End a connection under whoever waits for it."""
    if sock is not None:
        with suppress(OSError):  # it has gone already
            sock.shutdown(socket.SHUT_RDWR)


def is_cut(error: ssl.SSLError) -> bool:
    """Whether an encrypted connection was dropped, rather than refused for what it is."""
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _whole(response: httpx.Response, peer: str) -> Answer:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise KnownError(f"{peer} sent an answer larger than can be taken.")
    return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(content))
