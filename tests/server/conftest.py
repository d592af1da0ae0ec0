"""A real archive behind real sockets, in this process: one a module, with accounts and one stored study."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from argon2 import PasswordHasher

from app import compose
from app.dimse_door import dimse_door
from core.access.rights import Right
from core.log import SafeFormatter
from core.media.samples import SampleStudy, colour_photo, ct_slice, part10, ultrasound_cine
from core.settings import ServeSettings, Settings
from server.node import Listener, Node
from tests.guards import CANARY, assert_canary_free

STUDY = SampleStudy(seed="served", patient=CANARY, accession_number="CANARYACC", description="CT Thorax")
for chatty in ("httpx", "httpcore"):  # the tests' own client names addresses with everything in them
    logging.getLogger(chatty).setLevel(logging.WARNING)

ROLES = {"admin": "admin", "staff": "staff", "viewer": "viewer", "modality": "modality", "limited": "staff"}
PASSWORDS = {login: f"secret of {login}" for login in ROLES}
NAMESPACE = "clinic"
WAIT_S = 30
"""A busy machine may take its time; what must be quick says so itself."""
TOKEN = "0123456789abcdef-desktop"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""A real one takes a tenth of a second a proof, on purpose; what it costs is another test's business."""


@dataclass(frozen=True)
class Served:
    """A running archive."""

    url: str
    internal: str
    data: Path
    token: str
    dimse: str = "off"

    @property
    def port(self) -> int:
        """Its public port."""
        return urlsplit(self.url).port or 0

    def client(self, login: str = "admin", **options: Any) -> httpx.Client:
        """A client that says who it is with every request."""
        wanted: dict[str, Any] = {"timeout": WAIT_S, **options}
        return httpx.Client(base_url=self.url, auth=(login, PASSWORDS[login]), trust_env=False, **wanted)

    def anonymous(self) -> httpx.Client:
        """A client nobody knows."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=WAIT_S)


@contextmanager
def serving(
    data: Path,
    *,
    token: str = "",
    no_auth: bool = False,
    settle_after_s: float = 60,
    dimse_port: int = -1,
    **site_options: Any,
) -> Iterator[Served]:
    """Serve *data* on free ports until the block ends; *site_options* are more of `compose.Site`."""
    data.mkdir(mode=0o700, exist_ok=True)
    ready = threading.Event()
    node = Node()
    with compose.opened(data, ServeSettings(settle_after_s=settle_after_s)) as archive:
        accounts = compose.accounts_of(archive.archive, data, CHEAP)
        if not accounts.list():
            for login, role in ROLES.items():
                limits = {"namespaces": [NAMESPACE], "rights": [Right.DELETE]} if login == "limited" else {}
                accounts.add(login, PASSWORDS[login], role, **limits)
        site = compose.Site("127.0.0.1", "TESTS", no_auth=no_auth, token=token, hasher=CHEAP, **site_options)
        with (
            compose.web(archive, site) as web,
            dimse_door(archive, site, Settings(), dimse_port, tls=None, web=web) as dimse,
        ):
            public, internal = Listener("127.0.0.1", 0), Listener("127.0.0.1", 0)
            sites = [(public, web.public), (internal, web.internal)]
            thread = threading.Thread(target=node.run, args=(sites, ready.set), name="node")
            thread.start()
            try:
                assert ready.wait(20)
                yield Served(public.url, internal.url, data, token, dimse)
            finally:
                node.stop()
                thread.join(30)
                public.close()
                internal.close()


@pytest.fixture(scope="module")
def log_lines() -> Generator[list[str], None, None]:
    """Every line that is logged while the module's tests run, formatted as in production."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep()
    handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(before)
    assert_canary_free(*lines)
    text = "\n".join(lines)
    for secret in (STUDY.uid, STUDY.accession_number, TOKEN, *PASSWORDS.values()):
        assert secret not in text, "a log line says what only the patient and the caller may know"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, log_lines: list[str]) -> Generator[Served, None, None]:
    """One archive a module; whatever it logs is searched for the canary patient at the end."""
    with serving(tmp_path_factory.mktemp("served") / "data", token=TOKEN) as found:
        yield found


@dataclass(frozen=True)
class Stored:
    """A study in the archive: a CT slice, a colour picture and a loop of twelve frames."""

    study: SampleStudy
    namespace: str
    images: dict[str, dict[str, Any]]
    files: dict[str, bytes]

    @property
    def path(self) -> str:
        """Its address."""
        return f"/api/v3/storage/study/{self.namespace}/{self.study.uid}"

    def image(self, name: str = "ct", version: str = "") -> str:
        """An image's address."""
        answer = self.images[name]
        return f"{self.path}/image/{answer['image_uid']}/version/{version or answer['image_version']}"


def objects(study: SampleStudy) -> dict[str, bytes]:
    """The files of a stored study."""
    made = {"ct": ct_slice(study), "loop": ultrasound_cine(study), "colour": colour_photo(study)}
    return {name: part10(ds) for name, ds in made.items()}


def store(served: Served, study: SampleStudy, namespace: str = NAMESPACE) -> Stored:
    """Store a made-up study."""
    files = objects(study)
    with served.client() as client:
        answers = {
            name: client.post(f"/api/v3/storage/namespace/{namespace}/image", content=data).json()
            for name, data in files.items()
        }
    return Stored(study, namespace, answers, files)


@pytest.fixture(scope="module")
def stored(served: Served) -> Stored:
    """The canary's study, stored over HTTP."""
    return store(served, STUDY)


def raw(served: Served, request: bytes, *, timeout: float = 10) -> tuple[int, bytes]:
    """Status and body of what a hand-written request gets; status 0 if the connection just closes."""
    import socket

    with socket.create_connection(("127.0.0.1", served.port), timeout=timeout) as connection:
        answer = b""
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                answer += part
        except OSError:
            pass
    if not answer:
        return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error document of a refusal, its shape proven."""
    document: dict[str, Any] = json.loads(response.content)
    assert set(document) >= {"kind", "message", "exception_data", "created", "extended"}
    assert set(document["kind"]) == {"code", "readable_status"}
    assert isinstance(document["kind"]["code"], int) and isinstance(document["message"], str)
    assert response.headers["content-type"] == "application/json"
    return document
