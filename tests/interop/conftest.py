"""Peers of the tests marked interop, each on a free port of the loopback with a folder of the test."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Generator
from time import monotonic, sleep

import httpx
import pytest

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
