"""`filmjacket upload --to dimse:` into DCMTK's receivers and into Orthanc."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from app import cli
from core.media.samples import SampleStudy, pdf_report, write_ct_series
from core.net.dimse.node import Node, parse_node
from core.net.tls import Tls
from tests.app.serving import certificate
from tests.core.upload_fakes import wait_until
from tests.interop import orthanc

pytestmark = pytest.mark.interop

STUDY = SampleStudy("dimse peers")
SLICES = 20


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disc")
    write_ct_series(STUDY, folder, SLICES, size=128)
    return folder


@contextmanager
def receiver(title: str, line: list[str], port: int) -> Iterator[None]:
    """A program that listens on *port* as *title*, until the block ends."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = monotonic() + 20
        echo = ["echoscu", "-aec", title, "127.0.0.1", str(port)]
        while subprocess.run(echo, capture_output=True, check=False).returncode:
            assert process.poll() is None and monotonic() < deadline
            sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    """Whether anybody takes connections there."""
    with socket.socket() as sock:
        return not sock.connect_ex(("127.0.0.1", port))


def upload(
    disc: Path, to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> dict[str, Any]:
    code = cli.main(["upload", str(disc), "--to", to, "--data", str(tmp_path / "client"), "--json", *more])
    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    receipt: dict[str, Any] = json.loads(said.out)
    assert receipt["complete"] and receipt["studies"][0]["verified"] == SLICES
    return receipt


def test_storescp_gets_the_data_sets_as_they_lie(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = orthanc.free_port()
    got = tmp_path / "got"
    got.mkdir()
    with receiver("STORESCP", ["storescp", "--bit-preserving", "-od", str(got), str(port)], port):
        upload(disc, f"dimse:STORESCP@127.0.0.1:{port}", tmp_path, capsys)
    sent = {str(dcmread(file).SOPInstanceUID): file for file in disc.rglob("*") if file.is_file()}
    kept = {str(dcmread(file).SOPInstanceUID): file for file in got.iterdir()}
    assert sorted(kept) == sorted(sent) and len(kept) == SLICES
    for uid, file in sent.items():
        tail = file.read_bytes()[-128 * 128 * 2 - 400 :]
        assert kept[uid].read_bytes().endswith(tail)


def test_storescp_over_tls_that_wants_our_certificate(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, port, got = certificate(tmp_path), orthanc.free_port(), tmp_path / "got"
    assert made is not None
    got.mkdir()
    line = ["storescp", "+tls", str(made.key), str(made.path), "+cf", str(made.path), "-od", str(got)]
    process = subprocess.Popen([*line, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ours = Tls(pin=str(made.path), certificate=str(made.path), key=str(made.key))
    try:
        wait_until(lambda: listens(port), 20)
        upload(disc, f"dimse:{Node('STORESCP', '127.0.0.1', port, ours)}", tmp_path, capsys)
    finally:
        process.terminate()
        process.wait(20)
    assert len(list(got.iterdir())) == SLICES


def test_dcmqrscp_is_asked_what_it_holds(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = orthanc.free_port()
    (tmp_path / "db").mkdir()
    config = tmp_path / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {tmp_path / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with receiver("QRSCP", [shutil.which("dcmqrscp") or "dcmqrscp", "-c", str(config)], port):
        to = f"dimse:QRSCP@127.0.0.1:{port}"
        assert upload(disc, to, tmp_path, capsys)["studies"][0]["sent"] == SLICES
        again = upload(disc, to, tmp_path, capsys)["studies"][0]
    assert (again["sent"], again["already_there"]) == (0, SLICES)


def test_orthanc_keeps_a_study_and_its_report(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = orthanc.free_port()
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(pdf_report(["Findings"]))
    with orthanc.running(tmp_path, port) as url:
        to = f"dimse:ORTHANC@127.0.0.1:{port}"
        receipt = upload(disc, to, tmp_path, capsys, "--attach", str(pdf))
        assert receipt["studies"][0]["attachments"] == 1
        series = httpx.get(f"{url}/dicom-web/studies/{STUDY.uid}/series", trust_env=False).json()
    assert {each["00080060"]["Value"][0] for each in series} == {"CT", "DOC"}
    assert parse_node(to.removeprefix("dimse:")) == Node("ORTHANC", "127.0.0.1", port)
