"""Study operations over HTTP: what they make, what they leave alone, what they refuse, who may."""

from __future__ import annotations

import io
import itertools
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from core.archive.archive import Archive
from core.imaging.image import ImageObject
from core.media.samples import (
    SamplePatient,
    SampleStudy,
    colour_photo,
    ct_slice,
    dataset,
    part10,
    uid,
    ultrasound_cine,
)
from tests.server.conftest import CANARY, NAMESPACE, Served, error_of

SEEDS = itertools.count()
OTHER = "research"


class Study:
    """A made-up study in the archive: two CT slices, a picture in colour, a note that refers to one."""

    def __init__(self, served: Served, patient: SamplePatient = CANARY) -> None:
        self.made = SampleStudy(seed=f"operated {next(SEEDS)}", patient=patient)
        self.served = served
        self.objects = [
            ct_slice(self.made, instance=1, size=32),
            ct_slice(self.made, instance=2, size=32),
            colour_photo(self.made, size=32),
            self._note(),
        ]
        for each in self.objects:
            self.store(each)

    def _note(self) -> Dataset:
        note = dataset(self.made, series=5, modality="KO", sop_class="1.2.840.10008.5.1.4.1.1.88.59")
        instance, series, evidence = Dataset(), Dataset(), Dataset()
        instance.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        instance.ReferencedSOPInstanceUID = uid(self.made.seed, 1, 1)
        series.SeriesInstanceUID = uid(self.made.seed, 1)
        series.ReferencedSOPSequence = [instance]
        evidence.StudyInstanceUID = self.made.uid
        evidence.ReferencedSeriesSequence = [series]
        note.CurrentRequestedProcedureEvidenceSequence = [evidence]
        note.OperatorsName = self.made.patient.name
        return note

    def store(self, ds: Dataset, namespace: str = NAMESPACE) -> None:
        with self.served.client() as client:
            path = f"/api/v3/storage/namespace/{namespace}/image"
            assert client.post(path, content=part10(ds)).status_code == 200

    def call(self, method: str, what: str, login: str = "admin", **options: Any) -> httpx.Response:
        with self.served.client(login) as client:
            path = f"/api/v3/storage/study/{NAMESPACE}/{self.made.uid}{what}"
            return client.request(method, path, timeout=30, **options)


def read(served: Served, study_uid: str, namespace: str = NAMESPACE) -> list[Dataset]:
    """Every image of a study, in the order of its series and ranks."""
    path = f"/api/v3/storage/study/{namespace}/{study_uid}"
    with served.client() as client:
        schema = client.get(f"{path}/schema")
        assert schema.status_code == 200, schema.text
        uids = [i["id"] for s in schema.json()["series"] for i in s["images"]]
        return [dcmread(io.BytesIO(client.get(f"{path}/image/{u}/version/*").content)) for u in uids]


def missing(served: Served, study_uid: str, namespace: str = NAMESPACE) -> bool:
    with served.client() as client:
        path = f"/api/v3/storage/study/{namespace}/{study_uid}/schema"
        return client.get(path).status_code == 404


def test_a_clone_says_the_same_under_other_uids(served: Served) -> None:
    study = Study(served)
    answer = study.call("POST", "/clone")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    old, new = read(served, study.made.uid), read(served, answer.text)
    assert len(old) == len(new) == 4
    for before, after in zip(old, new, strict=True):
        assert after.StudyInstanceUID == answer.text
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
            assert after[keyword].value != before[keyword].value
            original = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
            assert original[keyword].value == before[keyword].value
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
        assert after.get("PixelData") == before.get("PixelData")
        assert after.PatientName == before.PatientName
    evidence = new[3].CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == answer.text
    reference = evidence.ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == new[0].SeriesInstanceUID
    assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == new[0].SOPInstanceUID
    kept = read(served, study.call("POST", "/clone", params={"new_series_uids": "false"}).text)
    assert [ds.SeriesInstanceUID for ds in kept] == [ds.SeriesInstanceUID for ds in old]
    refused = study.call("POST", "/clone", params={"new_image_uids": "false"})
    assert refused.status_code == 412 and error_of(refused)["kind"]["code"] == 99


