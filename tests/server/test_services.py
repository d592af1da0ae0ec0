"""The services beside V3 storage: records of studies, their address, jobs, and the channel of events."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from socket import create_connection
from typing import Any

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, PASSWORDS, Served, error_of, serving, store
from tests.web_socket import WebSocket

API = "/api/v3"
CHANNEL = f"{API}/channel/websocket"
STORAGE = f"{API}/storage"


class Client:
    """Calls the services as the vendor's client does: POST, the sid in the form."""

    def __init__(self, served: Served, login: str = "admin") -> None:
        self._http = served.anonymous()
        form = {"login": login, "password": PASSWORDS[login]}
        self.sid: str = self._http.post(f"{API}/session/login", data=form).json()["sid"]
        self._http.cookies.clear()

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """The answer, whatever it is."""
        return self._http.post(f"{API}/{path}", data={"sid": self.sid, **fields})

    def ok(self, path: str, **fields: Any) -> dict[str, Any]:
        """The answer, which must be one."""
        answer = self.post(path, **fields)
        document: dict[str, Any] = answer.json()
        assert answer.status_code == 200 and document.pop("status") == "OK", document
        return document

    def refused(self, path: str, **fields: Any) -> tuple[str, Any]:
        """Type and subtype of the error, which must be one."""
        answer = self.post(path, **fields)
        assert answer.status_code == 412 and error_of(answer)["status"] == "ERROR", answer.text
        return answer.json()["error_type"], answer.json().get("error_subtype")

    def upload(self, study: SampleStudy, namespace: str = NAMESPACE) -> None:
        """One image of a study."""
        path = f"{STORAGE}/namespace/{namespace}/image"
        stored = self._http.post(path, content=part10(ct_slice(study)), params={"sid": self.sid})
        assert stored.status_code == 200

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, log_lines: list[str]) -> Iterator[Served]:
    """An archive whose studies settle soon."""
    with serving(tmp_path_factory.mktemp("services") / "data", settle_after_s=0.3) as served:
        yield served


@pytest.fixture
def client(quick: Served) -> Iterator[Client]:
    found = Client(quick)
    yield found
    found.close()


def test_a_study_is_announced_uploaded_and_ready(quick: Served, client: Client) -> None:
    study = SampleStudy(seed="announced", patient=CANARY)
    said = {"patient_name": "WILL^COME", "study_date": "20240102"}
    place = {"study_uid": study.uid, "storage_namespace": NAMESPACE}
    added = client.ok("study/add", **place, phi_namespace=NAMESPACE, **said)
    assert added["phantom"] == 1 and added["patient_name"] == "WILL^COME" and added["image_count"] == 0
    assert added["engine_fqdn"] == f"127.0.0.1:{quick.port}" and str(uuid.UUID(added["uuid"]))
    assert client.ok("study/add", **place, **said)["uuid"] == added["uuid"], "an upload may begin again"
    assert client.ok("study/get", uuid=added["uuid"])["phantom"] == 1
    channel = f"study.{NAMESPACE}"
    with WebSocket(quick.port, CHANNEL) as socket:
        ready = {"status": "OK", "channel": channel}
        assert socket.ask({"action": "subscribe", "channel": channel, "sid": client.sid}) == ready
        client.upload(study)
        told = socket.hear()
        assert told["event"] == "READY" and told["channel"] == channel and told["study_uid"] == study.uid
        assert told["sid_md5"] == hashlib.md5(client.sid.encode()).hexdigest()  # noqa: S324 # the API's choice
        assert told["uuid"] == added["uuid"]
        found = client.ok("study/get", **place)
        assert found["phantom"] == 0 and found["patient_name"] == CANARY.name and found["image_count"] == 1
        assert client.ok("study/sync", uuid=added["uuid"], image_count=7)["image_count"] == 1
        with quick.client() as http:
            path = f"{STORAGE}/study/{NAMESPACE}/{study.uid}"
            http.post(f"{path}/attachment", files={"data": ("a.txt", b"text")})
        assert socket.hear()["event"] == "EDIT"
        assert client.ok("study/get", **place)["phantom"] == 0, "a change makes no phantom of it"
        assert socket.ask({"action": "unsubscribe", "channel": channel, "sid": "not needed"}) == ready
        assert socket.ask({"action": "ping"})["status"] == "OK"
    exists = client.post("study/add", **place).json()
    assert exists["error_type"] == "ALREADY_EXISTS" and exists["error_subtype"] == added["uuid"]
    assert exists["error_data"]["study_uid"] == study.uid
    client.ok("study/delete", uuid=added["uuid"])
    assert client.refused("study/get", **place) == client.refused("study/get", uuid=added["uuid"])
    again = client.ok("study/add", **place)
    assert again["phantom"] == 1 and again["uuid"] != added["uuid"], "another study, as far as anybody knows"
    client.ok("study/delete", **place)
    assert client.refused("study/get", **place) == ("NOT_FOUND", "study")


