"""DCMTK's clients against `filmjacket serve`, as Debian installs them."""

from __future__ import annotations

import socket
import subprocess
import tomllib
from collections.abc import Generator
from pathlib import Path
from time import monotonic

import httpx
import pytest

from core.media.samples import SampleStudy, write_ct_series
from tests.app.serving import Serving
from tests.dimse.test_store import data_set_of

pytestmark = pytest.mark.interop

STUDY = SampleStudy("dcmtk")
SLICES = 40


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving, None, None]:
    """One archive for the tests of this module."""
    data = tmp_path_factory.mktemp("dcmtk") / "data"
    data.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (data / "settings.toml").write_text(
        f'[[dimse.peers]]\nae_title = "MOVESCU"\nhost = "127.0.0.1"\nport = {port}\n'
    )
    found = Serving(data, "--no-auth")
    yield found
    assert found.stop()[0] == 0


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT series as files."""
    folder = tmp_path_factory.mktemp("disc")
    write_ct_series(STUDY, folder, SLICES, size=256)
    return folder


def dcmtk(program: str, serving: Serving, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the clients against our port."""
    title, _, place = serving.dimse.partition("@")
    host, _, port = place.rpartition(":")
    line = [program, "-aec", title, host, port, *map(str, arguments)]
    return subprocess.run(line, check=False, capture_output=True, text=True, timeout=100)


def test_echoscu(serving: Serving) -> None:
    done = dcmtk("echoscu", serving, "-v")
    assert done.returncode == 0 and "Success" in done.stdout + done.stderr
    figures = httpx.get(f"{serving.url}/metrics", trust_env=False).text
    assert "\nfilmjacket_dimse_admitted_total 1\n" in figures


def test_storescu_is_not_held_up_by_delayed_acknowledgements(serving: Serving, disc: Path) -> None:
    """As installed it leaves Nagle's algorithm on, and waits for acknowledgements."""
    began = monotonic()
    done = dcmtk("storescu", serving, "+sd", "+r", disc)
    seconds = monotonic() - began
    assert done.returncode == 0, done.stderr
    answer = httpx.get(f"{serving.url}/dicom-web/studies/{STUDY.uid}/instances", trust_env=False)
    assert len(answer.json()) == SLICES
    assert seconds / SLICES < 0.5


def test_storescu_in_every_syntax_it_has(serving: Serving, testdata: Path) -> None:
    for path, option in (
        ("ct-series", "-xs"),
        ("compressed", "-xv"),
        ("color", "-R"),
    ):
        files = sorted(each for each in (testdata / path).rglob("*.dcm"))[:5]
        done = dcmtk("storescu", serving, option, *files)
        assert "Abort" not in done.stderr, done.stderr


def test_findscu_at_every_level(serving: Serving, disc: Path) -> None:
    assert dcmtk("storescu", serving, "+sd", "+r", disc).returncode == 0
    for model, level, keys, count in (
        ("-P", "PATIENT", ("PatientID=SAMPLE*", "PatientName"), 1),
        ("-P", "STUDY", ("PatientID=SAMPLE-1", "StudyDate=20240101-20241231", "StudyInstanceUID"), 1),
        ("-S", "SERIES", (f"StudyInstanceUID={STUDY.uid}", "Modality=CT", "SeriesInstanceUID"), 1),
        ("-S", "IMAGE", (f"StudyInstanceUID={STUDY.uid}", "SOPInstanceUID", "InstanceNumber"), SLICES),
    ):
        options = [part for key in (f"QueryRetrieveLevel={level}", *keys) for part in ("-k", key)]
        done = dcmtk("findscu", serving, model, *options)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert said.count("QueryRetrieveLevel") == count, said


def same_data_sets(folder: Path, disc: Path) -> bool:
    """Whether what arrived in *folder* has the data sets of the files in *disc*."""
    ours, theirs = (
        sorted(data_set_of(path.read_bytes()) for path in each.rglob("*") if path.is_file())
        for each in (disc, folder)
    )
    return ours == theirs


def test_getscu(serving: Serving, disc: Path, tmp_path: Path) -> None:
    assert dcmtk("storescu", serving, "+sd", "+r", disc).returncode == 0
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY.uid}")
    done = dcmtk("getscu", serving, "-v", "-S", "-od", tmp_path, *keys)
    assert done.returncode == 0, done.stdout + done.stderr
    assert same_data_sets(tmp_path, disc)


def test_movescu(serving: Serving, disc: Path, tmp_path: Path) -> None:
    assert dcmtk("storescu", serving, "+sd", "+r", disc).returncode == 0
    peer = tomllib.loads((serving.data / "settings.toml").read_text())["dimse"]["peers"][0]
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY.uid}")
    options = ("-v", "-S", "-aem", "MOVESCU", "+P", str(peer["port"]), "-od", tmp_path)
    done = dcmtk("movescu", serving, *options, *keys)
    assert done.returncode == 0, done.stdout + done.stderr
    assert same_data_sets(tmp_path, disc)


def test_findscu_of_the_worklist(serving: Serving) -> None:
    item = {
        "AccessionNumber": "DCMTK1", "PatientName": "Probe^Paula", "PatientID": "P1", "Modality": "CT",
        "ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20260102",
        "ScheduledProcedureStepStartTime": "093000", "ScheduledProcedureStepDescription": "Thorax",
    }  # fmt: skip
    made = httpx.post(f"{serving.url}/workitems", json=item, trust_env=False)
    assert made.is_success, made.text
    step = "ScheduledProcedureStepSequence[0]"
    for modality, count in (("CT", 1), ("MR", 0)):
        keys = (f"{step}.Modality={modality}", f"{step}.ScheduledStationAETitle", "AccessionNumber")
        options = [part for key in keys for part in ("-k", key)]
        done = dcmtk("findscu", serving, "-W", *options)
        said = done.stdout + done.stderr
        assert done.returncode == 0 and said.count("[DCMTK1") == count, said
