"""The study link over sockets: credentials become a token, the token a view of one study; nothing is left."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from app import compose
from core.imaging.image import ImageObject
from core.imaging.render import render
from core.imaging.voi import Voi
from core.media.samples import SampleStudy, encapsulated_pdf, part10, pdf_report
from server.web.grants import IDLE_S, LONGEST_S, TOKEN_S, Grant, Grants
from tests.server.conftest import NAMESPACE, PASSWORDS, STUDY, Served, Stored, error_of, serving, store

SECRETS = (*PASSWORDS.values(), "secret+of", "secret%20of")


def query(login: str = "viewer", **changes: str) -> dict[str, str]:
    """What a link says."""
    fields = {"login": login, "password": PASSWORDS.get(login, "none"), "study": f"{NAMESPACE}/{STUDY.uid}"}
    return fields | {"phinamespace": ""} | changes


def token_of(served: Served, login: str = "viewer", **changes: str) -> str:
    """The token a link becomes."""
    with served.anonymous() as client:
        answer = client.get("/login.html", params=query(login, **changes))
    assert answer.status_code == 303
    return parse_qs(urlsplit(answer.headers["location"]).query)["q"][0]


@pytest.fixture
def view(served: Served, stored: Stored) -> Iterator[httpx.Client]:
    """A client that has followed the link; its base is the view."""
    with served.anonymous() as client:
        answer = client.get("/view", params={"q": token_of(served)})
        client.base_url = httpx.URL(f"{served.url}{answer.headers['location']}/")
        yield client


def frame(stored: Stored, name: str = "ct", number: int = 0) -> str:
    """A frame's address below a view."""
    image = stored.images[name]
    return f"image/{image['image_uid']}/version/{image['image_version']}/frame/{number}"


def picture(answer: httpx.Response) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_link_becomes_a_token_and_the_token_a_view(served: Served, stored: Stored) -> None:
    with served.anonymous() as client:
        link = client.get("/login.html", params=query())
        assert link.status_code == 303 and not link.content and "set-cookie" not in link.headers
        where = link.headers["location"]
        assert re.fullmatch(r"/view\?q=[\w-]{43}", where)
        entered = client.get(where)
        assert entered.status_code == 303
        page = entered.headers["location"]
        assert re.fullmatch(r"/view/[\w-]{16}", page)
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and f"Path={page};" in cookie
        seen = client.get(page)
        assert seen.status_code == 200 and seen.headers["content-type"] == "text/html; charset=utf-8"
        for answer in (link, entered, seen):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-content-type-options"] == "nosniff"
        policy = seen.headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        said = "".join([where, page, cookie, seen.text, str(link.headers), str(entered.headers)])
        assert not [secret for secret in (*SECRETS, STUDY.uid, "viewer@") if secret in said]


def test_a_token_opens_once(served: Served, stored: Stored) -> None:
    token = token_of(served)
    with served.anonymous() as client:
        assert client.head("/view", params={"q": token}).status_code == 200  # looking is not using
        assert client.get("/view", params={"q": token}).status_code == 303
        for again in (token, "", "x", token + "x"):
            answer = client.get("/view", params={"q": again})
            assert answer.status_code == 401 and "Open the study from its link again" in answer.text
            assert "www-authenticate" not in answer.headers and "set-cookie" not in answer.headers
            assert client.head("/view", params={"q": again}).status_code == 401


