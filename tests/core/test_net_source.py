"""A remote study as a source: what it lists, how it caches, and what it says when there is nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.dicom.refs import FileRef, Found
from core.errors import NotFound
from core.net.archive_source import ArchiveSource
from core.net.v3_client import V3Client
from tests.core.stub_v3 import Handler, Stub, serving

STUDY = {
    "namespace": "ns",
    "study_uid": "1.2",
    "patient_name": "Probe^Paula",
    "patient_id": "P1",
    "modalities": ["CT"],
    "institution_name": "St. Mary",
    "series": [
        {
            "series_uid": "1.2.0",
            "number": 2,
            "modality": "CT",
            "description": "axial",
            "images": [
                {"image_uid": f"1.2.{n}", "version": f"v{n}", "instance_number": n, "bytes": 1000}
                for n in (1, 2, 3)
            ],
        }
    ],
    "attachment_list": [{"id": "g", "version": "v", "name": "report.pdf"}],
}


class Archive:
    """Answers the two questions a source asks, and counts."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def __call__(self, handler: Handler) -> bool:
        path = handler.path
        if path == "/api/desktop/v1/studies/ns/1.2":
            handler.answer(200, STUDY)
            return True
        if "/image/1.2.9/" in path:
            handler.error(404, 14, "Image wasn't found")
            return True
        if "/image/" in path:
            self.fetched.append(path)
            handler.answer(200, path.encode() * 20)
            return True
        return False


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def client(archive: Archive) -> Iterator[V3Client]:
    with serving(Stub()) as stub:
        stub.fault = archive
        with V3Client(stub.url) as client:
            yield client


def test_it_lists_every_image_with_what_a_tree_needs(client: V3Client) -> None:
    with ArchiveSource(client, "ns", "1.2", name="Local archive") as source:
        found = [each for each in source.headers() if isinstance(each, Found)]
    assert [f.ref.path for f in found] == ["1.2/1.2.1/v1", "1.2/1.2.2/v2", "1.2/1.2.3/v3"]
    header = found[1].header
    assert (header.patient_name, header.series_number, header.instance_number) == ("Probe^Paula", 2, 2)
    assert header.institution_name == "St. Mary"
    assert source.name == "Local archive"


def test_a_study_has_attachments_and_counts(client: V3Client) -> None:
    detail = client.study_detail("ns", "1.2")
    assert detail.institution_name == "St. Mary"
    assert detail.study.series == 1 and detail.attachments[0].name == "report.pdf"


def test_a_file_is_fetched_once(client: V3Client, archive: Archive) -> None:
    with ArchiveSource(client, "ns", "1.2") as source:
        for _ in range(3):
            with source.open(FileRef("1.2/1.2.1/v1")) as data:
                assert data.read().startswith(b"/api/v3/storage/study/ns/1.2/image/1.2.1/version/v1")
                assert data.seek(0) == 0
    assert len(archive.fetched) == 1


def test_threads_that_want_the_same_file_fetch_it_once(client: V3Client, archive: Archive) -> None:
    read: list[bytes] = []
    with ArchiveSource(client, "ns", "1.2") as source:

        def look() -> None:
            with source.open(FileRef("1.2/1.2.1/v1")) as data:
                read.append(data.read())

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read) == 8 and len(set(read)) == 1 and len(archive.fetched) == 1


def test_the_cache_keeps_to_its_size(client: V3Client, archive: Archive) -> None:
    with ArchiveSource(client, "ns", "1.2", cache_bytes=2500) as source:
        for n in (1, 2, 3, 1):
            source.open(FileRef(f"1.2/1.2.{n}/v{n}")).close()
    assert len(archive.fetched) == 4


@pytest.mark.parametrize("path", ["1.2/1.2.9/v9", "9.9/1.2.1/v1", "1.2/1.2.1", ""])
def test_what_is_not_there(client: V3Client, path: str) -> None:
    with ArchiveSource(client, "ns", "1.2") as source, pytest.raises(NotFound):
        source.open(FileRef(path))
