"""Memory stays flat: a file of hundreds of megabytes passes through uploader and archive in small pieces."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.app.archive_process import ROOT, ArchiveProcess, environment

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")

FRAMES, SIDE = 600, 512
PIXELS = FRAMES * SIDE * SIDE * 2
"""300 MB; most of the file is a hole, so that making it costs nothing."""
UPLOADER_MB = 150
GROWTH_MB = 60

PEAK_OF = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command and writes down its peak memory in kB. A small process of its own does it, because the
figure starts at what the parent held when it started the child, and the test runner holds a lot."""


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    ds = ct_slice(SampleStudy(seed="huge"), size=16)
    ds.Rows = ds.Columns = SIDE
    ds.NumberOfFrames = FRAMES
    ds.PixelData = b""
    data = part10(ds)
    opening = b"\xe0\x7f\x10\x00OW\0\0"
    head = data[: data.index(opening)] + opening + PIXELS.to_bytes(4, "little")
    path = tmp_path / "disc" / "huge.dcm"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + PIXELS)
    return path


def peak_mb(pid: int) -> float:
    """The most memory a process ever held."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000


def test_a_huge_file_passes_in_small_pieces(huge: Path, tmp_path: Path) -> None:
    with ArchiveProcess(tmp_path / "archive") as archive:
        assert httpx.get(f"{archive.url}/readyz", timeout=60).status_code == 200
        before = peak_mb(archive.pid)
        peak = tmp_path / "peak"
        uploader = subprocess.run(
            [sys.executable, "-c", PEAK_OF, str(peak), sys.executable, "-m", "app", "upload", str(huge),
             "--to", f"v3:{archive.url}", "--json", "--data", str(tmp_path / "desk")],
            stdout=subprocess.PIPE, cwd=ROOT, env=environment(), check=True,
        )  # fmt: skip
        receipt = json.loads(uploader.stdout)
        assert receipt["complete"]
        assert receipt["studies"][0]["verified_by"] == "digest"
        study = f"{archive.url}/api/v3/storage/study/default/{receipt['studies'][0]['study_uid']}"
        (image,) = httpx.get(f"{study}/schema", timeout=60).json()["series"][0]["images"]
        with httpx.stream(
            "GET", f"{study}/image/{image['id']}/version/{image['version']}", timeout=60
        ) as payload:
            assert sum(map(len, payload.iter_raw())) == huge.stat().st_size
        thumbnail = f"{study}/image/{image['id']}/version/*/frame/{FRAMES - 1}/thumbnail"
        assert httpx.get(thumbnail, timeout=60).status_code == 200
        after = peak_mb(archive.pid)
    assert int(peak.read_text()) / 1000 < UPLOADER_MB
    assert after - before < GROWTH_MB
