"""What is inside of stored objects: elements as JSON with every filter, PDF, video, CAD findings, counts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from core.media.samples import SampleStudy, dataset, encapsulated_pdf, part10, pdf_report
from tests.server.conftest import CANARY, NAMESPACE, Served, Stored, error_of

STUDY = SampleStudy(seed="contents", patient=CANARY)
PDF = pdf_report(["An odd one"]) + b"%"
MOVIE = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20_000


def keep(served: Served, ds: Dataset, study: SampleStudy = STUDY) -> str:
    with served.client() as client:
        answer = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=part10(ds)).json()
    path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}"
    return f"{path}/image/{answer['image_uid']}/version/{answer['image_version']}"


def get(served: Served, path: str, **query: str) -> httpx.Response:
    with served.client() as client:
        return client.get(path, params=query)


def tags(answer: httpx.Response) -> dict[tuple[int, int], dict[str, Any]]:
    found = answer.json()
    assert answer.status_code == 200 and set(found) == {"tags"}
    return {(item["group"], item["element"]): item for item in found["tags"]}


def test_every_element_of_an_image(served: Served, stored: Stored) -> None:
    found = tags(get(served, f"{stored.image()}/json"))
    ds = dcmread(io.BytesIO(stored.files["ct"]), stop_before_pixels=True)
    assert set(found) == {(e.tag.group, e.tag.element) for e in (*ds.file_meta, *ds)}
    maker = {"name": "Manufacturer", "group": 8, "element": 112, "vr": "LO", "vl": 18}
    assert found[8, 0x70] == {**maker, "value": ds.Manufacturer}
    assert found[0x10, 0x10]["value"] == str(ds.PatientName)
    assert (found[8, 8]["value"], found[2, 0]["vr"]) == ("ORIGINAL", "UL")
    every = tags(get(served, f"{stored.image()}/json", all_dicom_values="1"))
    assert every[8, 8]["value"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert tags(get(served, f"{stored.image()}/attribute"))[8, 8]["value"] == "ORIGINAL\\PRIMARY\\AXIAL"


def test_filters(served: Served, stored: Stored) -> None:
    def keys(what: str = "json", **query: str) -> set[tuple[int, int]]:
        return set(tags(get(served, f"{stored.image()}/{what}", **query)))

    for what in ("json", "attribute"):
        assert {group for group, _ in keys(what, groups="8,0x10")} == {8, 0x10}
        both = keys(what, include_tags="00100010,00080060:00080100", groups="0x20")
        assert {(0x10, 0x10), (8, 0x60)} < both and {g for g, _ in both} == {8, 0x10, 0x20}
        for bad in ({"groups": "x"}, {"groups": "70000"}, {"include_tags": "0010"}, {"exclude_unnamed": "2"}):
            refused = get(served, f"{stored.image()}/{what}", **bad)
            assert refused.status_code == 400 and next(iter(bad)) in error_of(refused)["message"]


def test_private_nested_empty_and_long_elements(served: Served) -> None:
    ds = dataset(STUDY, instance=2)
    ds.private_block(0x11, "OURS", create=True).add_new(1, "LO", "private")
    item = Dataset()
    item.CodeValue, item.PatientName = "7", "In^Side"
    ds.ProcedureCodeSequence = [item, Dataset()]
    ds.AcquisitionTime = ""
    ds.ICCProfile = b"\1" * 200_000
    path = keep(served, ds)
    found = tags(get(served, f"{path}/json"))
    assert found[0x11, 0x1001]["name"] == "?" and found[0x11, 0x1001]["value"] == "private"
    (nested, empty) = found[8, 0x1032]["value"]
    assert [i["value"] for i in nested["tags"]] == ["7", "In^Side"] and empty == {"tags": []}
    assert (found[8, 0x32]["vl"], found[8, 0x32]["value"], found[8, 0x32]["vr"]) == (0, "", "TM")
    assert (found[0x28, 0x2000]["vl"], found[0x28, 0x2000]["value"]) == (200_000, "")
    named = tags(get(served, f"{path}/json", exclude_unnamed="1"))
    assert set(found) - set(named) == {(0x11, 0x10), (0x11, 0x1001)}


def test_a_study_streamed(served: Served) -> None:
    study = SampleStudy(seed="streamed", patient=CANARY)
    for n in range(1, 24):
        keep(served, dataset(study, series=1 + n % 2, instance=n), study)
    path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}"
    answer = get(served, f"{path}/json", include_tags="00080018,00200013")
    every = answer.json()
    assert answer.headers["content-type"] == "application/json" and len(every) == 23
    assert {len(each["tags"]) for each in every} == {2}
    assert len({each["tags"][0]["value"] for each in every}) == 23
    series = dataset(study, series=2).SeriesInstanceUID
    assert len(get(served, f"{path}/json", series_uid=series).json()) == 12
    missing = get(served, f"{path}/json", series_uid="1.2")
    assert missing.status_code == 404 and error_of(missing)["kind"]["code"] == 17
    with served.client() as client:
        head = client.head(f"{path}/json")
        assert head.status_code == 200 and not head.content


def test_an_encapsulated_pdf(served: Served, stored: Stored) -> None:
    ds = encapsulated_pdf(STUDY, PDF)
    ds.EncapsulatedDocumentLength = len(PDF)
    answer = get(served, f"{keep(served, ds)}/pdf")
    assert answer.content == PDF and answer.headers["content-type"] == "application/pdf"
    assert answer.headers["etag"] and answer.headers["content-disposition"].startswith("inline")
    unsaid = encapsulated_pdf(STUDY, pdf_report(["odd"]) + b"", series=5)
    assert get(served, f"{keep(served, unsaid)}/pdf").content.startswith(pdf_report(["odd"]))
    refused = get(served, f"{stored.image()}/pdf")
    assert (refused.status_code, error_of(refused)["kind"]["code"]) == (415, 39)


def test_a_video_and_its_ranges(served: Served, stored: Stored) -> None:
    ds = dataset(STUDY, series=6, modality="ES", sop_class="1.2.840.10008.5.1.4.1.1.77.1.1.1")
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    half = len(MOVIE) // 4 * 2
    ds.PixelData = encapsulate([MOVIE[:half], MOVIE[half:]], has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    path = f"{keep(served, ds)}/video"
    answer = get(served, path, reencode_video="1")
    assert answer.content == MOVIE and answer.headers["content-type"] == "video/mp4"
    with served.client() as client:
        part = client.get(path, headers={"Range": f"bytes={half - 100}-{half + 99}"})
        assert part.status_code == 206 and part.content == MOVIE[half - 100 : half + 100]
        assert client.get(path, headers={"Range": "bytes=99999999-"}).status_code == 416
        assert client.head(path).headers["content-length"] == str(len(MOVIE))
        assert client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    refused = get(served, f"{stored.image()}/video")
    assert (refused.status_code, error_of(refused)["kind"]["code"]) == (415, 38)


@pytest.mark.parametrize(
    ("name", "media"), [("endoscopy-h264-102.dcm", "video/"), ("us-mpeg2-100.dcm", "video/mpeg")]
)
def test_real_videos(served: Served, testdata: Path, name: str, media: str) -> None:
    data = (testdata / "video" / name).read_bytes()
    with served.client() as client:
        stored = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=data).json()
        path = f"/api/v3/storage/study/{NAMESPACE}/{stored['study_uid']}/image/{stored['image_uid']}"
        answer = client.get(f"{path}/version/*/video")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(media)
    assert len(answer.content) > 1000 and answer.content[:512] in data


def code(value: str, meaning: str, scheme: str = "DCM") -> list[Dataset]:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return [ds]


def content(kind: str, concept: list[Dataset] | None = None, **elements: Any) -> Dataset:
    ds = Dataset()
    ds.ValueType = kind
    if concept:
        ds.ConceptNameCodeSequence = concept
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_cad_findings(served: Served, stored: Stored) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.3", "1.2.3.4"
    reference.ReferencedFrameNumber = 3
    image = content("IMAGE", ReferencedSOPSequence=[reference])
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "87", code("%", "percent", "UCUM")
    by_place = Dataset()
    by_place.ReferencedContentItemIdentifier = [1, 1, 1]
    centre = content("SCOORD", code("111010", "Center"), GraphicType="POINT", GraphicData=[10.5, 20.0])
    centre.ContentSequence = [by_place]
    sure = content("NUM", code("111012", "Certainty of Finding"), MeasuredValueSequence=[measured])
    finding = content(
        "CODE", code("111059", "Single Image Finding"), ConceptCodeSequence=code("F-01796", "Mass", "SRT")
    )
    finding.ContentSequence = [sure, centre]
    ds = dataset(STUDY, series=7, modality="SR", sop_class="1.2.840.10008.5.1.4.1.1.88.50")
    library = content("CONTAINER", code("111028", "Image Library"), ContentSequence=[image])
    found = content("CONTAINER", code("111017", "CAD Processing and Findings Summary"))
    found.ContentSequence = [finding]
    ds.ValueType, ds.ContentSequence = "CONTAINER", [library, found]
    (said,) = get(served, f"{keep(served, ds)}/cadsr").json()
    assert said["finding"]["meaning"] == "Mass"
    assert said["properties"] == [
        {
            "name": {"code": "111012", "scheme": "DCM", "meaning": "Certainty of Finding"},
            "value": 87.0,
            "unit": "%",
        }
    ]
    (point,) = said["graphics"]
    assert (point["type"], point["points"]) == ("POINT", [[10.5, 20.0]])
    assert point["images"] == [{"image_uid": "1.2.3.4", "frames": [2]}]
    assert get(served, f"{stored.image()}/cadsr").json() == []


def test_counts(served: Served) -> None:
    study = SampleStudy(seed="counted", patient=CANARY)
    keep(served, dataset(study), study)
    keep(served, dataset(study, StudyDescription="another version"), study)
    keep(served, dataset(study, instance=2), study)
    path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}"
    with served.client() as client:
        client.post(f"{path}/attachment", content=b"x", headers={"content-type": "text/plain"})
    for on_disk in ("0", "1"):
        said = get(served, f"{path}/count", count_files=on_disk).json()
        assert (said["image_count"], said["attachment_count"]) == (2, 1)
    assert "attachment_count" not in get(served, f"{path}/count", images_only="1").json()
    assert "image_count" not in get(served, f"{path}/count", attachments_only="1").json()
    assert get(served, f"{path}/count", images_only="some").status_code == 400


def test_all_frames_in_a_tar_file(served: Served, stored: Stored) -> None:
    with served.client() as client:
        for depth in ("16", "8"):
            query = {"depth": depth}
            answer = client.get(f"{stored.image('loop')}/frame/all/diagnostic", params=query)
            assert answer.headers["content-type"] == "application/x-tar"
            with tarfile.open(fileobj=io.BytesIO(answer.content)) as packed:
                names = packed.getnames()
                pictures = [packed.extractfile(name) for name in names]
                found = [picture.read() for picture in pictures if picture is not None]
            assert names == [f"{number:05}.png" for number in range(12)]
            single = [
                client.get(f"{stored.image('loop')}/frame/{number}/diagnostic", params=query).content
                for number in (0, 5, 11)
            ]
            assert [found[0], found[5], found[11]] == single
        assert len(client.get(f"{stored.image()}/frame/all/diagnostic").content) > 1024
        assert client.head(f"{stored.image('loop')}/frame/all/diagnostic").content == b""
        assert client.get(f"{stored.image()}/frame/all/diagnostic", params={"depth": "9"}).status_code == 400
        assert client.get(f"{stored.path}/image/1.2/version/*/frame/all/diagnostic").status_code == 404
        assert client.get(f"{stored.image()}/frame/all").status_code == 400
