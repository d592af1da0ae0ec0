"""The project seen as files: what the house rules and the documents' tests walk over."""

from __future__ import annotations

import ast
import subprocess
import tokenize
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("app", "ui", "server", "core", "resources")
MARKDOWN = "*.md"


@cache
def files(*patterns: str) -> tuple[Path, ...]:
    """Files of the project, tracked or about to be, that match *patterns* (of git); none is an error."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = tuple(sorted(ROOT / name for name in set(listed.split("\0")) if name and (ROOT / name).is_file()))
    if not found:
        raise LookupError(f"no file matches {patterns}")
    return found


def name_of(path: Path) -> str:
    """The path as a person writes it, from the project's root."""
    return path.relative_to(ROOT).as_posix()


def sources() -> tuple[Path, ...]:
    """The program's own modules."""
    return files(*(f"{room}/*.py" for room in ROOMS))


@cache
def packages() -> dict[str, str]:
    """Every package of the program with the first line of its docstring."""
    inits = [path for path in sources() if path.name == "__init__.py"]
    return {name_of(path.parent): first_line(path) for path in inits}


def first_line(path: Path) -> str:
    """The first line of a module's docstring, "" if it has none."""
    with tokenize.open(path) as file:  # a whole syntax tree would take long, for its first word
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.STRING:
                docstring = ast.literal_eval(token.string)
                return str(docstring).lstrip().split("\n", 1)[0].rstrip()
            if token.type not in (tokenize.COMMENT, tokenize.NL):
                break
    return ""
