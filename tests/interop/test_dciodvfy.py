"""What is made of metadata and bulk data, judged by dciodvfy: no error in any object."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from imagecodecs import jpeg8_encode

from tests.plain_files import every_kind, jpeg, mp4, png
from tests.server.conftest import STUDY, Served, serving, store
from tests.server.test_attach import add, entry
from tests.server.test_dicomweb_agreement import (
    DOCUMENT_TAG,
    OCTETS,
    PIXELS,
    VIDEO_ENDOSCOPIC,
    described,
    inline,
    native,
    said,
)
from tests.server.test_dicomweb_bulk import (
    GREY,
    JPEG,
    PART,
    PDF,
    jpeg_meta,
    metadata_part,
    mpeg2,
    send,
)
from tests.server.test_dicomweb_frames_stored import frame_parts, frames_meta
from tests.server.test_workitems import OPTIONAL

pytestmark = pytest.mark.interop

GREY_JPEG = jpeg8_encode(GREY, level=90)
WRONG = said(colour="MONOCHROME2", planar=1, stored=12, high=11, lossy="00")
PHOTOGRAPH = {"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.77.1.4"]}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    with serving(tmp_path_factory.mktemp("judged") / "data") as found:
        yield found


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("capture", [metadata_part(jpeg_meta("a")), ("image/jpeg", "a", JPEG)]),
        ("photograph", [metadata_part(jpeg_meta("a", **PHOTOGRAPH)), ("image/jpeg", "a", JPEG)]),
        (
            "document",
            [metadata_part({"00420011": {"vr": "OB", "BulkDataURI": "a"}}), ("application/pdf", "a", PDF)],
        ),
        ("frames", [metadata_part(frames_meta(2)), *frame_parts([JPEG, JPEG])]),
        ("grey frames", [metadata_part(frames_meta(2)), *frame_parts([GREY_JPEG, GREY_JPEG])]),
        ("video", [metadata_part(jpeg_meta("a")), ("video/mpeg2", "a", mpeg2())]),
        (
            "endoscopy",
            [metadata_part(jpeg_meta("a", **said(kind=VIDEO_ENDOSCOPIC))), ("video/mp4", "a", mp4())],
        ),
        (
            "raw frames",
            [metadata_part(jpeg_meta("a", **native(frames="3"))), (OCTETS, "a", GREY.tobytes() * 3)],
        ),
        (
            "bits",
            [
                metadata_part(jpeg_meta("a", **native(allocated=1, frames="2"))),
                (OCTETS, "a", bytes(2 * 48 * 64 // 8)),
            ],
        ),
        ("in the metadata", described(**native(), **inline(PIXELS, GREY.tobytes()))),
        ("document in the metadata", described(**inline(DOCUMENT_TAG, PDF))),
        ("colours said wrong", [metadata_part(jpeg_meta("a", **WRONG)), ("image/jpeg", "a", JPEG)]),
    ],
)
def test_no_errors(served: Served, tmp_path: Path, name: str, parts: list[PART]) -> None:
    with served.client() as client:
        answer: httpx.Response = send(client, parts)
        assert answer.status_code == 200
        address = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        accept = {"accept": "application/dicom; transfer-syntax=*"}
        judge(tmp_path / f"{name}.dcm", client.get(address, headers=accept).content)


def judge(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    judged = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    errors = [line for line in judged.stderr.splitlines() if line.startswith("Error")]
    assert errors == [], judged.stderr


@pytest.mark.parametrize("photographs", ["0", "1"])
@pytest.mark.parametrize("level", ["study", "entry", "sparse entry"])
def test_files_that_are_added(served: Served, tmp_path: Path, level: str, photographs: str) -> None:
    with served.client() as client:
        if level == "study":
            store(served, STUDY, "default")
            place = f"/dicom-web/studies/{STUDY.uid}"
        else:
            uid, _ = entry(client, **(dict.fromkeys(OPTIONAL) if level == "sparse entry" else {}))
            place = f"/dicom-web/workitems/{uid}"
        files = {**every_kind(), "grey.png": png(GREY), "turned.jpg": jpeg(turned=True)}
        answer = add(client, place, files, photographs=photographs)
        assert answer.status_code == 200, answer.text
        for number, item in enumerate(answer.json()["00081199"]["Value"]):
            accept = {"accept": "application/dicom; transfer-syntax=*"}
            data = client.get(item["00081190"]["Value"][0], headers=accept).content
            judge(tmp_path / f"{number}.dcm", data)
