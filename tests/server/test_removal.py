"""Removing parts of a study: images, all images, attachments; what the trash then holds; who may."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from core.archive.archive import Archive
from core.media.samples import SampleStudy, dataset, part10
from tests.server.conftest import CANARY, NAMESPACE, Served, error_of

SEEDS = itertools.count()


class Study:
    """A made-up study in the archive: two series of two images each."""

    def __init__(self, served: Served, *, attachments: int = 0) -> None:
        self.made = SampleStudy(seed=f"removed {next(SEEDS)}", patient=CANARY)
        self.path = f"/api/v3/storage/study/{NAMESPACE}/{self.made.uid}"
        self._served = served
        self.uids = [self.store(series=s, instance=n) for s in (1, 2) for n in (1, 2)]
        self.attached = [
            self.call("POST", "/attachment", content=b"note %d" % n).json() for n in range(attachments)
        ]

    def store(self, **elements: Any) -> str:
        with self._served.client() as client:
            data = part10(dataset(self.made, **elements))
            uid: str = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=data).json()[
                "image_uid"
            ]
        return uid

    def call(self, method: str, what: str = "", login: str = "admin", **options: Any) -> httpx.Response:
        with self._served.client(login) as client:
            return client.request(method, self.path + what, **options)

    def shown(self) -> list[list[str]]:
        return [[i["id"] for i in s["images"]] for s in self.call("GET", "/schema").json()["series"]]

    def uids_shown(self) -> list[str]:
        return [uid for series in self.shown() for uid in series]

    def restore(self) -> None:
        base = "/api/desktop/v1/trash"
        with self._served.client() as client:
            entry = next(e for e in client.get(base).json()["entries"] if e["study_uid"] == self.made.uid)
            assert client.post(f"{base}/{entry['id']}/restore").status_code == 200


def test_one_image_goes_and_comes_back(served: Served) -> None:
    study = Study(served)
    study.store(series=1, instance=1, StudyDescription="its second version")
    before = study.shown()
    assert study.call("DELETE", f"/image/{study.uids[0]}").status_code == 202
    assert study.shown() == [[study.uids[1]], study.uids[2:]]
    gone = study.call("GET", f"/image/{study.uids[0]}/version/*")
    assert gone.status_code == 404 and error_of(gone)["kind"]["code"] == 14
    assert study.call("GET", "/count").json()["image_count"] == 3
    study.restore()
    assert study.shown() == before
    assert study.call("GET", f"/image/{study.uids[0]}/version/*").status_code == 200


def test_a_series_goes_with_its_last_image(served: Served) -> None:
    study = Study(served)
    answer = study.call("DELETE", "/images", content=",".join(study.uids[:2]))
    assert answer.status_code == 202 and not answer.content
    assert study.shown() == [study.uids[2:]]
    again = study.store(series=1, instance=1)
    assert [again] in study.shown()
    study.restore()
    assert sorted(study.shown()) == sorted([study.uids[2:], study.uids[:2]])


def test_all_or_none_of_several(served: Served) -> None:
    study = Study(served)
    refused = study.call("DELETE", "/images", content=f"{study.uids[0]},1.2.3")
    assert refused.status_code == 404 and error_of(refused)["kind"]["code"] == 14
    assert len(study.uids_shown()) == 4
    for body in ("", " , ", "1" * 65):
        bad = study.call("DELETE", "/images", content=body)
        assert bad.status_code == 400 and error_of(bad)["kind"]["code"] == 5


def test_with_the_last_image_the_study_goes(served: Served) -> None:
    study = Study(served)
    assert study.call("DELETE", "/images", content=" , ".join(study.uids)).status_code == 202
    schema = study.call("GET", "/schema")
    assert schema.status_code == 404 and error_of(schema)["kind"]["code"] == 18
    study.restore()
    assert len(study.uids_shown()) == 4


def test_attachments_are_kept_if_wished(served: Served) -> None:
    study = Study(served, attachments=2)
    assert study.call("DELETE", params={"keep_attachments": "1"}).status_code == 202
    schema = study.call("GET", "/schema").json()
    assert not schema["series"] and len(schema["attachments"]) == 2
    assert study.call("GET", "/attachment/latest").content == b"note 1"
    study.restore()
    assert len(study.uids_shown()) == 4
    assert study.call("DELETE", params={"keep_attachments": "0"}).status_code == 202
    assert study.call("GET", "/schema").status_code == 404


def test_one_version_of_an_attachment(served: Served) -> None:
    study = Study(served, attachments=2)
    first = study.attached[0]
    where = f"/attachment/{first['attachment_guid']}/version/{first['attachment_version']}"
    assert study.call("DELETE", where).status_code == 202
    assert [a["id"] for a in study.call("GET", "/schema").json()["attachments"]] == [
        study.attached[1]["attachment_guid"]
    ]
    for method in ("DELETE", "GET"):
        gone = study.call(method, where)
        assert gone.status_code == 404 and error_of(gone)["kind"]["code"] == 16
    study.restore()
    assert study.call("GET", where).content == b"note 0"


def test_what_was_cached_is_made_again(served: Served) -> None:
    study = Study(served)
    assert study.call("DELETE", "/cache").status_code == 202
    assert len(study.uids_shown()) == 4
    with served.client() as client:
        unknown = client.delete(f"/api/v3/storage/study/{NAMESPACE}/1.2.3/cache")
    assert unknown.status_code == 404 and error_of(unknown)["kind"]["code"] == 18


@pytest.mark.parametrize("login", ["staff", "viewer", "modality"])
def test_who_may_not_delete(served: Served, login: str) -> None:
    study = Study(served, attachments=1)
    kept = study.attached[0]
    for what, body in (
        (f"/image/{study.uids[0]}", b""),
        ("/images", study.uids[0].encode()),
        (f"/attachment/{kept['attachment_guid']}/version/{kept['attachment_version']}", b""),
    ):
        refused = study.call("DELETE", what, login, content=body)
        assert refused.status_code == 403 and error_of(refused)["kind"]["code"] == 7
    assert study.call("GET", "/count").json()["image_count"] == 4


def test_the_catalog_stays_in_order(served: Served) -> None:
    study = Study(served, attachments=1)
    study.call("DELETE", f"/image/{study.uids[3]}")
    study.restore()
    study.call("DELETE", f"/image/{study.uids[0]}")
    archive = Archive.open(served.data, exclusive=False)
    try:
        report = archive.check()
        deleted = [e for e in archive.audit.entries(study_uid=study.made.uid) if e.action == "images deleted"]
    finally:
        archive.close()
    assert report.ok, report
    assert len(deleted) == 2 and all(entry.actor == "admin" for entry in deleted)
