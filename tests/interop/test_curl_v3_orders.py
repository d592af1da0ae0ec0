"""The curl lines of the V3 storage document for orders, notifications and scans, run as written.

Host, port, file names and what stands in braces are filled in; lines the document breaks over the page are
joined. What is mended beyond that stands in tests/api_documents/errata.md.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.app.archive_process import ArchiveProcess
from tests.guards import CANARY
from tests.sink import Sink

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

BASE = "http://localhost:8500/api/v3/storage"
INSIDE = "http://localhost:9080/internal-api/v2/study"
SID = '-H "Cookie: sid={sid}"'
AS_JSON = '-H "Content-type: application/json"'
UPLOAD = (
    f"curl -v {BASE}/namespace/{{ns}}/image -XPOST --data-binary @file.dcm "
    f'-H "Content-Type: application/dicom" {SID}'
)
POST_ORDER = f"curl -XPOST {BASE}/order/{{order_namespace}} -d @order.json {AS_JSON} {SID}"
SEARCH = f"curl -XGET {BASE}/order/{{order_namespace}}?%s=%s {AS_JSON} {SID}"
ASSOCIATE = (
    f"curl -XPUT {BASE}/study/{{ns}}/{{study_uid}}/order/{{order_namespace}} "
    f"-d @relevant.json {AS_JSON} {SID}"
)
SILENTLY = f'{ASSOCIATE} -H "X-Dicomgrid-No-Notification: 1"'
PHI = (
    f"curl -X GET {BASE}/study/{{ns}}/{{study_uid}}/phi?phi_namespace={{order_namespace}} "
    f'-H "Accept: application/json" {SID}'
)
NOTIFY = f"curl -v {INSIDE}/notification/{{name_of_notification}} -XPUT -d @params.json {AS_JSON}"
FORGET = f"curl -v {INSIDE}/notification/{{name_of_notification}} -XDELETE"
LIST = f"curl -v {INSIDE}/notification -XGET"
SCAN = f"curl -v {INSIDE}/scan -XPOST -d @scan.json {AS_JSON}"
URL = (
    "%s/study/notify?storage_namespace={namespace}&study_uid={studyUid}&phi_namespace={phiNamespace}"
    "&callback_url=http://127.0.0.1:8500&action={event_type}"
)
ORDER = {
    "message_id": "112",
    "patient": {
        "patient_name": "hello world",
        "patient_gender": "F",
        "patient_dob": "YYYYMMDD",
        "order_id": "1212",
        "study_date": "YYYYMMDD",
    },
    "hl7_raw_message": "qwqwqwqw",
}
RELEVANT = {
    "patient_name": "hello world",
    "patient_gender": "F",
    "patient_dob": "YYYYMMDD",
    "patient_physical_address": "some address",
    "order_id": "1212",
    "order_description": "some description",
    "study_date": "YYYYMMDD",
    "patient_mrn": "1121212",
    "referring_physician": "some physician",
    "extra_tags": '{"(0012,0001)":"value"}',
}
CODE = ("-o", "/dev/null", "-w", "%{http_code}")


class Desk:
    """A folder with the files the lines name, an archive they reach, and whoever is notified."""

    def __init__(self, folder: Path, archive: ArchiveProcess, sink: Sink) -> None:
        self.folder = folder
        self.archive = archive
        self.sink = sink
        self.values = {"ns": "ns1", "order_namespace": "his", "sid": "unknown"}
        self.values["name_of_notification"] = "billing"

    def run(self, line: str, *more: str) -> str:
        """What curl writes; it must not have failed."""
        for name, value in self.values.items():
            line = line.replace(f"{{{name}}}", value)
        line = line.replace("http://localhost:8500", self.archive.url)
        line = line.replace("http://localhost:9080", self.archive.internal)
        done = subprocess.run(
            [*shlex.split(line), *more], cwd=self.folder, capture_output=True, check=True, text=True
        )
        return done.stdout

    def write(self, name: str, document: object) -> None:
        (self.folder / name).write_text(json.dumps(document, indent=4))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An archive without accounts that has taken in the document's upload."""
    folder = tmp_path_factory.mktemp("curl")
    (folder / "file.dcm").write_bytes(part10(ct_slice(SampleStudy(patient=CANARY))))
    with ArchiveProcess(folder / "data") as archive, Sink() as sink:
        desk = Desk(folder, archive, sink)
        rule = {"request_method": "GET", "request_url": URL % sink.url, "request_body": ""}
        desk.write("params.json", rule)
        span = {"from_ts": 12345657, "to_ts": 9999999999999, "namespace": ["ns1", "ns2"]}
        desk.write("scan.json", span | rule | {"request_url": rule["request_url"] + "&actor={actor}"})
        desk.write("order.json", ORDER)
        desk.write("relevant.json", RELEVANT)
        desk.values["study_uid"] = json.loads(desk.run(UPLOAD))["study_uid"]
        yield desk


def test_orders(desk: Desk) -> None:
    guid = desk.run(POST_ORDER)
    assert str(uuid.UUID(guid)) == guid
    for field, value in ORDER["patient"].items():  # type: ignore[attr-defined]
        (found,) = json.loads(desk.run(SEARCH % (field, value.replace(" ", "%20"))))["result"]
        assert found["attachment_guid"] == guid and found["order_data"] == ORDER["patient"]
        assert len(found["attachment_version"]) == 27 and 0 < found["normalized_score"] <= 1


def test_notifications_associations_and_scans(desk: Desk) -> None:
    assert desk.run(NOTIFY, *CODE) == "200"
    assert [rule["name"] for rule in json.loads(desk.run(LIST))["result"]] == ["billing"]
    for line in (SILENTLY, ASSOCIATE):
        guid = desk.run(line)
        assert str(uuid.UUID(guid)) == guid
    phi = {one["tag"]: one["value"] for one in json.loads(desk.run(PHI))["attr"]}
    assert phi["(0010,0010)"] == "hello world" and phi["(0012,0001)"] == "value"
    assert phi["(0010,1040)"] == "some address" and phi["(0010,0030)"] == CANARY.birth_date
    assert desk.run(SCAN, *CODE) == "202"
    told = desk.sink.wait(lambda told: {t.query["action"] for t in told} >= {"PHI", "NONE"})
    assert sum(t.query["action"] == "PHI" for t in told) == 1, "the silent one is not told"
    assert {t.query["study_uid"] for t in told} == {desk.values["study_uid"]}
    assert desk.run(FORGET, *CODE) == "200"
    assert json.loads(desk.run(LIST))["result"] == []
