"""An archive of ours seen from afar, as a desktop sees it: searched by QIDO-RS, looked at by WADO-RS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import pytest

from core.dicom.json_model import Model
from core.dicom.ports import Coded
from core.dicom.refs import FileRef, Found
from core.errors import BadInput, NotFound, NotRenderable, Unauthenticated
from core.imaging.stack import Stack
from core.net.answers import Answer
from core.net.credentials import Credentials
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_search import Wanted, search
from core.net.dicomweb_source import DicomWebSource
from core.net.dicomweb_study import DicomWebStudy
from tests.core.remote_studies import ANNE, check_pictures, check_search, files
from tests.server.conftest import PASSWORDS, Served, serving

VIEWER = Credentials("viewer", PASSWORDS["viewer"])


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
    client = DicomWebClient(f"{remote.url}/dicom-web", VIEWER)
    yield client
    client.close()


def test_what_is_typed_into_one_box_is_found(client: DicomWebClient) -> None:
    check_search(client)
    (found,) = search(client, Wanted("anne MULLER")).rows
    assert found.study_uid == ANNE.uid


def test_every_frame_is_the_one_that_was_stored(client: DicomWebClient) -> None:
    check_pictures(client)


class WithoutFrames(DicomWebClient):
    """An archive that gives whole objects only."""

    def frame(self, instance: str, number: int) -> Coded:
        raise NotFound("frame")


class WithoutMetadata(DicomWebClient):
    """One that gives no metadata."""

    def metadata(self, resource: str) -> list[Model]:
        raise BadInput("What is that?")


class Elsewhere(DicomWebClient):
    """One that calls itself by another name than it is reached by."""

    def metadata(self, resource: str) -> list[Model]:
        text = json.dumps(super().metadata(resource))
        found: list[Model] = json.loads(
            text.replace(self.base_url, self.base_url.replace("127.0.0.1", "pacs"))
        )
        return found


@pytest.mark.parametrize("kind", [WithoutFrames, WithoutMetadata, Elsewhere])
def test_what_an_archive_cannot_give_is_had_otherwise(remote: Served, kind: type[DicomWebClient]) -> None:
    with closing(kind(f"{remote.url}/dicom-web/studies", VIEWER)) as client:
        check_pictures(client)


def test_a_video_is_not_fetched_to_say_that_it_cannot_be_played(client: DicomWebClient) -> None:
    class Videos(DicomWebStudy):
        def images(self, series_uid: str) -> list[Found]:
            found = super().images(series_uid)
            video = "1.2.840.10008.1.2.4.102"
            return [each._replace(header=each.header._replace(transfer_syntax_uid=video)) for each in found]

    study = Videos(client, ANNE.uid)
    with DicomWebSource(study) as source, pytest.raises(NotRenderable, match="video"):
        source.open(study.images(study.detail().series[0].series_uid)[0].ref)


def test_the_header_of_many_frames_is_asked_for_once(remote: Served) -> None:
    asked: list[str] = []

    class Counting(DicomWebClient):
        def metadata(self, resource: str) -> list[Model]:
            asked.append(resource)
            return super().metadata(resource)

    with closing(Counting(f"{remote.url}/dicom-web", VIEWER)) as client:
        study = DicomWebStudy(client, ANNE.uid)
        loop = next(each.series_uid for each in study.detail().series if each.modality == "US")
        with DicomWebSource(study) as source, Stack(source, study.images(loop)) as stack:
            headers: list[FileRef] = []
            opened = source.open_header
            source.open_header = lambda ref: headers.append(ref) or opened(ref)  # type: ignore[method-assign, func-returns-value] # counted
            stack.arrange()
    assert len(asked) == len(headers) == 1


def test_only_the_frames_that_are_looked_at_come_over(remote: Served) -> None:
    asked: list[str] = []

    class Counting(DicomWebClient):
        def get(self, resource: str, accept: str) -> Answer:
            asked.append(resource.rsplit("/instances/", 1)[-1].partition("/")[2])
            return super().get(resource, accept)

        def instance(self, instance: str, out: BinaryIO) -> None:
            asked.append("whole")
            super().instance(instance, out)

    with closing(Counting(f"{remote.url}/dicom-web", VIEWER)) as client:
        study = DicomWebStudy(client, ANNE.uid)
        loop = next(each.series_uid for each in study.detail().series if each.modality == "US")
        with DicomWebSource(study) as source, Stack(source, study.images(loop)) as stack:
            assert len(stack) == 12
            for index in (3, 7, 3):
                stack.get(index)
    assert asked == ["frames/4", "frames/8"]


def test_a_study_that_is_not_there_and_a_wrong_login_are_told(client: DicomWebClient, remote: Served) -> None:
    with pytest.raises(NotFound, match="any more"):
        DicomWebStudy(client, "1.2.3").detail()
    stranger = DicomWebClient(f"{remote.url}/dicom-web", Credentials("viewer", "wrong"))
    with pytest.raises(Unauthenticated):
        search(stranger, Wanted())
    stranger.close()
