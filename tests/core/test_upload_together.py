"""Small images that go several in one request, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.upload.parcel import MOST_FILES, Load
from core.upload.v3 import SMALL_BYTES
from tests.core.stub_v3 import Handler, Stub, serving
from tests.core.test_upload_destination import V3Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[V3Desk]:
    desk = V3Desk(tmp_path)
    yield desk
    desk.close()


def test_small_images_go_together(desk: V3Desk) -> None:
    with serving(Stub(together=True)) as stub:
        receipt = desk.to(stub)
        assert receipt.safe_to_eject and receipt.studies[0].sent == 12 and len(stub.images) == 12
        assert 0 < stub.parcels() < 12 and not stub.posts()


def test_a_large_image_goes_by_itself(tmp_path: Path) -> None:
    large = SMALL_BYTES + 1
    with closing(V3Desk(tmp_path, each=2, size=large)) as desk, serving(Stub(together=True)) as stub:
        assert desk.to(stub).safe_to_eject
        assert not stub.parcels() and stub.posts() == 2


def test_one_image_refused_among_others_fails_alone(desk: V3Desk) -> None:
    def refuse(data: bytes) -> dict[str, object] | None:
        error = {"kind": {"code": 5}, "message": "That is no image."}
        return {"status": 400, "error": error} if b" 1.2.3.1.7\n" in data[:40] else None

    with serving(Stub(together=True)) as stub:
        stub.refuse = refuse
        receipt = desk.to(stub)
    (failure,) = receipt.studies[0].failed
    assert failure.sop_uid == "1.2.3.1.7" and "That is no image." in failure.reason
    assert receipt.studies[0].verified == 11 and not receipt.complete


def test_what_is_refused_together_is_sent_one_by_one(desk: V3Desk) -> None:
    def too_large(handler: Handler) -> bool:
        if not handler.path.endswith("/images"):
            return False
        handler.body()
        handler.error(413, 19, "Payload too large")
        return True

    with serving(Stub(together=True)) as stub:
        stub.fault = too_large
        assert desk.to(stub).safe_to_eject
        assert stub.parcels() and stub.posts() == 12


def test_an_unreadable_image_does_not_hold_up_its_companions(desk: V3Desk) -> None:
    desk.locate(desk.picks[0].instances[4].ref).unlink()
    with serving(Stub(together=True)) as stub:
        receipt = desk.to(stub)
        assert len(stub.images) == 11 and not stub.posts()
    (failure,) = receipt.studies[0].failed
    assert "no longer on the source" in failure.reason and receipt.studies[0].verified == 11


def test_an_answer_about_other_images_is_not_believed(desk: V3Desk) -> None:
    def shorter(handler: Handler) -> bool:
        if handler.path.endswith("/images"):
            handler.body()
            handler.answer(200, {"images": []})
            return True
        return False

    with serving(Stub(together=True)) as stub:
        stub.fault = shorter
        assert desk.to(stub).safe_to_eject and stub.posts() == 12


def test_a_load_follows_the_link() -> None:
    load = Load()
    first = load.bytes
    for _ in range(10):
        load.took(load.files, load.bytes, 0.01)
    most = load.bytes
    assert first < most and load.files == MOST_FILES
    load.took(load.files, most, 10)
    assert load.bytes < most and load.files < MOST_FILES
    for _ in range(10):
        load.took(2, SMALL_BYTES, 10)
    assert load.bytes == 0
    load.took(1, SMALL_BYTES, 0.01)
    assert load.bytes == first >= 2 * SMALL_BYTES
