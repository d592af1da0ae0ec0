"""Each V3 route against the API's document: keys and types, HEAD, 401, 404, both spellings."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.server.conftest import NAMESPACE, STUDY, Served, Stored, error_of, store

TAG = {"tag": str, "value": str}
PHI = {"tag": str, "value": str, "attr": [TAG]}
SHAPES: dict[str, Any] = {
    "/schema": {
        "namespace": str,
        "study_uid": str,
        "series": [{"id": str, "images": [{"id": str, "version": str, "rank": int, "frame_count": int}]}],
    },
    "/phi": PHI,
    "/tag": {
        "namespace": str,
        "study_uid": str,
        "tags": [TAG],
        "size": int,
        "image_count": int,
        "attachment_count": int,
    },
    "/attribute/transfer": {"result": [{"tag": str, "value": [str]}]},
    "/image{uid}/version/{version}/phi": PHI,
    "/image/{uid}/version/{version}/phi": PHI,
    "/image/{uid}/version/*/phi": PHI,
}
BYTES = {
    "/image/{uid}/version/{version}": "application/dicom",
    "/image{uid}/version/{version}": "application/dicom",
    "/image/{uid}/version/*": "application/dicom",
    "/image/{uid}/version/{version}/frame/0": "image/jpeg",
    "/image/{uid}/version/{version}/frame/0/thumbnail": "image/jpeg",
    "/image{uid}/version/{version}/frame/0/thumbnail": "image/jpeg",
}


def check(value: Any, shape: Any, where: str = "answer") -> None:
    """The document's keys are there with its types; more keys may be."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for key, inner in shape.items():
            assert key in value, f"{where} lacks {key}"
            check(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list) and value, where
        for each in value:
            check(each, shape[0], f"{where}[]")
    else:
        assert type(value) is shape, where


def address(stored: Stored, template: str) -> str:
    answer = stored.images["ct"]
    return stored.path + template.format(uid=answer["image_uid"], version=answer["image_version"])


@pytest.mark.parametrize("template", SHAPES)
def test_json_is_as_the_document_shows_it(served: Served, stored: Stored, template: str) -> None:
    with served.client() as client:
        plain = client.get(address(stored, template))
        check(plain.json(), SHAPES[template])
        assert plain.status_code == 200 and plain.headers["content-type"] == "application/json"
        overlaid = client.get(address(stored, template), params={"phi_namespace": "elsewhere"})
        assert overlaid.json() == plain.json()
        slash = client.get(address(stored, template) + "/", follow_redirects=False)
        assert slash.status_code == 200 and slash.json() == plain.json()


@pytest.mark.parametrize("template", [*SHAPES, *BYTES])
def test_every_read_has_head_401_and_404(served: Served, stored: Stored, template: str) -> None:
    path = address(stored, template)
    with served.client() as client, served.anonymous() as nobody:
        full, head = client.get(path), client.head(path)
        assert head.status_code == full.status_code == 200
        assert head.content == b"" and head.headers["content-length"] == str(len(full.content))
        assert head.headers["content-type"] == full.headers["content-type"]
        refused = nobody.get(path)
        assert refused.status_code == 401 and error_of(refused)["kind"]["code"] == 4
        assert nobody.head(path).status_code == 401
        missing = client.get(path.replace(stored.study.uid, "1.2.3"))
        assert missing.status_code == 404 and error_of(missing)["kind"]["code"] == 18
        assert error_of(missing)["message"] == "Study wasn't found by provided ids"
        assert error_of(missing)["exception_data"]["study_uid"] == "1.2.3"
        assert client.head(path.replace(stored.study.uid, "1.2.3")).status_code == 404
        foreign = client.get(path.replace(f"/{NAMESPACE}/", "/nobody-stored-here/"))
        assert foreign.status_code == 403 and error_of(foreign)["kind"]["code"] == 7


@pytest.mark.parametrize("template", BYTES)
def test_bytes_come_with_their_type(served: Served, stored: Stored, template: str) -> None:
    with served.client() as client:
        response = client.get(address(stored, template))
    assert response.headers["content-type"] == BYTES[template]
    if BYTES[template] == "application/dicom":
        assert response.content == stored.files["ct"]
    else:
        assert Image.open(io.BytesIO(response.content)).format == "JPEG"


def test_upload_answers_as_the_document(served: Served, stored: Stored) -> None:
    answer = stored.images["ct"]
    check(
        answer,
        {"namespace": str, "study_uid": str, "image_uid": str, "attr": [TAG], "image_version": str},
    )
    values = {each["tag"]: each["value"] for each in answer["attr"]}
    assert values["(0010,0010)"] == STUDY.patient.name and values["(0008,103E)"] == "CT series 1"
    assert values["(0020,000D)"] == answer["study_uid"] == STUDY.uid
    assert [each["tag"] for each in answer["attr"]] == sorted(values)
    assert len(answer["image_version"]) == 27


def test_schema_extended_and_attachments_only(served: Served, stored: Stored) -> None:
    with served.client() as client:
        extended = client.get(f"{stored.path}/schema", params={"extended": "1"}).json()
        only = client.get(f"{stored.path}/schema", params={"attachments_only": "1"}).json()
        wrong = client.get(f"{stored.path}/schema", params={"extended": "perhaps"})
    assert [each["tag"] for each in extended["transfer_attributes"]] == ["(0002,0010)", "(0002,0002)"]
    assert extended["phi_version"] and sum(len(s["images"]) for s in extended["series"]) == 3
    assert only["series"] == [] and only["attachments"] == extended["attachments"]
    assert {s["id"] for s in extended["series"]} == {"1", "2", "3"}
    assert wrong.status_code == 400 and "extended" in error_of(wrong)["message"]


