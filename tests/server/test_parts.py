"""Upload in parts: checksums, order, going on after a break, completing once, expiry, bounded space."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.archive.parts import Parts
from core.errors import BadInput, Conflict, NotFound, StorageFault, TooLarge
from core.media.samples import SampleStudy, ct_slice, part10, pdf_report
from tests.server.conftest import CANARY, NAMESPACE, Served, error_of

BASE = "/api/v3/storage/multipart"
STUDY = SampleStudy(seed="in parts", patient=CANARY)
IMAGE = part10(ct_slice(STUDY, size=256))
CHUNK = 40_000


class Upload:
    """An upload in parts by one account."""

    def __init__(self, served: Served, login: str = "admin") -> None:
        self.served, self.login = served, login
        answer = self.call("GET", f"{BASE}/initiate")
        assert answer.status_code == 200
        self.path = f"{BASE}/{answer.json()['upload_uuid']}"

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self.served.client(self.login) as client:
            return client.request(method, path, **options)

    def part(self, number: int, data: bytes, **changed: str) -> httpx.Response:
        headers = {
            "X-File-Name": f"{number:05d}",
            "X-File-Size": str(len(data)),
            "X-AmbraHealth-part-checksum": str(zlib.crc32(data)),
        }
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        return self.call("POST", self.path, content=data, headers={k: v for k, v in headers.items() if v})

    def parts(self, data: bytes, order: Callable[[list[int]], list[int]] = list) -> None:
        for n in order(list(range((len(data) + CHUNK - 1) // CHUNK))):
            assert self.part(n, data[n * CHUNK : (n + 1) * CHUNK]).status_code == 200

    def complete(self, size: int, **query: str) -> httpx.Response:
        headers = {"X-File-Size": str(size), "X-File-Name": "name"}
        params = {"namespace": NAMESPACE, "endpoint": "image", **query}
        return self.call("POST", f"{self.path}/complete", params=params, headers=headers)


def test_an_image_in_parts(served: Served) -> None:
    upload = Upload(served)
    upload.parts(IMAGE, lambda numbers: numbers[::-1])
    answer = upload.complete(len(IMAGE), study_uid=STUDY.uid, tags="", render_wrapped_pdf="")
    said = answer.json()
    assert answer.status_code == 200 and said["study_uid"] == STUDY.uid
    path = f"/api/v3/storage/study/{NAMESPACE}/{STUDY.uid}/image/{said['image_uid']}"
    assert upload.call("GET", f"{path}/version/{said['image_version']}").content == IMAGE
    assert upload.complete(len(IMAGE)).status_code == 404, "it is done with"
    assert not list((served.data / "archive" / "parts").glob("*/0*"))


def test_going_on_after_a_break(served: Served) -> None:
    upload = Upload(served)
    upload.part(0, IMAGE[:CHUNK])
    upload.part(2, IMAGE[2 * CHUNK : 3 * CHUNK])
    early = upload.complete(len(IMAGE))
    assert early.status_code == 400 and "00001" in error_of(early)["message"]
    (first, third) = upload.call("GET", upload.path).json()["parts"]
    assert first == {"number": 0, "size": CHUNK, "checksum": str(zlib.crc32(IMAGE[:CHUNK]))}
    assert third["number"] == 2
    upload.part(1, b"something else")
    wrong = upload.complete(len(IMAGE))
    assert wrong.status_code == 400 and str(len(IMAGE)) in error_of(wrong)["message"]
    upload.parts(IMAGE)
    other = upload.complete(len(IMAGE), study_uid="1.2.3")
    assert other.status_code == 400 and "another study" in error_of(other)["message"]
    assert upload.complete(len(IMAGE)).status_code == 200


def test_wrapping_what_came_in_parts(served: Served) -> None:
    upload, pdf = Upload(served), pdf_report(["in parts"])
    upload.part(0, pdf)
    tags = json.dumps({"(0010,0020)": "P-1"})
    answer = upload.complete(
        len(pdf), endpoint="wrap", tags=tags, study_uid="1.2.3.4.5", render_wrapped_pdf="1"
    )
    assert answer.status_code == 202
    assert answer.json()["study_uid"] == "1.2.3.4.5" and len(answer.json()["images"]) == 2


def test_what_is_no_image_leaves_the_parts(served: Served) -> None:
    upload = Upload(served)
    upload.part(0, b"this is no image")
    for query in ({"endpoint": "image"}, {"endpoint": "wrap"}):
        refused = upload.complete(16, **query)
        assert refused.status_code in (400, 415) and error_of(refused)["message"]
    assert len(upload.call("GET", upload.path).json()["parts"]) == 1
    assert not list((served.data / "archive" / "incoming").iterdir())


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"X_AmbraHealth_part_checksum": "1"}, 400),
        ({"X_AmbraHealth_part_checksum": "0xff"}, 400),
        ({"X_AmbraHealth_part_checksum": ""}, 412),
        ({"X_File_Name": ""}, 412),
        ({"X_File_Name": "1"}, 400),
        ({"X_File_Name": "../../x"}, 400),
        ({"X_File_Size": ""}, 412),
        ({"X_File_Size": "99"}, 400),
    ],
)
def test_parts_that_are_wrong(served: Served, changed: dict[str, str], status: int) -> None:
    upload = Upload(served)
    refused = upload.part(0, b"abc", **changed)
    assert refused.status_code == status and error_of(refused)["message"]
    assert upload.call("GET", upload.path).json()["parts"] == []


def test_completing_says_where(served: Served) -> None:
    upload = Upload(served)
    assert upload.complete(0).status_code == 400, "no part has come"
    upload.part(0, IMAGE[:10])
    assert upload.complete(10, endpoint="other").status_code == 400
    assert upload.complete(10, namespace="").status_code == 400
    missing = upload.call("POST", f"{upload.path}/complete", params={"namespace": NAMESPACE})
    assert missing.status_code == 412 and error_of(missing)["kind"]["code"] == 99
    assert upload.complete(3 << 30, endpoint="wrap").status_code == 413


def test_uploads_are_ones_own(served: Served) -> None:
    mine, staff = Upload(served), Upload(served, "staff")
    staff.path = mine.path
    for answer in (staff.part(0, b"x"), staff.call("GET", staff.path), staff.complete(1)):
        assert answer.status_code == 404 and error_of(answer)
    with served.client("viewer") as viewer, served.anonymous() as nobody:
        assert viewer.get(f"{BASE}/initiate").status_code == 403
        assert nobody.get(f"{BASE}/initiate").status_code == 401
    limited = Upload(served, "limited")
    limited.part(0, IMAGE)
    assert limited.complete(len(IMAGE), namespace="elsewhere").status_code == 403
    for unknown in ("0", "../x", "a" * 300):
        assert mine.call("GET", f"{BASE}/{unknown}").status_code == 404


def put(parts: Parts, upload: str, number: int, data: bytes) -> None:
    parts.put(upload, "me", f"{number:05d}", data, zlib.crc32(data))


def test_only_one_completes(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    upload = parts.initiate("me")
    put(parts, upload, 0, b"abc")
    pieces = parts.begin(upload, "me", 3)
    for blocked in (lambda: parts.begin(upload, "me", 3), lambda: put(parts, upload, 1, b"d")):
        with pytest.raises(Conflict):
            blocked()
    assert b"".join(pieces) == b"abc"
    parts.end(upload, done=False)
    assert b"".join(parts.begin(upload, "me", 3)) == b"abc"
    again = Parts(tmp_path / "parts")  # as after a crash
    assert b"".join(again.begin(upload, "me", 3)) == b"abc"
    again.end(upload, done=True)
    with pytest.raises(NotFound):
        again.list(upload, "me")


def test_uploads_expire(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", expires_after_s=60)
    upload = parts.initiate("me")
    put(parts, upload, 0, b"abc")
    long_ago = time.time() - 61
    os.utime(tmp_path / "parts" / upload, (long_ago, long_ago))
    with pytest.raises(NotFound):
        parts.list(upload, "me")
    parts.initiate("me")
    assert not (tmp_path / "parts" / upload).exists()


def test_space_and_number_are_bounded(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", most_bytes=1000)
    upload = parts.initiate("me")
    put(parts, upload, 0, b"x" * 600)
    put(parts, upload, 0, b"y" * 300)
    put(parts, upload, 1, b"x" * 600)
    with pytest.raises(StorageFault):
        put(parts, upload, 2, b"x" * 200)
    with pytest.raises(StorageFault):
        put(Parts(tmp_path / "parts", most_bytes=1000), upload, 2, b"x" * 200)
    parts.begin(upload, "me", 900)
    parts.end(upload, done=True)
    other = parts.initiate("me")
    put(parts, other, 0, b"x" * 900)
    with pytest.raises(BadInput):
        parts.put(other, "me", "00001", b"x", 5)
    with pytest.raises(TooLarge):
        for _ in range(60):
            parts.initiate("me")
    parts.initiate("somebody else")
