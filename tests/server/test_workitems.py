"""DICOM Service, worklist: made, listed as the document shows, removed; whatever is wrong is named."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dicom.uids import is_uid
from core.worklist.fields import FIELDS, BadField, read_fields
from tests.guards import CANARY
from tests.server.conftest import Served, error_of

NEEDED = {
    "PatientID": "SDJ38WMD1MS01",
    "PatientName": CANARY.name,
    "ScheduledStationAETitle": "NGV",
    "ScheduledProcedureStepStartDate": "20000101",
    "ScheduledProcedureStepStartTime": "120000",
    "ScheduledProcedureStepDescription": "Tac",
    "Modality": "CT",
    "AccessionNumber": "NDS83JF784N209D2",
}
OPTIONAL = {
    "ScheduledPerformingPhysiciansName": "VERDI^ANNA",
    "ScheduledProcedureStepID": "SPS1",
    "RequestedProcedureDescription": "Chest",
    "RequestedProcedureID": "RP1",
    "RequestingPhysician": "BIANCHI^LUCA",
    "ReferringPhysicianName": "NERI^UGO",
    "AdmissionID": "ADM1",
    "CurrentPatientLocation": "Ward 3",
    "PatientBirthDate": "19600101",
    "PatientSex": "F",
    "ConfidentialityConstraintOnPatientDataDescription": "VIP",
    "PatientState": "walking",
    "PregnancyStatus": 1,
    "MedicalAlerts": "latex",
    "PlacerOrderNumberImagingServiceRequest": "PON1",
    "ServiceEpisodeID": "SE1",
    "ScheduledStationName": "Room 1",
}
SHOWN = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080050": {"vr": "SH", "Value": ["NDS83JF784N209D2"]},
    "00080090": {"vr": "PN"},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": CANARY.name}]},
    "00100020": {"vr": "LO", "Value": ["SDJ38WMD1MS01"]},
    "00100030": {"vr": "DA"},
    "00100040": {"vr": "CS"},
    "00102000": {"vr": "LO"},
    "001021C0": {"vr": "US"},
    "0020000D": {"vr": "UI", "Value": ["1.2.752.24.5.1"]},
    "00321032": {"vr": "PN"},
    "00321060": {"vr": "LO"},
    "00380010": {"vr": "LO"},
    "00380300": {"vr": "LO"},
    "00380500": {"vr": "LO"},
    "00400100": {
        "vr": "SQ",
        "Value": [
            {
                "00080060": {"vr": "CS", "Value": ["CT"]},
                "00400001": {"vr": "AE", "Value": ["NGV"]},
                "00400002": {"vr": "DA", "Value": ["20000101"]},
                "00400003": {"vr": "TM", "Value": ["120000"]},
                "00400006": {"vr": "PN"},
                "00400007": {"vr": "LO", "Value": ["Tac"]},
                "00400009": {"vr": "SH"},
                "00400010": {"vr": "SH"},
            }
        ],
    },
    "00401001": {"vr": "SH"},
    "00402016": {"vr": "LO"},
    "00403001": {"vr": "LO"},
}
"""As the document prints it, names aside, and with the defined term of PS3.3 C.12.1.1.2 for the charset."""


def made(served: Served, document: dict[str, Any], login: str = "admin", **more: Any) -> httpx.Response:
    with served.client(login) as client:
        return client.post("/workitems", json=document, **more)


def listed(served: Served, **query: str) -> list[dict[str, Any]]:
    with served.client() as client:
        answer = client.get("/workitems", params=query)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    return answer.json()  # type: ignore[no-any-return]


def test_an_item_is_listed_as_the_document_shows(served: Served) -> None:
    answer = made(served, NEEDED | {"StudyInstanceUID": "1.2.752.24.5.1"})
    assert answer.status_code == 200 and answer.json()["StudyInstanceUID"] == "1.2.752.24.5.1"
    assert listed(served, patientID="SDJ38WMD1MS01") == [SHOWN]
    assert listed(served, PATIENTID="SDJ38WMD1MS01") == [SHOWN]
    assert listed(served, patientID="SDJ38WMD1MS0") == listed(served, patientID="SDJ38%") == []


def test_every_field_comes_back(served: Served) -> None:
    everything = NEEDED | OPTIONAL | {"PatientID": "EVERY"}
    assert set(everything) | {"StudyInstanceUID"} == set(FIELDS)
    uid = made(served, everything).json()["StudyInstanceUID"]
    assert is_uid(uid) and uid.startswith("2.25.")
    (item,) = listed(served, patientID="EVERY")
    (step,) = item["00400100"]["Value"]
    for name, value in (everything | {"StudyInstanceUID": uid}).items():
        field = FIELDS[name]
        (got,) = (step if field.step else item)[field.tag]["Value"]
        assert got == ({"Alphabetic": value} if field.vr == "PN" else value), name


def test_the_same_study_again_is_a_conflict_until_it_is_removed(served: Served) -> None:
    document = NEEDED | {"StudyInstanceUID": "1.2.3.4", "PatientID": "TWICE"}
    assert made(served, document).status_code == 200
    again = made(served, document)
    assert again.status_code == 409 and "StudyInstanceUID" in error_of(again)["message"]
    with served.client() as client:
        gone = client.delete("/workitems/1.2.3.4/")
        assert (gone.status_code, gone.content) == (204, b"")
        assert client.delete("/workitems/1.2.3.4").status_code == 404
        assert client.delete("/workitems/1.2.3'--").status_code == 400
    assert listed(served, patientID="TWICE") == []
    assert made(served, document).status_code == 200


@pytest.mark.parametrize("name", NEEDED)
def test_a_field_that_must_be_there_is_named(served: Served, name: str) -> None:
    for document in (
        {k: v for k, v in NEEDED.items() if k != name},
        NEEDED | {name: ""},
        NEEDED | {name: None},
    ):
        answer = made(served, document)
        assert answer.status_code == 400 and name in error_of(answer)["message"]


WRONG = {
    "PatientSex": "X",
    "PatientBirthDate": "19601301",
    "ScheduledProcedureStepStartDate": "2000-01-01",
    "ScheduledProcedureStepStartTime": "250000",
    "Modality": "c/t",
    "AccessionNumber": "x" * 17,
    "PatientID": "a\\b",
    "PatientName": ["a"],
    "ScheduledStationAETitle": "x" * 17,
    "StudyInstanceUID": "1.02.3",
    "PregnancyStatus": 9,
    "MedicalAlerts": "two\nlines",
    "AdmissionID": True,
    "Nonsense": "x",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_and_nothing_is_kept(served: Served, name: str) -> None:
    document = NEEDED | {"PatientID": "WRONG"} | {name: WRONG[name]}
    answer = made(served, document)
    assert answer.status_code == 400 and name in error_of(answer)["message"]
    assert listed(served, patientID="WRONG") == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"{", b"\xff", b'"x"', b"[" * 5000])
def test_a_body_that_is_none(served: Served, body: bytes) -> None:
    with served.client() as client:
        assert client.post("/workitems", content=body).status_code == 400


def test_who_may(served: Served) -> None:
    with served.anonymous() as client:
        for method, path in (("POST", "/workitems"), ("GET", "/workitems"), ("GET", "/uid")):
            assert client.request(method, path).status_code == 401
    document = NEEDED | {"PatientID": "RIGHTS"}
    assert made(served, document, "viewer").status_code == 403
    assert made(served, document, "limited").status_code == 403  # of another namespace
    for login in ("modality", "staff", "admin"):
        assert made(served, document, login).status_code == 200
    with served.client("viewer") as client:
        assert len(client.get("/workitems", params={"patientID": "RIGHTS"}).json()) == 3
        assert client.delete("/workitems/1.2.752.24.5.1").status_code == 403


def test_the_order_is_that_of_their_start_and_pages_are_whole(served: Served) -> None:
    for hour in ("1100", "09", "100000"):
        made(served, NEEDED | {"PatientID": "PAGES", "ScheduledProcedureStepStartTime": hour})
    times = [
        item["00400100"]["Value"][0]["00400003"]["Value"][0]
        for page in range(3)
        for item in listed(served, patientID="PAGES", limit="1", offset=str(page))
    ]
    assert times == ["09", "100000", "1100"]


def test_uids_are_new_each_time(served: Served) -> None:
    with served.client("viewer") as client:
        uids = [client.get("/uid").json()["uid"] for _ in range(20)]
    assert len(set(uids)) == 20 and all(is_uid(uid) and uid.startswith("2.25.") for uid in uids)


def test_the_description_names_the_fields(served: Served) -> None:
    with served.anonymous() as client:
        paths = client.get("/openapi.json").json()["paths"]
    body = paths["/workitems"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == set(NEEDED) and set(body["properties"]) == set(FIELDS)
    assert {"get", "delete"} <= set(paths["/workitems"]) | set(paths["/workitems/{study_uid}"])
    assert "get" in paths["/uid"]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*FIELDS, "patientid", ""]) | st.text(max_size=8),
        st.none() | st.booleans() | st.integers() | st.text(max_size=80) | st.lists(st.text(), max_size=2),
        max_size=6,
    )
)
def test_whatever_is_posted_is_read_or_refused_by_name(document: dict[str, Any]) -> None:
    try:
        said = read_fields({**NEEDED, **document})
    except BadField as error:
        assert error.field and error.field in error.message
    else:
        assert set(NEEDED) <= set(said) <= set(FIELDS) and all(value.isprintable() for value in said.values())
