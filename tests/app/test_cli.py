"""The command line: exit codes, sentences instead of tracebacks, and what is not imported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from app import __version__, cli
from core.errors import BadInput, Busy, Denied, KnownError, NotFound, StorageFault, Unreachable
from core.media.samples import SampleStudy, write_ct_series
from tests.app.archive_process import ROOT, environment, filmjacket, here

HEAVY = {
    "numpy",
    "pydicom",
    "PySide6",
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "httpx",
    "rich",
    "PIL",
}
COMMANDS = ("scan", "stow", "upload", "serve", "users", "render", "export", "check", "backup", "demo")


def test_version_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert filmjacket("--version").stdout == f"filmjacket {__version__}\n"
    assert project["version"] == __version__


def test_help_names_every_command_and_nothing_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    listed = re.findall(r"^  (\w+) {2,}", capsys.readouterr().out.split("Commands:")[1], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
    for command in COMMANDS:
        assert cli.main([command, "--help"]) == 0
        assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scan"], "Missing argument"),
        (["scan", "--nonsense", "x"], "No such option"),
        (["nonsense"], "no command"),
        (["--nonsense"], "No such option"),
        ([".", "."], "one folder"),
        (["upload", "x"], "--to"),
        (["render", "x"], "--out"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err


def test_scan_prints_one_document(tmp_path: Path) -> None:
    write_ct_series(SampleStudy(), tmp_path / "disc", 3, size=16)
    done = here("scan", tmp_path / "disc", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["receipt"]["instances"] == 3
    gone = filmjacket("scan", tmp_path / "nowhere", "--json")
    assert gone.returncode == 3 and gone.stdout == "" and "Traceback" not in gone.stderr


def test_a_scan_imports_nothing_heavy(tmp_path: Path) -> None:
    write_ct_series(SampleStudy(), tmp_path, 2, size=16)
    code = (
        "import sys; from app import cli; code = cli.main(sys.argv[1:]); "
        f"print(code, sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "scan", str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, env=environment(), check=True,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "0 []"


class Odd(KnownError):
    """Says its exit code itself."""

    exit_code = 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("a", "b"), 1),
        (Denied("a", "b"), 1),
        (NotFound("study", "a", "b"), 1),
        (Busy("a", "b"), 3),
        (StorageFault("a", "b"), 3),
        (Unreachable("a", "b"), 3),
        (Odd("a", "b"), 2),
        (PermissionError(13, "Permission denied", "/x"), 3),
        (KeyboardInterrupt(), 1),
        (ZeroDivisionError("Doe^Jane"), 3),
    ],
)
def test_errors_become_sentences_and_codes(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setenv("FILMJACKET_DATA", str(tmp_path))
    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main([]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("filmjacket: ") and "Traceback" not in err and "Doe" not in err
    if isinstance(error, KnownError):
        assert err == "filmjacket: a\n  b\n"
    if isinstance(error, ZeroDivisionError):
        written = (tmp_path / "logs" / "errors.log").read_text()
        assert "ZeroDivisionError" in written and "Doe" not in written and "logs" in err


def test_a_reader_that_leaves_early(tmp_path: Path) -> None:
    write_ct_series(SampleStudy(), tmp_path, 2, size=16)
    first = subprocess.Popen(
        [sys.executable, "-m", "app", "scan", str(tmp_path), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert first.stdout is not None and first.stderr is not None
    first.stdout.close()
    err = first.stderr.read()
    first.stderr.close()
    assert first.wait(60) == 1 and "Traceback" not in err and "Exception ignored" not in err


def test_the_desktop_opens_on_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from app.commands import desktop

    opened: list[Path | None] = []

    def note(path: Path | None) -> int:
        opened.append(path)
        return 0

    run: Callable[[Path | None], int] = note
    monkeypatch.setattr(desktop, "run", run)
    assert cli.main([]) == cli.main([str(tmp_path)]) == 0
    assert opened == [None, tmp_path]
