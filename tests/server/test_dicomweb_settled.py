"""Metadata of settled studies over a real socket: the same as the objects say, and no more than is there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.dicom.json_model import metadata
from core.media.samples import SampleStudy, ct_slice
from tests.server.conftest import CANARY, Served, serving
from tests.server.test_dicomweb import parts_of
from tests.server.test_dicomweb_reading import put, study_of, with_binaries

XML = 'multipart/related; type="application/dicom+xml"'


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("quick") / "data", settle_after_s=0.05) as found:
        yield found


@pytest.fixture
def client(quick: Served) -> Iterator[httpx.Client]:
    with quick.client(timeout=60) as client:
        yield client


def settled(client: httpx.Client) -> None:
    """Wait until the background pass has nothing to do."""
    waiting = threading.Event()
    for _ in range(3000):
        if "\nfilmjacket_settling_studies 0\n" in client.get("/metrics").text:
            return
        waiting.wait(0.02)
    raise AssertionError("the archive did not settle")


def test_what_has_settled_is_answered_in_every_form(client: httpx.Client) -> None:
    study = SampleStudy(seed="settled", patient=CANARY)
    first, second = put(client, *(with_binaries(ct_slice(study, instance=n, size=16)) for n in (1, 2)))
    before = {
        path: client.get(f"/dicom-web{path}/metadata").json()
        for path in (first, second, first.rpartition("/instances")[0], study_of(first))
    }
    settled(client)
    for path, models in before.items():
        for base in ("/dicom-web", "/dcm4chee-arc/aets/DCM4CHEE/rs"):
            answer = client.get(f"{base}{path}/metadata")
            assert answer.status_code == 200
            assert json.loads(answer.text.replace(base + "/", "/dicom-web/")) == models
        plain = client.get(f"/dicom-web{path}/metadata", headers={"accept-encoding": "identity"})
        assert plain.json() == models
        parts = parts_of(client.get(f"/dicom-web{path}/metadata", headers={"accept": XML}))
        assert len(parts) == len(models)
        assert models[0]["7FE00010"]["BulkDataURI"].encode() in parts[0][1]
    uri = before[first][0]["7FE00010"]["BulkDataURI"]
    assert client.get(uri).content == ct_slice(study, instance=1, size=16).PixelData


def test_what_was_deleted_is_in_no_metadata(client: httpx.Client) -> None:
    study = SampleStudy(seed="settled deleted", patient=CANARY)
    first, second = put(client, *(ct_slice(study, instance=n, size=16) for n in (1, 2)))
    settled(client)
    whole = f"/dicom-web{study_of(first)}/metadata"
    version = client.get(whole).headers["etag"]
    assert client.get(whole, headers={"if-none-match": version}).status_code == 304
    assert client.delete(f"/dicom-web{first}").status_code == 204
    for _ in range(2):  # at once, and when it has settled anew
        answer = client.get(whole, headers={"if-none-match": version})
        assert [model["00200013"]["Value"] for model in answer.json()] == [[2]]
        assert client.get(f"/dicom-web{first}/metadata").status_code == 404
        settled(client)
    assert client.delete(f"/dicom-web{study_of(second)}").status_code == 204
    for headers in ({}, {"if-none-match": version}, {"if-none-match": "*"}):
        assert client.get(whole, headers=headers).status_code == 404


def test_every_real_file_is_described_as_it_says(
    client: httpx.Client, testdata: Path, tmp_path: Path
) -> None:
    stored: set[str] = set()
    for path in sorted(testdata.rglob("*")):
        if path.is_file() and path.stat().st_size < 3 << 20:
            answer = client.post(
                "/dicom-web/studies", content=path.read_bytes(), headers={"content-type": "application/dicom"}
            )
            if answer.status_code == 200:
                (item,) = answer.json()["00081199"]["Value"]
                stored.add(item["00081190"]["Value"][0])
    assert len(stored) > 200
    settled(client)
    file, as_stored = tmp_path / "object", {"accept": "application/dicom; transfer-syntax=*"}
    for url in stored:
        answer = client.get(f"{url}/metadata")
        if answer.status_code in (404, 415):  # in conflict with another; or it makes no sense, settled or not
            continue
        file.write_bytes(client.get(url, headers=as_stored).content)
        expected = metadata(file, bulk=lambda way, url=url: f"{url}/bulkdata/{way}")  # type: ignore[misc] # bound now
        assert answer.json() == [json.loads(json.dumps(expected))], url
