"""DICOM Service, viewer tokens: they open one study, once, in a role, never more than their caller may."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app import compose
from core.archive.archive import Archive
from core.media.samples import SampleStudy, ct_slice, part10
from server.web.grants import TOKEN_S, Grant, Grants
from tests.guards import CANARY
from tests.server.conftest import ROLES, Served, error_of, serving

STUDY = SampleStudy(seed="token", patient=CANARY)
OTHER = SampleStudy(seed="another token")
DATA = part10(ct_slice(STUDY))


@pytest.fixture(scope="module")
def study(served: Served) -> str:
    """The UID of a stored study."""
    with served.client() as client:
        for data in (DATA, part10(ct_slice(OTHER))):
            assert client.post("/exams", files={"file": ("x.dcm", data)}).status_code == 200
    return STUDY.uid


def token(served: Served, login: str = "viewer", **query: str) -> httpx.Response:
    with served.client(login) as client:
        return client.get("/token", params={"studyUID": STUDY.uid} | query)


def entered(served: Served, token: str) -> Iterator[httpx.Client]:
    with served.anonymous() as client:
        answer = client.get("/view", params={"q": token})
        assert answer.status_code == 303
        client.base_url = httpx.URL(f"{served.url}{answer.headers['location']}/")
        yield client


def test_a_token_opens_the_viewer_once(served: Served, study: str) -> None:
    answer = token(served, patientID=CANARY.patient_id, user="dr who")
    assert answer.status_code == 200 and set(answer.json()) == {"token"}
    said = answer.json()["token"]
    assert len(said) >= 32 and study not in said
    for client in entered(served, said):
        assert client.get("../" + str(client.base_url).rstrip("/").rpartition("/")[2]).status_code == 200
        seen = client.get("study").json()
        assert seen["study_uid"] == study and seen["role"] == "patient"
        assert seen["patient_name"] == CANARY.name
        assert client.get("/view", params={"q": said}).status_code in (401, 404)
    with served.anonymous() as client:
        assert client.get("/view", params={"q": said}).status_code == 401


@pytest.mark.parametrize(
    ("role", "saved"), [("", 403), ("patient", 403), ("diagnostic", 200), ("DIAGNOSTIC", 200)]
)
def test_the_role_decides_what_can_be_had(served: Served, study: str, role: str, saved: int) -> None:
    ds = ct_slice(STUDY)
    for client in entered(served, token(served, role=role).json()["token"]):
        image = client.get("study").json()["series"][0]["images"][0]
        place = f"image/{image['uid']}/version/{image['version']}"
        assert image["uid"] == ds.SOPInstanceUID
        assert client.get(f"{place}/frame/0", params={"format": "png"}).status_code == 200
        whole = client.get(f"{place}/object")
        assert whole.status_code == saved
        if saved == 200:
            assert whole.content == DATA and whole.headers["content-type"] == "application/dicom"
        other = ct_slice(OTHER)
        version = f"image/{other.SOPInstanceUID}/version/*"
        assert client.get(f"{version}/frame/0").status_code == 404
        assert client.get(f"{version}/object").status_code in (403, 404)
        for method in ("POST", "PUT", "DELETE"):
            assert client.request(method, f"{place}/object").status_code == 405


def test_what_is_asked_for_wrongly(served: Served, study: str) -> None:
    with served.client() as client:
        for query, word in (
            ({}, "studyUID"),
            ({"studyUID": "x"}, "studyUID"),
            ({"studyUID": study, "role": "root"}, "role"),
            ({"studyUID": study, "user": "x" * 200}, "user"),
        ):
            answer = client.get("/token", params=query)
            assert answer.status_code == 400 and word in error_of(answer)["message"]
    assert token(served, studyUID="1.2.3").status_code == 404
    assert token(served, patientID="somebody else").status_code == 404
    assert token(served, patientID="' OR '1'='1").status_code == 404


def test_never_more_than_the_caller_may(served: Served, study: str) -> None:
    assert token(served, "modality").status_code == 403
    assert token(served, "limited").status_code == 403
    with served.anonymous() as client:
        assert client.get("/token", params={"studyUID": study}).status_code == 401


@pytest.mark.parametrize("role", ["patient", "diagnostic"])
def test_a_caller_who_is_gone_takes_their_views_along(served: Served, study: str, role: str) -> None:
    archive = Archive.open(served.data, exclusive=False)
    try:
        accounts = compose.accounts_of(archive, served.data)
        accounts.add(f"guest-{role}", "a long password", ROLES["viewer"])
        with httpx.Client(base_url=served.url, auth=(f"guest-{role}", "a long password")) as guest:
            said = guest.get("/token", params={"studyUID": study, "role": role}).json()["token"]
        for client in entered(served, said):
            assert client.get("study").status_code == 200
            accounts.remove(f"guest-{role}")
            assert client.get("study").status_code == 403
    finally:
        archive.close()


def test_a_token_for_more_than_one_use(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("many") / "data"
    with serving(data, viewer_token_once=False) as served, served.client() as client:
        assert client.post("/exams", files={"file": ("x.dcm", DATA)}).status_code == 200
        said = client.get("/token", params={"studyUID": STUDY.uid}).json()["token"]
        with served.anonymous() as anyone:
            for _ in range(3):
                assert anyone.get("/view", params={"q": said}).status_code == 303


def test_tokens_last_as_long_as_they_were_given() -> None:
    now = [0.0]
    grants, grant = Grants(lambda: now[0]), Grant("ns", "1.2", "someone")
    long, short = grants.token(grant, 300, once=False), grants.token(grant)
    now[0] = TOKEN_S + 1
    assert grants.exchange(short) is None and grants.exchange(long) and grants.exchange(long)
    now[0] = 301
    assert not grants.holds(long) and grants.exchange(long) is None