def test_a_study_deleted_in_the_storage_is_no_phantom(quick: Served, client: Client) -> None:
    study = SampleStudy(seed="deleted elsewhere", patient=CANARY)
    place = {"study_uid": study.uid, "storage_namespace": NAMESPACE}
    name = client.ok("study/add", **place)["uuid"]
    client.upload(study)
    with quick.client() as http:
        assert http.delete(f"{STORAGE}/study/{NAMESPACE}/{study.uid}").status_code == 202
    assert client.refused("study/get", uuid=name)[0] == "NOT_FOUND"
    assert client.ok("study/list", **{"filter.study_uid.equals": study.uid})["studies"] == []


def test_a_study_that_was_not_announced_has_a_uuid_too(quick: Served, client: Client) -> None:
    stored = store(quick, SampleStudy(seed="unannounced", patient=CANARY))
    found = client.ok("study/get", study_uid=stored.study.uid, storage_namespace=NAMESPACE)
    assert client.ok("study/get", uuid=found["uuid"])["study_uid"] == stored.study.uid
    assert client.ok("study/get", uuid=found["uuid"].upper())["uuid"] == found["uuid"]
    near = uuid.UUID(int=uuid.UUID(found["uuid"]).int ^ 1)
    assert client.refused("study/get", uuid=str(near))[0] == "NOT_FOUND", "a number alone names no study"
    only = client.ok("study/get", uuid=found["uuid"], **{"fields._top": '["uuid", "modality"]'})
    assert only == {"uuid": found["uuid"], "modality": "CT,US,XC"} or set(only) == {"uuid", "modality"}


def test_lists_are_filtered_sorted_and_paged(quick: Served, client: Client) -> None:
    for number in range(5):
        client.upload(
            SampleStudy(seed=f"listed {number}", patient=CANARY, description=f"LIST {number}"), "lists"
        )
    client.ok("study/add", study_uid="1.2.3.4", storage_namespace="lists", study_description="LIST 9")
    mine = {"filter.storage_namespace.equals": "lists"}

    def texts(**more: Any) -> list[str]:
        found = client.ok("study/list", **mine, **more)["studies"]
        return [row["study_description"] for row in found]

    sort = {"sort_by": "study_description-desc"}
    assert texts(**sort) == [f"LIST {n}" for n in (9, 4, 3, 2, 1, 0)]
    first = client.ok("study/list", **mine, **sort, **{"page.rows": 4, "page.number": 1})
    last = client.ok("study/list", **mine, **sort, **{"page.rows": 4, "page.number": 2})
    assert [len(page["studies"]) for page in (first, last)] == [4, 2]
    assert first["page"] == {"number": 1, "rows": 4, "more": 1} and last["page"]["more"] == 0
    wanted = json.dumps(["LIST 1", "LIST 3", "LIST 9"])
    for condition, expected in (
        ({"filter.study_description.like": "list 2"}, ["LIST 2"]),
        ({"filter.study_description.in": wanted}, ["LIST 9", "LIST 3", "LIST 1"]),
        ({"filter.study_description.gt": "LIST 3"}, ["LIST 9", "LIST 4"]),
        ({"filter.study_description.le": "LIST 0"}, ["LIST 0"]),
        ({"filter.study_description.not_equals": "LIST 0"}, [f"LIST {n}" for n in (9, 4, 3, 2, 1)]),
        ({"filter.image_count.equals": "0"}, ["LIST 9"]),
        ({"filter.accession_number.equals_or_null": "?", "filter.image_count.ge": "0"}, None),
        (
            {"filter.created.gt": "2001-01-01 00:00:00", "filter.tz": "-04:00"},
            [f"LIST {n}" for n in (9, 4, 3, 2, 1, 0)],
        ),
        ({"filter.created.lt": "2001-01-01"}, []),
        ({"filter.uuid.equals": "nonsense"}, []),
    ):
        found = texts(**sort, **condition)
        assert expected is None or found == expected, condition


