"""What a study in an archive elsewhere asks of it, how often, and how that is cut short."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import BadInput, NotFound, Unreachable
from core.imaging.stack import Stack
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_search import Wanted, search
from core.net.dicomweb_source import DicomWebSource
from core.net.dicomweb_study import DicomWebStudy
from tests.core.stub_v3 import Handler, Stub, serving

STUDY, SERIES = "1.2", "1.2.7"


def model(**values: object) -> dict[str, object]:
    """Elements by tag, with made-up types."""
    return {tag.removeprefix("t"): {"vr": "UI", "Value": [value]} for tag, value in values.items()}


class Archive:
    """One study with a series of *images*; *page*: the most it gives at once, *said*: how many it counts."""

    def __init__(self, images: int = 5, page: int = 1000, said: int = 0) -> None:
        self.images, self.page, self.said = images, page, said
        self.asked: list[str] = []
        self.silent = False
        self.waiting, self.release = threading.Event(), threading.Event()

    def __call__(self, handler: Handler) -> bool:
        url = urlsplit(handler.path)
        what = url.path.rsplit("/", 1)[-1]
        self.asked.append(what)
        if self.silent:
            self.waiting.set()
            self.release.wait(20)
            return True
        first = int(parse_qs(url.query).get("offset", ["0"])[0])
        rows: list[dict[str, object]] = {
            "studies": [model(t0020000D=STUDY, t00201206=1)],
            "series": [model(t0020000E=SERIES, t00201209=self.said)],
            "instances": [model(t00080018=f"1.2.7.{n}", t00200013=n) for n in range(self.images)],
        }.get(what, [])
        handler.answer(200 if rows else 404, rows[first : first + self.page])
        return True


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving(Stub()) as made:
        yield made


@pytest.fixture
def client(stub: Stub) -> Iterator[DicomWebClient]:
    with closing(DicomWebClient(stub.url)) as made:
        yield made


def test_whoever_asks_at_the_same_time_shares_one_answer(stub: Stub, client: DicomWebClient) -> None:
    stub.fault = archive = Archive(said=5)
    study = DicomWebStudy(client, STUDY)
    threads = [threading.Thread(target=study.images, args=(SERIES,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(study.images(SERIES)) == 5
    assert sorted(archive.asked) == ["instances", "series", "studies"]


@pytest.mark.parametrize(
    ("page", "said", "asked"),
    [(1000, 0, 2), (1000, 5, 1), (1000, 9, 2), (2, 5, 3), (2, 0, 4), (2, 2, 4), (5, 5, 1)],
)
def test_every_image_is_listed_and_nothing_is_asked_twice(
    stub: Stub, client: DicomWebClient, page: int, said: int, asked: int
) -> None:
    stub.fault = archive = Archive(page=page, said=said)
    found = DicomWebStudy(client, STUDY).images(SERIES)
    listed = {each.header.sop_instance_uid for each in found}
    if (page, said) != (2, 2):  # it counts two, gives two at once, and has five: that is believed
        assert listed == {f"1.2.7.{n}" for n in range(5)}
        assert archive.asked.count("instances") == asked


def test_headers_that_an_archive_does_not_give_are_asked_for_once(stub: Stub, client: DicomWebClient) -> None:
    stub.fault = archive = Archive(said=5)
    study = DicomWebStudy(client, STUDY)
    with DicomWebSource(study) as source:
        for each in study.images(SERIES):
            with pytest.raises(NotFound):
                source.open_header(each.ref)
    assert archive.asked.count("metadata") == 1


def test_the_order_is_not_asked_for_image_by_image_where_nobody_answers(
    stub: Stub, client: DicomWebClient
) -> None:
    archive = Archive(said=5)

    def gone(handler: Handler) -> bool:
        if handler.path.endswith("/metadata") or "/instances/" in handler.path:
            archive.asked.append("cut")
            handler.reset()
            return True
        return archive(handler)

    stub.fault = gone
    study = DicomWebStudy(client, STUDY)
    with DicomWebSource(study) as source, Stack(source, study.images(SERIES)) as stack:
        order = stack.arrange()
    assert order.indices == (0, 1, 2, 3, 4) and not order.by_geometry and order.warnings
    assert archive.asked.count("cut") <= 2  # once more where a kept connection was closed


def test_what_is_under_way_is_cut_apart_from_the_rest(stub: Stub, client: DicomWebClient) -> None:
    stub.fault = archive = Archive(said=5)
    study = DicomWebStudy(client, STUDY)
    images = study.images(SERIES)
    archive.silent = True
    source = DicomWebSource(study, client=client.another())
    heard: list[Exception] = []

    def fetch() -> None:
        try:
            source.open(images[0].ref)
        except Unreachable as error:
            heard.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert archive.waiting.wait(10)
    source.cut()
    thread.join(10)
    archive.silent = False
    archive.release.set()
    assert heard and not thread.is_alive()
    assert client.search("/studies", [])
    source.close()
    other = client.another()
    client.close()
    with pytest.raises(Unreachable):
        other.search("/studies", [])


@pytest.mark.parametrize(("status", "kind"), [(400, BadInput), (404, NotFound)])
def test_an_address_that_is_no_dicomweb_service_is_told(
    stub: Stub, client: DicomWebClient, status: int, kind: type[Exception]
) -> None:
    stub.fault = lambda handler: handler.answer(status, {}) is None
    with pytest.raises(kind) as refused:
        search(client, Wanted())
    assert "/dicom-web" in refused.value.remedy  # type: ignore[attr-defined]  # both are KnownErrors
