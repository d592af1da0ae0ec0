"""`filmjacket scan`: reads discs, folders and ZIP files and says what is on them and whether that is all."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from core.dicom.refs import Header
from core.dicom.tree import Patient, Series, Study
from core.errors import KnownError
from core.scan.result import Receipt, Scan
from core.scan.scanner import Scanner, ScanProgress

DONE, IN_PART, ENVIRONMENT = 0, 1, 3
MISSING_NAMED = 10  # without -v


def run(paths: Sequence[Path], as_json: bool = False, verbose: bool = False) -> int:
    """Scan and report; the exit code is 0 for a complete scan, 1 for gaps, 3 where a path cannot be read."""
    scanner = Scanner(paths)
    try:
        for progress in scanner.run():
            _show(progress, sys.stderr)
    except KnownError as error:
        _clear(sys.stderr)
        print(f"{error.message} {error.remedy}".strip(), file=sys.stderr)
        return ENVIRONMENT
    _clear(sys.stderr)
    result = scanner.result
    if as_json:
        json.dump(document(result), sys.stdout, ensure_ascii=_ascii_only(sys.stdout), indent=1)
        sys.stdout.write("\n")
    else:
        for line in report(result, verbose):
            print(_printable(line, sys.stdout))
    return DONE if result.receipt.complete else IN_PART


def document(result: Scan) -> dict[str, Any]:
    """The JSON document of a scan."""
    receipt = result.receipt
    return {
        "patients": [_patient(patient) for patient in result.tree.patients.values()],
        "skipped": [
            {"path": skipped.path, "reason": skipped.reason.value, "detail": skipped.detail}
            for skipped in sorted(result.skipped)
        ],
        "receipt": {
            "files": receipt.files,
            "instances": receipt.instances,
            "bytes": receipt.bytes,
            "listed_but_missing": receipt.listed_but_missing,
            "not_listed": receipt.not_listed,
            "duplicates": receipt.duplicates,
            "damaged": receipt.damaged,
            "complete": receipt.complete,
        },
        "seconds": round(result.seconds, 3),
    }


def _patient(patient: Patient) -> dict[str, Any]:
    header = patient.header
    return {
        "patient_id": header.patient_id,
        "name": header.patient_name,
        "birth_date": header.patient_birth_date,
        "sex": header.patient_sex,
        "studies": [_study(study) for study in patient.studies.values()],
    }


def _study(study: Study) -> dict[str, Any]:
    header = study.header
    return {
        "study_uid": study.study_instance_uid,
        "date": header.study_date,
        "description": header.study_description,
        "accession_number": header.accession_number,
        "modalities": study.modalities,
        "series": [_series(series) for series in study.series.values()],
    }


def _series(series: Series) -> dict[str, Any]:
    return {
        "series_uid": series.series_instance_uid,
        "number": series.header.series_number,
        "modality": series.header.modality,
        "description": series.header.series_description,
        "instances": len(series.instances),
        "bytes": series.bytes,
    }


def report(result: Scan, verbose: bool) -> list[str]:
    """The lines people read; *verbose* names every file, otherwise junk is only counted."""
    lines = []
    for patient in result.tree.patients.values():
        lines.append(_of_patient(patient.header))
        if patient.warning:
            lines.append(f"  ! {patient.warning}")
        for study in patient.studies.values():
            lines.extend(_of_study(study))
    by_reason: dict[str, int] = {}
    for skipped in sorted(result.skipped):
        by_reason[skipped.reason.value] = by_reason.get(skipped.reason.value, 0) + 1
        if verbose or skipped.reason not in ("not-dicom", "dicomdir"):
            lines.append(f"skipped {skipped.path} ({skipped.reason.value}): {skipped.detail}")
    named = result.missing if verbose else result.missing[:MISSING_NAMED]
    lines.extend(f"missing {path}: named by the disc's table of contents, but not there." for path in named)
    if len(named) < len(result.missing):
        lines.append(f"missing {len(result.missing) - len(named)} more; -v names them")
    if by_reason:
        lines.append(
            "not taken: " + ", ".join(f"{count} {reason}" for reason, count in sorted(by_reason.items()))
        )
    lines.append(of_receipt(result.receipt, result.seconds))
    return lines


def _of_patient(header: Header) -> str:
    name = header.patient_name.split("=")[0].replace("^", " ").strip() or "(no name)"
    facts = [header.patient_id or "(no ID)", header.patient_birth_date, header.patient_sex]
    return "  ".join([name, *(fact for fact in facts if fact)])


def _of_study(study: Study) -> list[str]:
    header = study.header
    title = (
        " ".join(part for part in (header.study_date, header.study_description) if part) or "(no description)"
    )
    lines = [f"  {title}  {'/'.join(study.modalities)}  {study.study_instance_uid}"]
    for series in study.series.values():
        number = "" if series.header.series_number is None else f"{series.header.series_number} "
        description = series.header.series_description or "(no description)"
        title = f"{number}{series.header.modality} {description}"
        lines.append(f"    {title}: {_images(len(series.instances))}, {size(series.bytes)}")
    return lines


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def size(count: int) -> str:
    """A number of bytes for people."""
    value, unit = float(count), "bytes"
    for bigger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def of_receipt(receipt: Receipt, seconds: float) -> str:
    """The completeness receipt in one line."""
    counts = {
        "listed but missing": receipt.listed_but_missing,
        "not listed": receipt.not_listed,
        "duplicate": receipt.duplicates,
        "damaged": receipt.damaged,
    }
    notes = "".join(f", {count} {what}" for what, count in counts.items() if count)
    verdict = "complete" if receipt.complete else "NOT COMPLETE"
    return (
        f"{verdict}: {receipt.files} files read, {receipt.instances} images ({size(receipt.bytes)}){notes}; "
        f"{seconds:.1f} s"
    )


def _show(progress: ScanProgress, stream: TextIO) -> None:
    """One line that is written over, on a terminal only."""
    if stream.isatty():
        total = "" if progress.files_total is None else f" of {progress.files_total}"
        print(f"\r{progress.files_read}{total} files read", end="", file=stream, flush=True)


def _clear(stream: TextIO) -> None:
    if stream.isatty():
        print("\r" + " " * 60 + "\r", end="", file=stream, flush=True)


def _ascii_only(stream: TextIO) -> bool:
    return (stream.encoding or "ascii").lower().replace("-", "") != "utf8"


def _printable(line: str, stream: TextIO) -> str:
    encoding = stream.encoding or "ascii"
    return line.encode(encoding, "replace").decode(encoding)
