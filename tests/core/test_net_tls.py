"""HTTPS that we open: whom it trusts, and what is said where that does not fit."""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from core.errors import BadInput, KnownError
from core.net import address
from core.net.dicomweb_client import DicomWebClient
from core.net.http import Timeouts
from core.net.post import Poster
from core.net.tls import Tls, Untrusted
from core.upload.target import WrongDestination, parse
from tests.app.serving import Certificate, certificate

QUICK = Timeouts(connect_s=5, answer_s=5)


class Answering(BaseHTTPRequestHandler):
    """No studies, and whatever is sent is taken."""

    def do_GET(self) -> None:
        self._answer(b"[]")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(b"taken")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Secure(HTTPServer):
    """Speaks TLS; who does not get that far is nobody's fault."""

    def __init__(self, made: Certificate, wanted: Certificate | None) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.path, made.key)
        if wanted is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(wanted.path)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: object) -> None:
        """Nothing to say."""


@contextmanager
def answering(made: Certificate, wanted: Certificate | None = None) -> Iterator[int]:
    """The port; *wanted*: who calls must show that certificate."""
    server = Secure(made, wanted)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def made_in(folder: Path) -> Certificate:
    found = certificate(folder)
    if found is None:
        pytest.skip("openssl makes no certificate here")
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return made_in(tmp_path_factory.mktemp("cert"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Somebody else's."""
    return made_in(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def port(made: Certificate) -> Iterator[int]:
    with answering(made) as found:
        yield found


def asked(url: str) -> str:
    with closing(DicomWebClient(url, timeouts=QUICK)) as client:
        assert client.search("/studies", []) == []
    return "good"


def posted(url: str) -> str:
    poster = Poster(address.parse(url), QUICK)
    with closing(poster):
        answer = poster.post("/studies", io.BytesIO(b"x" * 9), 9, {})
    assert answer.content == b"taken"
    return "good"


def said(way: Callable[[str], str], url: str) -> str:
    try:
        return way(url)
    except KnownError as error:
        assert error.remedy
        return f"{type(error).__name__}: {error.message}"


@pytest.mark.parametrize("way", [asked, posted])
def test_whom_an_https_address_trusts(
    way: Callable[[str], str], port: int, made: Certificate, other: Certificate, tmp_path: Path
) -> None:
    url = f"https://127.0.0.1:{port}"
    assert said(way, f"{url}?ca={made.path}") == "good"
    assert said(way, f"{url}?pin={made.path}") == "good"
    nobody = f"Untrusted: The certificate of 127.0.0.1:{port} is signed by nobody who is trusted here."
    for files in ("", f"?ca={other.path}", f"?pin={other.path}"):
        assert said(way, url + files) == nobody
    (tmp_path / "no.pem").write_text("nothing")
    for files in ("ca=/none.pem", "pin=/none.pem", f"ca={tmp_path}/no.pem", f"cert={tmp_path}/no.pem"):
        assert said(way, f"{url}?{files}").startswith("BadInput: The certificate")


def test_only_a_pinned_certificate_may_bear_another_name(other: Certificate, tmp_path: Path) -> None:
    with answering(other) as port:
        url = f"https://127.0.0.2:{port}"
        with pytest.raises(KnownError) as refused:
            asked(f"{url}?ca={other.path}")
    if isinstance(refused.value, Untrusted):  # not every system has a second loopback address
        assert "made out for another name than 127.0.0.2" in refused.value.message


@pytest.mark.parametrize("way", [asked, posted])
def test_a_certificate_of_ours_is_shown_where_it_is_asked_for(
    way: Callable[[str], str], made: Certificate, other: Certificate
) -> None:
    with answering(made, wanted=other) as port:
        url = f"https://127.0.0.1:{port}?ca={made.path}"
        assert said(way, f"{url}&cert={other.path}&key={other.key}") == "good"
        refused = said(way, url)  # it says why, but hangs up at once: that may be heard first
        assert "wants to see a certificate of ours" in refused or "cannot be reached" in refused


@pytest.mark.parametrize(
    "wrong",
    ["http://x?ca=/a", "https://x?ca=/a&pin=/b", "https://x?key=/a", "https://x?ca=", "https://x?sid=1",
     "https://x?tls", "https://x?ca=/a#b"],
)  # fmt: skip
def test_files_that_make_no_sense_behind_an_address_are_refused(wrong: str) -> None:
    with pytest.raises(BadInput) as refused:
        address.parse(wrong)
    assert refused.value.remedy
    with pytest.raises(WrongDestination):
        parse(f"stow:{wrong}")


def test_an_address_is_read_as_it_was_written() -> None:
    tls = Tls(pin="/a b/c&d#ä?.pem", certificate="/x=1.pem", key="/k%41.pem")
    written = address.Address("https", "pacs.example", 8443, "/rs", tls).written
    assert address.parse(written) == address.Address("https", "pacs.example", 8443, "/rs", tls)
    assert str(address.parse(written)) == "https://pacs.example:8443/rs"
    assert str(parse(f"stow:{written}")) == f"stow:{written}"
    assert address.parse("https://pacs.example").written == "https://pacs.example:443"
