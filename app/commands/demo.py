"""`filmjacket demo`: the main job on a made-up disc, start to end, with a receipt and pictures of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from app import demo_job, demo_sheet
from app.demo_job import Door, ReadingBack, Sending
from app.demo_report import Report
from app.embedded import EmbeddedArchive, own_command
from core.errors import BadInput
from core.media import sample_disc
from core.media.sample_disc import SampleDisc
from core.net.credentials import Token
from core.net.v3_client import V3Client

DONE, MISMATCH = 0, 1
RECEIPT, SHEET, SCREENS = "receipt.json", "contact-sheet.png", "screenshots"
DISC, DATA, PDF = "SAMPLE DISC", "data", "report.pdf"
MADE = (RECEIPT, SHEET, SCREENS, DISC, DATA, PDF)
"""Everything the demo writes; a folder that holds anything else is not touched."""


def run(*, out: Path, screenshots: Path | None = None, verbose: bool = False) -> int:
    """Do it all; 0 only if everything was found as it must be."""
    report = Report()
    out = out.absolute()
    _clear(out)
    os.environ["FILMJACKET_DATA"] = str(out / DATA)  # nothing of a demo lies among a person's own data
    disc, pdf = _disc(out, report)
    with_archive = _Archive(out / DATA, report)
    try:
        _send_and_read_back(disc, pdf, out, with_archive, report)
    finally:
        with_archive.stop()
    _prove_stored_objects(out / DATA, report)
    _screenshots(disc, pdf, out, screenshots, report)
    report.write(out / RECEIPT)
    _conclude(out, report)
    return DONE if report.matched else MISMATCH


class _Archive:
    """The archive as the desktop runs it: a child process on a free port of the loopback."""

    def __init__(self, data: Path, report: Report) -> None:
        data.mkdir(mode=0o700, exist_ok=True)
        self._embedded = EmbeddedArchive(data)
        self._report = report

    def start(self) -> Door:
        """Start it and say where it is."""
        ready = self._embedded.start()
        self._report.say(f"  archive: process {ready.pid} at {ready.http_url}")
        return Door(ready.http_url, ready.token)

    def kill(self) -> None:
        """`kill -9` of the process that was started; no warning, no farewell."""
        ready = self._embedded.ready
        if ready is not None:
            os.kill(ready.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def stop(self) -> None:
        """Stop it, dead or alive."""
        self._embedded.stop(even_if_kept=True)


def _clear(out: Path) -> None:
    """Remove what an earlier demo made; refuse a folder that is somebody else's."""
    out.mkdir(parents=True, exist_ok=True)
    strange = sorted(entry.name for entry in out.iterdir() if entry.name not in MADE)
    if strange:
        raise BadInput(
            f"{out} holds something that no demo made ({strange[0]}).", "Choose a new or empty folder."
        )
    for name in MADE:
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _disc(out: Path, report: Report) -> tuple[SampleDisc, Path]:
    report.say("1. Building a sample disc of made-up patients")
    disc = sample_disc.build(out / DISC)
    pdf = out / PDF
    pdf.write_bytes(sample_disc.report_pdf())
    report.say(f"  {disc.files} files in {disc.root}")
    return disc, pdf


def _send_and_read_back(disc: SampleDisc, pdf: Path, out: Path, archive: _Archive, report: Report) -> None:
    report.say("2. Reading the disc")
    scan = demo_job.read_disc(disc, report)
    receipt = scan.receipt
    left_out = f"{len(scan.skipped)} files left out, one of them damaged"
    report.say(
        f"  {len(scan.tree.patients)} patients, {receipt.instances} images, {left_out}; "
        f"{receipt.listed_but_missing} file is listed but missing"
    )
    sending = Sending(scan, disc, out / DATA, report)
    total = sending.study.instances
    report.say(f"3. Sending one study of {total} images with a PDF; the archive is killed half-way")
    acknowledged = sending.until_the_archive_dies(archive.start(), pdf, archive.kill)
    report.say(f"  killed after it had acknowledged {acknowledged} of {total} images")
    archive.stop()
    report.say("4. Starting the archive again and going on")
    door = archive.start()
    (study,) = sending.go_on(door, acknowledged).studies
    report.say(
        f"  {study.already_there} were there, {study.sent} sent now, "
        f"{study.verified} of {study.expected} proven by {study.verified_by}, {study.attachments} PDF there"
    )
    report.say("5. Asking the archive for everything again")
    with V3Client(door.url, Token(door.token)) as client:
        reading = ReadingBack(client, scan, sending.study, report)
        reading.schema_and_patient(pdf)
        reading.bytes_of_some()
        cells = reading.pictures()
    header = sending.study.header
    subtitle = (
        f"{header.study_description}  {header.study_date}  ID {header.patient_id}  as the archive shows it"
    )
    demo_sheet.write(out / SHEET, header.patient_name.replace("^", ", "), subtitle, cells)
    report.say(f"  patient, series, digests and bytes compared; {len(cells)} thumbnails on the contact sheet")


def _prove_stored_objects(data: Path, report: Report) -> None:
    """`filmjacket check`, as an administrator would."""
    report.say("6. Proving every stored object against its digest")
    command = [*own_command(), "check", "--data", str(data), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    report.check("filmjacket check ends with", done.returncode, 0)
    report.facts["check"] = json.loads(done.stdout) if done.stdout.strip() else None


def _screenshots(disc: SampleDisc, pdf: Path, out: Path, extra: Path | None, report: Report) -> None:
    report.say("7. Taking pictures of the desktop, from its own windows")
    from app import demo_screens

    pictures = demo_screens.take(disc, out / DATA, pdf, out / SCREENS, report)
    if extra is not None:
        extra.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            shutil.copyfile(picture, extra / picture.name)
        report.say(f"  copied to {extra}")


def _conclude(out: Path, report: Report) -> None:
    report.say("")
    if report.matched:
        report.say(f"Everything matched: {len(report.checks)} checks in {report.seconds:.0f} s.")
    else:
        wrong = sum(not check.matched for check in report.checks)
        report.say(f"NOT everything matched: {wrong} of {len(report.checks)} checks failed.")
    report.say(f"Receipt:        {out / RECEIPT}")
    report.say(f"Contact sheet:  {out / SHEET}")
    for picture in sorted((out / SCREENS).glob("*.png")):
        report.say(f"Screenshot:     {picture}")
