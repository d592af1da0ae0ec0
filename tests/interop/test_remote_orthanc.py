"""Orthanc's DICOMweb plugin as a remote archive: searched, looked at frame by frame, studies sent on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_listing import list_images
from core.upload.ledger import Ledger
from core.upload.picks import Order, Pick, RemoteArchive
from core.upload.remote_files import RemoteFiles
from core.upload.runner import run
from tests.core.remote_files import compare
from tests.core.remote_studies import ANNE, BERT, check_pictures, check_search, files
from tests.core.upload_fakes import FakeDestination, Store
from tests.interop import orthanc as peer
from tests.server.test_remote_sending import drive as finish
from ui.archive.remote_sending import order_of

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


def test_studies_are_sent_on_as_they_are_stored(client: DicomWebClient, tmp_path: Path) -> None:
    listing = finish(list_images(client, [ANNE.uid, BERT.uid]))
    assert listing.missing == 0
    kept = Store()
    url = f"stow:{client.base_url}"
    picks = [Pick.of(each.study) for each in order_of("Orthanc", listing).picked]
    with (
        closing(Ledger(tmp_path / "client.db")) as ledger,
        closing(RemoteFiles(client.base_url, None)) as there,
    ):
        job = ledger.create(Order((), "fake", picks, origin=RemoteArchive("Orthanc", url)))
        receipt = finish(run(job, FakeDestination(kept), opener=there.open, origin=there))
    assert receipt.complete and receipt.safe_to_eject
    assert sorted(kept.images.values()) == sorted(files())
