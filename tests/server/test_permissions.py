"""What an account may do, as the session API says it."""

from __future__ import annotations

import pytest

from core.access.rights import RIGHTS, Right, Role
from tests.server.conftest import NAMESPACE, PASSWORDS, ROLES, Served, error_of

PERMISSIONS = "/api/v3/session/permissions"


@pytest.mark.parametrize("login", ["admin", "staff", "viewer", "modality"])
def test_each_role_hears_of_its_rights(served: Served, login: str) -> None:
    with served.client(login) as client:
        said = client.post(PERMISSIONS).json()
    expected = {right.value: int(right in RIGHTS[Role(ROLES[login])]) for right in Right}
    assert said["status"] == "OK" and said["permissions"] == expected and said["login"] == login


def test_rights_within_a_namespace(served: Served) -> None:
    with served.client("limited") as client:
        here = client.post(PERMISSIONS, data={"namespace_id": NAMESPACE}).json()["permissions"]
        there = client.post(PERMISSIONS, json={"namespace_id": "elsewhere"}).json()["permissions"]
    assert here["view"] == here["delete"] == 1 and here["admin"] == 0
    assert set(there.values()) == {0}


def test_by_a_sid_in_the_form(served: Served) -> None:
    with served.anonymous() as client:
        fields = {"login": "viewer", "password": PASSWORDS["viewer"]}
        sid = client.post("/api/v3/session/login", data=fields).json()["sid"]
        client.cookies.clear()
        assert client.post(PERMISSIONS, data={"sid": sid}).json()["login"] == "viewer"
        dead = client.post(PERMISSIONS, data={"sid": "dead"})
        assert dead.status_code == 401 and error_of(dead)
        assert client.get(PERMISSIONS).status_code == 405
