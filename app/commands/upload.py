"""`filmjacket upload`: scan, pick, send, have the destination say what it holds, print the receipt."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app import paths as places
from app.usage import Usage
from core.dicom.refs import FileRef
from core.dicom.tree import Study
from core.errors import KnownError
from core.imaging.recoder import Recoder
from core.media.attached import encapsulate
from core.net.credentials import Access, Token
from core.scan.scanner import Scan, Scanner, ScanProgress
from core.settings import load
from core.upload.destinations import Found, Means, connect, find
from core.upload.job import UploadJob
from core.upload.ledger import Ledger
from core.upload.nouns import RunState, UploadProgress, UploadReceipt
from core.upload.picks import Attach, Order, Pick
from core.upload.runner import run as run_job
from core.upload.saved import Destinations
from core.upload.target import TargetKind, check_namespace

DONE, IN_PART = 0, 1
DEFAULT_NAMESPACE = "default"
WITHOUT_NAMESPACES = (TargetKind.STOW, TargetKind.EXAMS)
MOST_FAILURES_SHOWN = 20
MEGABYTE = 1_000_000

Bar = Callable[[int, int | None, str], None]
Progress = TypeVar("Progress")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    paths: Sequence[Path]
    to: str
    studies: Sequence[str]
    namespace: str
    attach: Sequence[Path]
    resume: bool
    replace: bool


def run(
    paths: Sequence[Path],
    *,
    to: str,
    study: Sequence[str] = (),
    namespace: str = DEFAULT_NAMESPACE,
    attach: Sequence[Path] = (),
    resume: bool = False,
    replace: bool = False,
    data: Path | None = None,
    as_json: bool = False,
    verbose: bool = False,
) -> int:
    """Upload and return the exit code. Raises KnownError, OSError."""
    wish = Wish(paths, to, tuple(study), check_namespace(namespace), attach, resume, replace)
    for path in attach:
        if not path.is_file():
            raise Usage(f"The file to attach is not there: {path}", "Check its name.")
    folder = places.prepare(places.data_folder(data))
    with Ledger(folder / "client.db") as ledger:
        found = find(to, Destinations(ledger.database), os.environ)
        if found.target.kind in WITHOUT_NAMESPACES and namespace != DEFAULT_NAMESPACE:
            raise Usage("This destination has no namespaces.", "Leave out --namespace.")
        scan = _scan(wish)
        job = _job(wish, ledger, found, scan)
        if job is None:
            return _nothing(found, as_json=as_json)
        try:
            receipt = _send(job, found, folder, scan)
        except KnownError:
            if as_json and (document := job.last_receipt()) is not None:
                _print_json(document)
            raise
    if as_json:
        _print_json(receipt.to_json())
    else:
        _print(receipt, scan)
    return DONE if receipt.complete else IN_PART


def _scan(wish: Wish) -> Scan:
    def text(progress: ScanProgress) -> tuple[int, int | None, str]:
        return progress.files_read, progress.files_total, "Reading files"

    return _watched(Scanner(wish.paths).run(), text)


def _job(wish: Wish, ledger: Ledger, found: Found, scan: Scan) -> UploadJob | None:
    """The job to run: an unfinished one if that was asked for and there is one. None: nothing to send."""
    here: dict[str, list[Study]] = {}
    for _, study in scan.tree.studies():
        here.setdefault(study.study_instance_uid, []).append(study)
    for uid in wish.studies:
        if uid not in here:
            raise Usage(f"There is no study {uid} here.", "See what there is with: filmjacket scan")
    namespace = wish.namespace
    if namespace == DEFAULT_NAMESPACE and found.namespace:
        namespace = found.namespace
    job = None
    if wish.resume:
        job = ledger.find_resumable(wish.paths, found.spec, namespace, wish.studies or None)
    going_on = {each.study_uid for each in job.studies()} & set(here) if job else set()
    chosen = [uid for uid in here if uid in (going_on or wish.studies or here)]
    attaches = _attaches(wish, chosen)
    picks = [Pick.of(study) for uid in chosen for study in here[uid]]
    if job is not None and going_on:
        ledger.renew(job, picks, attaches, _locator(scan))
        _say("Going on with the unfinished upload.")
        return job
    if not picks:
        return None
    order = Order(wish.paths, found.spec, picks, attaches, namespace, wish.replace)
    return ledger.create(order, _locator(scan))


def _attaches(wish: Wish, chosen: Sequence[str]) -> list[Attach]:
    if wish.attach and len(chosen) > 1:
        raise Usage(
            f"--attach needs one study to attach to, and {len(chosen)} are picked.",
            "Pick one with --study UID.",
        )
    return [Attach(uid, path) for uid in chosen for path in wish.attach]


def _locator(scan: Scan) -> Callable[[FileRef], Path | None]:
    def locate(ref: FileRef) -> Path | None:
        return next((source.file(ref).absolute() for source in scan.sources if source.covers(ref)), None)

    return locate


def _send(job: UploadJob, found: Found, data: Path, scan: Scan) -> UploadReceipt:
    def text(progress: UploadProgress) -> tuple[int, int | None, str]:
        words = f"{progress.sent} of {progress.expected} images"
        if progress.state is RunState.WAITING:
            words += f", waiting for the network: {progress.note}"
        elif progress.rate:
            words += f", {progress.rate / MEGABYTE:.0f} MB/s"
        return progress.bytes_sent, progress.bytes_total or None, words

    with _local_archive(data) as local_archive:
        means = Means(local_archive, encapsulate, Recoder(), load(data).serve.ae_title)
        destination = connect(found, job.namespace, means, job.patient_id)
        return _watched(run_job(job, destination, opener=scan.open), text)


@contextmanager
def _local_archive(data: Path) -> Iterator[Callable[[], tuple[str, Access]]]:
    """Starts the archive in the data folder when asked; stops it again unless it ran before."""
    from app.embedded import EmbeddedArchive

    archive = EmbeddedArchive(data)

    def start() -> tuple[str, Access]:
        ready = archive.start()
        archive.keep_running(ready.adopted)
        return ready.http_url, Token(ready.token)

    try:
        yield start
    finally:
        archive.stop()


def _watched(
    work: Generator[Progress, None, Result], text: Callable[[Progress], tuple[int, int | None, str]]
) -> Result:
    """Drive *work* to its end, showing its progress."""
    with closing(work), _bar() as bar:
        while True:
            try:
                progress = next(work)
            except StopIteration as end:
                result: Result = end.value
                return result
            bar(*text(progress))


@contextmanager
def _bar() -> Iterator[Bar]:
    """A bar on stderr if a person looks at it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Rich(*columns, console=Console(stderr=True), transient=True) as rich:
        task = rich.add_task("", total=None)
        yield lambda done, total, text: rich.update(task, completed=done, total=total, description=text)


