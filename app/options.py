"""Options that several commands have, and how each command begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

# `readable=False`: what may not be opened is no wrong usage, and the command itself says so, with the remedy.
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="The data folder.", envvar="FILMJACKET_DATA", show_default=False, readable=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else there.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="More log lines on stderr.")]
Paths = Annotated[
    list[Path], typer.Argument(help="Discs, folders, ZIP files or single files.", readable=False)
]


def finish(command: Callable[[], int], verbose: bool) -> None:
    """Start logging, run the command, leave with its exit code."""
    from core import log

    log.start(verbose=verbose)
    try:
        code = command()
    finally:
        log.stop()
    raise typer.Exit(code)