@pytest.mark.parametrize(
    ("path", "fields", "error"),
    [
        ("study/add", {}, ("MISSING_FIELDS", ["study_uid", "storage_namespace"])),
        ("study/add", {"study_uid": "no uid", "storage_namespace": "a"}, ("INVALID_FIELD", "study_uid")),
        (
            "study/add",
            {"study_uid": "1.2", "storage_namespace": "../x"},
            ("NAMESPACE_NOT_FOUND", "storage_namespace"),
        ),
        ("study/get", {}, ("MISSING_FIELDS", ["study_uid"])),
        ("study/get", {"study_uid": "1.2"}, ("MISSING_FIELDS", ["storage_namespace"])),
        ("study/get", {"study_uid": "1.2", "storage_namespace": NAMESPACE}, ("NOT_FOUND", "study")),
        ("study/get", {"uuid": "x"}, ("NOT_FOUND", "study")),
        ("study/sync", {"uuid": str(uuid.uuid4())}, ("NOT_FOUND", "study")),
        ("study/delete", {"uuid": "00000000-0001-8000-8000-000000000000"}, ("NOT_FOUND", "study")),
        ("study/list", {"page.rows": "0"}, ("INVALID_INTEGER", "page.rows")),
        ("study/list", {"page.rows": "1001"}, ("INVALID_INTEGER", "page.rows")),
        ("study/list", {"page.number": "-1"}, ("INVALID_INTEGER", "page.number")),
        ("study/list", {"sort_by": "nothing-asc"}, ("INVALID_SORT_FIELD", "nothing")),
        ("study/list", {"sort_by": "created-up"}, ("INVALID_SORT_ORDER", "created")),
        ("study/list", {"filter.nothing.equals": "1"}, ("INVALID_FIELD", "filter.nothing.equals")),
        ("study/list", {"filter.created": "1"}, ("INVALID_FIELD", "filter.created")),
        ("study/list", {"filter.created.is": "1"}, ("INVALID_CONDITION", "filter.created.is")),
        ("study/list", {"filter.created.gt": "now"}, ("INVALID_CONDITION", "filter.created.gt")),
        ("study/list", {"filter.created.gt": "2001-02-31"}, ("INVALID_CONDITION", "filter.created.gt")),
        ("study/list", {"filter.size.gt": "big"}, ("INVALID_CONDITION", "filter.size.gt")),
        ("study/list", {"filter.uuid.in": "[1]"}, ("INVALID_FIELD", "filter.uuid.in")),
        ("study/list", {"filter.uuid.in": "[]"}, None),
        ("study/list", {"filter.tz": "east"}, ("INVALID_CONDITION", "filter.tz")),
        ("study/list", {"fields": "{"}, ("INVALID_FIELD", "fields")),
        ("job/get", {}, ("MISSING_FIELDS", ["id"])),
        ("job/get", {"id": "unknown"}, ("NOT_FOUND", "job")),
        ("namespace/engine/fqdn", {}, ("MISSING_FIELDS", ["namespace_id"])),
    ],
)  # fmt: skip
def test_refusals_name_what_is_wrong(client: Client, path: str, fields: dict[str, str], error: Any) -> None:
    if error is None:
        assert client.ok(path, **fields)["studies"] == []
    else:
        assert client.refused(path, **fields) == error


