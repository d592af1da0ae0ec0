"""Bad input never gives a 500, a hang, or half an object; it gives a 4xx that says what is wrong."""

from __future__ import annotations

import base64
import socket
from typing import Any

import httpx
import pytest

from core.errors import SourceFault
from core.media.samples import SampleStudy, ct_slice, part10
from server.web.errors import encode, kind_of
from tests.server.conftest import CANARY, NAMESPACE, PASSWORDS, Served, Stored, error_of, raw

pytestmark = pytest.mark.usefixtures("caplog")  # the archive warns of such callers, as it should

UPLOAD = f"/api/v3/storage/namespace/{NAMESPACE}/image"
BASIC = "Basic " + base64.b64encode(f"admin:{PASSWORDS['admin']}".encode()).decode()
FRESH = part10(ct_slice(SampleStudy(seed="never complete", patient=CANARY)))


def count(served: Served) -> int:
    with served.client() as client:
        images: int = client.get("/api/desktop/v1/status").json()["images"]
    return images


def left_over(served: Served) -> list[str]:
    return [path.name for path in (served.data / "archive" / "incoming").iterdir()]


FORM = {"content-type": "multipart/form-data; boundary=x"}
FILE_PART = b"--x\r\nContent-Disposition: form-data; name=data; filename=a\r\n\r\nabc"
FIELD_PART = b"--x\r\nContent-Disposition: form-data; name=other\r\n\r\nabc"
END = b"\r\n--x--\r\n"

BAD_BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "empty": (b"", {}),
    "junk": (b"this is no DICOM object", {}),
    "zeros": (b"\0" * 4000, {}),
    "preamble only": (b"\0" * 128 + b"DICM", {}),
    "cut in the header": (FRESH[:700], {}),
    "cut in the pixels": (FRESH[:-100], {}),
    "json": (b'{"a": 1}', {"content-type": "application/json"}),
    "compressed": (FRESH, {"content-encoding": "gzip"}),
    "form without end": (FILE_PART, FORM),
    "form without file": (FIELD_PART + END, FORM),
    "form that is none": (b"abc", {"content-type": "application/dicom; boundary=x"}),
    "form with a huge header": (b"--x\r\nX: " + b"a" * 10000 + b"\r\n\r\nabc" + END, FORM),
    "form with two files": (FILE_PART + b"\r\n" + FILE_PART + END, FORM),
    "form with a huge field": (FIELD_PART + b"a" * 70_000 + END, FORM),
    "form with many parts": ((FIELD_PART + b"\r\n") * 100 + b"--x--\r\n", FORM),
    "long AE title": (FRESH, {"X-Dicomgrid-Routing-Source-AETitle": "A" * 100}),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies_store_nothing(served: Served, stored: Stored, name: str) -> None:
    body, headers = BAD_BODIES[name]
    before = count(served)
    with served.client() as client:
        refused = client.post(UPLOAD, content=body, headers=headers)
        attached = client.post(
            f"{stored.path}/attachment", content=b"", headers={"content-type": "text/plain"}
        )
    assert 400 <= refused.status_code < 500 and len(error_of(refused)["message"]) > 10
    assert attached.status_code == 400
    assert count(served) == before and left_over(served) == []


@pytest.mark.parametrize("written", ["9" * 30, "-" + "9" * 29, "1e300", "9" * 6000])
def test_an_instance_number_no_database_holds_is_none(served: Served, written: str) -> None:
    ds = ct_slice(SampleStudy(seed=f"number {written[:3]} {len(written)}"), size=16)
    ds.InstanceNumber = 12345678
    opening = b"\x20\x00\x13\x00IS"
    data = part10(ds).replace(
        opening + b"\x08\x0012345678", opening + len(written).to_bytes(2, "little") + written.encode()
    )
    with served.client() as client:
        answer = client.post(UPLOAD, content=data)
        assert answer.status_code == 200, answer.text
        study = client.get(f"/api/desktop/v1/studies/{NAMESPACE}/{answer.json()['study_uid']}").json()
    assert [image["instance_number"] for image in study["series"][0]["images"]] == [None]


@pytest.mark.parametrize(
    ("namespace", "status"),
    [
        ("a" * 65, 400),
        (".hidden", 400),
        ("a b", 400),
        ("%2e%2e", 400),
        ("a%2fb", 404),
        ("%00", 400),
        ("ä", 400),
        ("a" * 64, 200),
        ("A_b-1.c", 200),
    ],
)
def test_namespaces(served: Served, namespace: str, status: int) -> None:
    with served.client() as client:
        answer = client.post(f"/api/v3/storage/namespace/{namespace}/image", content=FRESH)
    assert answer.status_code == status