def test_split_takes_series_out_and_the_trash_has_them(served: Served) -> None:
    study = Study(served)
    series = f"{uid(study.made.seed, 3)},{uid(study.made.seed, 5)}"
    kept = study.call("POST", "/split", params={"series_uid": series})
    assert kept.status_code == 200 and len(read(served, study.made.uid)) == 4
    note = next(ds for ds in read(served, kept.text) if ds.Modality == "KO")
    evidence = note.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == study.made.uid, "what was not split off is where it was"
    moved = study.call("POST", "/split", params={"series_uid": series, "delete_series_from_original": "1"})
    assert [ds.Modality for ds in read(served, study.made.uid)] == ["CT", "CT"]
    assert sorted(ds.Modality for ds in read(served, moved.text)) == ["KO", "OT"]
    elsewhere = study.call("POST", "/split", params={"to_namespace": OTHER})
    assert len(read(served, elsewhere.text, OTHER)) == 2
    unknown = study.call("POST", "/split", params={"series_uid": "1.2.3"})
    assert unknown.status_code == 404 and error_of(unknown)["kind"]["code"] == 17


def test_merge_takes_the_patient_over(served: Served) -> None:
    study, other = Study(served), Study(served, SamplePatient("Müller^Jürgen", "OTHER-7"))
    with served.client() as client:
        path = f"/api/v3/storage/study/{NAMESPACE}/{other.made.uid}/attachment"
        assert client.post(path, content=b"a note").status_code in (200, 202)
    only = {"secondary_study_uid": other.made.uid, "series_uids": uid(other.made.seed, 1)}
    assert study.call("GET", "/merge", params=only).status_code == 202
    assert len(read(served, study.made.uid)) == 6 and len(read(served, other.made.uid)) == 4
    whole = {"secondary_study_uid": other.made.uid, "delete_secondary_study": "1"}
    assert study.call("GET", "/merge", params=whole).status_code == 202
    merged = read(served, study.made.uid)
    assert len(merged) == 10 and missing(served, other.made.uid)
    assert {str(ds.PatientID) for ds in merged} == {CANARY.patient_id}
    before = merged[-1].OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert str(before.PatientID) == "OTHER-7" and str(before.PatientName) == "Müller^Jürgen"
    assert study.call("GET", "/attachment/latest").content == b"a note"
    with served.client() as client:
        rows = client.get("/api/desktop/v1/studies", params={"namespace": NAMESPACE}).json()["studies"]
    assert next(r for r in rows if r["study_uid"] == study.made.uid)["state"] != "conflict"


def test_merge_is_asked_for_on_purpose(served: Served) -> None:
    study, other = Study(served), Study(served)
    params = {"secondary_study_uid": other.made.uid}
    assert study.call("HEAD", "/merge", params=params).status_code == 405
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert study.call("GET", "/merge", params=params, headers=link).status_code == 403
    assert study.call("GET", "/merge").status_code == 400
    itself = study.call("GET", "/merge", params={"secondary_study_uid": study.made.uid})
    assert itself.status_code == 412 and error_of(itself)["kind"]["code"] == 99
    gone = study.call("GET", "/merge", params={"secondary_study_uid": "1.2.3"})
    assert gone.status_code == 404 and error_of(gone)["kind"]["code"] == 18
    assert len(read(served, study.made.uid)) == 4