def _unseen(done: int, total: int | None, text: str) -> None:
    """Nobody looks."""


def _nothing(found: Found, *, as_json: bool) -> int:
    if as_json:
        _print_json(UploadReceipt(found.label, (), 0.0).to_json())
    _say("There are no images to upload here.")
    return IN_PART


def _print(receipt: UploadReceipt, scan: Scan) -> None:
    how = {"digest": "checked by content", "uid": "held there by identifier, not compared byte for byte"}
    for study in receipt.studies:
        line = (
            f"Study {study.study_uid}: {study.verified} of {study.expected} images at {receipt.destination}"
        )
        line += f", {how[study.verified_by]}"
        if study.already_there:
            line += f", {study.already_there} were there already"
        if study.attachments_expected:
            line += f"; {study.attachments} of {study.attachments_expected} attachments"
        print(line + ".")
        for failure in study.failed[:MOST_FAILURES_SHOWN]:
            print(f"  not sent: {failure.path}: {failure.reason}")
        if len(study.failed) > MOST_FAILURES_SHOWN:
            print(f"  and {len(study.failed) - MOST_FAILURES_SHOWN} more")
    if receipt.safe_to_eject and scan.receipt.complete:
        print(f"Complete in {receipt.seconds:.1f} s. Safe to eject.")
    elif receipt.complete:
        print(f"Complete in {receipt.seconds:.1f} s.")
    else:
        print("Not complete. Go on with --resume.")
    if not scan.receipt.complete:
        print("Not every file of the source could be read; see: filmjacket scan")


def _print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=1))


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text + "\n")