def test_who_may_use_the_services(quick: Served, client: Client) -> None:
    stored = store(quick, SampleStudy(seed="whose", patient=CANARY), "elsewhere")
    place = {"study_uid": stored.study.uid, "storage_namespace": "elsewhere"}
    name = client.ok("study/get", **place)["uuid"]
    limited, viewer = Client(quick, "limited"), Client(quick, "viewer")
    for fields in (place, {"uuid": name}):
        for path in ("study/get", "study/sync", "study/delete"):
            assert limited.refused(path, **fields)[0] == "NOT_PERMITTED", (path, fields)
        for path in ("study/sync", "study/delete"):
            assert viewer.refused(path, **fields)[0] == "NOT_PERMITTED"
    assert limited.refused("study/add", **place)[0] == "NOT_PERMITTED"
    assert viewer.refused("study/add", study_uid="1.2.9", storage_namespace=NAMESPACE)[0] == "NOT_PERMITTED"
    assert {row["storage_namespace"] for row in limited.ok("study/list")["studies"]} <= {NAMESPACE}
    with quick.anonymous() as http:
        for path in ("study/get", "study/list", "study/add", "job/get"):
            refused = http.post(f"{API}/{path}", data={"sid": "dead"})
            assert refused.status_code == 401 and refused.json()["status"] == "ERROR"
            assert http.get(f"{API}/{path}").status_code == 405
        where = http.post(f"{API}/namespace/engine/fqdn", data={"namespace_id": "any"})
        assert where.json() == {"status": "OK", "engine_fqdn": f"127.0.0.1:{quick.port}"}
        lone = http.post(f"{API}/study/get", content=b'{"sid": "\\ud800"}')
        assert lone.status_code == 400
    limited.close()
    viewer.close()


def test_a_job_is_done_when_it_is_answered(quick: Served, client: Client) -> None:
    stored = store(quick, SampleStudy(seed="a job", patient=CANARY))
    with quick.client() as http:
        for name, path, state in (("good", "clone", "DONE"), ("bad", "crop", "ERROR")):
            http.post(f"{stored.path}/{path}", headers={"X-AmbraHealth-Job-Id": name})
            assert client.ok("job/get", id=name) == {"id": name, "state": state}
    other = Client(quick, "staff")
    assert other.refused("job/get", id="good")[0] == "NOT_FOUND", "a job is its caller's own"
    other.close()


def test_the_channel_is_for_those_who_may(quick: Served, client: Client) -> None:
    limited = Client(quick, "limited")
    with WebSocket(quick.port, CHANNEL + "/") as socket:
        for said, error in (
            ("no json", "INVALID_JSON"),
            ([1], "INVALID_JSON"),
            ({"action": "subscribe", "channel": 7, "sid": ""}, "INVALID_CHANNEL"),
            ({"action": "subscribe", "channel": "news.x", "sid": client.sid}, "INVALID_CHANNEL"),
            ({"action": "dance", "channel": "study.x", "sid": client.sid}, "INVALID_ACTION"),
            ({"action": "subscribe", "channel": "study.x", "sid": "dead"}, "AUTHORIZATION_REQUIRED"),
            ({"action": "subscribe", "channel": "study.x", "sid": limited.sid}, "NOT_PERMITTED"),
        ):
            assert socket.ask(said)["error_type"] == error, said
        channel = f"study.{NAMESPACE}"
        for who in (limited, client):
            assert socket.ask({"action": "subscribe", "channel": channel, "sid": who.sid})["status"] == "OK"
        client.post("session/logout")
        limited.upload(SampleStudy(seed="unheard", patient=CANARY))
        assert socket.hear() == {
            "status": "ERROR",
            "error_type": "AUTHORIZATION_REQUIRED",
            "channel": channel,
        }
        socket.say("x" * (80 << 10))
        with pytest.raises(ConnectionError):
            socket.hear()
    limited.close()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (CHANNEL, {"Origin": "https://evil.example"}),
        (CHANNEL, {"Sec-Fetch-Site": "cross-site"}),
        (f"{API}/channel/other", {}),
        ("/healthz", {}),
    ],
)
def test_no_other_socket_opens(quick: Served, path: str, headers: dict[str, str]) -> None:
    with WebSocket(quick.port, path, headers) as socket:
        assert not socket.accepted
    with quick.anonymous() as http:
        assert http.get(CHANNEL).status_code in (401, 404)
        assert http.get("/healthz").status_code == 200


def test_a_socket_opens_on_a_connection_that_served_before(quick: Served) -> None:
    """A client may ask for the upgrade on a connection it has used."""
    host = f"Host: 127.0.0.1:{quick.port}"
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    with create_connection(("127.0.0.1", quick.port), timeout=20) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\n{host}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        connection.sendall(f"GET {CHANNEL} HTTP/1.1\r\n{host}\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 101")