def test_tokens_and_views_end() -> None:
    now = [1000.0]
    grants = Grants(lambda: now[0])
    grant = Grant("ns", "1.2", "someone")
    late = grants.token(grant)
    now[0] += TOKEN_S + 1
    assert not grants.holds(late) and grants.exchange(late) is None
    opened = grants.exchange(grants.token(grant))
    assert opened is not None and grants.find(opened.id, opened.secret) == grant
    assert grants.find(opened.id, opened.id) is None and grants.find("other", opened.secret) is None
    for _ in range(4):  # used, it stays
        now[0] += IDLE_S - 60
        found = grants.find(opened.id, opened.secret)
    assert found == (grant if 4 * (IDLE_S - 60) <= LONGEST_S else None)
    idle = grants.exchange(grants.token(grant))
    assert idle is not None
    now[0] += IDLE_S + 1
    assert grants.find(idle.id, idle.secret) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"password": "wrong"}, 401),
        ({"login": "nobody at all", "password": "wrong"}, 401),
        ({"login": "", "password": "wrong"}, 401),
        ({"study": "elsewhere/1.2.3"}, 403),
        ({"study": f"{NAMESPACE}/1.2.3"}, 404),
        ({"study": NAMESPACE}, 400),
        ({"study": ""}, 400),
        ({"study": "../../etc/passwd"}, 403),
        ({"study": "<script>alert(1)</script>/1"}, 403),
        ({"login": "modality", "password": PASSWORDS["modality"]}, 403),
        ({"login": "limited", "password": PASSWORDS["limited"], "phinamespace": "elsewhere"}, 403),
    ],
)
def test_refusals_are_pages(served: Served, stored: Stored, changes: dict[str, str], status: int) -> None:
    with served.anonymous() as client:
        answers = [
            client.get("/login.html", params=query(**changes)),
            client.post("/login.html", data=query(**changes)),
        ]
    for answer in answers:
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        assert 'role="alert">' in answer.text and 'role="alert"></p>' not in answer.text
        assert "www-authenticate" not in answer.headers and "location" not in answer.headers
        assert "<script>alert" not in answer.text
        assert not [secret for secret in SECRETS if secret in answer.text]


def test_an_unknown_login_and_a_wrong_password_look_the_same(served: Served) -> None:
    with served.anonymous() as client:
        texts = {
            client.get("/login.html", params=query(login=login, password="wrong")).text.replace(
                login, "LOGIN"
            )
            for login in ("staff", "nobody")
        }
    assert len(texts) == 1


