"""`filmjacket export`: images of a disc, folder or study as interchange media, read back after writing."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from app import __version__, compose, paths
from core.archive.archive import Archive
from core.archive.nouns import Attachment
from core.dicom.refs import FileRef, Found
from core.errors import BadInput, Conflict, NotFound, StorageFault
from core.imaging.workers import RenderPool
from core.media.bundle import Bundle, Failure, Paper, Plan
from core.media.changing import READ_FAULTS, Item
from core.media.readback import prove
from core.media.targets import FolderTarget, IsoTarget, Target, ZipTarget
from core.scan.result import GAPS, Scan
from core.scan.scanner import PathUnavailable, Scanner

DONE, IN_PART, ENVIRONMENT = 0, 1, 3
BOX, QUALITY = (1024, 1024), 85
MOST_NAMED = 20
UID = re.compile(r"[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Options:
    """What to export from where to where."""

    what: str
    out: Path
    namespace: str = ""
    viewer: bool = True
    data: Path | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    items: Sequence[Item]
    papers: Sequence[Paper]
    gaps: Sequence[Failure]


def run(options: Options) -> int:
    """Export and report; 0 for everything, 1 for a part, 3 where a path cannot be read. Raises KnownError."""
    started = time.perf_counter()
    kind = {".zip": "zip", ".iso": "iso"}.get(options.out.suffix.lower(), "folder")
    out = options.out.absolute()
    with ExitStack() as held:
        try:
            source = held.enter_context(_source(options))
        except PathUnavailable as error:
            sys.stderr.write(f"filmjacket: {error.message}\n  {error.remedy}\n")
            return ENVIRONMENT
        if not source.items:
            raise BadInput(f"There are no images at {options.what}.", "Nothing was written.")
        pool = held.enter_context(RenderPool())
        place = held.enter_context(_place(out, kind))
        target = _target(place, kind, out.parent)
        plan = Plan(__version__, viewer=options.viewer)
        bundle = Bundle(plan, source.items, source.papers, _picturing(pool), target)
        _write(bundle, target, place if kind != "folder" else None)
        if not bundle.objects:
            raise BadInput(f"None of the images at {options.what} can be read.", "Nothing was written.")
        prove(place, kind, bundle.written)
    report = _report(bundle, source.gaps, out, kind, time.perf_counter() - started)
    sys.stdout.write(
        json.dumps(report, ensure_ascii=False, indent=1) + "\n" if options.as_json else _text(report)
    )
    return DONE if report["complete"] else IN_PART


@contextmanager
def _source(options: Options) -> Iterator[_Source]:
    """A path wins over a study of the same name. Raises PathUnavailable, NotFound, Conflict."""
    if UID.fullmatch(options.what) and not Path(options.what).exists():
        with compose.reading(compose.existing(paths.data_folder(options.data))) as archive:
            yield _stored(archive, options)
        return
    scanner = Scanner([Path(options.what)])
    for _ in scanner.run():
        pass
    yield _scanned(scanner.result)


def _scanned(found: Scan) -> _Source:
    every = [
        each
        for patient in found.tree.patients.values()
        for study in patient.studies.values()
        for series in study.series.values()
        for each in series.in_order()
    ]
    gaps = [Failure(one.path, one.detail) for one in found.skipped if one.reason in GAPS]
    gaps += [Failure(path, "The table of contents names it, but it is not there.") for path in found.missing]
    return _Source([_of_scan(found, each) for each in every], [], gaps)


def _of_scan(found: Scan, each: Found) -> Item:
    def opened(ref: FileRef = each.ref) -> BinaryIO:
        return found.open(ref)

    return Item(str(each.ref), each.size, opened, found.local_path(each.ref))


def _stored(archive: Archive, options: Options) -> _Source:
    study_uid = options.what
    named = [options.namespace] if options.namespace else archive.namespaces()
    homes = [each for each in named if archive.held(each, study_uid)]
    if not homes:
        raise NotFound("study", "There is no such study in the archive.", "Name the data folder with --data.")
    if len(homes) > 1:
        raise Conflict(f"The study is in {len(homes)} namespaces.", "Choose one with --namespace.")
    schema = archive.schema(homes[0], study_uid)
    uids = [image.sop_instance_uid for series in schema.series for image in series.images]
    images = [archive.image(homes[0], study_uid, uid) for uid in uids]
    items = [Item(one.sop_instance_uid, one.bytes, one.open, one.path, one.version) for one in images]
    newest = {each.guid: each for each in schema.attachments}.values()

    def paper(each: Attachment) -> Paper:
        kept = archive.attachment(homes[0], study_uid, each.guid, each.version)
        return Paper(each.name, each.content_type, each.bytes, kept.open)

    return _Source(items, [paper(each) for each in newest], [])


@contextmanager
def _place(out: Path, kind: str) -> Generator[Path, None, None]:
    """Where to write; what is unfinished goes when it fails. Raises Conflict where something is already."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise _taken(out)
        was_there = out.exists()
        out.mkdir(exist_ok=True)
        try:
            yield out
        except BaseException:
            for each in out.iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
            if not was_there:
                out.rmdir()
            raise
        return
    try:
        out.open("xb").close()  # nobody else takes the name meanwhile
    except FileExistsError as error:
        raise _taken(out) from error
    part = out.with_name(f".{uuid.uuid4().hex}{out.suffix}")
    try:
        yield part
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        out.unlink(missing_ok=True)
        raise


