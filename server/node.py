"""The serving process: listeners on one event loop, ready when all accept, stopped without cutting off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from core.errors import BadInput, Busy, StorageFault
from core.memory import collect_rarely, keep_freed
from server.protocol import GuardedProtocol
from server.web.call import App

KEEP_ALIVE_S = 60
FINISH_S = 30
MAX_CONNECTIONS = 1000
KEPT_BYTES = 32 << 20
LONGEST_MESSAGE = 64 << 10
"""Of a WebSocket's client, bytes."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain and key, PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raises BadInput when they cannot be used together."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(
                "The TLS certificate and key cannot be used together.",
                "Give PEM files that can be read and belong to each other.",
            ) from error


class Listener:
    """A bound socket and what it serves; close it if it is never served."""

    def __init__(self, host: str, port: int, *, tls: Tls | None = None) -> None:
        """Bind. Raises Busy when the port is taken, StorageFault when it may not be had."""
        self.host = host
        self.tls = tls
        self.socket = _bind(host, port)

    @property
    def port(self) -> int:
        """The port it got."""
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its address for people and programs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()


class Node:
    """Serves applications on listeners until told to stop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopped_early = False

    def run(self, sites: list[tuple[Listener, App]], on_ready: Callable[[], None]) -> None:
        """Serve *sites* until `stop` or, on the main thread, SIGTERM or SIGINT; calls *on_ready* once."""
        keep_freed(KEPT_BYTES, KEPT_BYTES // 8)
        collect_rarely()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve(sites, on_ready))

    def stop(self) -> None:
        """Stop serving; answers being sent are finished. Safe from any thread."""
        loop, stop = self._loop, self._stop
        if loop is None or stop is None:
            self._stopped_early = True
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(stop.set)

    async def _serve(self, sites: list[tuple[Listener, App]], on_ready: Callable[[], None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        servers = [_Server(_config(listener, app)) for listener, app in sites]
        with _signals(self.stop):
            tasks = [
                asyncio.create_task(server.serve(sockets=[listener.socket]))
                for server, (listener, _) in zip(servers, sites, strict=True)
            ]
            while not all(server.started for server in servers) and not any(task.done() for task in tasks):
                await asyncio.sleep(0.002)
            if not any(task.done() for task in tasks):
                on_ready()
                if not self._stopped_early:
                    await self._stop.wait()
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)


class _Server(uvicorn.Server):
    """The library's server; signals are the node's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone."""
        yield


def _config(listener: Listener, app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="wsproto",
        ws_max_size=LONGEST_MESSAGE,
        lifespan="off",
        log_config=None,
        log_level="error",  # its warnings say only that a stranger spoke no HTTP
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=FINISH_S,
        ssl_certfile=listener.tls.certificate if listener.tls else None,
        ssl_keyfile=listener.tls.key if listener.tls else None,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop
    import uvloop

    return uvloop.new_event_loop


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Generator[None, None, None]:
    """SIGTERM and SIGINT stop the node; off the main thread nothing is touched."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    try:
        before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise BadInput(f"{host} is no address of this machine.", "Give an address with --host.") from error
    bound = socket.socket(family, kind, proto)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1024)
        bound.setblocking(False)
    except PermissionError as error:
        bound.close()
        raise StorageFault(f"Port {port} may not be used by this user.", "Choose one above 1023.") from error
    except OSError as error:
        bound.close()
        raise Busy(
            f"Port {port} on {host} cannot be had ({(error.strerror or 'unknown').lower()}).",
            "Stop the program that has it, or choose another port (0 is any free one).",
        ) from error
    return bound
