"""Who may call: sessions, Basic, Bearer, roles, namespaces, Host and Origin, and no authentication at all."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from server.web.guard import Guard
from tests.server.conftest import (
    CANARY,
    NAMESPACE,
    PASSWORDS,
    TOKEN,
    Served,
    Stored,
    error_of,
    serving,
)

SESSION = "/api/v3/session"
UPLOAD = f"/api/v3/storage/namespace/{NAMESPACE}/image"


def login(client: httpx.Client, name: str = "staff") -> str:
    answer = client.post(f"{SESSION}/login", data={"login": name, "password": PASSWORDS[name]})
    assert answer.status_code == 200
    sid: str = answer.json()["sid"]
    client.cookies.clear()
    return sid


def test_login_answers_as_the_api_does(served: Served) -> None:
    with served.anonymous() as client:
        answer = client.post(f"{SESSION}/login", data={"login": "staff", "password": PASSWORDS["staff"]})
        document = answer.json()
        assert document["status"] == "OK" and document["name"] == "staff" and document["uuid"]
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and document["sid"] in cookie
        assert client.post(f"{SESSION}/user").json()["login"] == "staff"  # by the cookie it was given
        assert 0 < client.post(f"{SESSION}/ttl").json()["ttl"] <= 3 * 3600
        assert client.post(f"{SESSION}/logout").json() == {"status": "OK"}
        dead = client.post(f"{SESSION}/user", data={"sid": document["sid"]})
        assert dead.status_code == 401 and dead.json()["status"] == "ERROR"
        error_of(dead)


@pytest.mark.parametrize(
    ("fields", "error_type", "subtype"),
    [
        ({}, "MISSING_FIELDS", ["login", "password"]),
        ({"login": "staff"}, "MISSING_FIELDS", ["password"]),
        ({"login": "staff", "password": "wrong"}, "INVALID_CREDENTIALS", None),
        ({"login": "nobody at all", "password": "wrong"}, "INVALID_CREDENTIALS", None),
    ],
)
def test_login_refusals_are_412(
    served: Served, fields: dict[str, str], error_type: str, subtype: list[str] | None
) -> None:
    with served.anonymous() as client:
        answer = client.post(f"{SESSION}/login", data=fields)
    assert answer.status_code == 412
    assert (answer.json()["status"], answer.json()["error_type"]) == ("ERROR", error_type)
    assert answer.json().get("error_subtype") == subtype


def test_login_takes_json_and_multipart_too(served: Served) -> None:
    fields = {"login": "viewer", "password": PASSWORDS["viewer"]}
    with served.anonymous() as client:
        as_json = client.post(f"{SESSION}/login", json=fields)
        mislabelled = client.post(
            f"{SESSION}/login", content=as_json.request.content, headers={"content-type": "text/plain"}
        )
        parts = {name: (None, value) for name, value in fields.items()}
        as_form = client.post(f"{SESSION}/login", files=parts)
        broken = client.post(f"{SESSION}/login", content=b'{"login": ')
    assert as_json.status_code == mislabelled.status_code == as_form.status_code == 200
    assert broken.status_code == 400 and error_of(broken)["kind"]["code"] == 8


def test_too_many_failures_lock_out(served: Served) -> None:
    with served.anonymous() as client:
        wrong = {"login": "guessed", "password": "wrong"}
        types = [client.post(f"{SESSION}/login", data=wrong).json()["error_type"] for _ in range(7)]
    assert types[:5] == ["INVALID_CREDENTIALS"] * 5 and types[-1] == "LOCKOUT"


def test_changing_the_password_while_logging_in(served: Served) -> None:
    fields = {"login": "limited", "password": PASSWORDS["limited"]}
    with served.anonymous() as client:
        weak = client.post(f"{SESSION}/login", data={**fields, "new_password": "short"})
        changed = client.post(f"{SESSION}/login", data={**fields, "new_password": "another secret"})
        old = client.post(f"{SESSION}/login", data=fields)
        new = client.post(f"{SESSION}/login", data={"login": "limited", "password": "another secret"})
        same = client.post(
            f"{SESSION}/login",
            data={"login": "limited", "password": "another secret", "validate_session": new.json()["sid"]},
        )
        back = {"login": "limited", "password": "another secret", "new_password": PASSWORDS["limited"]}
        assert client.post(f"{SESSION}/login", data=back).status_code == 200
    assert (weak.status_code, weak.json()["error_type"]) == (412, "BAD_PASSWORD")
    assert changed.status_code == new.status_code == same.status_code == 200
    assert old.status_code == 412 and same.json()["sid"] == new.json()["sid"]


def test_a_session_and_credentials_are_equal(served: Served, stored: Stored) -> None:
    path = f"{stored.path}/schema"
    with served.anonymous() as client:
        sid = login(client)
        by = [
            client.get(path, headers={"Cookie": f"sid={sid}"}),
            client.get(path, headers={"Cookie": f'other=1; sid="{sid}"'}),
            client.get(path, params={"sid": sid}),
            client.get(path, headers={"Authorization": f"Bearer {sid}"}),
            client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}),
            client.get(path, auth=("staff", PASSWORDS["staff"])),
            client.post(f"{SESSION}/user", data={"sid": sid}),
        ]
        wrong = [
            client.get(path, headers={"Authorization": "Bearer nonsense"}),
            client.get(path, headers={"Authorization": "Basic !!!"}),
            client.get(path, auth=("staff", "wrong")),
            client.get(path, headers={"Authorization": "Digest x"}),
        ]
        dead = client.get(path, params={"sid": "nonsense"})
    assert [answer.status_code for answer in by] == [200] * len(by)
    assert [answer.status_code for answer in wrong] == [401] * len(wrong)
    assert wrong[0].headers["www-authenticate"].startswith("Basic")
    assert dead.status_code == 403 and error_of(dead)["kind"]["code"] == 7


def test_a_removed_session_opens_nothing(served: Served, stored: Stored) -> None:
    with served.anonymous() as client:
        sid = login(client)
        assert client.get(f"{stored.path}/schema", params={"sid": sid}).status_code == 200
        client.post(f"{SESSION}/logout", params={"sid": sid})
        assert client.get(f"{stored.path}/schema", params={"sid": sid}).status_code == 403


def test_what_another_process_changes_about_accounts_holds_at_once(served: Served, stored: Stored) -> None:
    """A password that was proven, and a session, of an account that is removed or given another password."""
    from app import compose

    path = f"{stored.path}/schema"
    with compose.reading(served.data) as archive, served.anonymous() as client:
        accounts = compose.accounts_of(archive, served.data)
        for change in ("removed", "password"):
            accounts.add("leaving", "a long secret", "staff")
            by = {"auth": ("leaving", "a long secret")}
            form = {"login": "leaving", "password": "a long secret"}
            sid = client.post(f"{SESSION}/login", data=form).json()["sid"]
            client.cookies.clear()
            assert client.get(path, **by).status_code == client.get(path, **by).status_code == 200
            assert client.get(path, params={"sid": sid}).status_code == 200
            if change == "password":
                accounts.set_password("leaving", "another long secret")
            else:
                accounts.remove("leaving")
            assert client.get(path, **by).status_code == 401
            assert client.get(path, params={"sid": sid}).status_code == 403
        accounts.remove("leaving")


def test_roles(served: Served, stored: Stored) -> None:
    data = part10(ct_slice(SampleStudy(seed="roles", patient=CANARY)))
    attach = {"files": {"data": ("a.txt", b"text")}}
    allowed: dict[str, tuple[bool, bool, bool, bool, bool]] = {}
    for name in ("admin", "staff", "viewer", "modality"):
        with served.client(name) as client:
            answers = (
                client.get(f"{stored.path}/schema"),
                client.post(UPLOAD, content=data),
                client.post(f"{stored.path}/attachment", **attach),
                client.get("/api/desktop/v1/trash"),
                client.get("/api/desktop/v1/studies"),
            )
        assert {answer.status_code for answer in answers} <= {200, 403}
        allowed[name] = tuple(answer.status_code == 200 for answer in answers)  # type: ignore[assignment]
    assert allowed == {
        "admin": (True, True, True, True, True),
        "staff": (True, True, True, False, True),
        "viewer": (True, False, False, False, True),
        "modality": (False, True, False, False, False),
    }


def test_accounts_stay_in_their_namespaces(served: Served, stored: Stored) -> None:
    elsewhere = "/api/v3/storage/namespace/other-clinic/image"
    with served.client() as admin, served.client("limited") as limited:
        answer = admin.post(elsewhere, content=stored.files["ct"]).json()
        path = f"/api/v3/storage/study/other-clinic/{answer['study_uid']}"
        refused = [
            limited.post(elsewhere, content=stored.files["ct"]),
            limited.get(f"{path}/schema"),
            limited.get(f"{path}/image/{answer['image_uid']}/version/*"),
            limited.get(f"{stored.path}/phi", params={"phi_namespace": "other-clinic"}),
            limited.get("/api/desktop/v1/studies", params={"namespace": "other-clinic"}),
            limited.delete(path),
        ]
        rows = limited.get("/api/desktop/v1/studies").json()["studies"]
        assert limited.get(f"{stored.path}/schema").status_code == 200
    assert [r.status_code for r in refused] == [403] * len(refused)
    assert {error_of(r)["kind"]["code"] for r in refused} == {7}
    assert {row["namespace"] for row in rows} == {NAMESPACE}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8500"}, 403),
        ({"Host": "192.0.2.7"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "user@localhost"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_foreign_hosts_and_origins_are_refused(served: Served, headers: dict[str, str], status: int) -> None:
    for url in (served.url, served.internal):
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/healthz", headers=headers).status_code == status
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        assert client.get("/healthz", headers={"Origin": served.url}).status_code == 200


def test_guard_of_other_addresses() -> None:
    def allows(guard: Guard, host: str, origin: str = "") -> bool:
        headers = {b"host": host.encode(), **({b"origin": origin.encode()} if origin else {})}
        return not guard.refusal("POST", headers)

    everywhere = Guard("0.0.0.0")  # noqa: S104
    named = Guard("0.0.0.0", frozenset({"archive.example"}))  # noqa: S104
    proxied = Guard("127.0.0.1", behind_proxy=True)
    assert allows(everywhere, "192.0.2.7:8500") and not allows(everywhere, "archive.example")
    assert allows(named, "archive.example") and not allows(named, "other.example")
    assert allows(proxied, "anything.example", "https://anything.example")
    assert not allows(proxied, "anything.example", "https://evil.example")
    assert allows(Guard("127.0.0.1"), "[::1]:80", "http://[::1]:80")
    assert not allows(Guard("127.0.0.1"), "a b")


def test_without_authentication_everybody_is_an_administrator(tmp_path: Path) -> None:
    with serving(tmp_path / "open", no_auth=True) as served, served.anonymous() as client:
        data = part10(ct_slice(SampleStudy(seed="open", patient=CANARY)))
        answer = client.post(UPLOAD, content=data, headers={"Cookie": "sid={sid}"})
        schema = client.get(f"/api/v3/storage/study/{NAMESPACE}/{answer.json()['study_uid']}/schema?sid=x")
        session = client.post(f"{SESSION}/login", data={"login": "anyone", "password": "anything"})
        assert client.get("/api/desktop/v1/trash", auth=("who", "ever")).status_code == 200
        refused = client.get("/healthz", headers={"Host": "evil.example"})
    assert answer.status_code == schema.status_code == session.status_code == 200
    assert session.json()["sid"] and session.json()["role"] == "admin"
    assert refused.status_code == 403
