"""Several images in one request: each part stored or refused by itself, all durable with the answer."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.core.upload_fakes import wait_until
from tests.server.conftest import CANARY, NAMESPACE, PASSWORDS, Served, error_of

IMAGES = f"/api/desktop/v1/namespaces/{NAMESPACE}/images"
TYPE = {"content-type": 'multipart/related; type="application/dicom"; boundary=xyz'}
END = b"\r\n--xyz--\r\n"


def slices(seed: str, count: int) -> tuple[SampleStudy, list[bytes]]:
    study = SampleStudy(seed=seed, patient=CANARY)
    return study, [part10(ct_slice(study, instance=n, size=64)) for n in range(1, count + 1)]


def part(data: bytes, *, length: bool = True) -> bytes:
    said = b"Content-Length: %d\r\n" % len(data) if length else b""
    return b"\r\n--xyz\r\nContent-Type: application/dicom\r\n" + said + b"\r\n" + data


def post(served: Served, body: bytes, login: str = "staff", **headers: str) -> Any:
    with served.client(login) as client:
        return client.post(IMAGES, content=body, headers={**TYPE, **headers})


def held(served: Served, study: SampleStudy) -> dict[str, Any]:
    with served.client() as client:
        answer = client.get(f"/api/v3/storage/study/{NAMESPACE}/{study.uid}/schema")
        if answer.status_code == 404:
            return {}
        return {image["id"]: image for series in answer.json()["series"] for image in series["images"]}


@pytest.mark.parametrize("length", [True, False])
def test_each_part_is_stored_and_named(served: Served, length: bool) -> None:
    study, files = slices(f"together {length}", 40)
    answer = post(served, b"".join(part(each, length=length) for each in files) + END)
    assert answer.status_code == 200
    rows = answer.json()["images"]
    assert [row["status"] for row in rows] == [200] * 40
    assert {row["study_uid"] for row in rows} == {study.uid}
    found = held(served, study)
    assert {row["image_uid"]: row["image_version"] for row in rows} == {
        uid: image["version"] for uid, image in found.items()
    }
    with served.client() as client:
        for row, data in zip(rows, files, strict=True):
            path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}/image/{row['image_uid']}/version/*"
            assert client.get(path).content == data


def test_a_bad_part_spoils_no_other(served: Served) -> None:
    study, files = slices("together with junk", 2)
    body = part(files[0]) + part(b"junk") + part(b"") + part(files[1][:-50]) + part(files[1]) + END
    rows = post(served, body).json()["images"]
    assert [row["status"] for row in rows] == [200, 400, 400, 400, 200]
    assert "ends before" in rows[3]["error"]["message"] and len(held(served, study)) == 2


def test_the_same_again_changes_nothing(served: Served) -> None:
    study, files = slices("together twice", 3)
    body = b"".join(map(part, files)) + END
    first = post(served, body).json()
    assert post(served, body).json() == first and len(held(served, study)) == 3


def test_a_large_part_is_taken_too(served: Served) -> None:
    study = SampleStudy(seed="together large", patient=CANARY)
    data = part10(ct_slice(study, size=1024))
    assert len(data) > 1 << 20
    assert post(served, part(data) + END).json()["images"][0]["status"] == 200
    assert len(held(served, study)) == 1


def test_it_is_not_for_everybody(served: Served) -> None:
    _, files = slices("together refused", 1)
    assert post(served, part(files[0]) + END, "viewer").status_code == 403
    with served.anonymous() as client:
        assert client.post(IMAGES, content=part(files[0]) + END, headers=TYPE).status_code == 401


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"", None, "no part"),
        (b"abc", "application/dicom", "no boundary"),
        (b"abc", None, "no part"),
        (b"--xyz\r\nContent-Length: 5\r\n\r\n12\r\n--xyz--", None, "longer than"),
        (b"--xyz\r\n: a\r\n\r\n12\r\n--xyz--", None, "without a name"),
    ],
)
@pytest.mark.usefixtures("caplog")
def test_a_malformed_body_is_refused(
    served: Served, body: bytes, content_type: str | None, said: str
) -> None:
    answer = post(served, body, **({"content-type": content_type} if content_type else {}))
    assert answer.status_code == 400 and said in error_of(answer)["message"]


@pytest.mark.usefixtures("caplog")
def test_what_was_complete_when_the_body_broke_off_is_kept(served: Served) -> None:
    study, files = slices("together cut", 4)
    body = b"".join(map(part, files))
    answer = post(served, body[:-100])
    assert answer.status_code == 400 and "part 4" in error_of(answer)["message"]
    assert len(held(served, study)) == 3


@pytest.mark.usefixtures("caplog")
def test_a_cut_connection_keeps_the_complete_parts_only(served: Served) -> None:
    study, files = slices("together torn", 4)
    body = b"".join(map(part, files))
    basic = base64.b64encode(f"staff:{PASSWORDS['staff']}".encode()).decode()
    with socket.create_connection(("127.0.0.1", served.port), 10) as sock:
        head = (
            f"POST {IMAGES} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\n"
            f"Content-Type: {TYPE['content-type']}\r\nContent-Length: {len(body) + 500}\r\n\r\n"
        )
        sock.sendall(head.encode() + body[:-100])
    wait_until(lambda: len(held(served, study)) == 3, 10)
    incoming = served.data / "archive" / "incoming"
    wait_until(lambda: not any(incoming.iterdir()), 10)
    assert len(held(served, study)) == 3
