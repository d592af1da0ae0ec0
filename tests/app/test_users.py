"""`filmjacket users`: accounts from the command line, also while the archive is served."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app import cli
from tests.server.conftest import serving

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `filmjacket users ... --data` in this process; *stdin* is what it may read."""
    monkeypatch.delenv("FILMJACKET_DATA", raising=False)

    def call(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = cli.main(["users", *arguments, "--data", str(tmp_path / "data")])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_accounts_come_and_go(run: Run, tmp_path: Path) -> None:
    added = run("add", "anna", "--role", "staff", "--namespace", "clinic", "--may-delete", "--password-stdin",
                "--json", stdin="correct horse\n")  # fmt: skip
    assert added[0] == 0 and json.loads(added[1]) == {
        "login": "anna",
        "role": "staff",
        "namespaces": ["clinic"],
        "rights": ["attach", "delete", "edit", "orders", "store", "view"],
    }
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    taken = run("add", "anna", "--role", "viewer", "--password-stdin", stdin="correct horse\n")
    assert taken[0] == 1 and "already" in taken[2]
    assert run("add", "root", "--role", "admin", "--password-stdin", stdin="correct horse\n")[0] == 0
    code, text, _ = run("list")
    assert code == 0 and "anna" in text and "clinic" in text and "all namespaces" in text
    assert [a["login"] for a in json.loads(run("list", "--json")[1])["accounts"]] == ["anna", "root"]
    assert run("password", "anna", "--password-stdin", stdin="battery staple\n")[0] == 0
    assert run("remove", "anna")[0] == 0
    assert run("remove", "anna")[0] == 1
    last = run("remove", "root")
    assert last[0] == 1 and "last administrator" in last[2]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (("add", "b", "--role", "king", "--password-stdin"), "correct horse\n", 2, "role"),
        (("add", "b", "--role", "staff", "--password-stdin"), "", 2, "no password"),
        (("add", "b", "--role", "staff"), "", 2, "--password-stdin"),
        (("add", "b", "--role", "staff", "--password-stdin"), "short\n", 1, "8 to 1024"),
        (("add", "a:b", "--role", "staff", "--password-stdin"), "correct horse\n", 1, "login"),
        (("add", "b", "--password-stdin"), "correct horse\n", 2, "role"),
        (("password", "nobody", "--password-stdin"), "correct horse\n", 1, "archive"),
        (("list",), "", 1, "no archive"),
        (("explode",), "", 2, "explode"),
    ],
)
def test_what_is_refused(run: Run, arguments: tuple[str, ...], stdin: str, code: int, words: str) -> None:
    got, out, err = run(*arguments, stdin=stdin)
    assert (got, out) == (code, "") and words in err


def test_changes_reach_an_archive_that_is_served(run: Run, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served, served.anonymous() as client:
        assert run("add", "late", "--role", "viewer", "--password-stdin", stdin="correct horse\n")[0] == 0
        fields = {"login": "late", "password": "correct horse"}
        sid = client.post("/api/v3/session/login", data=fields).json()["sid"]
        client.cookies.clear()
        assert run("remove", "late")[0] == 0
        assert client.post("/api/v3/session/login", data=fields).status_code == 412
        eventually_refused(client, sid)


def eventually_refused(client: httpx.Client, sid: str) -> None:
    import time

    until = time.monotonic() + 10
    while client.get("/metrics", params={"sid": sid}).status_code == 200:
        assert time.monotonic() < until, "the session of a removed account goes on"
        time.sleep(0.1)


def test_the_first_password_is_forgotten_once_it_is_changed(run: Run, tmp_path: Path) -> None:
    from app import compose

    data = tmp_path / "data"
    with compose.reading(data, exclusive=True) as archive:
        assert compose.accounts_of(archive, data).ensure_admin()
        assert not compose.accounts_of(archive, data).ensure_admin()
    file = data / "initial-admin-password"
    assert len(file.read_text().strip()) >= 20 and file.stat().st_mode & 0o777 == 0o600
    assert run("password", "admin", "--password-stdin", stdin="correct horse\n")[0] == 0
    assert not file.exists()
