"""The demo's main job: read the disc, send one study through an archive that is killed, read it back."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from app.demo_report import Report
from app.demo_sheet import Cell
from core.dicom.digest import new_hash, version_of
from core.dicom.refs import FileRef, Found, SkipReason
from core.dicom.tree import Series, Study
from core.errors import KnownError
from core.media.sample_disc import SampleDisc
from core.net.credentials import Token
from core.net.v3_client import V3Client
from core.scan.result import Scan
from core.scan.scanner import Scanner
from core.scan.zip_files import ZipFiles
from core.upload.backoff import Pace
from core.upload.ledger import Ledger
from core.upload.local_files import LocalFiles
from core.upload.nouns import RunState, UploadReceipt
from core.upload.picks import Attach, Order, Pick
from core.upload.runner import run
from core.upload.v3 import V3Destination

NAMESPACE = "default"
PDF_NAME = "report.pdf"
PICTURES = 18

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Door:
    """Where the archive answers now, and the token it takes."""

    url: str
    token: str


def result_of(work: Generator[Any, None, Result]) -> Result:
    """Drive a generator to its end and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            done: Result = end.value
            return done


def read_disc(disc: SampleDisc, report: Report) -> Scan:
    """Scan the disc and compare what is found with what was put on it."""
    scan = result_of(Scanner([disc.root]).run())
    receipt = scan.receipt
    report.check("files on the disc", receipt.files, disc.files)
    report.check("images indexed", receipt.instances, sum(disc.instances.values()))
    report.check("listed but missing", scan.missing, [disc.missing])
    report.check("lying there unlisted", receipt.not_listed, len(disc.not_listed))
    report.check("damaged", receipt.damaged, 1)
    report.check("duplicates", receipt.duplicates, 1)
    report.check("the disc is called complete", receipt.complete, False)
    studies = {study.study_instance_uid: study.instances for _, study in scan.tree.studies()}
    report.check("images by study", studies, disc.instances)
    reasons = Counter(str(skipped.reason) for skipped in scan.skipped)
    wanted = {SkipReason.DICOMDIR: 1, SkipReason.TRUNCATED: 1, SkipReason.DUPLICATE: 1}
    wanted[SkipReason.NOT_DICOM] = len(disc.junk)
    report.check("skipped by reason", dict(reasons), {str(k): v for k, v in wanted.items()})
    names = {patient.header.patient_name for patient in scan.tree.patients.values()}
    report.check("patients", sorted(names), sorted(study.patient.name for study in disc.studies))
    warned = sum(bool(patient.warning) for patient in scan.tree.patients.values())
    report.check("patients marked as alike", warned, 2)
    return scan


class Sending:
    """Sends the main study: once into an archive that dies half-way, then again from the ledger alone."""

    def __init__(self, scan: Scan, disc: SampleDisc, data: Path, report: Report) -> None:
        self._scan = scan
        self._disc = disc
        self._ledger_file = data / "client.db"
        self._report = report
        found = scan.tree.find(disc.main.uid)
        if found is None:
            raise KnownError("The study to be sent was not found on the disc.")
        self.study: Study = found[1]

    def until_the_archive_dies(self, door: Door, pdf: Path, kill: Callable[[], None]) -> int:
        """Send until half of the files were opened, then call *kill*; returns how many were acknowledged."""
        pick = Pick.of(self.study)
        half = len(pick.instances) // 2
        opened = itertools.count(1)

        def opener(ref: FileRef) -> BinaryIO:
            if next(opened) == half:
                kill()
            return self._scan.open(ref)

        uid = self.study.study_instance_uid
        order = Order([self._disc.root], "archive", [pick], [Attach(uid, pdf)], NAMESPACE)
        acknowledged, noticed = 0, False
        with Ledger(self._ledger_file) as ledger:
            job = ledger.create(order, self._scan.local_path)
            work = run(job, _destination(door), opener=opener, pace=Pace(progress_every_s=0.01))
            try:
                for progress in work:
                    acknowledged = progress.sent
                    noticed = progress.state is RunState.WAITING
                    if noticed:
                        break
            finally:
                work.close()
        self._report.check("the sender noticed that the archive was gone", noticed, True)
        return acknowledged

    def go_on(self, door: Door, acknowledged: int) -> UploadReceipt:
        """Resume as a program does that was started anew: from the ledger, without the scan."""
        uid, report = self.study.study_instance_uid, self._report
        with V3Client(door.url, Token(door.token)) as client:
            held = len(client.held(NAMESPACE, uid, [f.header.sop_instance_uid for f in self._instances()]))
        with Ledger(self._ledger_file) as ledger:
            job = ledger.find_resumable([self._disc.root], "archive", NAMESPACE)
            report.check("the ledger knows of the unfinished upload", job is not None, True)
            if job is None:
                raise KnownError("The ledger does not know of the unfinished upload.")
            with closing(ZipFiles()) as zip_files:
                files = LocalFiles(job, zip_files.open)
                receipt = result_of(run(job, _destination(door), opener=files.open))
            report.check("uploads left unfinished", len(ledger.unfinished()), 0)
        (study,) = receipt.studies
        total = self.study.instances
        report.check("nothing acknowledged was lost", held >= acknowledged > 0, True)
        report.check("the archive died half-way", 0 < held < total, True)
        report.check("images that were not sent again", study.already_there, held)
        report.check("images sent after the break", study.sent, total - held)
        report.check("images proven at the destination", study.verified, total)
        report.check("proven by", study.verified_by, "digest")
        report.check("attachments at the destination", study.attachments, 1)
        report.check("the upload is complete", receipt.complete, True)
        report.facts["upload"] = receipt.to_json()
        return receipt

    def _instances(self) -> list[Found]:
        return [found for series in self.study.series.values() for found in series.instances]


