"""`filmjacket stow` and Orthanc's DICOMweb plugin: DICOM files arrive there byte for byte."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from app import cli
from core.media.samples import SampleStudy, ct_slice, part10

pytestmark = pytest.mark.interop

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """One that keeps everything in a folder of the test, on a free port of the loopback."""
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [PLUGIN],
        "DicomWeb": {"Enable": True},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = monotonic() + 30
        while not _answers(url):
            assert process.poll() is None and monotonic() < deadline, (folder / "log").read_text()[-2000:]
            sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/dicom-web/studies", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("form", ["", "json", "xml"])
def test_files_arrive(orthanc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    study = SampleStudy(f"to orthanc {form}")
    files = [part10(ct_slice(study, instance=number, size=32)) for number in (1, 2, 3)]
    for number, data in enumerate(files):
        (tmp_path / f"object{number}.dcm").write_bytes(data)
    line = ["stow", "-u", f"{orthanc}/dicom-web/studies", "--json", *(["-t", form] if form else [])]
    assert cli.main([*line, *(str(path) for path in sorted(tmp_path.glob("*.dcm")))]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["complete"] and len(document["stored"]) == 3
    held = httpx.get(f"{orthanc}/instances", trust_env=False).json()
    there = [httpx.get(f"{orthanc}/instances/{each}/file", trust_env=False).content for each in held]
    assert all(data in there for data in files)