def test_who_fails_too_often_waits(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served, served.anonymous() as client:
        for _ in range(5):
            assert client.get("/login.html", params=query(password="wrong")).status_code == 401
        answer = client.get("/login.html", params=query())
        assert answer.status_code == 401 and "Too many failed logins. Wait" in answer.text
        assert client.post("/login.html", data=query()).status_code == 401


def test_the_form_asks_and_signs_in(served: Served, stored: Stored) -> None:
    with served.anonymous() as client:
        form = client.get("/login.html", params={"study": query()["study"]})
        assert form.status_code == 200 and f'value="{query()["study"]}"' in form.text
        assert client.get("/login.html").status_code == 200
        answer = client.post("/login.html", data=query())
        assert answer.status_code == 303 and answer.headers["location"].startswith("/view?q=")
        elsewhere = client.post("/login.html", data=query(), headers={"Origin": "http://elsewhere.example"})
        assert elsewhere.status_code == 403


def test_a_view_shows_its_study(view: httpx.Client, stored: Stored) -> None:
    document = view.get("study").json()
    assert document["patient_name"] == STUDY.patient.name
    assert document["patient_id"] == STUDY.patient.patient_id and document["study_uid"] == STUDY.uid
    frames = {series["modality"]: series["images"][0]["frames"] for series in document["series"]}
    assert frames == {"CT": 1, "US": 12, "OT": 1}


def test_the_link_names_whose_words_are_shown(served: Served) -> None:
    study = SampleStudy(seed="the link and an order", patient=STUDY.patient)
    kept = store(served, study)
    with served.client("staff") as client:
        told = client.put(
            f"{kept.path}/order/elsewhere", json={"patient_name": "Order^Olga", "order_id": "7"}
        )
        assert told.status_code == 200
    names = []
    for phi_namespace in ("", "elsewhere"):
        token = token_of(served, study=f"{NAMESPACE}/{study.uid}", phinamespace=phi_namespace)
        with served.anonymous() as client:
            where = client.get("/view", params={"q": token}).headers["location"]
            names.append(client.get(f"{where}/study").json()["patient_name"])
    assert names == [STUDY.patient.name, "Order^Olga"]


def test_a_frame_is_what_the_core_renders(view: httpx.Client, stored: Stored) -> None:
    image = ImageObject.open(io.BytesIO(stored.files["ct"]))
    own = view.get(frame(stored))
    assert (
        own.headers["content-type"] == "image/png" and own.headers["cache-control"] == "private, max-age=3600"
    )
    assert np.array_equal(picture(own), render(image, 0))
    lung = {"window": "-500,1500", "function": "LINEAR"}
    assert np.array_equal(picture(view.get(frame(stored), params=lung)), render(image, 0, Voi(-500, 1500)))
    turned = view.get(frame(stored), params=lung | {"invert": "1"})
    assert np.array_equal(picture(turned), render(image, 0, Voi(-500, 1500), invert=True))
    quick = view.get(frame(stored), params=lung | {"format": "jpeg"})
    assert quick.headers["content-type"] == "image/jpeg" and picture(quick).shape == (
        image.rows,
        image.columns,
    )
    same = view.get(frame(stored), params=lung, headers={"If-None-Match": turned.headers["etag"]})
    assert same.status_code == 200  # another picture has another tag
    again = view.get(frame(stored), headers={"If-None-Match": own.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert picture(view.get(frame(stored, "colour"))).ndim == 3
    assert picture(view.get(frame(stored) + "/thumbnail")).shape[0] <= 512


def test_a_description_names_windows_and_places_but_no_patient(view: httpx.Client, stored: Stored) -> None:
    answer = view.get(frame(stored) + "/description")
    about = answer.json()
    assert (about["rows"], about["columns"], about["modality"]) == (128, 128, "CT")
    assert about["windows"][0] | {"center": 40, "width": 400} == about["windows"][0]
    assert about["edges"] == {"left": "R", "top": "A", "right": "L", "bottom": "P"}
    assert about["slice_location_mm"] == -2.5 and len(about["presets"]) == 7
    assert "anarienvogel" not in answer.text
    loop = view.get(frame(stored, "loop", 3) + "/description").json()
    assert loop["frames"] == 12 and loop["frame_times_ms"] == [50.0] and loop["presets"] == []
    assert view.get(frame(stored, "colour") + "/description").json()["windows"] == []


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        ("?window=1", 400),
        ("?window=1,0", 400),
        ("?window=nan,5", 400),
        ("?window=1e99,5", 400),
        ("?window=1,2,3", 400),
        ("?function=WILD", 400),
        ("?format=gif", 400),
        ("?invert=perhaps", 400),
    ],
)
def test_nonsense_is_refused(view: httpx.Client, stored: Stored, tail: str, status: int) -> None:
    answer = view.get(frame(stored) + tail)
    assert answer.status_code == status
    error_of(answer)


def test_what_is_not_there_is_404(view: httpx.Client, stored: Stored) -> None:
    assert error_of(view.get(frame(stored, number=1)))["message"] == "The image has 1 frames, counted from 0."
    assert view.get(frame(stored).replace("frame/0", "frame/x")).status_code == 400
    assert view.get("image/1.2.3/version/*/frame/0").status_code == 404
    assert view.get("attachment/none/version/none").status_code == 404
    assert view.get("/pages/nothing.js").status_code == 404
    assert view.get("/pages/..%2f..%2f__init__.py").status_code == 404


def test_a_view_is_limited_to_its_study(served: Served, view: httpx.Client, stored: Stored) -> None:
    other = store(served, SampleStudy(seed="another study of the link"))
    assert view.get(frame(other)).status_code == 404
    secret = view.cookies["view"]
    with served.anonymous() as client:
        for headers in ({"Cookie": f"view={secret}"}, {"Cookie": f"sid={secret}"}):
            assert client.get(stored.path + "/schema", headers=headers).status_code in (401, 403)
        second = client.get("/view", params={"q": token_of(served)}).headers["location"]
        client.cookies.clear()
        for cookie in ("", f"view={secret}", "view="):
            answer = client.get(f"{second}/study", headers={"Cookie": cookie})
            assert answer.status_code == 403 and "www-authenticate" not in answer.headers
            assert error_of(answer)["message"].startswith("This view has ended.")
            page = client.get(second, headers={"Cookie": cookie})
            assert page.status_code == 401 and "This view has ended." in page.text


def test_a_view_can_be_ended(view: httpx.Client) -> None:
    assert view.get("study").status_code == 200
    assert view.post("end").status_code == 204
    assert view.get("study").status_code == 403


def test_a_view_ends_with_its_account(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        store(served, STUDY)
        with served.anonymous() as client:
            where = client.get("/view", params={"q": token_of(served)}).headers["location"]
            assert client.get(f"{where}/study").status_code == 200
            with compose.reading(tmp_path / "data") as archive:
                compose.accounts_of(archive, tmp_path / "data").remove("viewer")
            deadline_answers = _until_refused(client, f"{where}/study")
            assert deadline_answers[-1] == 403


def test_attachments_open_or_are_saved(served: Served, view: httpx.Client, stored: Stored) -> None:
    with served.client("staff") as client:
        for name, kind, data in (
            ("Findings.pdf", "application/pdf", pdf_report(["None"])),
            ("page.html", "text/html", b"<script>alert(1)</script>"),
        ):
            form = {"files": {"data": (name, data, kind)}, "data": {"uploaded_by": "x"}}
            assert client.post(f"{stored.path}/attachment", **form).status_code == 200
    listed = {each["name"]: each for each in view.get("study").json()["attachments"]}
    answers = {
        name: view.get(f"attachment/{each['id']}/version/{each['version']}") for name, each in listed.items()
    }
    assert answers["Findings.pdf"].headers["content-disposition"].startswith("inline")
    assert answers["Findings.pdf"].content.startswith(b"%PDF")
    assert answers["page.html"].headers["content-disposition"].startswith("attachment")


def test_a_pdf_comes_out_of_its_object(served: Served, view: httpx.Client, stored: Stored) -> None:
    pdf = pdf_report(["Inside"])
    with served.client() as client:
        data = part10(encapsulated_pdf(STUDY, pdf, series=9))
        kept = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=data).json()
    answer = view.get(f"image/{kept['image_uid']}/version/{kept['image_version']}/document")
    assert answer.content == pdf and answer.headers["content-type"] == "application/pdf"
    assert view.get(frame(stored).replace("frame/0", "document")).status_code == 404
    images = [image for series in view.get("study").json()["series"] for image in series["images"]]
    assert [image["uid"] for image in images if image["document"]] == [kept["image_uid"]]


def test_files_of_the_pages_are_asked_for_again(served: Served) -> None:
    with served.anonymous() as client:
        page = Path(__file__).parents[2] / "resources" / "web" / "view.html"
        names = re.findall(r'"/pages/([\w.]+)"', page.read_text("utf-8"))
        scripts, names = {"main.js"}, [name for name in names if name != "main.js"]
        while new := scripts - set(names):
            names += new
            for name in new:
                text = client.get(f"/pages/{name}").text
                scripts |= set(re.findall(r'from "\./([\w.]+)"', text))
        assert len(scripts) > 5
        for name in names:
            answer = client.get(f"/pages/{name}")
            assert answer.status_code == 200 and answer.headers["cache-control"] == "no-cache"
            again = client.get(f"/pages/{name}", headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304


def test_nothing_secret_is_logged(served: Served, stored: Stored, log_lines: list[str]) -> None:
    token = token_of(served)
    with served.anonymous() as client:
        entered = client.get("/view", params={"q": token})
        where, secret = entered.headers["location"], client.cookies["view"]
        assert client.get(where).status_code == 200
    deadline = time.monotonic() + 10
    while not any("GET /view/{view} 200" in line for line in log_lines) and time.monotonic() < deadline:
        time.sleep(0.01)  # the line is written once the answer has gone out
    lines = "\n".join(log_lines)
    assert "GET /login.html 303" in lines and "GET /view/{view} 200" in lines
    assert not [text for text in (token, secret, where.removeprefix("/view/"), *SECRETS) if text in lines]


def _until_refused(client: httpx.Client, url: str) -> list[int]:
    """Statuses until it is refused; an account is believed for two seconds."""
    found: list[int] = []
    deadline = time.monotonic() + 10
    while (not found or found[-1] == 200) and time.monotonic() < deadline:
        found.append(client.get(url).status_code)
        time.sleep(0.1)
    return found
