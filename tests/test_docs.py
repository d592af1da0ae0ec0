"""Decisions are numbered, whole and listed; the changelog names the version; named paths exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests import house

ADRS = house.files("docs/adr/0*.md")
PROJECT = tomllib.loads((house.ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{n:04}" for n in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("path", ADRS, ids=lambda p: p.stem)
def test_a_decision_is_one_page_with_its_reason(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith(f"# {path.name[:4]}. ")
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)+)", text, re.MULTILINE))
    assert list(sections) == ["Context", "Decision", "Consequences"]
    assert all(len(body.split()) > 10 for body in sections.values())
    assert len(text.splitlines()) < 60


def test_every_decision_is_listed_under_its_title() -> None:
    listed = re.findall(
        r"^- \[(\d{4})\]\((.+?)\) (.+)$", (house.ROOT / "docs/adr/README.md").read_text("utf-8"), re.M
    )
    titles = [(p.name[:4], p.name, p.read_text("utf-8").split("\n", 1)[0].split(". ", 1)[1]) for p in ADRS]
    assert listed == titles


def test_the_changelog_names_this_version() -> None:
    changelog = (house.ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in changelog
    assert f"## [{PROJECT['version']}]" in changelog


def test_the_program_is_the_version_of_the_project() -> None:
    from app import __version__

    assert __version__ == PROJECT["version"]


def test_paths_the_documents_name_exist() -> None:
    pattern = re.compile(r"`((?:app|ui|core|server|tests|docs|build_specs|resources)/[\w./-]+)`")
    named = {name for path in house.files("*.md") for name in pattern.findall(path.read_text("utf-8"))}
    assert named
    assert not [name for name in sorted(named) if not (house.ROOT / name).exists()]
