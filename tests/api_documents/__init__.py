"""The API documents the archive follows, and what had to be mended in them before it could be run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests import house

ERRATA = Path(__file__).with_name("errata.md")
DOCUMENTS = house.ROOT.parent / "shared" / "api"
"""Where the documents lie beside the project, if they do."""
SECTION = re.compile(
    r"^## (?P<document>[^\s:]+): (?P<what>[^\n]+)\n+Published:\n+```\n(?P<published>.*?)\n```\n+"
    r"Mended:\n+```\n(?P<mended>.*?)\n```\n+(?P<why>.+?)\n*(?=^## |\Z)",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"@\w+\.\w+")


@dataclass(frozen=True)
class Erratum:
    """One mended line of one document."""

    document: str
    what: str
    published: str
    mended: str
    why: str


def errata() -> list[Erratum]:
    """Every entry of errata.md."""
    return [Erratum(**match.groupdict()) for match in SECTION.finditer(ERRATA.read_text("utf-8"))]


def bare(line: str) -> str:
    """A line as it is compared: the documents break lines inside words, and their file names are examples."""
    return FILE.sub("@file", "".join(line.replace("\\\n", "").split()))
