"""The store requests of the two DICOMweb documents: as printed where that can be read, else mended."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from core.dicom.native_reader import read_xml
from tests.api_documents import DOCUMENTS
from tests.server.conftest import Served, error_of
from tests.server.test_dicomweb_bulk import JPEG

QUICK_START = "dicomweb-quickstart.txt"
BINARY = "<binary JPG image data>"
MEND = (('number="1"ONLINE', 'number="1">ONLINE'), ("</value>", "</Value>"))
STUDY = "2.25.329800735698586629295641978511506172918"


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def printed() -> str:
    """The body of the quick start's store request."""
    path = DOCUMENTS / QUICK_START
    if not path.exists():
        pytest.skip("the API documents are not beside the project")
    text = path.read_text("utf-8")
    start = text.index("--MESSAGEBOUNDARY\n")
    end = text.index("--MESSAGEBOUNDARY--") + len("--MESSAGEBOUNDARY--")
    return text[start:end]


def sent(client: httpx.Client, text: str) -> httpx.Response:
    head, tail = (re.sub("\n", "\r\n", part).encode() for part in text.split(BINARY))
    xml = head.index(b"\r\n\r\n") + 4, head.index(b"\r\n\r\n--MESSAGEBOUNDARY\r\nContent-Type: image")
    head = head[: xml[0]] + head[xml[0] : xml[1]].replace(b"\r\n", b"\n") + head[xml[1] :]
    kind = "multipart/related; type=application/dicom+xml; boundary=MESSAGEBOUNDARY"
    body = head + JPEG + tail.replace(b"\r\n\r\n--", b"\r\n--")
    return client.post(f"/studies/{STUDY}", content=body, headers={"content-type": kind})


@pytest.mark.usefixtures("caplog")
def test_the_quick_start_as_printed_is_refused_with_its_line(client: httpx.Client, printed: str) -> None:
    answer = sent(client, printed)
    assert answer.status_code == 400 and "line 4" in error_of(answer)["message"]
    assert client.get(f"/studies/{STUDY}").status_code == 404


def test_the_quick_start_once_it_is_well_formed(client: httpx.Client, printed: str) -> None:
    for wrong, right in MEND:
        printed = printed.replace(wrong, right)
    answer = sent(client, printed)
    assert answer.status_code == 200, answer.text
    (item,) = read_xml(answer.content)["00081199"]["Value"]
    assert item["00081155"]["Value"] == ["2.25.555800735698586629295641978511506172918"]
    (model,) = client.get(f"/studies/{STUDY}/metadata").json()
    assert model["00100010"]["Value"] == [{"Alphabetic": "THOMPSON^ALEX"}]
    assert (model["00100020"]["Value"], model["00100040"]["Value"]) == (["12345"], ["M"])
    assert (model["00100030"]["vr"], model["00100030"]["Value"]) == ("DA", ["19670701"])
    assert model["0020000E"]["Value"] == ["2.25.444800735698586629295641978511506172918"]
    assert model["00280010"]["Value"] == [48] and model["00080016"]["Value"]


def test_the_quick_starts_search_and_retrieval_as_printed(client: httpx.Client, printed: str) -> None:
    text = (DOCUMENTS / QUICK_START).read_text("utf-8")
    for wrong, right in MEND:
        printed = printed.replace(wrong, right)
    sent(client, printed)
    search, retrieval = re.findall(r"GET https://[^/]+(/\S+)\nAccept: (.+)\n", text)
    found = client.get(search[0], headers={"accept": search[1]})
    assert found.status_code == 200 and found.headers["content-type"] == search[1]
    model = next(model for model in found.json() if model["0020000D"]["Value"] == [STUDY])
    assert model["00100010"]["Value"] == [{"Alphabetic": "THOMPSON^ALEX"}] and "00081030" in model
    path = f"{retrieval[0].rpartition('/')[0]}/{STUDY}"
    pictures = client.get(path, headers={"accept": retrieval[1]})
    assert pictures.status_code == 200 and pictures.headers["content-type"].startswith("multipart/related")
    assert pictures.content.count(b"\xff\xd8\xff") == 1