def test_anonymized_objects_name_nobody(served: Served) -> None:
    study = Study(served)
    regions = {"series": {uid(study.made.seed, 3): {"regions": [{"x": 4, "y": 0, "width": 9, "height": 5}]}}}
    answer = study.call(
        "POST", "/anonymize", params={"to_namespace": OTHER, "color": "#0a141e"}, json=regions
    )
    assert answer.status_code == 202, answer.text
    made = read(served, answer.text, OTHER)
    assert len(made) == 4 and len({ds.PatientID for ds in made}) == 1
    for ds in made:
        text = ds.to_json()
        for secret in (
            *filter(None, str(CANARY.name).split("^")),
            CANARY.patient_id,
            study.made.uid,
            "Sample Clinic",
        ):
            assert secret not in text
        assert ds.PatientIdentityRemoved == "YES"
        assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == ["113100"]
        assert ds.StudyInstanceUID == answer.text
    picture = next(ds for ds in made if ds.Modality == "OT").pixel_array
    original = study.objects[2].pixel_array.copy()
    original[:5, 4:13] = (10, 20, 30)
    assert np.array_equal(picture, original)
    reference = made[3].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == made[0].SOPInstanceUID
    again = study.call("POST", "/anonymize", params={"to_namespace": OTHER})
    assert again.text != answer.text, "two copies cannot be told to be of one patient"
    kept = study.call(
        "POST",
        "/anonymize",
        params={"to_namespace": "kept", "keep_image_uids": "1", "new_study_uid": "1.2.826.1"},
    )
    assert kept.text == "1.2.826.1"
    assert [ds.SOPInstanceUID for ds in read(served, kept.text, "kept")] == [
        ds.SOPInstanceUID for ds in study.objects
    ]


def test_cropped_pictures_lie_where_they_lay(served: Served) -> None:
    study = Study(served)
    box = {"x": 3, "y": 5, "width": 11, "height": 7}
    answer = study.call(
        "POST",
        "/crop",
        params={"to_namespace": OTHER},
        json={"series": {uid(study.made.seed, 1): {"region": box}}},
    )
    assert answer.status_code == 202, answer.text
    old, new = read(served, study.made.uid), read(served, answer.text, OTHER)
    assert (new[0].Rows, new[0].Columns) == (7, 11)
    assert np.array_equal(new[0].pixel_array, old[0].pixel_array[5:12, 3:14])
    start, spacing = old[0].ImagePositionPatient, old[0].PixelSpacing
    expected = [start[0] + 3 * spacing[1], start[1] + 5 * spacing[0], start[2]]
    assert np.allclose([float(v) for v in new[0].ImagePositionPatient], [float(v) for v in expected])
    assert new[0].ImageType[0] == "DERIVED" and new[2].PixelData == old[2].PixelData


def test_compressed_loops_are_cropped_too(served: Served) -> None:
    from core.imaging.transcode import JPEG_2000_UID, transcode

    made = SampleStudy(seed=f"operated {next(SEEDS)}", patient=CANARY)
    loop = transcode(part10(ultrasound_cine(made, frames=3, size=32)), JPEG_2000_UID)
    with served.client() as client:
        client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=loop)
        answer = client.post(
            f"/api/v3/storage/study/{NAMESPACE}/{made.uid}/crop",
            params={"to_namespace": OTHER},
            json={"region": {"x": 8, "y": 8, "width": 100, "height": 8}},
            timeout=60,
        )
    assert answer.status_code == 202, answer.text
    before, (after,) = ImageObject.open(loop), read(served, answer.text, OTHER)
    assert after.pixel_array.shape == (3, 8, 24)
    assert np.array_equal(after.pixel_array[2], before.stored(2).samples[8:16, 8:])


@pytest.mark.parametrize(
    ("what", "params", "body", "expected"),
    [
        ("/crop", {}, {"region": {"x": 0, "y": 0, "width": 4, "height": 4}}, (412, 99)),
        ("/crop", {"to_namespace": OTHER}, {}, (412, 99)),
        ("/crop", {"to_namespace": OTHER}, {"region": {"x": 0, "y": 0, "width": 0, "height": 4}}, (412, 41)),
        ("/crop", {"to_namespace": OTHER}, {"region": {"x": 99, "y": 0, "width": 1, "height": 4}}, (415, 5)),
        ("/crop", {"to_namespace": OTHER}, [], (412, 41)),
        ("/crop", {"to_namespace": ".."}, {"region": {"x": 0, "y": 0, "width": 4, "height": 4}}, (400, 5)),
        ("/anonymize", {"color": "red"}, {}, (412, 41)),
        ("/anonymize", {"new_study_uid": "1..2"}, {}, (412, 99)),
        ("/anonymize", {"keep_image_uids": "1"}, {}, (412, 99)),
        ("/anonymize", {}, {"regions": [{"x": 1}]}, (412, 41)),
        ("/anonymize", {}, {"region_s": []}, (412, 41)),
        ("/anonymize", {}, {"series": {"1.2.3": {"regions": []}}}, (412, 99)),
    ],
)
def test_what_cannot_be_done_makes_nothing(
    served: Served, what: str, params: dict[str, str], body: Any, expected: tuple[int, int]
) -> None:
    study = Study(served)
    with served.client() as client:
        before = client.get("/api/desktop/v1/status").json()["images"]
        refused = study.call("POST", what, params=params, json=body)
        after = client.get("/api/desktop/v1/status").json()["images"]
    assert (refused.status_code, error_of(refused)["kind"]["code"]) == expected
    assert before == after


