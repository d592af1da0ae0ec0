"""Orders over HTTP: posted, found, laid over a study; every read and the DICOM payload follow; undone."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from pydicom import dcmread

from core.media.samples import SampleStudy
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, Served, Stored, error_of, store

ORDER = "/api/v3/storage/order/his"
NAME = "Zölestin^Żaneta"
RELEVANT = {
    "patient_name": NAME,
    "patient_gender": "F",
    "patient_dob": "19710203",
    "order_id": "O-1212",
    "patient_mrn": "MRN-1",
    "extra_tags": '{"(0012,0001)":"value"}',
}
POSTED = {
    "message_id": "112",
    "patient": {
        "patient_name": "hello world",
        "patient_gender": "F",
        "patient_dob": "YYYYMMDD",
        "order_id": "1212",
        "study_date": "YYYYMMDD",
    },
    "hl7_raw_message": "qwqwqwqw",
}


@pytest.fixture(scope="module")
def mine(served: Served) -> Stored:
    return store(served, SampleStudy(seed="ordered", patient=CANARY))


def put(client: httpx.Client, stored: Stored, body: object, **headers: str) -> httpx.Response:
    return client.put(f"{stored.path}/order/his", content=json.dumps(body), headers=headers)


def phi(client: httpx.Client, address: str, phi_namespace: str = "his") -> dict[str, str]:
    answer = client.get(f"{address}/phi", params={"phi_namespace": phi_namespace}).json()
    return {one["tag"]: one["value"] for one in answer["attr"]}


def test_an_order_is_posted_and_found(served: Served) -> None:
    with served.client("staff") as client:
        answer = client.post(ORDER, content=json.dumps(POSTED))
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
        found = client.get(ORDER, params={"patient_name": "World Hello"}).json()["result"]
        (hit,) = [one for one in found if one["attachment_guid"] == answer.text]
        assert set(hit) == {
            "namespace", "attachment_guid", "attachment_version", "order_data", "normalized_score",
        }  # fmt: skip
        assert hit["namespace"] == "his" and hit["order_data"] == POSTED["patient"]
        assert len(hit["attachment_version"]) == 27 and 0 <= hit["normalized_score"] <= 1
        first = client.get(ORDER, params={"order_id": "1212"}).json()["result"][0]
        assert first["order_data"]["order_id"] == "1212"
        assert error_of(client.get("/api/v3/storage/order/nobody"))["kind"]["code"] == 7


def test_an_association_shows_in_every_read_and_is_undone(served: Served, mine: Stored) -> None:
    with served.client("staff") as client:
        before = phi(client, mine.path)
        plain = client.get(mine.image(), params={"phi_namespace": "his"})
        assert plain.content == mine.files["ct"]
        done = put(client, mine, RELEVANT)
        assert done.status_code == 200 and done.headers["content-type"].startswith("text/plain")
        assert phi(client, mine.path)["(0010,0010)"] == NAME
        assert phi(client, mine.path)["(0012,0001)"] == "value"
        assert phi(client, mine.image())["(0008,0050)"] == "O-1212"
        tags = client.get(f"{mine.path}/tag", params={"phi_namespace": "his"}).json()["tags"]
        assert {"tag": "(0010,0020)", "value": "MRN-1"} in tags
        assert phi(client, mine.path, NAMESPACE) == before
        listed = client.get(f"{mine.path}/order/his").json()["result"]
        assert [one["id"] for one in listed] == [done.text]
        assert {"tag": "(0010,0010)", "value": CANARY.name} in listed[0]["originals"]
        gone = client.delete(f"{mine.path}/order/his/{done.text}")
        assert gone.status_code == 202 and not gone.content
        assert phi(client, mine.path) == before
        assert client.delete(f"{mine.path}/order/his/{done.text}").status_code == 404


@pytest.mark.parametrize("which", ["ct", "loop", "colour"])
def test_the_payload_comes_with_the_values_of_the_overlay(served: Served, mine: Stored, which: str) -> None:
    with served.client("staff") as client:
        guid = put(client, mine, RELEVANT).text
        address, asked = mine.image(which), {"phi_namespace": "his"}
        answer = client.get(address, params=asked)
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom"
        assert "immutable" not in answer.headers["cache-control"]
        seen, kept = dcmread(io.BytesIO(answer.content)), dcmread(io.BytesIO(mine.files[which]))
        assert seen.PatientName == NAME and seen.AccessionNumber == "O-1212"
        assert seen.PixelData == kept.PixelData and seen.file_meta == kept.file_meta
        changed = {e.tag for e in seen} - {e.tag for e in kept} | {e.tag for e in kept if seen[e.tag] != e}
        assert changed <= {0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00080050, 0x00120001}
        assert client.get(address).content == mine.files[which]
        part = client.get(address, params=asked, headers={"Range": "bytes=100-299"})
        assert part.status_code == 206 and part.content == answer.content[100:300]
        head = client.head(address, params=asked)
        assert int(head.headers["content-length"]) == len(answer.content) and not head.content
        again = client.get(address, params=asked, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        bad = client.get(address, params=asked, headers={"Range": "bytes=999999999-"})
        assert bad.status_code == 416
        assert client.delete(f"{mine.path}/order/his/{guid}").status_code == 202
        assert client.get(address, params=asked).content == mine.files[which]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"patient_name": ', "line 1"),
        ('{"patient_dob": 19.5}', "patient_dob"),
        ('{"patient_dob": "yesterday"}', "patient_dob"),
        ('{"extra_tags": "{"}', "extra_tags"),
        ('{"extra_tags": {"(0020,000D)": "1.2"}}', "(0020,000D)"),
        ("[]", "body"),
        ("{}", "body"),
        ("\udc80", "byte 0"),
    ],
)
def test_bad_json_names_its_field(served: Served, mine: Stored, body: str, named: str) -> None:
    with served.client("staff") as client:
        answer = client.put(f"{mine.path}/order/his", content=body.encode("utf-8", "surrogateescape"))
    assert answer.status_code == 400
    document = error_of(answer)
    assert document["kind"]["code"] == 8 and named in document["message"]


def test_who_may_and_what_is_not_there(served: Served, mine: Stored) -> None:
    missing = f"/api/v3/storage/study/{NAMESPACE}/1.2.3/order/his"
    with (
        served.client("staff") as staff,
        served.client("viewer") as viewer,
        served.client("limited") as limited,
    ):
        answer = staff.put(missing, json={"order_id": "1"})
        assert answer.status_code == 404 and error_of(answer)["kind"]["code"] == 18
        assert staff.get(missing).status_code == staff.delete(f"{missing}/1").status_code == 404
        assert put(viewer, mine, RELEVANT).status_code == 403
        assert viewer.post(ORDER, json=POSTED).status_code == 403
        assert put(limited, mine, RELEVANT).status_code == 403, "the order's namespace is not theirs"
        assert limited.get(ORDER).status_code == 403
        assert staff.post(ORDER, json={"patient": 1}).status_code == 400
        assert staff.post("/api/v3/storage/order/.bad", json=POSTED).status_code == 400
        assert staff.get(ORDER, params={"limit": "x"}).status_code == 400


def test_a_deleted_study_is_gone_with_its_overlay(served: Served) -> None:
    gone = store(served, SampleStudy(seed="gone with it", patient=CANARY))
    with served.client("admin") as client:
        put(client, gone, RELEVANT)
        assert client.delete(gone.path).status_code == 202
        assert client.get(f"{gone.path}/order/his").status_code == 404
        again = store(served, gone.study)
        assert phi(client, again.path)["(0010,0010)"] == CANARY.name