def test_pictures_have_the_sizes_of_the_document(served: Served, stored: Stored) -> None:
    with served.client() as client:
        full = client.get(stored.image("loop") + "/frame/11").content
        small = client.get(stored.image("colour") + "/frame/0", params={"size": "40x40", "quality": "0.5"})
        beyond = client.get(stored.image("loop") + "/frame/12")
        named = client.get(stored.image("loop") + "/frame/0.jpg")
        odd = [client.get(f"{stored.image()}/frame/{n}").status_code for n in ("-1", "x", "1.5", "9" * 30)]
        bad = [client.get(stored.image() + "/frame/0", params=p).status_code
               for p in ({"size": "0x4"}, {"size": "big"}, {"quality": "2"}, {"quality": "nan"})]  # fmt: skip
    assert Image.open(io.BytesIO(full)).size == (96, 96)
    assert Image.open(io.BytesIO(small.content)).size == (40, 40)
    assert beyond.status_code == 404 and error_of(beyond)["kind"]["code"] == 3
    assert named.status_code == 200 and odd == [400] * 4 and bad == [400] * 4


def test_what_has_no_picture_says_why(served: Served) -> None:
    from core.media.samples import encapsulated_pdf, part10, pdf_report

    data = part10(encapsulated_pdf(STUDY, pdf_report(["No picture"]), series=9))
    with served.client() as client:
        answer = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=data).json()
        path = (
            f"/api/v3/storage/study/{NAMESPACE}/{answer['study_uid']}/image/{answer['image_uid']}/version/*"
        )
        refused = client.get(f"{path}/frame/0/thumbnail")
    assert refused.status_code == 415 and len(error_of(refused)["message"]) > 10


def test_payload_is_cached_by_version_and_served_in_ranges(served: Served, stored: Stored) -> None:
    path, data = stored.image("loop"), stored.files["loop"]
    with served.client() as client:
        first = client.get(path)
        assert "immutable" in first.headers["cache-control"]
        assert client.get(stored.image("loop", "*")).headers["cache-control"] == "private, no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304 and again.content == b""
        since = client.get(path, headers={"If-Modified-Since": first.headers["last-modified"]})
        assert since.status_code == 304
        part = client.get(path, headers={"Range": "bytes=10-19"})
        assert part.status_code == 206 and part.content == data[10:20]
        assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
        assert client.get(path, headers={"Range": "bytes=-5"}).content == data[-5:]
        assert client.get(path, headers={"Range": "bytes=5-"}).content == data[5:]
        beyond = client.get(path, headers={"Range": f"bytes={len(data)}-"})
        assert beyond.status_code == 416 and error_of(beyond)["kind"]["code"] == 40
        assert client.get(path, headers={"Range": "lines=1-2"}).status_code == 200
        picture = client.get(path + "/frame/0/thumbnail")
        same = client.get(path + "/frame/0/thumbnail", headers={"If-None-Match": picture.headers["etag"]})
        assert same.status_code == 304


def test_a_second_version_leaves_the_first_one_served(served: Served) -> None:
    study = type(STUDY)(seed="versions", patient=STUDY.patient)
    before = store(served, study)
    altered = before.files["ct"].replace(b"CT series 1 ", b"CT series 9 ")
    assert altered != before.files["ct"]
    with served.client() as client:
        upload = f"/api/v3/storage/namespace/{NAMESPACE}/image"
        same = client.post(upload, content=before.files["ct"]).json()
        answer = client.post(upload, content=altered).json()
        current = client.get(before.image("ct", "*"))
        old = client.get(before.image("ct"))
        unknown = client.get(before.image("ct", "A" * 27))
    assert same["image_version"] == before.images["ct"]["image_version"] != answer["image_version"]
    assert current.content == altered and old.content == before.files["ct"]
    assert unknown.status_code == 404 and error_of(unknown)["kind"]["code"] == 14


def test_deleting_a_study_takes_it_from_every_route(served: Served) -> None:
    stored = store(served, type(STUDY)(seed="deleted", patient=STUDY.patient))
    with served.client() as client, served.client("staff") as staff:
        assert client.get(stored.image() + "/frame/0/thumbnail").status_code == 200
        assert staff.delete(stored.path).status_code == 403
        gone = client.delete(stored.path)
        assert gone.status_code == 202 and gone.content == b""
        for template in [*SHAPES, *BYTES]:
            assert client.get(address(stored, template)).status_code == 404
        assert client.delete(stored.path).status_code == 404
        listed = client.get("/api/desktop/v1/studies", params={"namespace": NAMESPACE}).json()["studies"]
    assert stored.study.uid not in {row["study_uid"] for row in listed}
    with closing(sqlite3.connect(served.data / "archive" / "thumbnails.db")) as connection:
        query = "SELECT count(*) FROM thumbnails WHERE study = ?"
        assert connection.execute(query, (f"{NAMESPACE}/{stored.study.uid}",)).fetchone() == (0,)


def test_methods_that_are_not_there(served: Served, stored: Stored) -> None:
    with served.client() as client:
        refused: list[httpx.Response] = [
            client.put(f"{stored.path}/schema"),
            client.get(f"/api/v3/storage/namespace/{NAMESPACE}/image"),
            client.post(stored.image()),
            client.get("/api/v3/session/login"),
        ]
        nothing = client.get("/api/v3/storage/nothing")
        several = client.patch(f"{stored.path}/attachment/x/version/y")
    for response, allowed in zip(refused, ("GET, HEAD", "POST", "GET, HEAD", "POST"), strict=True):
        assert response.status_code == 405 and response.headers["allow"] == allowed
        error_of(response)
    assert several.status_code == 405 and several.headers["allow"] == "DELETE, GET, HEAD"
    assert nothing.status_code == 404 and error_of(nothing)["kind"]["code"] == 3
