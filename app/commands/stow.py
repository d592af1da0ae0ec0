"""`filmjacket stow`: sends DICOM files, or pictures, documents and videos with metadata, by STOW-RS."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.usage import Usage
from core.dicom.json_model import Model
from core.dicom.native_reader import read_xml
from core.dicom.native_xml import as_xml
from core.errors import BadInput, KnownError
from core.media.described import MEDIA_TYPES, Describer
from core.net.address import parse
from core.net.answers import Answer, known_error
from core.net.post import Poster
from core.net.related import Part, RelatedBody
from core.net.session import basic
from core.upload.destinations import from_environment

DONE, IN_PART = 0, 1
DICOM, DICOM_JSON, DICOM_XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
MOST_FILES, MOST_BYTES = 100, 256 << 20
"""DICOM files of one request."""
DICOM_NAMES = frozenset({".dcm", ".dicom", ".ima"})
PREAMBLE = 128
TOLD = frozenset({200, 202, 409})
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; *form* is json, xml or ""."""

    files: Sequence[Path]
    url: str
    attributes: Sequence[str] = ()
    form: str = ""
    photographs: bool = False
    as_json: bool = False


@dataclass(slots=True)
class Report:
    """What the archive said of each object."""

    url: str
    sent: int = 0
    stored: list[str] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything that was sent is stored, as far as the archive says."""
        return bool(self.sent) and not self.failed and len(self.stored) >= self.sent


def run(options: Options) -> int:
    """Send and return the exit code. Raises KnownError, OSError."""
    address = parse(options.url)
    files = list(_files(options.files))
    whole = [path for path, kind in files if kind == DICOM]
    others = [(path, kind) for path, kind in files if kind != DICOM]
    if whole and options.attributes:
        raise Usage("Attributes are for pictures, documents and videos: DICOM files are sent as they are.")
    if not files:
        raise Usage("There is nothing to send here.", f"It sends DICOM files and {' '.join(MEDIA_TYPES)}.")
    bulk = _described(options, others) if others else ([], "")
    path = "" if "studies" in address.prefix.split("/") else "/studies"
    report, started = Report(options.url), time.monotonic()
    with closing(Poster(address)) as poster:
        sender = _Sender(poster, path, address.peer, options.form, report)
        try:
            for some in _requests(whole):
                sender.send([Part(DICOM, each) for each in some], DICOM, len(some))
            if others:
                sender.send(*bulk, len(others))
        except KnownError:
            if report.sent or report.stored:
                _tell(report, options, time.monotonic() - started)
            raise
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


def _described(options: Options, files: Sequence[tuple[Path, str]]) -> tuple[list[Part], str]:
    """Parts with metadata and bulk data, and the media type of the former. Raises Usage."""
    try:
        describer = Describer(options.attributes, photographs=options.photographs)
        models = [describer.metadata(kind, f"bulk{number}") for number, (_, kind) in enumerate(files, 1)]
    except BadInput as error:
        raise Usage(error.message, error.remedy) from error
    bulk = [Part(kind, path, f"bulk{number}") for number, (path, kind) in enumerate(files, 1)]
    if options.form == "json":
        text = json.dumps(models, ensure_ascii=False).encode("utf-8")
        return [Part(DICOM_JSON, text), *bulk], DICOM_JSON
    pairs = zip(models, bulk, strict=True)
    return [part for model, data in pairs for part in (Part(DICOM_XML, as_xml(model)), data)], DICOM_XML


class _Sender:
    """Sends requests and writes down what is answered."""

    def __init__(self, poster: Poster, path: str, peer: str, form: str, report: Report) -> None:
        self._poster = poster
        self._path = path
        self._peer = peer
        self._report = report
        self._headers = {"Accept": DICOM_XML if form == "xml" else DICOM_JSON, **_credentials(os.environ)}

    def send(self, parts: Sequence[Part], inner: str, count: int) -> None:
        """One request of *count* objects. Raises KnownError where it is refused as a whole."""
        with closing(RelatedBody(parts)) as body:
            headers = {**self._headers, "Content-Type": body.content_type(inner)}
            answer = self._poster.post(self._path, body, body.size, headers)
        if answer.status not in TOLD:
            raise known_error(answer, self._peer)
        self._report.sent += count
        if warning := answer.headers.get("warning", ""):
            self._report.warnings.append(warning)
        model = _model(answer, self._peer)
        self._report.stored += [_text(item, "00081155") for item in _items(model, "00081199")]
        self._report.studies += [url for url in [_text(model, "00081190")] if url]
        self._report.failed += [
            {"sop_uid": _text(item, "00081155"), "reason": _reason(item)}
            for item in _items(model, "00081198")
        ]


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    access = from_environment(environ)
    return basic(access) if access is not None else {}


def _model(answer: Answer, peer: str) -> Model:
    if "xml" in answer.headers.get("content-type", ""):
        return read_xml(answer.content)
    try:
        model = json.loads(answer.content)
    except ValueError:
        model = None
    if isinstance(model, list) and len(model) == 1:
        model = model[0]
    if not isinstance(model, dict):
        raise (
            known_error(answer, peer)
            if answer.status == 409
            else KnownError(
                f"{peer} answered with something else than the result of storing.",
                "Check that the address is that of an archive that speaks STOW-RS.",
            )
        )
    return model


def _items(model: Model, tag: str) -> list[Model]:
    element = model.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def _text(model: Model, tag: str) -> str:
    element = model.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""


def _reason(item: Model) -> str:
    code = _text(item, "00081197")
    return f"0x{int(code):04X}" if code.isdigit() else code or "no reason given"


def _tell(report: Report, options: Options, seconds: float) -> None:
    if options.as_json:
        document: dict[str, Any] = {
            "url": report.url,
            "sent": report.sent,
            "stored": report.stored,
            "failed": report.failed,
            "studies": sorted(set(report.studies)),
            "complete": report.complete,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    print(f"{len(report.stored)} of {report.sent} objects stored at {report.url} in {seconds:.1f} s.")
    for failure in report.failed[:MOST_SHOWN]:
        print(f"  not stored: {failure['sop_uid'] or 'an object without a UID'}: reason {failure['reason']}")
    if not report.complete and sys.stderr is not None:
        for warning in report.warnings:
            sys.stderr.write(f"  {''.join(c if c.isprintable() else ' ' for c in warning)[:400]}\n")
