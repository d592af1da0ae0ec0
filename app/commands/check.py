"""`filmjacket check`: proves every stored object against its digest, and mends what can be mended."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from app import compose, paths
from core.archive.nouns import Report

TITLES = {
    "missing": "Objects that are missing from the disk",
    "damaged": "Objects whose bytes have changed",
    "orphans": "Files that belong to no object",
    "catalog": "Entries of the catalog that disagree",
    "audit": "Entries of the audit log that disagree",
    "repaired": "Mended",
}


def run(*, data: Path | None, repair: bool, as_json: bool) -> int:
    """Check the archive in *data*; 0 when everything agrees, 1 when not. Raises KnownError."""
    folder = compose.existing(paths.data_folder(data))
    with compose.reading(folder, exclusive=repair) as archive:
        report = archive.check(repair=repair)
    sys.stdout.write(as_document(report) if as_json else as_text(report))
    return 0 if report.ok else 1


def as_document(report: Report) -> str:
    """The report as JSON."""
    return json.dumps({**dataclasses.asdict(report), "ok": report.ok}, ensure_ascii=False, indent=1) + "\n"


def as_text(report: Report) -> str:
    """The report for people."""
    lines = [f"{report.objects} objects, {report.bytes / 1e6:.1f} MB checked."]
    for name, title in TITLES.items():
        sentences: tuple[str, ...] = getattr(report, name)
        if sentences:
            lines += [f"{title}:", *(f"  {sentence}" for sentence in sentences)]
    lines.append("Everything agrees." if report.ok else "Not everything agrees.")
    return "\n".join(lines) + "\n"
