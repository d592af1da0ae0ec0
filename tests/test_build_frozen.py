"""The frozen application starts and does the main job: version, scan, render, serve, upload, window."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import psutil
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from core.media import sample_disc, samples
from core.media.sample_disc import SampleDisc
from core.media.samples import SampleStudy
from core.net.credentials import Credentials
from core.net.v3_client import V3Client
from tests import house

pytestmark = [pytest.mark.build, pytest.mark.timeout(180)]

FOLDER = house.ROOT / "dist" / "filmjacket"
CONSOLE, WINDOW = FOLDER / "filmjacket", FOLDER / "filmjacket-desktop"
MOST_MEGABYTES = 350


def _environment(home: Path, **more: str) -> dict[str, str]:
    """A bare environment, so that nothing of this Python can help the frozen program."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen",
        "FILMJACKET_DATA": str(home / "data"),
        **more,
    }


def _run(home: Path, *arguments: str | Path, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [CONSOLE, *map(str, arguments)],
        env=_environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> SampleDisc:
    return sample_disc.build(tmp_path_factory.mktemp("disc") / "disc")


@contextmanager
def _started(home: Path, program: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [program, *map(str, arguments)],
        env=_environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def test_both_executables_say_their_version(tmp_path: Path) -> None:
    assert re.fullmatch(r"filmjacket \d+\.\d+\.\d+\n", _run(tmp_path, "--version").stdout)
    done = subprocess.run(
        [WINDOW, "--version"], env=_environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout == _run(tmp_path, "--version").stdout


def test_the_folder_is_small_and_holds_only_parts_in_use() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < MOST_MEGABYTES * 1_000_000
    names = {path.name for path in files}
    assert not [name for name in names if re.search(r"Qt6(Quick|Qml|Pdf|WebEngine)|tkinter|libgdcm", name)]
    assert not [name for name in names if re.search(r"^lib(qgtk|gtk-|gdk|pango|krb5)", name)]
    fonts = {name for name in names if name.endswith(".ttf")}
    assert {name.partition("-")[0].partition("[")[0] for name in fonts} == {"phosphor", "NotoSans"}
    assert {"libqoffscreen.so", "libqxcb.so"} <= names


def test_it_scans(tmp_path: Path, disc: SampleDisc) -> None:
    report = json.loads(_run(tmp_path, "scan", "--json", disc.root, code=1).stdout)
    assert report["receipt"]["files"] == disc.files
    assert report["receipt"]["instances"] == sum(disc.instances.values())
    assert disc.main.patient.name in json.dumps(report, ensure_ascii=False)


Encode = Callable[[Any], bytes]


def _rle(pixels: Any) -> bytes:
    ds = samples.with_pixels(samples.dataset(SampleStudy()), pixels)
    ds.compress(RLELossless, encoding_plugin="pydicom")
    from pydicom.encaps import get_frame

    return get_frame(ds.PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGBaseline8Bit, lambda p: imagecodecs.jpeg8_encode(p, level=95)),
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (JPEG2000Lossless, lambda p: imagecodecs.jpeg2k_encode(p, codecformat="j2k", reversible=True)),
        (HTJ2KLossless, imagecodecs.htj2k_encode),
        (RLELossless, _rle),
    ],
    ids=["jpeg", "jpeg-ls", "jpeg-2000", "htj2k", "rle"],
)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_its_codecs_are_aboard(tmp_path: Path, syntax: str, encode: Encode, suffix: str) -> None:
    pixels = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    ds = samples.with_pixels(samples.dataset(SampleStudy(), transfer_syntax=syntax), pixels)
    ds.PixelData = encapsulate([encode(pixels)])
    picture = tmp_path / f"out.{suffix}"
    _run(tmp_path, "render", samples.write(ds, tmp_path / "in.dcm"), "--out", picture)
    with Image.open(picture) as image:
        shown = np.asarray(image.convert("L")).astype(int)
    assert shown.shape == pixels.shape
    assert shown[:, 60].mean() > shown[:, 30].mean() > shown[:, 2].mean()


def test_it_serves_what_it_uploads(tmp_path: Path, disc: SampleDisc) -> None:
    ports = ("--port", "0", "--internal-port", "0", "--dimse-port", "off")
    with _started(tmp_path, CONSOLE, "serve", *ports) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        found = re.match(r"ready http=(\S+) internal=\S+ dimse=off$", ready)
        assert found, ready + (child.stderr.read() if child.poll() is not None and child.stderr else "")
        password = (tmp_path / "data" / "initial-admin-password").read_text().strip()
        report = json.loads(
            _run(
                tmp_path,
                *("upload", disc.root, "--to", f"v3:{found[1]}", "--study", disc.main.uid, "--json"),
                FILMJACKET_LOGIN="admin",
                FILMJACKET_PASSWORD=password,
            ).stdout
        )
        assert report["complete"] and report["studies"][0]["verified"] == disc.instances[disc.main.uid]
        with V3Client(found[1], Credentials("admin", password)) as client:
            ct = samples.uid(disc.main.seed, 2, 1)
            thumbnail = client.thumbnail("default", disc.main.uid, ct)
        with Image.open(io.BytesIO(thumbnail)) as image:
            assert image.format == "JPEG" and max(image.size) > 64
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0


def test_its_window_opens_and_starts_the_archive(tmp_path: Path, disc: SampleDisc) -> None:
    with _started(tmp_path, WINDOW, disc.root) as child:
        deadline = time.monotonic() + 60
        log = tmp_path / "data" / "logs"
        while time.monotonic() < deadline and child.poll() is None and not _archive_of(child):
            time.sleep(0.1)
        assert child.poll() is None and _archive_of(child), _said(child, log)
        archive = _archive_of(child)
        child.send_signal(signal.SIGTERM)
        code = child.wait(30)
        assert code in (0, -signal.SIGTERM)
        gone, alive = psutil.wait_procs(archive, timeout=20)
        assert gone and not alive, "the local archive outlived the window"


def _archive_of(child: subprocess.Popen[str]) -> list[psutil.Process]:
    """The window's `serve` process, once it listens."""
    found = []
    for process in psutil.Process(child.pid).children():
        try:
            if "serve" in process.cmdline() and any(c.status == "LISTEN" for c in process.net_connections()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _said(child: subprocess.Popen[str], log: Path) -> str:
    child.kill()
    out, err = child.communicate()
    return "\n".join([out, err, *(path.read_text() for path in log.glob("*.log"))])
