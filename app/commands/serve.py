"""`filmjacket serve`: the archive as a process, by itself or as the desktop's child."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import paths
from app.usage import Usage
from core import log, settings
from core.errors import BadInput, StorageFault

if TYPE_CHECKING:
    from server.node import Node

logger = logging.getLogger("filmjacket.serve")

INTERNAL_HOST = "127.0.0.1"
MAX_SECRET = 4096


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; None means the setting's value."""

    data: Path | None = None
    host: str | None = None
    port: int | None = None
    internal_port: int | None = None
    dimse_port: str | None = None
    ae_title: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    no_auth: bool = False
    embedded: bool = False
    verbose: bool = False


def run(options: Options) -> int:
    """Serve until SIGTERM or Ctrl-C. Raises KnownError when it cannot begin."""
    data = paths.prepare(paths.data_folder(options.data))
    log.start(
        verbose=options.verbose,
        file=paths.log_folder(data) / ("embedded.log" if options.embedded else "serve.log"),
        stderr=not options.embedded,
    )
    try:
        _serve(options, data)
    finally:
        log.stop()
    return 0


def _serve(options: Options, data: Path) -> None:
    found = settings.load(data)
    chosen = _choose(options, found)
    order = _first_order() if options.embedded else None
    from app import compose
    from app.dimse_door import check_exposure, dimse_door
    from server.node import Listener, Node, Tls

    check_exposure(found, chosen.host, no_auth=options.no_auth)
    tls = Tls(options.tls_cert, options.tls_key) if options.tls_cert and options.tls_key else None
    if tls is not None:
        tls.check()
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(compose.opened(data, chosen))
        public = stack.enter_context(contextlib.closing(Listener(chosen.host, chosen.port, tls=tls)))
        internal = stack.enter_context(contextlib.closing(Listener(INTERNAL_HOST, chosen.internal_port)))
        site = compose.Site(
            host=chosen.host,
            ae_title=chosen.ae_title,
            allowed_hosts=frozenset(name.lower() for name in chosen.allowed_hosts),
            secure=tls is not None or options.behind_proxy,
            behind_proxy=options.behind_proxy,
            no_auth=options.no_auth,
            token=order.secret if order else "",
            own_ports=frozenset({public.port, internal.port}),
            notify_hosts=frozenset(name.lower() for name in chosen.notify_hosts),
            ae_titles=found.ae_titles,
            cors_origins=chosen.cors_origins,
            strict_queries=chosen.strict_queries,
            uid_root=found.uid_root,
            callback_urls=found.callback_urls,
            viewer_token_s=chosen.viewer_token_s,
            viewer_token_once=chosen.viewer_token_once,
        )
        web = stack.enter_context(compose.web(archive, site))
        dimse = stack.enter_context(dimse_door(archive, site, found, chosen.dimse_port, tls=tls, web=web))
        urls = {"http": public.url, "internal": internal.url, "dimse": dimse}
        node = Node()
        with _keeper(order, data, node, urls) as announce:
            node.run([(public, web.public), (internal, web.internal)], announce)
        logger.info("stopped")


def _choose(options: Options, found: settings.Settings) -> settings.ServeSettings:
    """Settings with the command line on top. Raises Usage for what must not be."""
    if found.database_url:
        raise Usage(
            "FILMJACKET_DATABASE_URL names a database; only SQLite in the data folder is supported yet.",
            "Unset it (or database_url in settings.toml).",
        )
    given: dict[str, Any] = {
        "host": options.host,
        "port": options.port,
        "internal_port": options.internal_port,
        "dimse_port": None if options.dimse_port is None else _dimse_port(options.dimse_port),
        "ae_title": options.ae_title,
    }
    chosen = replace(found.serve, **{name: value for name, value in given.items() if value is not None})
    if not settings.AE_TITLE.fullmatch(chosen.ae_title):
        raise Usage("An AE title has 1 to 16 printable ASCII characters and no backslash.")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise Usage("--tls-cert and --tls-key go together.")
    _check_exposure(options, chosen.host)
    return chosen


