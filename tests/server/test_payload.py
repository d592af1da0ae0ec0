"""The DICOM payload in other transfer syntaxes: whole, in ranges, with an overlay, cached, or refused."""

from __future__ import annotations

import io

import pytest
from pydicom import dcmread

from core.imaging.transcode import JPEG_BASELINE_UID, TARGETS
from tests.server.conftest import Served, Stored, error_of


@pytest.mark.parametrize("target", TARGETS)
def test_a_payload_in_each_syntax(served: Served, stored: Stored, target: str) -> None:
    with served.client() as client:
        for version in ("", "*"):
            answer = client.get(stored.image("colour", version), params={"transfer_syntax": target})
            ds = dcmread(io.BytesIO(answer.content))
            assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom"
            assert ds.file_meta.TransferSyntaxUID == target and ds.Rows == 96
            unchanged = target == "1.2.840.10008.1.2.1"
            assert (answer.content == stored.files["colour"]) is unchanged
            tag = answer.headers["etag"]
            assert tag.strip('"') != stored.images["colour"]["image_version"] or unchanged


def test_ranges_and_tags_of_what_was_made(served: Served, stored: Stored) -> None:
    query = {"transfer_syntax": "1.2.840.10008.1.2.5", "pretranscode": "1"}
    with served.client() as client:
        whole = client.get(stored.image(), params=query)
        part = client.get(stored.image(), params=query, headers={"Range": "bytes=100-199"})
        assert part.status_code == 206 and part.content == whole.content[100:200]
        head = client.head(stored.image(), params=query)
        assert head.headers["content-length"] == str(len(whole.content)) and not head.content
        same = client.get(stored.image(), params=query, headers={"If-None-Match": whole.headers["etag"]})
        assert same.status_code == 304
        assert client.delete(f"{stored.path}/cache").status_code == 202
        again = client.get(stored.image(), params=query)
    assert again.content == whole.content


def test_as_stored(served: Served, stored: Stored) -> None:
    with served.client() as client:
        for query in ({"transfer_syntax": "*"}, {"transfer_syntax": ""}, {"pretranscode": "1"}):
            assert client.get(stored.image(), params=query).content == stored.files["ct"]


@pytest.mark.parametrize(
    "target", ["1.2.3", "1.2.840.10008.1.2.4.102", "../../x", "x" * 500, JPEG_BASELINE_UID]
)
def test_what_cannot_be_had_names_what_can(served: Served, stored: Stored, target: str) -> None:
    with served.client() as client:
        headers = {"X-AmbraHealth-Verbose-Errors": "1"}
        refused = client.get(stored.image(), params={"transfer_syntax": target}, headers=headers)
    error = error_of(refused)
    assert refused.status_code == 406 and error["kind"]["code"] == 6
    assert "1.2.840.10008.1.2.5" in error["extended"]["remedy"]


def test_who_may_not_look_gets_nothing_made(served: Served, stored: Stored) -> None:
    query = {"transfer_syntax": "1.2.840.10008.1.2.5"}
    with served.client("modality") as client, served.anonymous() as nobody:
        assert client.get(stored.image(), params=query).status_code == 403
        assert nobody.get(stored.image(), params=query).status_code == 401
    with served.client() as client:
        assert client.get(stored.image("ct", "A" * 27), params=query).status_code == 404