PATHS = (
    "{study}/../../../../../etc/passwd",
    "/api/v3/storage/study/{ns}/..%2f..%2f..%2fetc%2fpasswd/schema",
    "/api/v3/storage/study/{ns}/%2e%2e/schema",
    "/api/v3/storage/study/{ns}/%00/schema",
    "/api/v3/storage/study/{ns}/%ff%fe/schema",
    "/api/v3/storage/study/{ns}/1.2'%20OR%201=1--/schema",
    "/api/v3/storage/study/{ns}/" + "9" * 5000 + "/phi",
    "{study}/image/../../x/version/*",
    "{study}/image/%2e%2e%2f/version/*",
    "{study}/image/x/version/..",
    "{study}/attachment/../version/*",
    "{study}/attachment/latest/..%2f..%2fx",
    "/docs/../../../pyproject.toml",
    "/docs/%2e%2e/__init__.py",
    "/docs/..%5c__init__.py",
    "//api//v3",
    "/api/desktop/v1/trash/99999999999999999999999/restore",
    "/api/desktop/v1/studies?limit=0",
    "/api/desktop/v1/studies?limit=abc",
    "/api/desktop/v1/studies?offset=-1",
    "/api/desktop/v1/studies?order=password",
    "/api/desktop/v1/studies?date_from=yesterday",
    "/api/desktop/v1/studies?text=" + "a" * 300,
    "/api/desktop/v1/studies?" + "a=1&" * 300,
)


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_lead_nowhere(served: Served, stored: Stored, path: str) -> None:
    target = path.format(study=stored.path, ns=NAMESPACE)
    request = (
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BASIC}\r\nConnection: close\r\n\r\n"
    )
    status, body = raw(served, request.encode("latin-1"))
    assert 400 <= status < 500, body
    assert b"root:" not in body and b"[build-system]" not in body


