"""HTTP to an archive: faults become known errors, sessions renew themselves, nothing private is said."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from core.errors import (
    BadInput,
    Conflict,
    Denied,
    KnownError,
    NotFound,
    SourceFault,
    StorageFault,
    TookTooLong,
    TooLarge,
    Unauthenticated,
    Unreachable,
    Unsupported,
)
from core.net import address, records
from core.net.answers import UnknownNamespace
from core.net.credentials import Credentials, Token
from core.net.dicomweb_client import DicomWebClient
from core.net.http import Timeouts
from core.net.tls import Untrusted
from core.net.v3_client import V3Client
from tests.core.stub_v3 import Handler, Stub, serving

BODY = b"1.2 1.2.3\n" + bytes(700_000)
CANARY = "CANARY^PATIENT"
HASTY = Timeouts(connect_s=2, idle_s=0.3, answer_s=0.3)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving(Stub()) as stub:
        yield stub


@pytest.fixture
def client(stub: Stub) -> Iterator[V3Client]:
    with V3Client(stub.url) as client:
        yield client


def store(client: V3Client, data: bytes = BODY) -> records.StoredAnswer:
    return client.store("ns", io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8500", "http://host:8500"),
        ("https://host", "https://host:443"),
        (" http://host:1/pre fix/ ", "http://host:1/pre%20fix"),
        ("http://[::1]:8500/", "http://[::1]:8500"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    assert str(address.parse(url)) == shown


@pytest.mark.parametrize(
    "url",
    ["", "host:1", "ftp://host", "http://", "http://host:x", "http://host:70000", "http://host:0",
     "http://u:p@host", "http://host/?a=b", "http://host/#x", "http://ho st/"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(BadInput):
        address.parse(url)


def test_a_stored_body_arrives_whole_and_connections_are_kept(stub: Stub, client: V3Client) -> None:
    for _ in range(3):
        answer = store(client)
        assert (answer.study_uid, answer.image_uid) == ("1.2", "1.2.3")
    assert stub.images["1.2.3"] == BODY
    assert stub.connections == 1


def test_a_connection_closed_while_idle_is_replaced(stub: Stub, client: V3Client) -> None:
    def hang_up(handler: Handler) -> bool:
        handler.close_connection = True
        return False

    stub.fault = hang_up
    for _ in range(3):
        store(client)
    assert stub.connections == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, KnownError), (400, BadInput), (401, Unauthenticated), (403, Denied), (404, NotFound),
        (405, NotFound), (409, Conflict), (412, BadInput), (413, TooLarge), (415, Unsupported),
        (418, BadInput), (422, BadInput), (429, Unreachable), (500, KnownError), (502, Unreachable),
        (503, Unreachable), (504, TookTooLong), (507, StorageFault),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["store", "request"])
def test_every_status_has_its_error(
    stub: Stub, client: V3Client, status: int, error: type[KnownError], path: str
) -> None:
    def refuse(handler: Handler) -> bool:
        handler.body()
        handler.answer(status, {"message": CANARY}, {"Location": "http://elsewhere/", "Retry-After": "7"})
        return True

    stub.fault = refuse
    with pytest.raises(error) as caught:
        if path == "store":
            store(client)
        else:
            client.study_phi("ns", "1.2")
    assert type(caught.value) is error
    assert CANARY not in caught.value.message and "elsewhere" not in caught.value.message
    assert client.peer in caught.value.message
    if isinstance(caught.value, Unreachable):
        assert caught.value.retry_after_s == 7


def test_the_sentence_of_a_v3_error_is_told(stub: Stub, client: V3Client) -> None:
    def refuse(handler: Handler) -> bool:
        handler.body()
        handler.error(400, 5, "The file ends\r\ntoo early. " + "x" * 500)
        return True

    stub.fault = refuse
    with pytest.raises(BadInput, match="The file ends  too early") as caught:
        store(client)
    assert len(caught.value.message) < 320


def test_an_unknown_namespace_is_told_apart(stub: Stub, client: V3Client) -> None:
    def refuse(handler: Handler) -> bool:
        handler.body()
        handler.error(403, 7, "Access denied")
        return True

    stub.fault = refuse
    with pytest.raises(UnknownNamespace):
        client.schema("ns", "1.2")


def test_an_early_refusal_is_heard_before_all_is_sent(stub: Stub, client: V3Client) -> None:
    def refuse(handler: Handler) -> bool:
        handler.answer(413, {"kind": {"code": 19}, "message": "Too large."})
        handler.close_connection = True
        return True

    stub.fault = refuse
    huge = 1 << 33
    sent = Endless()
    with pytest.raises(TooLarge):
        client.store("ns", sent, huge)
    assert sent.count < huge / 8


class Endless(io.RawIOBase):
    """Zeros without end, counted."""

    count = 0

    def read(self, size: int = -1) -> bytes:
        self.count += size
        return bytes(size)

    def tell(self) -> int:
        return self.count


def test_a_reset_in_the_middle_of_a_body(stub: Stub, client: V3Client) -> None:
    def cut(handler: Handler) -> bool:
        handler.body(100_000)
        handler.reset()
        return True

    stub.fault = cut
    with pytest.raises(Unreachable, match="dropped"):
        client.store("ns", Endless(), 1 << 28)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with V3Client(f"http://127.0.0.1:{port}") as client:
        for call in (lambda: store(client), client.alive, client.status):
            with pytest.raises(Unreachable) as caught:
                call()
            assert caught.value.remedy


def test_an_answer_that_does_not_come(stub: Stub) -> None:
    release = threading.Event()

    def stall(handler: Handler) -> bool:
        release.wait(10)
        handler.reset()
        return True

    stub.fault = stall
    with V3Client(stub.url, timeouts=HASTY) as client:
        with pytest.raises(Unreachable, match="too long"):
            store(client)
        with pytest.raises(Unreachable, match="too long"):
            client.status()
    release.set()


def test_a_file_that_ends_early_is_the_sources_fault(stub: Stub, client: V3Client) -> None:
    with pytest.raises(SourceFault):
        client.store("ns", io.BytesIO(BODY), len(BODY) + 1)
    assert not stub.images


def test_an_answer_that_is_no_http(client: V3Client, stub: Stub) -> None:
    def babble(handler: Handler) -> bool:
        handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        handler.close_connection = True
        return True

    stub.fault = babble
    for call in (lambda: store(client), client.status):
        with pytest.raises(KnownError):
            call()


def test_login_once_and_again_when_the_session_died() -> None:
    with (
        serving(Stub(login=("anna", "s3cret"))) as stub,
        V3Client(stub.url, Credentials("anna", "s3cret")) as client,
    ):
        store(client)
        store(client)
        assert stub.sids == {"sid-1"}
        stub.sids = {"sid-0"}
        store(client)
        assert stub.sids == {"sid-0", "sid-2"} and stub.images["1.2.3"] == BODY
        assert client.status().ae_title == "STUB"


def test_a_wrong_password_is_said_without_it() -> None:
    with (
        serving(Stub(login=("anna", "s3cret"))) as stub,
        V3Client(stub.url, Credentials("anna", "wr0ng")) as client,
    ):
        with pytest.raises(Unauthenticated) as caught:
            client.login()
        assert "wr0ng" not in caught.value.message + caught.value.remedy
        assert "wr0ng" not in repr(client.session.access) and "tok" not in repr(Token("tok"))


def test_a_storage_without_sessions_gets_basic(stub: Stub) -> None:
    def no_sessions(handler: Handler) -> bool:
        if not handler.path.endswith("/login"):
            return False
        handler.body()
        handler.answer(404)
        return True

    stub.fault = no_sessions
    with V3Client(stub.url, Credentials("anna", "pä")) as client:
        client.status()
    assert stub.requests[-1][2]["Authorization"] == "Basic YW5uYTpww6Q="


def test_a_token_is_sent_as_bearer(stub: Stub) -> None:
    with V3Client(stub.url, Token("abc")) as client:
        store(client)
    assert stub.requests[-1][2]["Authorization"] == "Bearer abc"


def test_nothing_of_a_search_is_logged(client: V3Client, caplog: pytest.LogCaptureFixture) -> None:
    from core import log

    log.start(verbose=True, stderr=False)
    try:
        with caplog.at_level(logging.DEBUG), pytest.raises(NotFound):
            client.search(CANARY, patient_name=CANARY)
    finally:
        log.stop()
    assert CANARY not in caplog.text and "CANARY" not in caplog.text


def test_records_ignore_what_is_new_and_refuse_what_is_wrong() -> None:
    row = records.read(records.StudyRow, {"namespace": "n", "study_uid": "1", "modalities": ["CT"], "new": 1})
    assert row.modalities == ("CT",) and row.images == 0
    wrong: object
    for wrong in (None, [], {"namespace": "n"}, {"namespace": "n", "study_uid": "1", "images": "many"}):
        with pytest.raises(KnownError):
            records.read(records.StudyRow, wrong)
    with pytest.raises(KnownError):
        records.read_all(records.Tag, {"tag": "x"})


def test_closing_wakes_a_transfer_that_waits(stub: Stub) -> None:
    waiting, release = threading.Event(), threading.Event()

    def stall(handler: Handler) -> bool:
        handler.body()
        waiting.set()
        release.wait(10)
        return True

    stub.fault = stall
    client = V3Client(stub.url)
    caught: list[BaseException] = []

    def send() -> None:
        try:
            store(client)
        except Unreachable as error:
            caught.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    assert waiting.wait(5)
    client.close()
    thread.join(5)
    release.set()
    assert caught and not thread.is_alive()


def test_a_question_over_a_kept_connection_that_was_just_closed_is_asked_again(stub: Stub) -> None:
    seen: dict[Handler, int] = {}

    def once(handler: Handler) -> bool:
        seen[handler] = seen.get(handler, 0) + 1
        if seen[handler] > 1:
            handler.close_connection = True
        return seen[handler] > 1

    stub.fault = once
    with V3Client(stub.url) as client:
        for _ in range(3):
            client.status()
        assert stub.connections == 3
        stub.fault = lambda handler: setattr(handler, "close_connection", True) is None
        with pytest.raises(Unreachable):
            client.status()


def test_why_nobody_is_reached_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url, why in (
        (f"http://127.0.0.1:{port}", "nothing answers at this port"),
        ("http://no-such-host.invalid", "the network does not know this name"),
    ):
        with V3Client(url) as client:
            for send in (client.status, lambda client=client: store(client)):
                with pytest.raises(Unreachable, match=why):
                    send()


def test_encryption_that_cannot_be_trusted_is_the_fault_of_the_environment(stub: Stub) -> None:
    with V3Client(stub.url.replace("http:", "https:")) as client:
        for send in (client.status, lambda: store(client)):
            with pytest.raises(Untrusted, match="No trusted encrypted connection") as refused:
                send()
            assert refused.value.exit_code == 3 and refused.value.remedy


def test_who_waits_for_an_answer_hears_at_once_that_the_client_was_closed() -> None:
    heard: list[Exception] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = DicomWebClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeouts=Timeouts(answer_s=60))

        def ask() -> None:
            try:
                client.search("/studies", [])
            except Exception as error:  # whatever it is, it is looked at
                heard.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        peer, _ = silent.accept()
        with peer:
            assert peer.recv(1000).startswith(b"GET /studies")
            client.close()
            asking.join(10)
            assert not asking.is_alive() and isinstance(heard[0], Unreachable)
        with pytest.raises(Unreachable):
            client.search("/studies", [])
