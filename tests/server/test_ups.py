"""UPS-RS over sockets: the same items as the DICOM Service's, by the rules of PS3.18 chapter 11."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest

from core.dicom.uids import is_uid
from core.worklist.watching import Watching
from tests.core.test_worklist_states import LOCK, OTHER, PERFORMED
from tests.guards import CANARY
from tests.server.conftest import PASSWORDS, Served, error_of
from tests.server.test_workitems import NEEDED
from tests.web_socket import WebSocket

BASES = ("/dicom-web", "/dcm4chee-arc/aets/FILMJACKET/rs")
ITEMS = "/dicom-web/workitems"
JSON = {"content-type": "application/dicom+json"}


def step(**more: Any) -> dict[str, Any]:
    """A new step in the DICOM JSON model; *more* by tag, with a _ before it."""
    model: dict[str, Any] = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": CANARY.name}]},
        "00100020": {"vr": "LO", "Value": [CANARY.patient_id]},
        "00404005": {"vr": "DT", "Value": ["20260203101500"]},
        "00404041": {"vr": "CS", "Value": ["READY"]},
        "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
        "00741200": {"vr": "CS", "Value": ["HIGH"]},
        "00741202": {"vr": "LO", "Value": ["Reading room"]},
        "00741204": {"vr": "LO", "Value": ["Read the chest"]},
    }
    return model | {name.removeprefix("_"): value for name, value in more.items()}


def made(client: httpx.Client, uid: str = "", base: str = "/dicom-web", **more: Any) -> str:
    """The UID of a new step."""
    query = {"workitem": uid} if uid else {}
    answer = client.post(f"{base}/workitems", params=query, json=[step(**more)], headers=JSON)
    assert answer.status_code == 201 and not answer.content, answer.text
    location: str = answer.headers["location"]
    assert location.startswith(str(client.base_url).rstrip("/") + base + "/workitems/")
    return location.rpartition("/")[2]


def state(client: httpx.Client, uid: str, wanted: str, lock: str = LOCK) -> httpx.Response:
    body = [{"00081195": {"vr": "UI", "Value": [lock]}, "00741000": {"vr": "CS", "Value": [wanted]}}]
    return client.put(f"{ITEMS}/{uid}/state", json=body, headers=JSON)


def seen(client: httpx.Client, uid: str, base: str = "/dicom-web") -> dict[str, Any]:
    answer = client.get(f"{base}/workitems/{uid}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom+json"
    (model,) = answer.json()
    return model  # type: ignore[no-any-return]


@pytest.mark.parametrize("base", BASES)
def test_a_step_is_made_and_read_back(served: Served, base: str) -> None:
    with served.client() as client:
        uid = made(client, base=base)
        assert is_uid(uid)
        model = seen(client, uid, base)
        for tag, element in step().items():
            assert model[tag] == element
        assert model["00080018"]["Value"] == [uid]
        assert model["00080016"]["Value"] == ["1.2.840.10008.5.1.4.34.6.1"]
        assert "00081195" not in model and list(model) == sorted(model)
        assert client.head(f"{base}/workitems/{uid}").status_code == 200


@pytest.mark.parametrize("how", ["workitem=1.2.9.1", "AffectedSOPInstanceUID=1.2.9.2", "1.2.9.3"])
def test_a_step_gets_the_uid_it_is_to_have_once(served: Served, how: str) -> None:
    address = f"{ITEMS}?{how}"
    with served.client() as client:
        first = client.post(address, json=step(), headers=JSON)
        assert first.status_code == 201 and first.headers["location"].endswith("/" + how.rpartition("=")[2])
        assert client.post(address, json=[step()], headers=JSON).status_code == 409


@pytest.mark.parametrize("tag", ["00404005", "00404041", "00741000", "00741200", "00741204"])
def test_what_must_be_there_is_named(served: Served, tag: str) -> None:
    model = {name: element for name, element in step().items() if name != tag}
    with served.client() as client:
        answer = client.post(ITEMS, json=[model], headers=JSON)
        assert answer.status_code == 400 and tag in error_of(answer)["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"[{}, {}]", b"null", b"{", b'["x"]', b'{"00741204": 5}',
        json.dumps([step(_00741000={"vr": "CS", "Value": ["IN PROGRESS"]})]).encode(),
        json.dumps([step(_00741200={"vr": "CS", "Value": ["URGENT"]})]).encode(),
        json.dumps([step(_00081195={"vr": "UI", "Value": ["1.2"]})]).encode(),
        json.dumps([step(nonsense={"vr": "LO", "Value": ["x"]})]).encode(),
        json.dumps([step(_00404005={"vr": "DT", "Value": {"a": 1}})]).encode(),
    ],
)  # fmt: skip
def test_a_body_that_is_no_new_step(served: Served, body: bytes) -> None:
    with served.client() as client:
        assert client.post(ITEMS, content=body, headers=JSON).status_code == 400
        assert client.post(f"{ITEMS}?workitem=x", json=step(), headers=JSON).status_code == 400


def test_a_step_in_xml(served: Served) -> None:
    with served.client() as client:
        uid = made(client)
        parts = client.get(
            f"{ITEMS}/{uid}", headers={"accept": 'multipart/related; type="application/dicom+xml"'}
        )
        assert parts.status_code == 200 and b"NativeDicomModel" in parts.content
        attributes = "".join(
            f'<DicomAttribute tag="{tag}" vr="{element["vr"]}">'
            f'<Value number="1">{element["Value"][0]}</Value></DicomAttribute>'
            for tag, element in step().items()
            if element["vr"] != "PN"
        )
        document = f"<NativeDicomModel>{attributes}</NativeDicomModel>"
        answer = client.post(ITEMS, content=document, headers={"content-type": "application/dicom+xml"})
        assert answer.status_code == 201


def test_from_scheduled_to_completed(served: Served) -> None:
    with served.client("modality") as client:
        uid = made(client)
        assert state(client, uid, "COMPLETED").status_code == 409
        assert state(client, uid, "IN PROGRESS", "").status_code == 400
        assert state(client, uid, "SOMETHING").status_code == 400
        assert state(client, uid, "SCHEDULED").status_code == 409
        assert state(client, uid, "IN PROGRESS").status_code == 200
        assert state(client, uid, "IN PROGRESS").status_code == 409
        assert state(client, uid, "COMPLETED", OTHER).status_code == 409
        assert state(client, uid, "COMPLETED").status_code == 409  # it does not say yet what was done
        label = {"00741204": {"vr": "LO", "Value": ["Read again"]}}
        assert client.post(f"{ITEMS}/{uid}", json=[label | PERFORMED]).status_code == 409
        for how in (f"?transaction-uid={LOCK}", f"?{LOCK}"):
            assert (
                client.post(f"{ITEMS}/{uid}{how}", json=[label | PERFORMED], headers=JSON).status_code == 200
            )
        model = seen(client, uid)
        assert model["00741204"]["Value"] == ["Read again"] and model["00741216"] == PERFORMED["00741216"]
        assert model["00741000"]["Value"] == ["IN PROGRESS"] and LOCK not in json.dumps(model)
        assert state(client, uid, "COMPLETED").status_code == 200
        again = state(client, uid, "COMPLETED")
        assert again.status_code == 200 and "already" in again.headers["warning"]
        assert client.post(f"{ITEMS}/{uid}?{LOCK}", json=[label]).status_code == 409
        assert client.post(f"{ITEMS}/{uid}/cancelrequest").status_code == 409
        assert seen(client, uid)["00741000"]["Value"] == ["COMPLETED"]


def test_cancellation(served: Served) -> None:
    reason = [{"00741238": {"vr": "LT", "Value": ["patient left"]}}]
    with served.client() as client:
        uid = made(client)
        assert client.post(f"{ITEMS}/{uid}/cancelrequest", json=reason, headers=JSON).status_code == 202
        model = seen(client, uid)
        assert model["00741000"]["Value"] == ["CANCELED"]
        (progress,) = model["00741002"]["Value"]
        assert progress["00741238"]["Value"] == ["patient left"] and progress["00404052"]["Value"]
        again = client.post(f"{ITEMS}/{uid}/cancelrequest")
        assert again.status_code == 202 and "already" in again.headers["warning"]
        begun = made(client)
        state(client, begun, "IN PROGRESS")
        assert client.post(f"{ITEMS}/{begun}/cancelrequest").status_code == 202
        assert seen(client, begun)["00741000"]["Value"] == ["IN PROGRESS"]
        assert state(client, begun, "CANCELED").status_code == 200


def test_the_state_is_not_set_by_an_update_and_what_is_unknown_is_404(served: Served) -> None:
    with served.client() as client:
        uid = made(client)
        wrong = [{"00741000": {"vr": "CS", "Value": ["COMPLETED"]}}]
        assert client.post(f"{ITEMS}/{uid}", json=wrong).status_code == 400
        label = [{"00741204": {"vr": "LO", "Value": ["x"]}}]
        assert client.post(f"{ITEMS}/{uid}", json=label).status_code == 200
        for path in ("1.2.3.4.5", "x", "%27%20OR%201=1"):
            assert client.get(f"{ITEMS}/{path}").status_code == 404
            assert client.post(f"{ITEMS}/{path}", json=label).status_code == 404
            assert state(client, path, "IN PROGRESS").status_code == 404
            assert client.post(f"{ITEMS}/{path}/cancelrequest").status_code == 404
        assert client.get("/dcm4chee-arc/aets/NOBODY/rs/workitems").status_code == 404


def test_search(served: Served) -> None:
    with served.client() as client:
        room = {"vr": "LO", "Value": ["Search room"]}
        uids = [
            made(client, _00741202=room, _00404005={"vr": "DT", "Value": [f"2026040{day}080000"]})
            for day in (3, 1, 2)
        ]

        def found(**query: str) -> list[str]:
            answer = client.get(ITEMS, params={"WorklistLabel": "Search room"} | query)
            if answer.status_code == 204:
                return []
            return [model["00080018"]["Value"][0] for model in answer.json()]

        assert found() == [uids[1], uids[2], uids[0]]
        assert found(ScheduledProcedureStepStartDateTime="20260402-20260403") == [uids[2], uids[0]]
        assert found(PatientName=CANARY.name.upper().replace("^^DR.", "*")) == [uids[1], uids[2], uids[0]]
        assert found(**{"00100020": CANARY.patient_id, "limit": "1", "offset": "1"}) == [uids[2]]
        assert found(PatientID="' OR '1'='1") == found(ProcedureStepState="COMPLETED") == []
        assert found(SOPInstanceUID=uids[0]) == [uids[0]]
        more = client.get(ITEMS, params={"WorklistLabel": "Search room", "limit": "2"})
        assert "additional results" in more.headers["warning"]
        assert client.get(ITEMS, params={"ScheduledProcedureStepStartDateTime": "x"}).status_code == 400


def test_a_modality_may_read_its_worklist_over_the_web(served: Served) -> None:
    with served.client() as client:
        asked = NEEDED | {"PatientID": "MWL", "StudyInstanceUID": "1.2.77.9"}
        assert client.post("/workitems", json=asked).status_code == 200
        for base in ("/dicom-web", "/dcm4chee-arc/aets/FILMJACKET/rs"):
            step = {"ScheduledProcedureStepSequence.ScheduledProcedureStepStartDate": "20000101-20000101"}
            (model,) = client.get(f"{base}/mwlitems", params={"PatientID": "MWL"} | step).json()
            assert model["0020000D"]["Value"] == ["1.2.77.9"] and model["00400100"]["Value"]
            assert client.get(f"{base}/mwlitems/count?PatientID=MWL").json() == {"count": 1}
            step = {"00400100.00400002": "20000102-"}
            assert client.get(f"{base}/mwlitems", params={"PatientID": "MWL"} | step).status_code == 204
        assert client.get("/dicom-web/mwlitems?Nonsense=1&strict=true").status_code == 400
        assert client.get("/dcm4chee-arc/aets/NOBODY/rs/mwlitems").status_code == 404


def test_the_items_are_those_of_the_dicom_service(served: Served) -> None:
    with served.client() as client:
        posted = client.post(
            "/workitems", json=NEEDED | {"PatientID": "BOTH", "StudyInstanceUID": "1.2.77.1"}
        )
        uid = posted.json()["WorkitemUID"]
        model = seen(client, uid)
        assert model["00741204"]["Value"] == ["Tac"] and model["00404005"]["Value"] == ["20000101120000"]
        (request,) = model["0040A370"]["Value"]
        assert request["0020000D"]["Value"] == ["1.2.77.1"]
        query = {"ReferencedRequestSequence.StudyInstanceUID": "1.2.77.1"}
        assert [m["00080018"]["Value"] for m in client.get(ITEMS, params=query).json()] == [[uid]]
        (listed,) = client.get("/workitems", params={"patientID": "BOTH"}).json()
        assert listed["0020000D"]["Value"] == ["1.2.77.1"]
        label = [{"00741204": {"vr": "LO", "Value": ["Changed"]}}]
        assert client.post(f"{ITEMS}/{uid}", json=label).status_code == 200
        (listed,) = client.get("/workitems", params={"patientID": "BOTH"}).json()
        assert listed["00400100"]["Value"][0]["00400007"]["Value"] == ["Changed"]
        assert client.post(f"{ITEMS}/{uid}/cancelrequest").status_code == 202
        assert client.get("/workitems", params={"patientID": "BOTH"}).json() == []
        assert client.delete("/workitems/1.2.77.1").status_code == 204
        assert client.get(f"{ITEMS}/{uid}").status_code == 404


def test_who_may(served: Served) -> None:
    with served.client() as client:
        uid = made(client)
    with served.client("viewer") as client:
        assert client.get(f"{ITEMS}/{uid}").status_code == 200
        assert client.post(ITEMS, json=step()).status_code == 403
        assert client.post(f"{ITEMS}/{uid}", json=[{"00741204": {"vr": "LO"}}]).status_code == 403
        assert state(client, uid, "IN PROGRESS").status_code == 403
        assert client.post(f"{ITEMS}/{uid}/cancelrequest").status_code == 403
    with served.client("limited") as client:
        assert client.get(f"{ITEMS}/{uid}").status_code == 403
    with served.anonymous() as client:
        assert client.get(ITEMS).status_code == 401


def socket(served: Served, title: str, login: str = "viewer") -> WebSocket:
    basic = base64.b64encode(f"{login}:{PASSWORDS[login]}".encode()).decode()
    return WebSocket(served.port, f"/dicom-web/subscribers/{title}", {"Authorization": f"Basic {basic}"})


def test_a_subscriber_hears_of_its_step(served: Served) -> None:
    with served.client() as client, socket(served, "WATCHER") as channel:
        assert channel.accepted
        uid, other = made(client), made(client)
        answer = client.post(f"{ITEMS}/{uid}/subscribers/WATCHER?deletionlock=true")
        assert answer.status_code == 201
        assert (
            answer.headers["content-location"]
            == f"ws://127.0.0.1:{served.port}/dicom-web/subscribers/WATCHER"
        )
        first = channel.hear()
        assert first["00001000"]["Value"] == [uid] and first["00001002"]["Value"] == [1]
        assert first["00741000"]["Value"] == ["SCHEDULED"]
        assert state(client, other, "IN PROGRESS").status_code == 200
        assert state(client, uid, "IN PROGRESS").status_code == 200
        second = channel.hear()
        assert (second["00001000"]["Value"], second["00741000"]["Value"]) == ([uid], ["IN PROGRESS"])
        client.post(f"{ITEMS}/{uid}/cancelrequest")
        asked = channel.hear()
        assert (asked["00001000"]["Value"], asked["00001002"]["Value"]) == ([uid], [2])
        assert client.delete(f"{ITEMS}/{uid}/subscribers/WATCHER").status_code == 200
        assert state(client, uid, "CANCELED").status_code == 200
        client.post(f"{ITEMS}/{other}/subscribers/WATCHER")
        assert channel.hear()["00001000"]["Value"] == [other]


def test_global_and_filtered_subscriptions(served: Served) -> None:
    everything = f"{ITEMS}/1.2.840.10008.5.1.4.34.5/subscribers/GLOBAL"
    some = f"{ITEMS}/1.2.840.10008.5.1.4.34.5.1/subscribers/SOME"
    with served.client() as client, socket(served, "GLOBAL") as all_of, socket(served, "SOME") as some_of:
        assert client.post(everything).status_code == 201
        assert client.post(some).status_code == 400
        assert client.post(f"{some}?WorklistLabel=Wanted").status_code == 201
        plain = made(client)
        wanted = made(client, _00741202={"vr": "LO", "Value": ["Wanted"]})
        assert [all_of.hear()["00001000"]["Value"][0] for _ in range(2)] == [plain, wanted]
        assert some_of.hear()["00001000"]["Value"] == [wanted]
        assert client.post(f"{everything}/suspend").status_code == 200
        later = made(client)
        state(client, plain, "IN PROGRESS")
        assert all_of.hear()["00001000"]["Value"] == [plain]
        assert client.delete(f"{ITEMS}/{plain}/subscribers/GLOBAL").status_code == 200
        state(client, plain, "CANCELED")
        state(client, wanted, "IN PROGRESS")
        assert all_of.hear()["00001000"]["Value"] == [wanted]
        assert client.delete(everything).status_code == 200
        assert client.post(f"{ITEMS}/{later}/subscribers/GLOBAL/suspend").status_code == 400


def test_events_come_in_the_order_they_happened(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up, slow = Watching.of, [0.5]

    def of(self: Watching, *asked: Any) -> Any:
        found = looked_up(self, *asked)
        time.sleep(slow.pop() if slow else 0)  # the first look-up is overtaken by the second, if it can be
        return found

    with served.client() as client, socket(served, "IN-ORDER") as channel:
        uid = made(client)
        client.post(f"{ITEMS}/{uid}/subscribers/IN-ORDER")
        assert channel.hear()["00741000"]["Value"] == ["SCHEDULED"]
        monkeypatch.setattr(Watching, "of", of)
        assert state(client, uid, "IN PROGRESS").status_code == 200
        assert state(client, uid, "CANCELED").status_code == 200
        told = [channel.hear()["00741000"]["Value"] for _ in range(2)]
        assert told == [["IN PROGRESS"], ["CANCELED"]]


def test_who_may_listen(served: Served) -> None:
    with WebSocket(served.port, "/dicom-web/subscribers/X") as channel:
        assert not channel.accepted
    with socket(served, "X", "limited") as channel:
        assert not channel.accepted
    with served.client() as client:
        assert client.post(f"{ITEMS}/1.2.3/subscribers/X").status_code == 404
        uid = made(client)
        assert client.post(f"{ITEMS}/{uid}/subscribers/{'X' * 17}").status_code == 400


def test_the_description_has_every_route(served: Served) -> None:
    with served.anonymous() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert {"get", "post"} <= set(paths[ITEMS]) and "put" in paths[ITEMS + "/{workitem_uid}/state"]
