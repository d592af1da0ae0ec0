"""`filmjacket stow`: sends DICOM files, or pictures, documents and videos with metadata, by STOW-RS."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.stow_sending import Failure, Report, Sender
from app.usage import Usage
from core.dicom.model_values import text
from core.dicom.native_xml import as_xml
from core.errors import BadInput, KnownError, Unsupported
from core.media.described import MEDIA_TYPES, Describer
from core.media.kinds import media_type_of
from core.net.dicomweb_client import DICOM, DICOM_JSON, DICOM_XML, SOP_UID, DicomWebClient, held, service_root
from core.net.related import Part
from core.upload.backoff import Pace
from core.upload.destinations import from_environment

DONE, IN_PART = 0, 1
MOST_FILES, MOST_BYTES = 100, 256 << 20
"""DICOM files of one request."""
DICOM_NAMES = frozenset({".dcm", ".dicom", ".ima"})
PREAMBLE = 128
MOST_SHOWN = 20
WARNING = re.compile(r'\d{3} \S+ "([^"]*)"')
"""Several may stand in one header (RFC 7234 5.5); the words of each."""
PACE = Pace()


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; *form* is json, xml or ""."""

    files: Sequence[Path]
    url: str
    attributes: Sequence[str] = ()
    form: str = ""
    photographs: bool = False
    as_json: bool = False


def run(options: Options) -> int:
    """Send and return the exit code. Raises KnownError, OSError."""
    try:
        _, resource = service_root(options.url)
    except BadInput as error:
        raise Usage(error.message, error.remedy) from error
    files = list(_files(options.files))
    whole = [path for path, kind in files if kind == DICOM]
    others = [(path, kind) for path, kind in files if kind != DICOM]
    if whole and options.attributes:
        raise Usage("Attributes are for pictures, documents and videos: DICOM files are sent as they are.")
    if not files:
        raise Usage("There is nothing to send here.", f"It sends DICOM files and {' '.join(MEDIA_TYPES)}.")
    bulk = _described(options, others, resource.partition("/studies/")[2]) if others else None
    report, started = Report(options.url), time.monotonic()
    with closing(DicomWebClient(options.url, from_environment(os.environ))) as client:
        sender = Sender(client, resource, report, xml=options.form == "xml", pace=PACE)
        try:
            for some in _requests(whole):
                sender.files(some)
            if bulk is not None:
                sender.described(*bulk)
        except KnownError:
            if report.sent or report.stored:
                _tell(report, options, time.monotonic() - started)
            raise
        _ask(client, report)
    _tell(report, options, time.monotonic() - started)
    return DONE if report.complete else IN_PART


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every file with its media type; of folders those that can be sent. Raises Usage, OSError."""
    for path in paths:
        if path.is_dir():
            inside = (each for each in sorted(path.rglob("*")) if each.is_file())
            yield from ((each, kind) for each in inside if (kind := _kind(each)))
            continue
        if not path.exists():
            raise Usage(f"The file is not there: {path}", "Check its name.")
        kind = _kind(path)
        if not kind:
            raise Usage(f"{path} is neither a DICOM file nor one of {' '.join(MEDIA_TYPES)}.")
        yield path, kind


def _kind(path: Path) -> str:
    known = MEDIA_TYPES.get(path.suffix.lower(), "")
    with path.open("rb") as stream:
        head = stream.read(PREAMBLE + 4)
    if head[PREAMBLE:] == b"DICM" or (not known and path.suffix.lower() in DICOM_NAMES):
        return DICOM
    if not known:
        return ""
    with suppress(Unsupported):  # whoever takes it looks closer
        return media_type_of(path)
    return known


def _requests(files: Sequence[Path]) -> Iterator[list[Path]]:
    some: list[Path] = []
    size = 0
    for path in files:
        length = path.stat().st_size
        if some and (len(some) >= MOST_FILES or size + length > MOST_BYTES):
            yield some
            some, size = [], 0
        some.append(path)
        size += length
    if some:
        yield some


def _described(
    options: Options, files: Sequence[tuple[Path, str]], study_uid: str
) -> tuple[list[Part], str, list[tuple[Path, str]]]:
    """Parts with metadata and bulk data, the media type of the former, the files' UIDs. Raises Usage.

    *study_uid* is that of the address, "" if it names no study.
    """
    try:
        describer = Describer(options.attributes, photographs=options.photographs, study_uid=study_uid)
        models = [describer.metadata(kind, f"bulk{number}") for number, (_, kind) in enumerate(files, 1)]
    except BadInput as error:
        raise Usage(error.message, error.remedy) from error
    bulk = [Part(kind, path, f"bulk{number}") for number, (path, kind) in enumerate(files, 1)]
    uids = [(path, text(model, SOP_UID)) for (path, _), model in zip(files, models, strict=True)]
    if options.form == "json":
        document = json.dumps(models, ensure_ascii=False).encode("utf-8")
        return [Part(DICOM_JSON, document), *bulk], DICOM_JSON, uids
    pairs = zip(models, bulk, strict=True)
    return [part for model, data in pairs for part in (Part(DICOM_XML, as_xml(model)), data)], DICOM_XML, uids


def _ask(client: DicomWebClient, report: Report) -> None:
    """Have the archive say which of the stored objects it holds; one that cannot be asked leaves it open."""
    studies = {_study_of(url) for url in (*report.stored.values(), *report.studies) if url}
    if not report.stored or not studies or "" in studies:
        return
    try:
        there = {uid for study in studies for uid in held(client, study)}
    except KnownError:
        return
    report.held = len(there & set(report.stored))


def _study_of(url: str) -> str:
    """The Study Instance UID in the address of an object, "" if there is none."""
    parts = urlsplit(url).path.split("/")
    return parts[parts.index("studies") + 1] if "studies" in parts[:-1] else ""


def _failure(failure: Failure) -> dict[str, str]:
    return {"sop_uid": failure.sop_uid, "path": failure.path, "reason": failure.reason}


def _tell(report: Report, options: Options, seconds: float) -> None:
    if options.as_json:
        document: dict[str, Any] = {
            "url": report.url,
            "sent": report.sent,
            "stored": list(report.stored),
            "held": report.held,
            "failed": [_failure(each) for each in report.failed],
            "studies": sorted(set(report.studies)),
            "complete": report.complete,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    print(f"{report.kept} of {report.sent} objects stored at {report.url} in {seconds:.1f} s.")
    if report.held is not None:
        print(f"  {report.held} of them are listed there (not compared byte for byte).")
    if report.kept > len(report.stored):
        print("  Some files hold the same object: it is stored once.")
    for failure in report.failed[:MOST_SHOWN]:
        print(
            f"  not stored: {failure.path or failure.sop_uid or 'an object without a UID'}: {failure.words}"
        )
    if len(report.failed) > MOST_SHOWN:
        print(f"  and {len(report.failed) - MOST_SHOWN} more.")
    if sys.stderr is not None:
        for warning in report.warnings:
            for words in WARNING.findall(warning) or [warning]:
                sys.stderr.write(f"  {''.join(c if c.isprintable() else ' ' for c in words)[:400]}\n")