def _destination(door: Door) -> V3Destination:
    return V3Destination(door.url, Token(door.token), NAMESPACE, name="Local archive")


class ReadingBack:
    """Asks the archive for everything again and compares it with the disc."""

    def __init__(self, client: V3Client, scan: Scan, study: Study, report: Report) -> None:
        self._client = client
        self._scan = scan
        self._study = study
        self._uid = study.study_instance_uid
        self._report = report

    def schema_and_patient(self, pdf: Path) -> None:
        """Series, images and their digests; the patient; the attachment."""
        report, header = self._report, self._study.header
        schema = self._client.schema(NAMESPACE, self._uid)
        held = {image.id: image.version for series in schema.series for image in series.images}
        report.check("series in the archive", len(schema.series), len(self._study.series))
        report.check("every image has the digest of its file", held, self._digests())
        phi = {tag.tag: tag.value for tag in self._client.study_phi(NAMESPACE, self._uid)}
        wanted = {
            "(0010,0010)": header.patient_name,
            "(0010,0020)": header.patient_id,
            "(0010,0030)": header.patient_birth_date,
            "(0008,0050)": header.accession_number,
        }
        report.check("patient and accession", {tag: phi.get(tag) for tag in wanted}, wanted)
        (row,) = self._client.search("müller").rows
        report.check("found by the name's first letters", row.study_uid, self._uid)
        for each in schema.attachments:
            with self._client.attachment(NAMESPACE, self._uid, each.id, each.version) as pieces:
                report.check("the attachment's bytes", b"".join(pieces) == pdf.read_bytes(), True)

    def bytes_of_some(self) -> None:
        """One object of each series comes back as it lay on the disc."""
        same = []
        for series in self._study.series.values():
            found = series.in_order()[0]
            with self._client.payload(NAMESPACE, self._uid, found.header.sop_instance_uid) as pieces:
                same.append(b"".join(pieces) == self._bytes(found))
        self._report.check("objects come back byte for byte", same, [True] * len(self._study.series))

    def pictures(self) -> list[Cell]:
        """Thumbnails of the study, evenly chosen; what has no picture says why."""
        share = max(1, self._study.instances // PICTURES)
        cells = []
        for series in self._study.series.values():
            cells += [self._cell(series, found) for found in series.in_order()[::share]]
        drawn = sum(cell.jpeg is not None for cell in cells)
        self._report.check("every image has a thumbnail, the PDF has none", len(cells) - drawn, 1)
        return cells

    def _cell(self, series: Series, found: Found) -> Cell:
        header = found.header
        title = f"{header.modality} {series.header.series_number}: {series.header.series_description}"
        try:
            jpeg = self._client.thumbnail(NAMESPACE, self._uid, header.sop_instance_uid)
        except KnownError:  # refused, as it must be, for what is no picture
            return Cell(None, title, "a document, no picture")
        return Cell(jpeg, title, f"image {header.instance_number}")

    def _digests(self) -> dict[str, str]:
        digests = {}
        for series in self._study.series.values():
            for found in series.instances:
                running = new_hash()
                running.update(self._bytes(found))
                digests[found.header.sop_instance_uid] = version_of(running)
        return digests

    def _bytes(self, found: Found) -> bytes:
        with self._scan.open(found.ref) as data:
            return data.read()
