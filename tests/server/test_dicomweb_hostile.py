"""Store requests made to do harm, byte by byte over a socket: refused with a 4xx, and nothing is stored."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic, sleep

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.server.conftest import CANARY, Served, serving

OBJECT = part10(ct_slice(SampleStudy(seed="hostile", patient=CANARY), size=16))
RELATED = b'multipart/related; type="application/dicom"; boundary=xyz'
PART = b"Content-Type: application/dicom\r\n\r\n"
END = b"\r\n--xyz--\r\n"
GOOD = b"--xyz\r\n" + PART + OBJECT + END
TIMEOUT_S = 20


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory, log_lines: list[str]) -> Iterator[Served]:
    """An archive that asks nobody who they are: whatever is refused is refused for what it is."""
    with serving(tmp_path_factory.mktemp("hostile") / "data", no_auth=True) as found:
        yield found


def said_to(served: Served, data: bytes, *, close: bool = False) -> tuple[int, bytes]:
    """Status and all that comes; 0 if the connection was closed without an answer."""
    with socket.create_connection(("127.0.0.1", served.port), TIMEOUT_S) as connection:
        try:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
                answer += more
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0, answer


def request(body: bytes, content_type: bytes = RELATED, *more: bytes, length: int | None = None) -> bytes:
    lines = [
        b"POST /dicom-web/studies HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Connection: close",
        b"Content-Type: " + content_type,
        b"Content-Length: %d" % (len(body) if length is None else length),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    head = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + b"".join(chunks)


def held(served: Served) -> int:
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        number: int = client.get("/dicom-web/instances/count").json()["count"]
        return number


MALFORMED = {
    "no part": END,
    "no boundary": OBJECT,
    "another boundary": GOOD.replace(b"xyz", b"abc"),
    "a boundary that goes on": GOOD.replace(b"--xyz\r\n", b"--xyzz\r\n"),
    "ends of lines without carriage returns": GOOD.replace(b"\r\n", b"\n"),
    "never closed": GOOD.removesuffix(END),
    "half closed": GOOD.removesuffix(b"--\r\n"),
    "no headers and no empty line": b"--xyz\r\n" + OBJECT + END,
    "a header without a name": b"--xyz\r\n: x\r\n" + PART + OBJECT + END,
    "a header without a colon": b"--xyz\r\nContent-Type\r\n\r\n" + OBJECT + END,
    "one endless header": b"--xyz\r\nX: " + b"a" * (1 << 20) + b"\r\n" + PART + OBJECT + END,
    "headers without end": b"--xyz\r\n" + b"X: y\r\n" * 100_000 + END,
    "a length that is too short": b"--xyz\r\nContent-Length: 10\r\n" + PART + OBJECT + END,
    "a length that is too long": b"--xyz\r\nContent-Length: %d\r\n" % (len(OBJECT) + 9) + PART + OBJECT + END,
    "a length beyond everything": b"--xyz\r\nContent-Length: %d\r\n" % (1 << 62) + PART + OBJECT + END,
    "a length of many digits": b"--xyz\r\nContent-Length: " + b"9" * 5000 + b"\r\n" + PART + OBJECT + END,
    "a negative length": b"--xyz\r\nContent-Length: -1\r\n" + PART + OBJECT + END,
    "a length in another script": b"--xyz\r\nContent-Length: \xb2\r\n" + PART + OBJECT + END,
    "parts in a part": b"--xyz\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n"
    + PART
    + OBJECT
    + END,
    "a type nobody stores": b"--xyz\r\nContent-Type: text/html\r\n\r\n" + OBJECT + END,
    "cut short": b"--xyz\r\n" + PART + OBJECT[:-40] + END,
    "a boundary in the object": b"--xyz\r\n" + PART + OBJECT[:400] + b"\r\n--xyz\r\n" + OBJECT[400:] + END,
    "no object": b"--xyz\r\n" + PART + END,
    "metadata that nest without end": b"--xyz\r\nContent-Type: application/dicom+json\r\n\r\n"
    + b"[" * 99_999
    + END,
    "entities": b"--xyz\r\nContent-Type: application/dicom+xml\r\n\r\n"
    b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><NativeDicomModel>&d;</NativeDicomModel>' + END,
}


@pytest.mark.parametrize("what", MALFORMED)
@pytest.mark.usefixtures("caplog")
def test_malformed_parts(open_door: Served, what: str) -> None:
    before = held(open_door)
    status, answer = said_to(open_door, request(MALFORMED[what]))
    assert 400 <= status < 500, answer[:300]
    assert held(open_door) == before
    assert not list((open_door.data / "archive" / "incoming").glob("*"))


TYPES = {
    "no boundary": b"multipart/related",
    "an empty boundary": b"multipart/related; boundary=",
    "an empty quoted boundary": b'multipart/related; boundary=""',
    "a boundary of two hundred and fifty": b"multipart/related; boundary=" + b"x" * 250,
    "a boundary without end": b"multipart/related; boundary=" + b"x" * 30_000,
    "a quote that is not closed": b'multipart/related; boundary="xyz',
    "another type": b"text/plain",
    "nothing": b"",
    "rubbish": b"\xff\xfe;;;=,",
    "plain JSON": b"application/dicom+json",
}


@pytest.mark.parametrize("what", TYPES)
@pytest.mark.usefixtures("caplog")
def test_types_of_bodies(open_door: Served, what: str) -> None:
    before = held(open_door)
    status, answer = said_to(open_door, request(GOOD, TYPES[what]))
    assert 400 <= status < 500, answer[:300]
    assert held(open_door) == before


REQUESTS = {
    "a length and chunks": request(GOOD, RELATED, b"Transfer-Encoding: chunked"),
    "two lengths": request(GOOD, RELATED, b"Content-Length: 5"),
    "a length that is none": request(GOOD).replace(b"Content-Length: ", b"Content-Length: x"),
    "a negative length": request(GOOD).replace(b"Content-Length: ", b"Content-Length: -"),
    "a length beyond everything": request(GOOD, length=1 << 70),
    "a packed body": request(GOOD, RELATED, b"Content-Encoding: gzip"),
    "an unknown coding": request(GOOD, RELATED, b"Transfer-Encoding: gzip, identity"),
    "a header folded": request(GOOD, RELATED, b"X: a\r\n b"),
    "many headers": request(GOOD, RELATED, *(b"X-%d: y" % number for number in range(5000))),
    "one large header": request(GOOD, RELATED, b"X: " + b"y" * (1 << 20)),
    "a zero in a header": request(GOOD, RELATED, b"X: a\0b"),
    "a chunk that is none": chunked(b"zz\r\n", GOOD, b"\r\n0\r\n\r\n"),
    "a chunk longer than it says": chunked(b"5\r\n", GOOD, b"\r\n0\r\n\r\n"),
    "a chunk beyond everything": chunked(b"f" * 40 + b"\r\n", GOOD, b"\r\n0\r\n\r\n"),
    "a chunk with an endless extension": chunked(b"5;" + b"x" * (1 << 20) + b"\r\n", GOOD),
}


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.usefixtures("caplog")
def test_requests_as_a_whole(open_door: Served, what: str) -> None:
    before = held(open_door)
    status, answer = said_to(open_door, REQUESTS[what])
    assert status == 0 or 400 <= status < 500, answer[:300]
    assert held(open_door) == before


@pytest.mark.parametrize("sent", [1, len(GOOD) // 2, len(GOOD) - len(END)])
@pytest.mark.usefixtures("caplog")
def test_a_body_shorter_than_its_length(open_door: Served, sent: int) -> None:
    before = held(open_door)
    status, _ = said_to(open_door, request(GOOD[:sent], length=len(GOOD)), close=True)
    assert status == 0 or 400 <= status < 500
    assert held(open_door) == before


@pytest.mark.usefixtures("caplog")
def test_what_was_delimited_before_the_body_broke_off_is_kept(open_door: Served) -> None:
    before, deadline = held(open_door), monotonic() + TIMEOUT_S
    said_to(open_door, request(GOOD[:-1], length=len(GOOD)), close=True)
    while held(open_door) != before + 1:  # it is stored although nobody waits for it
        assert monotonic() < deadline
        sleep(0.05)


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("part", [b"", b"x", b"x" * 200])
def test_many_parts_of_nothing(open_door: Served, part: bytes) -> None:
    """They are refused one by one, and none of them is written to the disk."""
    before = held(open_door)
    status, answer = said_to(open_door, request((b"--xyz\r\n" + PART + part + b"\r\n") * 1000 + b"--xyz--"))
    assert status == 409 and answer.count(b'"00081197"') == 1000, answer[:300]
    assert held(open_door) == before


def test_the_archive_is_well_after_all_of_it(open_door: Served) -> None:
    status, answer = said_to(open_door, request(GOOD))
    assert status == 200, answer[:300]
