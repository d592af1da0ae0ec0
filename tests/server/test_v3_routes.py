"""Every documented V3 storage route: HEAD as GET, 401, 403, 404 with its code; and no method beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.server.conftest import NAMESPACE, Served, Stored, error_of

Ask = Callable[..., httpx.Response]
PREFIX = "/api/v3/storage/"
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
OF_IMAGES = [
    "",
    "/frame/0",
    "/frame/0.jpg",
    "/frame/0/thumbnail",
    "/frame/0/diagnostic",
    "/frame/0/tiff",
    "/pdf",
    "/video",
    "/cadsr",
    "/attribute",
    "/json",
    "/phi",
]
OF_STUDIES = ["/schema", "/phi", "/tag", "/attribute/transfer", "/count", "/json"]
DELETED = ["", "/image/1.2.3", "/attachment/1/version/1", "/cache"]
READ_BY_POST = "/download"
NOT_FOUND = {"study": 18, "image": 14, "attachment": 16}
VALUES = {
    "namespace": NAMESPACE,
    "study_uid": "1.2.3",
    "image_uid": "1.2.3.4",
    "version": "*",
    "frame": "0",
    "attachment_id": "1",
    "name": "x",
}


def filled(path: str, **values: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: {**VALUES, **values}.get(match[1], "x"), path)


def documented(ask: Ask) -> Iterator[tuple[str, str]]:
    for path, item in ask("GET", "/openapi.json").json()["paths"].items():
        if path.startswith(PREFIX):
            yield from ((path, method.upper()) for method in item if method != "head")


@pytest.fixture(scope="module")
def ask(served: Served, stored: Stored) -> Generator[Ask, None, None]:
    """Asks with one connection for each account; "" is nobody."""
    with ExitStack() as stack:
        clients: dict[str, httpx.Client] = {}

        def call(method: str, path: str, login: str = "admin") -> httpx.Response:
            if login not in clients:
                client = served.client(login) if login else served.anonymous()
                clients[login] = stack.enter_context(client)
            return clients[login].request(method, path)

        yield call


def test_each_route_asks_who_calls(ask: Ask) -> None:
    routes = list(documented(ask))
    assert len(routes) >= 35
    for path, method in routes:
        refused = ask(method, filled(path), "")
        assert refused.status_code == 401, (method, path)
        assert error_of(refused)["kind"]["code"] == 4


def test_each_route_keeps_an_account_to_its_namespaces(ask: Ask) -> None:
    routes = [(p, m) for p, m in documented(ask) if "{namespace}" in p]
    assert len(routes) >= 30
    for path, method in routes:
        refused = ask(method, filled(path, namespace="elsewhere"), "limited")
        assert refused.status_code == 403, (method, path, refused.text)
        assert error_of(refused)["kind"]["code"] == 7
        if method == "GET":
            head = ask("HEAD", filled(path, namespace="elsewhere"), "limited")
            assert head.status_code == 403 and not head.content, path


def test_each_read_is_refused_to_one_who_may_not_view(ask: Ask) -> None:
    routes = [p for p, m in documented(ask) if m == "GET" and "{study_uid}" in p]
    for path in routes:
        refused = ask("GET", filled(path), "modality")
        assert refused.status_code == 403 and error_of(refused)["kind"]["code"] == 7, path


def test_each_change_is_refused_to_one_who_may_only_view(ask: Ask) -> None:
    routes = [(p, m) for p, m in documented(ask) if m != "GET" and not p.endswith(READ_BY_POST)]
    assert len(routes) >= 10
    for path, method in routes:
        refused = ask(method, filled(path), "viewer")
        assert refused.status_code == 403 and error_of(refused)["kind"]["code"] == 7, (method, path)


@pytest.mark.parametrize("what", OF_STUDIES)
def test_reads_of_a_study(ask: Ask, stored: Stored, what: str) -> None:
    base = f"{PREFIX}study"
    found = ask("GET", stored.path + what)
    head = ask("HEAD", stored.path + what)
    slash = ask("GET", stored.path + what + "/")
    assert found.status_code == head.status_code == slash.status_code == 200
    assert found.content == slash.content and not head.content
    for path, status, code in (
        (f"{base}/{NAMESPACE}/1.2.3{what}", 404, NOT_FOUND["study"]),
        (f"{base}/unknown/{stored.study.uid}{what}", 403, 7),
    ):
        for method in ("GET", "HEAD"):
            assert ask(method, path).status_code == status
        assert error_of(ask("GET", path))["kind"]["code"] == code


@pytest.mark.parametrize("what", OF_IMAGES)
def test_reads_of_an_image(ask: Ask, stored: Stored, what: str) -> None:
    expected = 415 if what in ("/pdf", "/video") else 200
    for path in (stored.image(), stored.image().replace("/image/", "/image"), stored.image("ct", "*")):
        found, head = (ask(method, path + what) for method in ("GET", "HEAD"))
        assert found.status_code == head.status_code == expected and not head.content
        assert found.headers["content-type"] == head.headers["content-type"]
    image = stored.image().removeprefix(stored.path)
    for path, status, code in (
        (f"{PREFIX}study/{NAMESPACE}/1.2.3{image}", 404, NOT_FOUND["study"]),
        (f"{stored.path}/image/1.2.3/version/*", 404, NOT_FOUND["image"]),
        (stored.image("ct", "A" * 27), 404, NOT_FOUND["image"]),
        (f"{PREFIX}study/unknown/{stored.study.uid}{image}", 403, 7),
    ):
        refused = ask("GET", path + what)
        assert refused.status_code == status and error_of(refused)["kind"]["code"] == code


@pytest.mark.parametrize("what", DELETED)
def test_what_is_not_there_cannot_be_deleted(ask: Ask, stored: Stored, what: str) -> None:
    unknown = ask("DELETE", f"{PREFIX}study/{NAMESPACE}/1.2.3{what}")
    assert unknown.status_code == 404 and error_of(unknown)["kind"]["code"] == NOT_FOUND["study"]
    nowhere = ask("DELETE", f"{PREFIX}study/unknown/1.2.3{what}")
    assert nowhere.status_code == 403 and error_of(nowhere)["kind"]["code"] == 7
    if what and what != "/cache":
        missing = ask("DELETE", stored.path + what)
        kind = "image" if "image" in what else "attachment"
        assert missing.status_code == 404 and error_of(missing)["kind"]["code"] == NOT_FOUND[kind]


def test_no_other_method_is_taken(ask: Ask) -> None:
    routes: dict[str, set[str]] = {}
    for path, method in documented(ask):
        routes.setdefault(path, set()).add(method)
    for path, methods in routes.items():
        same = {m for other, found in routes.items() if _overlap(path, other) for m in found}
        for method in sorted(set(METHODS) - methods - same):
            refused = ask(method, filled(path))
            assert refused.status_code == 405 and refused.headers["allow"], (method, path)


def _overlap(path: str, other: str) -> bool:
    """Whether the made-up address of *path* is one of *other* as well."""
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(other)), filled(path)) is not None
