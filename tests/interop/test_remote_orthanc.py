"""Orthanc's DICOMweb plugin as a remote archive of the desktop: searched, and looked at frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.net.dicomweb_client import DicomWebClient
from tests.core.remote_files import compare
from tests.core.remote_studies import check_pictures, check_search, files
from tests.interop import orthanc as peer

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebClient]:
    with peer.running(tmp_path_factory.mktemp("orthanc")) as url:
        for data in files():
            httpx.post(f"{url}/instances", content=data, trust_env=False).raise_for_status()
        client = DicomWebClient(f"{url}/dicom-web")
        yield client
        client.close()


def test_what_is_typed_into_one_box_is_found(client: DicomWebClient) -> None:
    check_search(client)


def test_every_frame_is_the_one_that_was_stored(client: DicomWebClient) -> None:
    check_pictures(client)


def test_pictures_of_real_files(testdata: Path, tmp_path: Path) -> None:
    with peer.running(tmp_path) as url:
        compared, apart = compare(f"{url}/dicom-web", testdata)
    assert compared > 60 and apart > 10
