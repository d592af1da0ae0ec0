"""`filmjacket backup`: a copy of the archive, a data folder of its own, made while it may be in use."""

from __future__ import annotations

import sys
from pathlib import Path

from app import compose, paths
from app.commands.check import as_document, as_text


def run(destination: Path, *, data: Path | None, as_json: bool) -> int:
    """Copy the archive in *data* to *destination*. Raises KnownError."""
    folder = compose.existing(paths.data_folder(data))
    with compose.reading(folder, exclusive=False) as archive:
        report = archive.backup(destination.absolute())
    sys.stdout.write(as_document(report) if as_json else as_text(report))
    return 0 if report.ok else 1
