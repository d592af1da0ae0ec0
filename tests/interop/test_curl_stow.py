"""The shell lines of the STOW document, run as written: only host, port and the files are filled in."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.api_documents import DOCUMENTS
from tests.app.archive_process import ArchiveProcess
from tests.server.test_dicomweb_bulk import JPEG

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
    pytest.mark.skipif(
        not (DOCUMENTS / "dcm4chee-stow.txt").exists(), reason="the API documents are not there"
    ),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with ArchiveProcess(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture
def document(archive: ArchiveProcess) -> str:
    text = (DOCUMENTS / "dcm4chee-stow.txt").read_text("utf-8")
    return text.replace("http://localhost:8080", archive.url)


def run(lines: str, folder: Path) -> dict[str, object]:
    done = subprocess.run(["bash", "-c", lines], cwd=folder, capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def between(text: str, start: str, end: str) -> str:
    at = text.index(start)
    return text[at : text.index(end, at) + len(end)]


def test_dicom_files(document: str, tmp_path: Path) -> None:
    for number in (1, 2):
        data = part10(ct_slice(SampleStudy("curl stow"), instance=number, size=16))
        (tmp_path / f"dicom-file{number}.dcm").write_bytes(data)
    answer = run(between(document, "echo -ne", "--data-binary @dicom.mime"), tmp_path)
    assert len(answer["00081199"]["Value"]) == 2 and "00081198" not in answer  # type: ignore[index] # DICOM JSON


def test_pictures_with_metadata(document: str, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"file{number}.jpg").write_bytes(JPEG + bytes([number]))
    at = document.index("with metadata.json:")
    metadata = between(document[at:], "[{", '"BulkDataURI": "file2.jpg" }\n}]')
    (tmp_path / "metadata.json").write_text(metadata)
    at = document.index("For sending plain JPEG")
    answer = run(between(document[at:], "echo -ne", "--data-binary @metadata+jpeg.mime"), tmp_path)
    assert len(answer["00081199"]["Value"]) == 2 and "00081198" not in answer  # type: ignore[index] # DICOM JSON
