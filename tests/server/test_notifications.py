"""Notifications over the internal listener: made, told once something happens, retried, seen when dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10, pdf_report
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, Served, objects, serving, store
from tests.sink import Sink, Told

LINK_LOCAL = "169.254.169.254"
API = "/internal-api/v2/study"
QUERY = (
    "storage_namespace={namespace}&study_uid={studyUid}&phi_namespace={phiNamespace}"
    "&callback_url=http://127.0.0.1:1&action={event_type}&actor={actor}"
)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, log_lines: list[str]) -> Iterator[Served]:
    """An archive whose studies settle at once."""
    with serving(tmp_path_factory.mktemp("notifying") / "data", settle_after_s=0.05) as served:
        yield served


@pytest.fixture
def inside(quick: Served) -> Iterator[httpx.Client]:
    """A client of the internal listener, without credentials."""
    with httpx.Client(base_url=quick.internal, trust_env=False) as client:
        yield client
        for rule in client.get(f"{API}/notification").json()["result"]:
            assert client.delete(f"{API}/notification/{rule['name']}").status_code == 200


def rule(sink: Sink, method: str = "GET", body: str = "") -> dict[str, str]:
    return {"request_method": method, "request_url": f"{sink.url}/study/notify?{QUERY}", "request_body": body}


def actions(told: list[Told]) -> list[str]:
    return [each.query["action"] for each in told]


def test_rules_are_made_listed_changed_and_removed(inside: httpx.Client) -> None:
    with Sink() as sink:
        for name in ("one", "two"):
            assert inside.put(f"{API}/notification/{name}", json=rule(sink)).status_code == 200
        changed = rule(sink, "POST", "{studyUid}")
        assert inside.put(f"{API}/notification/two", json=changed).status_code == 200
        listed = inside.get(f"{API}/notification").json()["result"]
        assert [each["name"] for each in listed] == ["one", "two"]
        assert listed[1] == {"name": "two", **changed}
        assert inside.delete(f"{API}/notification/two").status_code == 200
        assert inside.delete(f"{API}/notification/two").status_code == 404
        assert [each["name"] for each in inside.get(f"{API}/notification").json()["result"]] == ["one"]


def test_what_happens_to_a_study_is_told_in_order(quick: Served, inside: httpx.Client) -> None:
    study = SampleStudy(seed="told over http", patient=CANARY)
    with Sink() as sink, quick.client("admin") as client:
        inside.put(f"{API}/notification/all", json=rule(sink, "POST", '{"uid": "{study_uid}"}'))
        stored = store(quick, study)
        (upload,) = sink.wait(lambda told: len(told) >= 1)
        assert upload.method == "POST" and json.loads(upload.body) == {"uid": study.uid}
        assert upload.query == {
            "storage_namespace": NAMESPACE,
            "study_uid": study.uid,
            "phi_namespace": NAMESPACE,
            "callback_url": "http://127.0.0.1:1",
            "action": "UPLOAD",
            "actor": "admin",
        }
        order = {"order_id": "1"}
        silent = {"X-Dicomgrid-No-Notification": "1"}
        assert client.put(f"{stored.path}/order/his", json=order, headers=silent).status_code == 200
        assert client.put(f"{stored.path}/order/his", json=order).status_code == 200
        client.post(f"{stored.path}/attachment", files={"data": ("a.pdf", b"%PDF-1.4")})
        client.delete(stored.path)
        told = sink.wait(lambda told: "STUDY_DELETE" in actions(told))
        assert actions(told) == ["UPLOAD", "PHI", "ATTACHMENT", "STUDY_DELETE"]
        assert told[1].query["phi_namespace"] == "his"


def test_only_200_counts_and_the_order_holds(quick: Served, inside: httpx.Client) -> None:
    answers = iter([204, 302])
    study = SampleStudy(seed="retried", patient=CANARY)
    with Sink(lambda told: next(answers, 200)) as sink, quick.client("admin") as client:
        inside.put(f"{API}/notification/all", json=rule(sink))
        stored = store(quick, study)
        sink.wait(lambda told: len(told) >= 1)
        client.delete(stored.path)
        told = sink.wait(lambda told: "STUDY_DELETE" in actions(told), 60)
        assert actions(told) == ["UPLOAD"] * 3 + ["STUDY_DELETE"]
        assert {each.path for each in told} == {"/study/notify"}, "no redirect was followed"


def test_a_scan_announces_what_was_stored(quick: Served, inside: httpx.Client) -> None:
    scanned = store(quick, SampleStudy(seed="scanned", patient=CANARY), NAMESPACE)
    with Sink() as sink, quick.client() as client:
        asked: dict[str, Any] = {**rule(sink), "from_ts": 0, "to_ts": 9999999999999, "namespace": [NAMESPACE]}
        for bounds in ({"from_ts": 5, "to_ts": 4}, {"namespace": ["nobody"]}, {}):
            answer = inside.post(f"{API}/scan", json=asked | bounds)
            assert answer.status_code == 202 and not answer.content
        uid = scanned.study.uid
        told = sink.wait(lambda told: any(each.query["study_uid"] == uid for each in told))
        assert set(actions(told)) == {"NONE"} and told[0].query["actor"] == "system"
        figures = client.get("/metrics").text
        assert "filmjacket_scans_running" in figures and "filmjacket_notifications_dead 0" in figures


def test_what_may_not_be_called_is_a_dead_letter(quick: Served, inside: httpx.Client) -> None:
    template = {"request_method": "GET", "request_url": f"http://{LINK_LOCAL}/latest/meta-data"}
    inside.put(f"{API}/notification/metadata", json=template)
    study = SampleStudy(seed="dead", patient=CANARY)
    with Sink() as sink:
        inside.put(f"{API}/notification/good", json=rule(sink))
        store(quick, study)
        sink.wait(lambda told: bool(told))
        dead: list[dict[str, Any]] = []
        while not dead:
            dead = inside.get(f"{API}/dead-letter").json()["result"]
        assert dead[0]["notification"] == "metadata" and dead[0]["study_uid"] == study.uid
        assert dead[0]["event_type"] == "UPLOAD" and "link-local" in dead[0]["last_error"]
        inside.put(f"{API}/notification/metadata", json=rule(sink, "PUT"))
        assert inside.post(f"{API}/dead-letter/{dead[0]['id']}/resend").status_code == 202
        assert sink.wait(lambda told: len(told) == 2)[1].method == "PUT"
        assert inside.get(f"{API}/dead-letter").json()["result"] == []
        assert inside.post(f"{API}/dead-letter/{dead[0]['id']}/resend").status_code == 404
        assert inside.post(f"{API}/dead-letter/x/resend").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "notification/x", "{"),
        ("PUT", "notification/x", "[]"),
        ("PUT", "notification/x", '{"request_url": "http://{actor}/"}'),
        ("PUT", "notification/scan:1", '{"request_url": "http://localhost/"}'),
        ("PUT", "notification/" + "x" * 300, '{"request_url": "http://localhost/"}'),
        ("POST", "scan", '{"request_url": "http://localhost/"}'),
        ("POST", "scan", '{"request_url": "http://localhost/", "from_ts": "1", "to_ts": 2}'),
        ("POST", "scan", '{"request_url": "http://localhost/", "from_ts": 1, "to_ts": 1e300}'),
        ("POST", "scan", '{"request_url": "http://localhost/", "from_ts": 1, "to_ts": NaN}'),
        ("POST", "scan", '{"request_url": "http://localhost/", "from_ts": 1, "to_ts": 2, "namespace": "a"}'),
        ("POST", "scan", "null"),
    ],
)
def test_bad_input_is_named(inside: httpx.Client, method: str, path: str, body: str) -> None:
    answer = inside.request(method, f"{API}/{path}", content=body)
    assert answer.status_code == 400 and answer.json()["message"]


def test_the_internal_api_is_inside_only(quick: Served, inside: httpx.Client) -> None:
    with quick.client() as client:
        assert client.get(f"{API}/notification").status_code == 404
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert inside.get(f"{API}/notification", headers=headers).status_code == 403


def test_a_caller_can_have_nobody_told(quick: Served, inside: httpx.Client) -> None:
    """Every route that would notify heeds the header; a loud upload afterwards shows that nothing came."""
    study = SampleStudy(seed="silent", patient=CANARY)
    files = list(objects(study).values())
    storage = "/api/v3/storage"
    with Sink() as sink, quick.client() as client:
        inside.put(f"{API}/notification/all", json=rule(sink))
        client.headers["X-Dicomgrid-No-Notification"] = "1"
        answers = [client.post(f"{storage}/namespace/{NAMESPACE}/image", content=data) for data in files[:2]]
        path = f"{storage}/study/{NAMESPACE}/{study.uid}"
        upload = client.get(f"{storage}/multipart/initiate").json()["upload_uuid"]
        part = {"X-AmbraHealth-part-checksum": str(crc32(files[2])), "X-File-Size": str(len(files[2]))}
        client.post(
            f"{storage}/multipart/{upload}", content=files[2], headers={**part, "X-File-Name": "00000"}
        )
        answers.append(
            client.post(
                f"{storage}/multipart/{upload}/complete",
                params={"namespace": NAMESPACE},
                headers={"X-File-Size": str(len(files[2]))},
            )
        )
        related = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=xyz'}
        together = f"/api/desktop/v1/namespaces/{NAMESPACE}/images"
        for number, address in enumerate((together, f"{storage}/dicomweb/{NAMESPACE}/studies"), 11):
            image = part10(ct_slice(study, instance=number))
            body = b"--xyz\r\n\r\n" + image + b"\r\n--xyz--"
            answers.append(client.post(address, content=body, headers=related))
        pdf = pdf_report(["Silent"])
        tags = json.dumps({"(0020,000D)": study.uid})
        answers.append(
            client.post(
                f"{storage}/namespace/{NAMESPACE}/wrap",
                files={"file": ("a.pdf", pdf)},
                data={"tags": tags},
                headers={"X-File-Size": str(len(pdf))},
            )
        )
        attached = client.post(
            f"{path}/attachment", params={"wrap_images": 1}, files={"data": ("a.pdf", pdf)}
        )
        kept = attached.json()
        version = f"{path}/attachment/{kept['attachment_guid']}/version/{kept['attachment_version']}"
        answers += [attached, client.post(f"{version}/image"), client.delete(version)]
        copies = [
            client.post(f"{path}/clone"),
            client.post(f"{path}/split"),
            client.post(f"{path}/anonymize"),
        ]
        others = [copy.text for copy in copies]
        answers += copies
        answers.append(client.get(f"{path}/merge", params={"secondary_study_uid": others[0]}))
        uid = answers[0].json()["image_uid"]
        answers.append(client.delete(f"{path}/image/{uid}"))
        answers.append(client.request("DELETE", f"{path}/images", content=answers[1].json()["image_uid"]))
        answers.append(client.delete(path))
        answers += [client.delete(f"{storage}/study/{NAMESPACE}/{other}") for other in others]
        assert [answer.status_code for answer in answers if answer.status_code not in (200, 202)] == []
        loud = store(quick, SampleStudy(seed="loud", patient=CANARY))
        told = sink.wait(lambda told: bool(told))
        client.headers["X-Dicomgrid-No-Notification"] = "0"
        client.delete(loud.path)
        told = sink.wait(lambda told: "STUDY_DELETE" in actions(told))
    assert [(each.query["action"], each.query["study_uid"]) for each in told] == [
        ("UPLOAD", loud.study.uid),
        ("STUDY_DELETE", loud.study.uid),
    ]