def test_a_uid_that_is_taken_is_refused_as_a_whole(served: Served) -> None:
    study = Study(served)
    params = {"to_namespace": "taken", "keep_image_uids": "1"}
    first = study.call("POST", "/anonymize", params=params)
    second = study.call("POST", "/anonymize", params=params)
    assert first.status_code == 202 and second.status_code == 409
    with served.client() as client:
        found = client.get("/api/desktop/v1/studies", params={"namespace": "taken"}).json()
    assert found["total"] == 1 and found["studies"][0]["images"] == 4


MESSAGE = (
    "MSH|^~\\&|RIS|HERE|PACS|THERE|20240211||ORU^R01|1|P|2.5\rPID|1||SAMPLE-1\rOBR|1\r"
    "OBX|1|TX|18782-3^Findings^LN||Kein Anhalt für Frakturen \\T\\ Blutung.~Zweite Zeile\r"
    "OBX|2|CE|IMP^Impression||A1^Unauffällig\rOBX|3|ED|PDF^Report||^APPLICATION^PDF\r"
)


def test_an_hl7_report_becomes_one_of_dicom(served: Served) -> None:
    study = Study(served)
    attached = [study.call("POST", "/attachment", content=c).json() for c in (MESSAGE.encode(), b"a note")]
    report, note = (f"/hl7/{each['attachment_guid']}/sr" for each in attached)
    assert study.call("POST", report).status_code == 202
    made = next(ds for ds in read(served, study.made.uid) if ds.Modality == "SR")
    texts = [item.TextValue for item in made.ContentSequence]
    assert texts == [
        "Findings: Kein Anhalt für Frakturen & Blutung.\nZweite Zeile",
        "Impression: Unauffällig",
    ]
    assert made.PatientName == CANARY.name and "PixelData" not in made
    refused = study.call("POST", note)
    assert refused.status_code == 400 and error_of(refused)["kind"]["code"] == 5
    gone = study.call("POST", "/hl7/0/sr")
    assert gone.status_code == 404 and error_of(gone)["kind"]["code"] == 16
    assert study.call("POST", report, "viewer").status_code == 403


def test_who_may(served: Served) -> None:
    study = Study(served)
    for login in ("viewer", "modality"):
        for method, what in (("POST", "/split"), ("POST", "/anonymize"), ("GET", "/merge")):
            assert study.call(method, what, login).status_code == 403
    assert study.call("POST", "/split", "staff").status_code == 200
    moving = study.call("POST", "/split", "staff", params={"delete_series_from_original": "1"})
    assert moving.status_code == 403 and len(read(served, study.made.uid)) == 4
    assert study.call("POST", "/clone", "limited").status_code == 200
    elsewhere = study.call("POST", "/split", "limited", params={"to_namespace": OTHER})
    assert elsewhere.status_code == 403 and error_of(elsewhere)["kind"]["code"] == 7


def test_the_archive_stays_in_order(served: Served) -> None:
    study = Study(served)
    new = study.call("POST", "/clone").text
    archive = Archive.open(served.data, exclusive=False)
    try:
        report = archive.check()
        entries = list(archive.audit.entries(study_uid=new))
    finally:
        archive.close()
    assert report.ok, report
    assert [(e.action, e.actor, e.detail["images"]) for e in entries] == [("cloned", "admin", 4)]