def _check_exposure(options: Options, host: str) -> None:
    from server.web.guard import is_loopback

    if is_loopback(host):
        return
    if options.no_auth or options.embedded:
        raise Usage(
            f"--no-auth would let anyone who can reach {host} in.", "Use it on a loopback address only."
        )
    if options.tls_cert is None and not options.behind_proxy:
        raise Usage(
            f"On {host} passwords and images would cross the network readable by anyone.",
            "Give --tls-cert and --tls-key, or --behind-proxy when a reverse proxy ends TLS.",
        )


def _dimse_port(value: str) -> int:
    if value == "off":
        return -1
    if not value.isdigit() or int(value) > settings.MAX_PORT:
        raise Usage("--dimse-port is a port, 0 for any free one, or off.")
    return int(value)


@dataclass(slots=True)
class Order:
    """What the desktop says on standard input when it starts its archive; *lines* is what it says later."""

    secret: str
    keep_running: bool = False
    lines: Iterator[str] = field(default_factory=lambda: iter(()))


def _first_order() -> Order:
    lines = _stdin_lines()
    return replace(_read_order(next(lines, "")), lines=lines)


def _stdin_lines() -> Iterator[str]:
    """Lines of standard input, read without its buffer: a thread waiting there must not hold up the exit."""
    descriptor, rest = sys.stdin.fileno(), b""
    while chunk := os.read(descriptor, MAX_SECRET):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
        if len(rest) > MAX_SECRET:
            return


def _read_order(line: str) -> Order:
    try:
        value = json.loads(line)
        order = Order(value["secret"], value.get("keep_running", False))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput("--embedded is for the desktop, which says a secret on standard input.") from error
    if (
        not isinstance(order.secret, str)
        or len(order.secret) < 16
        or not isinstance(order.keep_running, bool)
    ):
        raise BadInput("The secret on standard input is not usable.")
    return order


@contextlib.contextmanager
def _keeper(
    order: Order | None, data: Path, node: Node, urls: dict[str, str]
) -> Generator[Callable[[], None], None, None]:
    """What to do when ready, and the life line to the desktop if it is our parent."""
    line = LifeLine(order, data, node, urls) if order else None

    def announce() -> None:
        if line is not None:
            line.publish()
        said = " ".join(f"{name}={value}" for name, value in urls.items())
        sys.stdout.write(f"ready {said}\n")
        sys.stdout.flush()
        logger.info("ready")
        if line is not None:
            line.begin()

    try:
        yield announce
    finally:
        if line is not None:
            line.end()


class LifeLine:
    """Standard input from the desktop: when it closes the archive stops, unless told to keep running.

    While it is to keep running, `DATA/serve.json` lets the next desktop find it.
    """

    def __init__(self, order: Order, data: Path, node: Node, urls: dict[str, str]) -> None:
        self._order = order
        self._file = paths.serve_file(data)
        self._node = node
        self._urls = urls
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Let go of the parent's pipes for writing, and listen on the one for reading."""
        quiet = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                os.dup2(quiet, stream.fileno())
        os.close(quiet)
        threading.Thread(target=self._listen, name="life line", daemon=True).start()

    def end(self) -> None:
        """Take the file away: nobody serves any more."""
        with self._lock:
            self._order.keep_running = False
        self.publish()

    def _listen(self) -> None:
        for line in self._order.lines:
            with contextlib.suppress(BadInput), self._lock:  # a line we do not know changes nothing
                self._order.keep_running = _read_order(line).keep_running
            self.publish()
        with self._lock:
            stay = self._order.keep_running
        if not stay:
            self._node.stop()

    def publish(self) -> None:
        """Write or remove the file, whichever is wished now."""
        with self._lock:
            try:
                if self._order.keep_running:
                    entry = {"pid": os.getpid(), **self._urls, "token": self._order.secret}
                    paths.write_private(self._file, json.dumps(entry))
                elif owned_by(self._file, os.getpid()):
                    self._file.unlink()
            except (OSError, StorageFault):
                logger.warning("serve.json could not be written or removed")


def owned_by(file: Path, pid: int) -> bool:
    """Whether *file* is a serve.json of process *pid*."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and value.get("pid") == pid
