"""An archive of ours seen from afar, as a desktop sees it: searched by QIDO-RS, looked at by WADO-RS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.errors import NotFound, Unauthenticated
from core.net.credentials import Credentials
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_search import Wanted, search
from core.net.dicomweb_study import DicomWebStudy
from tests.core.remote_studies import ANNE, check_pictures, check_search, files
from tests.server.conftest import PASSWORDS, Served, serving


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("remote") / "data") as served:
        with served.client() as client:
            for data in files():
                headers = {"content-type": "application/dicom"}
                client.post("/dicom-web/studies", content=data, headers=headers).raise_for_status()
        yield served


@pytest.fixture
def client(remote: Served) -> Iterator[DicomWebClient]:
    client = DicomWebClient(f"{remote.url}/dicom-web", Credentials("viewer", PASSWORDS["viewer"]))
    yield client
    client.close()


def test_what_is_typed_into_one_box_is_found(client: DicomWebClient) -> None:
    check_search(client)
    (found,) = search(client, Wanted("anne MULLER")).rows
    assert found.study_uid == ANNE.uid


def test_every_frame_is_the_one_that_was_stored(client: DicomWebClient) -> None:
    check_pictures(client)


def test_a_study_that_is_not_there_and_a_wrong_login_are_told(client: DicomWebClient, remote: Served) -> None:
    with pytest.raises(NotFound, match="any more"):
        DicomWebStudy(client, "1.2.3").detail()
    stranger = DicomWebClient(f"{remote.url}/dicom-web", Credentials("viewer", "wrong"))
    with pytest.raises(Unauthenticated):
        search(stranger, Wanted())
    stranger.close()