def _taken(out: Path) -> Conflict:
    return Conflict(f"There is something at {out} already.", "Choose another name, or an empty folder.")


def _target(place: Path, kind: str, space: Path) -> Target:
    if kind == "folder":
        return FolderTarget(place)
    return IsoTarget("IMAGES", space) if kind == "iso" else ZipTarget()


def _write(bundle: Bundle, target: Target, file: Path | None) -> None:
    """Everything onto the disk. Raises StorageFault."""
    try:
        if file is None:
            for _ in bundle.run():
                pass
            if hasattr(os, "sync"):
                os.sync()
            return
        with file.open("xb") as out:
            for data in bundle.run():
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StorageFault(f"The medium cannot be written ({error.strerror}).", "Make room.") from error
    finally:
        target.close()


def _picturing(pool: RenderPool) -> Callable[[Item, int], Future[bytes]]:
    """Pictures by the pool; of a ZIP file's member the bytes are handed over."""
    last: list[tuple[str, bytes]] = []

    def start(item: Item, frame: int) -> Future[bytes]:
        if item.path is not None:
            return pool.render(item.path, frame, "thumbnail", BOX, QUALITY)
        if not last or last[0][0] != item.name:
            try:
                with item.open() as file:
                    last[:] = [(item.name, file.read())]
            except READ_FAULTS:
                last[:] = [(item.name, b"")]  # read a moment ago; the pool says that it is no DICOM now
        return pool.render(last[0][1], frame, "thumbnail", BOX, QUALITY)

    return start


def _report(bundle: Bundle, gaps: Sequence[Failure], out: Path, kind: str, seconds: float) -> dict[str, Any]:
    failed = [*gaps, *bundle.failures]
    return {
        "out": str(out),
        "kind": kind,
        "patients": len(bundle.patients),
        "studies": len(bundle.studies),
        "instances": bundle.objects,
        "pictures": sum(one.path.startswith("IHE_PDI/") for one in bundle.written),
        "documents": sum(one.path.startswith("DOCS/") for one in bundle.written),
        "files": len(bundle.written),
        "bytes": sum(one.size for one in bundle.written),
        "failed": [{"name": one.name, "reason": one.reason} for one in failed],
        "verified": True,
        "complete": not failed,
        "seconds": round(seconds, 3),
    }


def _text(report: dict[str, Any]) -> str:
    failed = report["failed"]
    lines = [f"not exported {one['name']}: {one['reason']}" for one in failed[:MOST_NAMED]]
    if len(failed) > MOST_NAMED:
        lines.append(f"and {len(failed) - MOST_NAMED} more; --json names them")
    if report["patients"] > 1:
        lines.append(f"! It holds images of {report['patients']} patients.")
    lines.append(
        f"{'complete' if report['complete'] else 'NOT COMPLETE'}: {report['instances']} images and "
        f"{report['documents']} documents ({report['bytes'] / 1e6:.1f} MB) written to {report['out']} "
        f"and read back; {report['seconds']:.1f} s"
    )
    return "\n".join(lines) + "\n"