def request_of(line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [line, "Host: localhost", f"Authorization: {BASIC}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


POST = f"POST {UPLOAD} HTTP/1.1"
GET = "GET /healthz HTTP/1.1"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==")
CHUNKED = "Transfer-Encoding: chunked"

RAW: dict[str, tuple[bytes, set[int]]] = {
    "not HTTP": (b"\x16\x03\x01 hello\r\n\r\n", {400}),
    "no such version": (b"GET / HTTP/9.9\r\n\r\n", {400}),
    "huge header": (request_of(GET, "X: " + "a" * 200_000), {431, 0}),
    "many headers": (request_of(GET, *(f"X-{n}: 1" for n in range(1000))), {431, 0}),
    "huge address": (request_of("GET /" + "a" * 200_000 + " HTTP/1.1"), {431, 400, 0}),
    "negative length": (request_of(POST, "Content-Length: -5"), {400}),
    "length no number": (request_of(POST, "Content-Length: many"), {400}),
    "length and chunks": (request_of(POST, "Content-Length: 5", CHUNKED), {400}),
    "two lengths": (request_of(POST, "Content-Length: 5", "Content-Length: 6"), {400}),
    "bad chunk": (request_of(POST, CHUNKED, body=b"zz\r\nabc"), {400, 0}),
    "far too long": (request_of(POST, "Content-Length: 99999999999999", "Expect: 100-continue"), {413, 0}),
    "null in a header": (request_of(GET, "X: a\0b"), {400}),
    "bad address bytes": (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "websocket": (request_of(GET, *UPGRADE, "Sec-WebSocket-Version: 13"), {403}),
    "websocket of no version": (request_of(GET, *UPGRADE), {400, 403, 426}),
}


@pytest.mark.parametrize("name", RAW)
def test_broken_http(served: Served, name: str) -> None:
    request, expected = RAW[name]
    status, _ = raw(served, request)
    assert status in expected
    with served.anonymous() as client:
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("how", ["shorter than its length", "chunks without end", "form without end"])
def test_a_client_that_vanishes_stores_nothing(served: Served, how: str) -> None:
    before = count(served)
    half = FRESH[: len(FRESH) // 2]
    if how == "shorter than its length":
        request = request_of(f"POST {UPLOAD} HTTP/1.1", f"Content-Length: {len(FRESH)}", body=half)
    elif how == "chunks without end":
        body = b"%x\r\n%s\r\n" % (len(half), half)
        request = request_of(f"POST {UPLOAD} HTTP/1.1", "Transfer-Encoding: chunked", body=body)
    else:
        part = b"--x\r\nContent-Disposition: form-data; name=data; filename=a\r\n\r\n" + half
        request = request_of(
            f"POST {UPLOAD} HTTP/1.1",
            "Content-Type: multipart/form-data; boundary=x",
            f"Content-Length: {len(part) + 1000}",
            body=part,
        )
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(request)
    with served.client() as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200 and count(served) == before
    wait_until_empty(served)


def wait_until_empty(served: Served) -> None:
    import time

    until = time.monotonic() + 10
    while left_over(served) and time.monotonic() < until:
        time.sleep(0.01)
    assert left_over(served) == []


def test_chunked_and_multipart_uploads_are_kept(served: Served) -> None:
    def pieces(data: bytes) -> Any:
        for start in range(0, len(data), 10_000):
            yield data[start : start + 10_000]

    study = SampleStudy(seed="chunked", patient=CANARY)
    files = [part10(ct_slice(study, instance=n)) for n in (1, 2, 3)]
    with served.client() as client:
        chunked = client.post(UPLOAD, content=pieces(files[0]))
        form = client.post(UPLOAD, files={"data": ("a.dcm", files[1], "application/dicom")})
        mislabelled = client.post(
            UPLOAD,
            content=b'--x y\r\nContent-Disposition: form-data; name="f"; filename="b"\r\n\r\n'
            + files[2]
            + b"\r\n--x y--\r\n",
            headers={"content-type": 'application/dicom; boundary="x y"'},
        )
        answers = [chunked, form, mislabelled]
        assert [answer.status_code for answer in answers] == [200] * 3
        path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}"
        for answer, data in zip(answers, files, strict=True):
            uid = answer.json()["image_uid"]
            assert client.get(f"{path}/image/{uid}/version/*").content == data


BAD_JSON = (b"[1]", b'{"image_uids": 5}', b'{"image_uids": [5]}', b"{", b"[" * 100_000, b"\xff")


@pytest.mark.parametrize("body", BAD_JSON)
def test_bad_json(served: Served, stored: Stored, body: bytes) -> None:
    path = f"/api/desktop/v1/studies/{NAMESPACE}/{stored.study.uid}/held"
    with served.client() as client:
        refused = client.post(path, content=body)
    assert refused.status_code == 400 and error_of(refused)["kind"]["code"] == 8


def test_errors_carry_a_remedy_when_asked(served: Served) -> None:
    with served.client() as client:
        plain = client.post(UPLOAD, content=b"junk")
        verbose = client.post(UPLOAD, content=b"junk", headers={"X-AmbraHealth-Verbose-Errors": "1"})
    assert error_of(plain)["extended"] is None
    assert isinstance(error_of(verbose)["extended"], dict)


def test_a_full_disk_is_507(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.archive import blobs
    from core.archive.files import LocalFiles

    monkeypatch.setattr(LocalFiles, "free_bytes", lambda self, path: blobs.RESERVE_BYTES - 1)
    before = count(served)
    with served.client() as client:
        refused = client.post(UPLOAD, content=FRESH)
        ready = client.get("/readyz")
    assert refused.status_code == 507 and error_of(refused)["kind"]["code"] == 20
    assert ready.status_code == 503 and "full" in ready.json()["reason"]
    assert count(served) == before


def test_our_own_bug_is_told_without_details(
    served: Served,
    stored: Stored,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    log_lines: list[str],
) -> None:
    from core.archive.archive import Archive

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("^".join(("Doe", "Jane")))

    monkeypatch.setattr(Archive, "study_phi", broken)
    monkeypatch.setattr(Archive, "image", broken)
    answers: list[httpx.Response] = []
    with served.client() as client:
        answers.append(client.get(f"{stored.path}/phi"))
        answers.append(client.get(stored.image()))
    for answer in answers:
        assert answer.status_code == 500 and error_of(answer)["kind"]["code"] == 1
        assert "Doe^Jane" not in answer.text and "ZeroDivision" not in answer.text
    text = "\n".join(log_lines)
    assert "ZeroDivisionError" in text and "Doe^Jane" not in text
    assert caplog.records


def test_many_at_once(served: Served) -> None:
    from concurrent.futures import ThreadPoolExecutor

    study = SampleStudy(seed="many", patient=CANARY)
    files = [part10(ct_slice(study, instance=n, size=32)) for n in range(1, 25)]
    with served.client(timeout=60) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda data: client.post(UPLOAD, content=data).status_code, files * 2))
        schema = client.get(f"/api/v3/storage/study/{NAMESPACE}/{study.uid}/schema").json()
    assert answers == [200] * 48
    images = schema["series"][0]["images"]
    assert len(images) == 24 and [image["rank"] for image in images] == list(range(1, 25))


@pytest.mark.parametrize(("lasting", "status"), [(True, 415), (False, 507)])
def test_a_stored_object_that_cannot_be_read_is_no_fault_of_ours(lasting: bool, status: int) -> None:
    assert kind_of(SourceFault("A stored object cannot be read.", lasting=lasting)).status == status


def test_what_utf_8_or_json_cannot_say_is_written_all_the_same() -> None:
    assert (
        encode({"name": "a\ud800b", "sum": 10**30}) == b'{"name":"a?b","sum":1000000000000000000000000000000}'
    )
    assert encode([1.5, float("nan"), "M\u00fcller"]) == b'[1.5,null,"M\xc3\xbcller"]'
