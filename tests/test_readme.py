"""What README and CONTRIBUTING say is so: the map, the commands, the variables, the pictures, the links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import house
from tests.app.archive_process import here

README = (house.ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (house.ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (house.ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
CODE = re.compile(r"^```\w*\n(.*?)^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def _code(text: str) -> list[str]:
    """Lines inside code marks."""
    blocks = [block or inline for block, inline in CODE.findall(text)]
    return [line.strip() for block in blocks for line in block.split("\n") if line.strip()]


def _make_targets(text: str) -> set[str]:
    return {target for line in _code(text) for target in re.findall(r"(?:^|\s)make ([a-z-]+)", line)}


def _filmjacket_lines(text: str) -> list[list[str]]:
    lines = [line.split() for line in _code(text) if line.startswith("filmjacket")]
    also = re.findall(r"also ((?:`[a-z ]+`,? ?)+)", text)
    return lines + [
        ["filmjacket", *words.split()] for group in also for words in re.findall(r"`([a-z ]+)`", group)
    ]


def _commands(text: str) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for words in _filmjacket_lines(text):
        names = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word)]
        found.add(tuple(names if words[1:2] == ["users"] else names[:1]))
    return found - {()}


def test_readme_names_the_two_commands() -> None:
    assert {"demo", "test", "run"} <= _make_targets(README)


def test_every_make_command_in_the_documents_exists() -> None:
    named = _make_targets(README) | _make_targets(CONTRIBUTING)
    assert named and named <= TARGETS
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
    assert phony == TARGETS


@pytest.mark.parametrize("command", sorted(_commands(README)), ids=" ".join)
def test_every_command_in_the_readme_exists(command: tuple[str, ...]) -> None:
    done = here(*command, "--help")
    assert done.returncode == 0 and "Usage:" in done.stdout, done.stdout + done.stderr


def test_every_option_in_the_readme_exists() -> None:
    from typer.main import get_command

    from app.cli import app

    group = get_command(app)
    checked = 0
    for words in _filmjacket_lines(README):
        options = [word for word in words if word.startswith("--")]
        command = getattr(group, "commands", {}).get(words[1]) if len(words) > 1 else None
        if command is not None and words[1] == "users":
            command = command.commands.get(words[2])
        if command is not None:
            known = {name for parameter in command.params for name in parameter.opts}
            assert set(options) <= known, words
            checked += len(options)
    assert checked


def test_every_command_is_in_the_readme() -> None:
    from typer.main import get_command

    from app.cli import app

    group = get_command(app)
    names = {(name,) for name in getattr(group, "commands", {}) if name != "users"}
    names |= {("users", name) for name in group.commands["users"].commands}  # type: ignore[attr-defined]
    assert names <= _commands(README) | {("users",)}


def test_the_map_is_that_of_the_code() -> None:
    expected = "\n".join(f"| `{name}` | {line} |" for name, line in sorted(house.packages().items()))
    start = README.index("| package | what it is |\n|---|---|\n")
    written = README[start:].split("\n\n")[0].strip().split("\n")[2:]
    assert "\n".join(written) == expected, f"README's map should read:\n{expected}"


def test_every_variable_is_documented() -> None:
    pattern = re.compile(r"\bFILMJACKET_[A-Z_]+\b|\bCALLBACK_URLS\b")
    used = {name for path in house.sources() for name in pattern.findall(path.read_text("utf-8"))}
    tests = {
        name
        for path in house.files("tests/*.py", "Makefile", "*.sh")
        for name in pattern.findall(path.read_text("utf-8"))
    }
    assert used and used <= set(pattern.findall(README)), "a variable the README does not explain"
    assert set(pattern.findall(README)) <= used, "a variable that nothing reads"
    assert tests <= set(pattern.findall(README + CONTRIBUTING + __doc__)) | {"CALLBACK_URLS"}


@pytest.mark.parametrize("path", house.files("*.md"), ids=house.name_of)
def test_every_link_and_picture_of_a_document_is_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8"))
    assert not [link for link in links if not link.startswith("http") and not (path.parent / link).exists()]


def test_pictures_of_the_readme_are_small() -> None:
    pictures = [house.ROOT / name for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)]
    assert pictures
    assert not [
        p.name for p in pictures if p.stat().st_size > 300_000 or not p.read_bytes().startswith(b"\x89PNG")
    ]
