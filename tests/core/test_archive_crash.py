"""Durability: killed at any moment nothing acknowledged is lost; a trace shows what is flushed when."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom import dcmread

from core.archive.archive import Archive
from core.media.samples import SampleStudy, part10
from tests.core.archive_help import NS, files_in, tiny

ROOT = Path(__file__).resolve().parents[2]
PLACE = "1.2.826.0.1.3680043.10.1590.7." + "9" * 12
"""Stands for the SOP Instance UID in the template, where a child writes its own."""

STORING = """
import sys, threading
from pathlib import Path
from core.archive.archive import Archive

data, template = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
start, count, threads = map(int, sys.argv[3:])
archive = Archive.open(data, settle_after_s=0.05)
gate = threading.Lock()
numbers = iter(range(start, start + count))

def work():
    while True:
        with gate:
            n = next(numbers, None)
        if n is None:
            return
        with archive.incoming("default") as incoming:
            incoming.write(template.replace(b"9" * 12, b"%012d" % n))
            future = archive.store(incoming, actor="child")
        result = future.result()
        with gate:
            sys.stdout.write(f"{result.sop_uid} {result.version}\\n")
            sys.stdout.flush()

sys.stdout.write("start\\n")
sys.stdout.flush()
workers = [threading.Thread(target=work) for _ in range(threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
archive.close()
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """An object whose SOP Instance UID a child replaces by its own."""
    ds = tiny(SampleStudy("crash"), SOPInstanceUID=PLACE)
    ds.file_meta.MediaStorageSOPInstanceUID = PLACE
    path = tmp_path / "template"
    path.write_bytes(part10(ds))
    return path


def _child(data: Path, template: Path, *, start: int, count: int, threads: int) -> list[str]:
    numbers = [str(n) for n in (start, count, threads)]
    return [sys.executable, "-c", STORING, str(data), str(template), *numbers]


def _kill_while_storing(command: list[str], promises: int, after_s: float) -> dict[str, str]:
    """What a child had acknowledged when it was killed *after_s* after so many *promises*."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "start\n"
        acknowledged = [child.stdout.readline() for _ in range(promises)]
        timer = threading.Timer(after_s, lambda: child.send_signal(signal.SIGKILL))
        timer.start()
        acknowledged += [line for line in child.stdout if line.endswith("\n")]
        child.wait(30)
        timer.join()
        assert child.returncode == -signal.SIGKILL
    return dict(line.split() for line in acknowledged)


@pytest.mark.timeout(400)  # many starts of a process, each slow on a busy machine
def test_nothing_acknowledged_is_lost_when_killed(tmp_path: Path, template: Path) -> None:
    data, chance = tmp_path / "data", random.Random(20240211)
    promised: dict[str, str] = {}
    study = SampleStudy("crash").uid
    orphans = 0
    for turn in range(20):
        command = _child(data, template, start=turn * 100_000, count=100_000, threads=3)
        promised |= _kill_while_storing(command, chance.randint(0, 15), chance.uniform(0.0, 0.1))
        with closing(Archive.open(data, settle_after_s=600)) as archive:
            held = archive.held(NS, study) if promised else {}
            assert promised.items() <= held.items()
            assert not list((data / "archive" / "incoming").iterdir())
            if turn % 5 == 4:
                found = archive.check()
                assert not (found.missing or found.damaged or found.catalog or found.audit), found
                orphans += len(found.orphans)
                archive.check(repair=True)
                assert archive.check().ok
    assert len(promised) > 20
    with closing(Archive.open(data)) as archive:
        assert archive.status().images == len(archive.held(NS, study)) == len(files_in(data))


CALL = re.compile(r"^(?P<pid>\d+)\s+(?:<\.\.\. (?P<again>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)$")
TRACED = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2"


class Call(NamedTuple):
    """A system call of a trace, and the lines it begins and ends at."""

    name: str
    arguments: str
    begin: int
    end: int


def _calls(lines: list[str]) -> list[Call]:
    """In order of their beginning."""
    found: list[Call] = []
    open_calls: dict[str, int] = {}
    for number, line in enumerate(lines):
        match = CALL.match(line)
        if match is None:
            continue
        if match["again"]:
            at = open_calls.pop(match["pid"])
            found[at] = found[at]._replace(end=number)
            continue
        if "<unfinished" in line:
            open_calls[match["pid"]] = len(found)
        found.append(Call(match["name"], match["rest"], number, number))
    return found


def _trace(tmp_path: Path, template: Path, *, padding: int) -> list[Call]:
    """The calls of a child from its first word on, which stores one object, longer by *padding* bytes."""
    if padding:
        ds = dcmread(template)
        ds.EncapsulatedDocument = bytes(padding)
        template.write_bytes(part10(ds))
    log = tmp_path / "trace"
    strace = ["strace", "-f", "-y", "-s", "200", "-e", f"trace={TRACED}", "-o", str(log)]
    child = _child(tmp_path / "data", template, start=1, count=1, threads=1)
    done = subprocess.run(strace + child, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 and "PTRACE" in done.stderr:
        pytest.skip("this machine forbids tracing")
    assert done.returncode == 0, done.stderr
    calls = _calls(log.read_text().splitlines())
    first = next(n for n, call in enumerate(calls) if call.name == "write" and '"start' in call.arguments)
    return calls[first:]


def _order_of_one_store(tmp_path: Path, template: Path, *, padding: int = 0) -> None:
    calls = _trace(tmp_path, template, padding=padding)

    def last(names: str, pattern: str, before: Call | None = None) -> Call:
        """The last such call that begins before *before*."""
        found = [
            call
            for call in calls
            if call.name in names.split()
            and re.search(pattern, call.arguments)
            and (before is None or call.begin < before.begin)
        ]
        assert found, f"no {names} of {pattern} before {before}"
        return found[-1]

    answer = last("write", re.escape(PLACE[:-12]))
    commit = last("fsync fdatasync", r"archive\.db-wal>", answer)
    row = last("write pwrite64", r"archive\.db-wal>", commit)
    folder = last("fsync", r"/objects/[0-9a-f]{2}>", row)
    move = last("rename renameat renameat2", r"\.part.*/objects/", folder)
    flush = last("fsync", r"\.part>", move)
    written = last("write", r"\.part>", flush)
    order = [written, flush, move, folder, row, commit, answer]
    assert all(earlier.end < later.begin for earlier, later in pairwise(order))
    late = [call for call in calls if call.name == "write" and ".part>" in call.arguments]
    assert max(call.end for call in late) < flush.begin


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (make interop installs it)"
)
@pytest.mark.parametrize("padding", [0, 3 << 20])
def test_one_store_flushes_in_order_before_it_answers(tmp_path: Path, template: Path, padding: int) -> None:
    _order_of_one_store(tmp_path, template, padding=padding)


@pytest.mark.interop
def test_one_store_flushes_in_order_as_strace_sees_it(tmp_path: Path, template: Path) -> None:
    assert shutil.which("strace"), "make interop installs strace"
    _order_of_one_store(tmp_path, template)
