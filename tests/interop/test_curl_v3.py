"""The curl lines of the V3 storage document, for the routes there are, run as written.

Host, port, file names and what stands in braces are filled in; lines the document breaks over the page are
joined. What is mended beyond that stands in tests/api_documents/errata.md.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.media.samples import SampleStudy, ct_slice, part10, pdf_report
from tests.app.archive_process import ArchiveProcess
from tests.guards import CANARY

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

BASE = "http://localhost:8500/api/v3/storage"
STUDY = BASE + "/study/{namespace}/{study_uid}"
IMAGE = STUDY + "/image/{image_uid}/version/{version_id}"
SID = '-H "Cookie: sid={sid}"'
AS_JSON = f'-H "Accept: application/json" {SID}'
AS_JPEG = f'-H "Accept: image/jpeg" {SID}'
AS_DICOM = f'-H "Accept: application/dicom" {SID}'
OVERLAY = "?phi_namespace={phi_namespace}"
IMAGE_PHI = STUDY + "/image{image_uid}/version/{version_id}/phi"
JSON_LINES = {
    "schema": f"curl -X GET {STUDY}/schema{OVERLAY} {AS_JSON}",
    "phi": f"curl -X GET {STUDY}/phi {AS_JSON}",
    "phi overlay": f"curl -X GET {STUDY}/phi{OVERLAY} {AS_JSON}",
    "tag": f"curl -X GET {STUDY}/tag{OVERLAY} {AS_JSON}",
    "transfer": f"curl -X GET {STUDY}/attribute/transfer{OVERLAY} {AS_JSON}",
    "image phi": f"curl -XGET {IMAGE_PHI} {AS_JSON}",
    "image phi overlay": f"curl -XGET {IMAGE_PHI}{OVERLAY} {AS_JSON}",
}
BYTE_LINES = {
    "thumbnail": (f"curl -X GET {IMAGE}/frame/{{frame_id}}/thumbnail {AS_JPEG}", b"\xff\xd8\xff"),
    "full": (f"curl -X GET {IMAGE}/frame/{{frame_id}} {AS_JPEG}", b"\xff\xd8\xff"),
    "dicom": (f"curl -X GET {IMAGE} {AS_DICOM}", b"\0\0\0\0"),
    "dicom overlay": (f"curl -X GET {IMAGE}{OVERLAY} {AS_DICOM}", b"\0\0\0\0"),
}
UPLOAD = (
    f"curl -v {BASE}/namespace/{{ns}}/image -XPOST --data-binary @file.dcm "
    f'-H "Content-Type: application/dicom" {SID}'
)
ROUTED = (
    f'{UPLOAD} -H "X-Dicomgrid-Routing-Source-AETitle: AETITLESOURCE" '
    '-H "X-Dicomgrid-Routing-Destination-AETitle: AETITLEDEST"'
)
ATTACH = (
    f"curl -XPOST {BASE}/study/{{namespace}}/{{studyUid}}/attachment "
    f'--form data=@file.pdf {SID} --form uploaded_by="Uploader Name"'
)
CONTENT_TYPES = ("", '-H "Content-type: application/pdf"', '-H "Content-type: application/octet-stream"')
BY_VERSION = (
    f"curl -XGET {BASE}/study/{{namespace}}/{{studyUid}}/attachment/{{attachmentId}}/version/{{version}}"
)
LATEST = f"curl -XGET {BASE}/study/{{namespace}}/{{studyUid}}/attachment/latest"
DELETE = f"curl -v -XDELETE {BASE}/study/{{namespace}}/{{studyUid}} {SID}"


class Desk:
    """A folder with the files the lines name, and an archive they reach."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.values = {
            "ns": "ns1",
            "namespace": "ns1",
            "phi_namespace": "ns2",
            "frame_id": "0",
            "sid": "unknown",
        }

    def run(self, line: str, *more: str) -> bytes:
        """What curl writes; it must not have failed."""
        for name, value in self.values.items():
            line = line.replace(f"{{{name}}}", value)
        arguments = shlex.split(line.replace("http://localhost:8500", self.url))
        done = subprocess.run([*arguments, *more], cwd=self.folder, capture_output=True, check=True)
        return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An archive without accounts that has taken in the document's upload."""
    folder = tmp_path_factory.mktemp("curl")
    (folder / "file.dcm").write_bytes(part10(ct_slice(SampleStudy(patient=CANARY))))
    (folder / "file.pdf").write_bytes(pdf_report(["An attachment"]))
    with ArchiveProcess(folder / "data") as archive:
        desk = Desk(folder, archive.url)
        answer = json.loads(desk.run(UPLOAD))
        desk.values |= {
            "study_uid": answer["study_uid"],
            "studyUid": answer["study_uid"],
            "image_uid": answer["image_uid"],
            "version_id": answer["image_version"],
        }
        yield desk


def test_upload_with_routing(desk: Desk) -> None:
    assert json.loads(desk.run(ROUTED))["image_version"] == desk.values["version_id"]


@pytest.mark.parametrize("name", JSON_LINES)
def test_json_lines(desk: Desk, name: str) -> None:
    document = json.loads(desk.run(JSON_LINES[name]))
    assert "kind" not in document and document


@pytest.mark.parametrize("name", BYTE_LINES)
def test_byte_lines(desk: Desk, name: str) -> None:
    line, begins = BYTE_LINES[name]
    assert desk.run(line).startswith(begins)


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_attachments(desk: Desk, content_type: str) -> None:
    answer = json.loads(desk.run(f"{ATTACH} {content_type}"))
    assert answer["source_label"] == "Uploader Name"
    desk.values |= {"attachmentId": answer["attachment_guid"], "version": answer["attachment_version"]}
    for line in (BY_VERSION, LATEST):
        got = desk.run(line, "-i")
        assert got.endswith((desk.folder / "file.pdf").read_bytes())
        assert b"content-type: application/pdf" in got and b'filename="file.pdf"' in got


def test_the_login_of_a_session(desk: Desk) -> None:
    login = f"curl {BASE.replace('/storage', '/session/login')} -d login=anyone -d password=anything"
    assert json.loads(desk.run(login))["status"] == "OK"


def test_delete(desk: Desk) -> None:
    (desk.folder / "other.dcm").write_bytes(part10(ct_slice(SampleStudy(seed="gone", patient=CANARY))))
    uid = json.loads(desk.run(UPLOAD.replace("file.dcm", "other.dcm")))["study_uid"]
    line = DELETE.replace("{studyUid}", uid)
    assert desk.run(line, "-o", "/dev/null", "-w", "%{http_code}") == b"202"
    assert desk.run(line, "-o", "/dev/null", "-w", "%{http_code}") == b"404"
