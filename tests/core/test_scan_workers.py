"""Worker processes of the scanner: same result as without, no needless imports, and none left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.dicom.reader import HeaderReader
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, write, write_ct_series
from core.scan import crew, scanner
from core.scan.reading import read_path
from core.scan.scanner import Scan, Scanner
from tests.core.scanning import reasons, scanned

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three studies, a cut file, junk, doubles and a ZIP file."""
    import zipfile

    for number in range(3):
        study = SampleStudy(seed=str(number), patient=SamplePatient(f"Name^{number}", f"ID{number}"))
        write_ct_series(study, tmp_path / f"S{number}", 30, size=16)
    data = (tmp_path / "S0" / "IM000001").read_bytes()
    (tmp_path / "Z copy").write_bytes(data)
    (tmp_path / "Z cut").write_bytes(data[:-4])
    (tmp_path / "Z junk.txt").write_text("junk")
    write(ct_slice(SampleStudy(seed="0"), instance=2, size=24), tmp_path / "Z other")
    with zipfile.ZipFile(tmp_path / "Z.zip", "w") as archive:
        archive.writestr("inside", part10(ct_slice(SampleStudy(seed="zip"), size=16)))
    return tmp_path


def summary(scan: Scan) -> object:
    series = {
        uid: (one.header, one.bytes, [found.ref for found in one.in_order()])
        for _, study in scan.tree.studies()
        for uid, one in study.series.items()
    }
    receipt = scan.receipt
    return series, reasons(scan), receipt


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing_but_the_time(
    folder: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "CHUNK", 8)
    assert summary(scanned(folder, workers=workers)) == summary(scanned(folder, workers=0))
    assert not multiprocessing.active_children()


def drain(helpers: crew.Crew, task: scanner.Task) -> list[scanner.Task]:
    """Wait until a task is done or given up."""
    orphans: list[scanner.Task] = []
    for _ in range(600):
        orphans += helpers.collect(0.1)
        if task.verdicts is not None or orphans:
            break
    return orphans


def ready(count: int) -> crew.Crew:
    helpers = crew.Crew(count)
    for _ in range(600):
        helpers.collect(0.1)
        if helpers.idle:
            return helpers
    pytest.fail("no worker came up within a minute")


def test_a_worker_reads_as_the_scanner_does(folder: Path) -> None:
    files = [scanner.File(str(path), path.name) for path in sorted(folder.rglob("*")) if path.is_file()]
    helpers = ready(1)
    try:
        for _ in range(2):  # the second time the shared part of each header is known
            task = scanner.Task(files)
            helpers.give(task)
            assert drain(helpers, task) == []
            reader = HeaderReader()
            assert task.verdicts == [read_path(reader, file.full) for file in files]
    finally:
        helpers.close()


def test_what_a_dead_worker_was_given_comes_back(folder: Path) -> None:
    helpers = ready(1)
    try:
        (child,) = multiprocessing.active_children()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(10)
        task = scanner.Task([scanner.File(str(folder / "Z junk.txt"), "Z junk.txt")])
        helpers.give(task)
        assert drain(helpers, task) == [task]
        assert task.verdicts is None
        assert not helpers.idle
    finally:
        helpers.close()


def test_closing_the_scan_ends_its_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "CHUNK", 4)
    run = Scanner([folder], workers=2).run()
    next(run)
    run.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("module", ["core.scan.crew", "core.scan.scanner", "core.dicom.header"])
def test_reading_headers_needs_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "pydicom", "PySide6", "sqlalchemy", "fastapi", "typer", "httpx"}
