"""DICOM Service, callbacks: what a PACS says is kept and told on; our own studies are told of likewise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tinydb import Query

from core.db.database import Database
from core.documents import Documents
from core.errors import BadInput
from core.media.samples import SampleStudy, dataset, part10
from core.outbox.callbacks import EVENTS, Callbacks
from core.outbox.queue import Outbox
from tests.guards import CANARY
from tests.server.conftest import Served, error_of, serving
from tests.sink import Sink, Told

EVENT: dict[str, Any] = {
    "SourceID": "O3PROD",
    "StudyInstanceUID": "1.3.76.13.90696.2.20130926082332.5279531.1",
    "AccessionNumber": "62476609-1",
    "PatientID": CANARY.patient_id,
    "NumberOfStudyRelatedSeries": 1,
    "NumberOfStudyRelatedInstances": 239,
    "ModalitiesInStudy": ["CT"],
    "AeTitles": ["O3-PACS-57"],
    "StationNames": ["Station ALFA", "Station BETA"],
    "EventType": "COMPLETED",
    "StudyDate": "20130926",
    "StudyTime": "082329",
    "StudyID": None,
    "ReferringPhysicianName": "NO_DOC_NAME^NO_DOC_SURNAME",
    "StudyDescription": "DENTALSCAN SUP",
    "PatientName": CANARY.name,
    "PatientBirthDate": CANARY.birth_date,
    "PatientSex": "F",
}
PATH = "/new-exam-callback"


@pytest.fixture(scope="module")
def sinks() -> Iterator[tuple[Sink, Sink]]:
    with Sink(lambda told: 204) as first, Sink(lambda told: 202) as second:
        yield first, second


@pytest.fixture(scope="module")
def calling(
    tmp_path_factory: pytest.TempPathFactory, log_lines: list[str], sinks: tuple[Sink, Sink]
) -> Iterator[Served]:
    """An archive that tells two receivers, and settles studies at once."""
    urls = tuple(f"{sink.url}/exam?to={n}" for n, sink in enumerate(sinks))
    data = tmp_path_factory.mktemp("calling") / "data"
    with serving(data, settle_after_s=0.2, callback_urls=urls) as found:
        yield found


def of_study(told: list[Told], uid: str) -> list[dict[str, Any]]:
    return [event for event in (json.loads(each.body) for each in told) if event["StudyInstanceUID"] == uid]


def kept(served: Served) -> list[dict[str, Any]]:
    database = Database.open(served.data / "archive" / "archive.db")
    try:
        return [row["pacsEvent"] for row in Documents(database).table(EVENTS).search(Query().received > 0)]
    finally:
        database.close()


def test_an_event_is_kept_and_told_to_everyone(calling: Served, sinks: tuple[Sink, Sink]) -> None:
    with calling.client("modality") as client:
        answer = client.post(PATH, content=json.dumps(EVENT))
        assert (answer.status_code, answer.content) == (204, b"")
    for number, sink in enumerate(sinks):
        told = sink.wait(lambda told: bool(of_study(told, EVENT["StudyInstanceUID"])))
        (one,) = [each for each in told if json.loads(each.body) == EVENT]
        assert (one.method, one.path, one.query) == ("POST", "/exam", {"to": str(number)})
    assert EVENT in kept(calling)


@pytest.mark.parametrize("name", EVENT)
def test_null_is_valid(calling: Served, name: str) -> None:
    with calling.client() as client:
        assert client.post(PATH, json=EVENT | {name: None}).status_code == 204


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyInstanceUID", "1.02"),
        ("StudyInstanceUID", 5),
        ("NumberOfStudyRelatedSeries", "1"),
        ("NumberOfStudyRelatedInstances", -1),
        ("NumberOfStudyRelatedInstances", True),
        ("ModalitiesInStudy", "CT"),
        ("AeTitles", [1]),
        ("EventType", "DONE"),
        ("EventType", ["COMPLETED"]),
        ("PatientName", {"a": 1}),
        ("StudyTime", 82329),
        ("StudyDescription", "x" * 2000),
    ],
)
def test_a_wrong_member_is_named_and_nothing_is_kept(calling: Served, name: str, value: object) -> None:
    before = len(kept(calling))
    with calling.client() as client:
        answer = client.post(PATH, json=EVENT | {name: value})
    assert answer.status_code == 400 and name in error_of(answer)["message"]
    assert len(kept(calling)) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b'{"StudyInstanceUID":null,"x":NaN}',
        b'{"StudyInstanceUID":null,"x":"\\ud800"}',
    ],
)
def test_a_body_that_is_none(calling: Served, body: bytes) -> None:
    with calling.client() as client:
        assert client.post(PATH, content=body).status_code == 400


def test_who_may(calling: Served) -> None:
    with calling.client("viewer") as client:
        assert client.post(PATH, json=EVENT).status_code == 403
    with calling.anonymous() as client:
        assert client.post(PATH, json=EVENT).status_code == 401


def test_our_own_studies_are_told_of_once_they_have_settled(
    calling: Served, sinks: tuple[Sink, Sink]
) -> None:
    study = SampleStudy(seed="told of", patient=CANARY, accession_number="ACC", description="Chest")
    with calling.client() as client:
        for instance in (1, 2):
            ds = dataset(study, instance=instance, StationName="Station ALFA", StudyID="S1")
            assert client.post("/exams", files={"file": ("x.dcm", part10(ds))}).status_code == 200
    for sink in sinks:
        told = sink.wait(lambda told: len(of_study(told, study.uid)) >= 2)
        added, completed = of_study(told, study.uid)[-2:]
        assert set(added) == set(EVENT)
        assert (added.pop("EventType"), completed.pop("EventType")) == ("INSTANCES_ADDED", "COMPLETED")
        assert added == completed
        assert (
            completed["NumberOfStudyRelatedInstances"] == 2 and completed["NumberOfStudyRelatedSeries"] == 1
        )
        assert completed["PatientID"] == CANARY.patient_id and completed["PatientName"] == CANARY.name
        assert completed["SourceID"] == "TESTS" and completed["StationNames"] == ["Station ALFA"]
        assert completed["AccessionNumber"] == "ACC" and completed["StudyID"] == "S1"
        assert completed["ReferringPhysicianName"] == "Referrer^Rita" and completed["AeTitles"] == []


def test_what_was_there_before_is_not_told(tmp_path: Path) -> None:
    old, new = SampleStudy(seed="old"), SampleStudy(seed="new")
    data = tmp_path / "data"

    def store(served: Served, study: SampleStudy) -> None:
        with served.client() as client:
            files = {"file": ("x.dcm", part10(dataset(study)))}
            assert client.post("/exams", files=files).status_code == 200

    with serving(data, settle_after_s=0.1) as served:
        store(served, old)
    with Sink() as sink, serving(data, settle_after_s=0.1, callback_urls=(sink.url,)) as served:
        store(served, new)
        told = sink.wait(lambda told: len(told) >= 2)
    assert {json.loads(each.body)["StudyInstanceUID"] for each in told} == {new.uid}


@pytest.mark.parametrize("url", ["ftp://h/", "http://", "http://me:pw@h/", "nonsense", "http://h/a b"])
def test_an_address_that_cannot_be_called_is_refused_at_once(tmp_path: Path, url: str) -> None:
    database = Database.open(tmp_path / "x.db")
    try:
        with pytest.raises(BadInput, match="CALLBACK_URLS"):
            Callbacks(database, Outbox(database), [url])
    finally:
        database.close()


def test_the_description_names_the_members(calling: Served) -> None:
    with calling.anonymous() as client:
        path = client.get("/openapi.json").json()["paths"][PATH]["post"]
    assert set(path["requestBody"]["content"]["application/json"]["schema"]["properties"]) == set(EVENT)


def test_an_older_outbox_is_brought_up_to_date(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "x.db")
    try:
        Outbox(database)

        def age(connection: Connection) -> None:
            connection.exec_driver_sql("ALTER TABLE outbox DROP COLUMN payload")
            connection.exec_driver_sql("UPDATE meta SET version = 1 WHERE part = 'outbox'")

        database.write(age).result()
        callbacks = Callbacks(database, Outbox(database), ["http://127.0.0.1:9/"])
        database.write(lambda connection: callbacks.tell(connection, "{}", "1.2")).result()
        with database.read() as connection:
            (row,) = Outbox(database).due(connection, "callback:http://127.0.0.1:9/", set(), 5)
        assert row.payload == "{}"
    finally:
        database.close()
