"""The DICOMweb clients people use: two of Python and the one browsers' viewers are built on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset

from core.media.samples import (
    SampleStudy,
    ct_slice,
    encapsulated_pdf,
    part10,
    pdf_report,
    ultrasound_cine,
)
from tests import house
from tests.app.archive_process import ArchiveProcess
from tests.guards import CANARY

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
PYTHON = house.ROOT / ".make" / "clients" / "bin" / "python"
MODULES = house.ROOT / ".make" / "node" / "node_modules"
JPEG, PNG, PREFIX = "ffd8", "89504e47", b"DICM".hex()
SIZE, SLICES = 32, 4


@dataclass(frozen=True)
class Files:
    """A study in a folder."""

    study: SampleStudy
    folder: Path
    slices: list[Dataset]
    loop: Dataset


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with ArchiveProcess(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture
def files(tmp_path: Path, request: pytest.FixtureRequest) -> Files:
    study = SampleStudy(request.node.name, patient=CANARY, description="CT Thorax")
    slices = [ct_slice(study, instance=number + 1, size=SIZE) for number in range(SLICES)]
    loop = ultrasound_cine(study)
    pdf = encapsulated_pdf(study, pdf_report(["Findings"]))
    folder = tmp_path / "files"
    folder.mkdir()
    for number, ds in enumerate([*slices, loop, pdf]):
        (folder / f"{number}.dcm").write_bytes(part10(ds))
    return Files(study, folder, slices, loop)


def said_by(*line: str | Path, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [*line], capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.skipif(not PYTHON.exists(), reason="dicomweb-client is not installed")
@pytest.mark.parametrize("base", ["/dicom-web", "/dcm4chee-arc/aets/DCM4CHEE/rs"])
def test_dicomweb_client(archive: ArchiveProcess, files: Files, base: str) -> None:
    url = archive.url + base
    said = said_by(PYTHON, HERE / "dicomweb_session.py", url, files.folder)
    study, first = files.study.uid, files.slices[0]
    assert said["stored"] == [SLICES + 2, False, 1]
    assert said["retrieve_url"] == (
        f"{url}/studies/{study}/series/{first.SeriesInstanceUID}/instances/{first.SOPInstanceUID}"
    )
    assert said["found"] == [[study, "CT Thorax"]] and said["nothing"] == [] == said["gone"]
    assert said["fuzzy"] == 1 and said["all_of_them"] == SLICES + 2 == said["metadata"]
    assert said["series"] == ["CT", "DOC", "US"] and said["everywhere"] == 1
    assert said["instances"] == SLICES == said["a_series"] == said["series_metadata"]
    assert said["same_bytes"] and said["one"] and said["frames"] and said["octets"]
    assert said["frame_sizes"] == [files.loop.Rows * files.loop.Columns] * 2 and said["iterated"] == 3
    assert {said[name] for name in ("rendered", "series_rendered", "frame_rendered")} == {JPEG}
    assert said["png"] == PNG and {said[name] for name in ("pdf", "bulk", "range")} == {"%PDF-"}
    assert said["missing"] == 404
    assert (said["after_one"], said["after_series"]) == (SLICES + 1, SLICES)


@pytest.mark.skipif(not PYTHON.exists(), reason="dicomtrolley is not installed")
def test_dicomtrolley(archive: ArchiveProcess, files: Files, tmp_path: Path) -> None:
    with httpx.Client(base_url=archive.url, trust_env=False) as client:
        for path in files.folder.iterdir():
            headers = {"content-type": "application/dicom"}
            client.post("/dicom-web/studies", content=path.read_bytes(), headers=headers).raise_for_status()
    script, target = HERE / "trolley_session.py", tmp_path / "downloaded"
    target.mkdir()
    said = said_by(PYTHON, script, f"{archive.url}/dicom-web", f"{archive.url}/wado", files.study.uid, target)
    assert said["study"] == files.study.uid and files.study.uid in said["by_name"] and said["nobody"] == 0
    assert said["related"] == said["metadata"] == said["whole"] == SLICES + 2
    assert len(said["by_uri"]) == SLICES + 2 and said["downloaded"] == said["by_uri"]


@pytest.mark.skipif(
    not MODULES.exists() or shutil.which("node") is None, reason="dicomweb-client (npm) is not installed"
)
def test_dicomweb_client_of_browsers(archive: ArchiveProcess, files: Files) -> None:
    ct, loop = files.slices[0], files.loop
    said = said_by(
        "node", HERE / "dicomweb_session.js", f"{archive.url}/dicom-web", f"{archive.url}/wado", files.folder,
        files.study.uid, ct.SeriesInstanceUID, ct.SOPInstanceUID, loop.SeriesInstanceUID, loop.SOPInstanceUID,
        NODE_PATH=str(MODULES),
    )  # fmt: skip
    assert said["stored"] == SLICES + 2 == said["studyMetadata"] == said["wholeStudy"]
    assert said["studies"] == [[files.study.uid, SLICES + 2, ["CT", "DOC", "US"]]] and said["nothing"] == []
    assert said["series"] == 3 and said["instances"] == SLICES
    assert said["seriesMetadata"] == said["wholeSeries"] == SLICES
    assert said["metadata"] == ct.SOPInstanceUID and said["instance"] == PREFIX
    assert said["frames"] == [loop.Rows * loop.Columns] * 3 and said["single"] == [SIZE * SIZE * 2]
    pictures = ("rendered", "thumbnail", "frameRendered", "frameThumbnail")
    assert {said[name] for name in pictures} == {JPEG}
    assert said["bulk"] == [SIZE * SIZE * 2] and said["piece"] == [10] and said["missing"] == 404
    answer = httpx.get(said["uri"], trust_env=False)
    assert answer.status_code == 200 and answer.content[:2].hex() == JPEG
