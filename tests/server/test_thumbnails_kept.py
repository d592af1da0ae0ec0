"""Thumbnails made before: the same bytes again, and never those of what is no longer there or not yours."""

from __future__ import annotations

import io

from PIL import Image

from core.media.samples import SampleStudy, ct_slice, part10
from tests.server.conftest import NAMESPACE, Served, store

STORE = f"/api/v3/storage/namespace/{NAMESPACE}/image"


def test_it_is_the_same_again_from_memory_and_from_disk(served: Served) -> None:
    stored = store(served, SampleStudy("kept"))
    with served.client() as client:
        address = stored.image("loop") + "/frame/3/thumbnail"
        answers = [client.get(address) for _ in range(3)]
        assert len({answer.content for answer in answers}) == 1
        assert {answer.status_code for answer in answers} == {200}
        tag = answers[0].headers["etag"]
        assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
        head = client.head(address)
        assert head.status_code == 200 and head.headers["etag"] == tag and not head.content
        other = client.get(stored.image("loop") + "/frame/4/thumbnail")
        assert other.headers["etag"] != tag
        small = client.get(address, params={"size": "32x32"})
        assert max(Image.open(io.BytesIO(small.content)).size) == 32


def test_the_current_version_is_looked_up_anew_after_every_change(served: Served) -> None:
    study = SampleStudy("kept and changed")
    stored = store(served, study)
    with served.client() as client:
        address = stored.image(version="*") + "/frame/0/thumbnail"
        before = [client.get(address).headers["etag"] for _ in range(2)]
        changed = ct_slice(study)
        changed.ImageComments = "other bytes"
        assert client.post(STORE, content=part10(changed)).status_code == 200
        after = [client.get(address).headers["etag"] for _ in range(2)]
    assert before[0] == before[1] != after[0] == after[1]


def test_what_was_deleted_is_gone_at_once_though_it_lies_in_memory(served: Served) -> None:
    stored = store(served, SampleStudy("kept and deleted"))
    with served.client() as client:
        address = stored.image() + "/frame/0/thumbnail"
        assert [client.get(address).status_code for _ in range(2)] == [200, 200]
        assert client.delete(stored.path).status_code == 202
        assert client.get(address).status_code == 404


def test_who_may_not_see_it_does_not_see_it_from_memory(served: Served) -> None:
    stored = store(served, SampleStudy("kept elsewhere"), "elsewhere")
    with served.client() as client, served.client("limited") as limited:
        address = stored.image() + "/frame/0/thumbnail"
        assert [client.get(address).status_code for _ in range(2)] == [200, 200]
        assert limited.get(address).status_code == 403
