"""The curl lines of the DICOM Service document, run as written or as errata.md mends them.

Host and port are filled in, and what stands in capitals or colons for a value.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.app.archive_process import ArchiveProcess
from tests.guards import CANARY

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

HOST = "https://your-dicom-service"
CREATE = f"""curl --request POST \\
--url {HOST}/workitems \\
--header 'accept: application/json' \\
--header 'content-type: application/json' \\
--data '{{
"StudyInstanceUID": "1.2.752.24.5.2584605181.20150129083013.816906",
"PatientID": "SDJ38WMD1MS01",
"PatientName": "MARIO^ROSSI",
"ScheduledStationAETitle": "NGV",
"ScheduledProcedureStepStartDate": "20000101",
"ScheduledProcedureStepStartTime": "120000",
"ScheduledProcedureStepDescription": "Tac",
"Modality": "CT",
"AccessionNumber": "NDS83JF784N209D2"
}}'"""
LISTED = f"curl --request GET --url {HOST}/workitems?patientID=123456789"
REMOVE = f"curl --request DELETE --url {HOST}/workitems/1.123.45.6789.123456789"
UID = f"curl --request GET \\\n--url {HOST}/uid"
UPLOAD = (
    f"curl --request POST --url {HOST}/exams "
    "--header 'Content-Type: multipart/form-data; boundary=---boundary' --form file=@/path/to/dicom/file.dcm"
)
STUDIES = f"curl --request GET \\\n--url {HOST}/exams/studies?patientID=123456789"
CALLBACK = f"""curl --request POST \\
--url {HOST}/new-exam-callback \\
--data '{{
"SourceID":"O3PROD",
"StudyInstanceUID":"1.3.76.13.90696.2.20130926082332.5279531.1",
"AccessionNumber":"62476609-1",
"PatientID":"46803338",
"NumberOfStudyRelatedSeries":1,
"NumberOfStudyRelatedInstances":239,
"ModalitiesInStudy": [
"CT"
],
"AeTitles": [
"O3-PACS-57"
],
"StationNames": [
"Station ALFA",
"Station BETA"
],
"EventType":"COMPLETED",
"StudyDate":"20130926",
"StudyTime":"082329",
"StudyID":null,
"ReferringPhysicianName":"NO_DOC_NAME^NO_DOC_SURNAME",
"StudyDescription":"DENTALSCAN SUP",
"PatientName":"NO_SURNAME^NO_NAME",
"PatientBirthDate":"19600101",
"PatientSex":"F"
}}'"""
EXAM = (
    f"curl --request GET --url {HOST}/exams/studies/STUDY_UID/series/SERIES_UID/instance/INSTANCE_UID"
    "?fileType=image%2Fjpeg"
)
TOKEN = f"curl --request GET --url '{HOST}/token?patientID={{patientID}}&studyUID=STUDY_UID&role=patient'"
LINES = (CREATE, LISTED, REMOVE, UID, UPLOAD, STUDIES, EXAM, CALLBACK, TOKEN)


class Desk:
    """A folder with the files the lines name, and an archive they reach."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def run(self, line: str, *more: str) -> bytes:
        """What curl writes; it must not have failed."""
        line = line.replace("\\\n", " ")
        arguments = shlex.split(line.replace(HOST, self.url))
        done = subprocess.run([*arguments, *more], cwd=self.folder, capture_output=True, check=True)
        return done.stdout

    def status(self, line: str) -> int:
        """The HTTP status curl gets."""
        return int(self.run(line, "-o", "/dev/null", "-w", "%{http_code}"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An archive without accounts."""
    folder = tmp_path_factory.mktemp("curl")
    with ArchiveProcess(folder / "data") as archive:
        yield Desk(folder, archive.url)


def test_the_worklist(desk: Desk) -> None:
    uid = "1.2.752.24.5.2584605181.20150129083013.816906"
    assert json.loads(desk.run(CREATE))["StudyInstanceUID"] == uid
    assert desk.status(CREATE) == 409
    (item,) = json.loads(desk.run(LISTED.replace("123456789", "SDJ38WMD1MS01")))
    assert item["0020000D"]["Value"] == [uid]
    assert json.loads(desk.run(LISTED)) == []
    mine = REMOVE.replace("1.123.45.6789.123456789", uid)
    assert [desk.status(mine), desk.status(mine), desk.status(REMOVE)] == [204, 404, 404]


def test_a_callback(desk: Desk) -> None:
    assert desk.status(CALLBACK) == 204


def test_exams(desk: Desk) -> None:
    ds = ct_slice(SampleStudy(patient=CANARY))
    (desk.folder / "file.dcm").write_bytes(part10(ds))
    (desk.folder / "text.dcm").write_text("this is no DICOM file")
    line = UPLOAD.replace("/path/to/dicom/", "")
    (answer,) = json.loads(desk.run(line))
    assert answer["00081199"]["Value"][0]["00081155"]["Value"] == [ds.SOPInstanceUID]
    assert desk.status(line.replace("file.dcm", "text.dcm")) == 422
    (study,) = json.loads(desk.run(STUDIES.replace("123456789", CANARY.patient_id)))
    assert study["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert json.loads(desk.run(STUDIES)) == []
    uids = {"STUDY": ds.StudyInstanceUID, "SERIES": ds.SeriesInstanceUID, "INSTANCE": ds.SOPInstanceUID}
    exam = EXAM
    for name, uid in uids.items():
        exam = exam.replace(f"{name}_UID", uid)
    assert desk.run(exam).startswith(b"\xff\xd8\xff")
    assert desk.run(exam.replace("image%2Fjpeg", "application/dicom")) == part10(ds)
    asked = TOKEN.replace("STUDY_UID", ds.StudyInstanceUID).replace("{patientID}", CANARY.patient_id)
    token = json.loads(desk.run(asked))["token"]
    assert desk.status(f"curl {HOST}/view?q={token}") == 303


def test_a_uid(desk: Desk) -> None:
    assert json.loads(desk.run(UID))["uid"].startswith("2.25.")
