"""QIDO-RS over a real socket: what callers ask, what they get, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset

from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, ultrasound_cine
from server.web.call import Call
from server.web.dicomweb.search import asked_of
from tests.server.conftest import CANARY, Served, error_of
from tests.server.test_dicomweb import BASES, TYPE, body_of

STUDIES = [
    SampleStudy("search 1", SamplePatient("THOMPSON^ALEX", "12345"), "20130409", "Abdomen CT", "11235813"),
    SampleStudy("search 2", SamplePatient("Thompsén^Ann", "12346"), "20130410", "Head", "11235814"),
    SampleStudy("search 3", CANARY, "20140101", "Head", "7"),
]
STUDY_TAGS = {
    *("00080005", "00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190"),
    *("00100010", "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
}
SERIES_TAGS = {"00080005", "00080060", "0008103E", "00081190", "0020000E", "00200011", "00201209"}
IMAGE_TAGS = {
    "00080016",
    "00080018",
    "00080056",
    "00081190",
    "00083002",
    "00200013",
    "00280010",
    "00280011",
    "00280100",
}


@pytest.fixture(scope="module")
def stocked(served: Served) -> Served:
    """Three studies, one with two series of two images and of one."""
    files = [part10(ct_slice(STUDIES[0], instance=n, size=16)) for n in (1, 2)]
    files += [part10(ultrasound_cine(STUDIES[0], frames=2, size=16))]
    files += [part10(ct_slice(study, size=16)) for study in STUDIES[1:]]
    with served.client() as client:
        assert client.post("/dicom-web/studies", content=body_of(files), headers=TYPE).status_code == 200
    return served


@pytest.fixture
def client(stocked: Served) -> Iterator[httpx.Client]:
    with stocked.client() as client:
        yield client


def found(answer: httpx.Response) -> list[dict[str, Any]]:
    """The answers, [] for none."""
    if answer.status_code == 204:
        assert not answer.content
        return []
    assert answer.status_code == 200, answer.text
    models: list[dict[str, Any]] = answer.json()
    return models


def value(model: dict[str, Any], tag: str) -> Any:
    return model[tag]["Value"][0]


@pytest.mark.parametrize("base", BASES)
def test_the_quick_start_at_every_base(stocked: Served, client: httpx.Client, base: str) -> None:
    query = f"{base}/studies/?00100010=THOMPSON&includefield=00081030"
    answer = client.get(query, headers={"accept": "application/json"})
    (model,) = found(answer)
    assert answer.headers["content-type"] == "application/json"
    assert set(model) >= STUDY_TAGS | {"00081030"} and value(model, "00081030") == "Abdomen CT"
    assert list(model) == sorted(model)  # PS3.18 F.2.2
    assert value(model, "00100010") == {"Alphabetic": "THOMPSON^ALEX"}
    assert model["00080061"]["Value"] == ["CT", "US"]
    assert (value(model, "00201206"), value(model, "00201208")) == (2, 3)
    address = value(model, "00081190")
    assert address == f"{stocked.url}{base}/studies/{STUDIES[0].uid}"
    assert client.get(address).status_code == 200
    assert client.get(f"{base}/studies/count?PatientName=thomps*").json() == {"count": 2}


def test_levels_nested_and_flat(client: httpx.Client) -> None:
    study = f"/dicom-web/studies/{STUDIES[0].uid}"
    series = found(client.get(f"{study}/series?includefield=0008103E,00080021"))
    series.sort(key=lambda model: str(value(model, "00080060")))  # parts of a request are filed side by side
    assert [value(model, "00080060") for model in series] == ["CT", "US"] and all(
        set(model) >= SERIES_TAGS for model in series
    )
    assert "00100010" not in series[0] and value(series[0], "00201209") == 2
    images = found(client.get(value(series[0], "00081190") + "/instances"))
    assert [value(model, "00200013") for model in images] == [1, 2]
    assert all(set(model) >= IMAGE_TAGS for model in images) and "00080060" not in images[0]
    assert client.get(value(images[0], "00081190")).status_code == 200
    of_study = found(client.get(f"{study}/instances"))
    assert len(of_study) == 3 and all("00080060" in model and "00100010" not in model for model in of_study)
    flat = found(client.get("/instances", params={"StudyInstanceUID": STUDIES[0].uid}))
    assert len(flat) == 3 and all(set(model) >= IMAGE_TAGS | {"00100010", "00080060"} for model in flat)
    (us,) = found(client.get("/series", params={"Modality": "US", "StudyInstanceUID": STUDIES[0].uid}))
    assert value(us, "00100020") == "12345" and value(us, "0020000E") == value(series[1], "0020000E")
    assert client.get(f"{study}/instances/count").json() == {"count": 3}


def test_as_viewers_ask(client: httpx.Client) -> None:
    common = "limit=101&offset=0&fuzzymatching=false&includefield=00081030,00080060,00080090,00100030"
    keys = f"PatientName=*omps*&00100020=*12*&ModalitiesInStudy=CT&StudyDate=20130101-20131231&{common}"
    models = found(client.get(f"/dicom-web/studies?{keys}"))
    assert [value(model, "00100020") for model in models] == ["12346", "12345"]
    uids = "\\".join(study.uid for study in STUDIES)
    for separated in (uids, uids.replace("\\", ",")):
        assert len(found(client.get("/dicom-web/studies", params={"StudyInstanceUID": separated}))) == 3
    assert len(found(client.get("/dicom-web/studies?Modality=US&PatientName=THOMPSON"))) == 1
    fuzzy = found(client.get("/dicom-web/studies?PatientName=ann%20tompsen&fuzzymatching=true"))
    assert [value(model, "00100020") for model in fuzzy] == ["12346"]


def test_pages_order_and_what_is_left(client: httpx.Client) -> None:
    first = client.get("/dicom-web/studies?limit=1&orderby=StudyDate&PatientName=thomps*")
    assert value(found(first)[0], "00100020") == "12345" and "additional results" in first.headers["warning"]
    last = client.get("/dicom-web/studies?limit=1&offset=1&orderby=00080020&PatientName=thomps*")
    assert value(found(last)[0], "00100020") == "12346" and "warning" not in last.headers
    turned = found(client.get("/dicom-web/studies?orderby=-PatientID&PatientName=thomps*"))
    assert [value(model, "00100020") for model in turned] == ["12346", "12345"]


def test_nothing_found(client: httpx.Client) -> None:
    for path in ("/studies?PatientID=nobody", "/studies/1.2.3/series", "/studies/1.2.3/series/1/instances"):
        answer = client.get("/dicom-web" + path)
        assert answer.status_code == 204 and not answer.content
    assert client.get("/dicom-web/studies/count?PatientID=nobody").json() == {"count": 0}


def test_keys_that_are_not_supported_are_named(client: httpx.Client) -> None:
    answer = client.get("/dicom-web/studies?PatienName=secret&PixelData=1&PatientID=12345&a%0d%0ab=1")
    assert len(found(answer)) == 1
    warnings = answer.headers.get_list("warning")
    assert [each.split()[0:5] for each in warnings[:1]] == [
        ["299", "Filmjacket", '"The', "key", "PatienName"]
    ]
    assert len(warnings) == 3 and "PixelData" in warnings[1] and "secret" not in str(answer.headers)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=9999999999999", "must be 0 to"),
        ("offset=1.5", "offset"),
        ("fuzzymatching=perhaps", "fuzzymatching"),
        ("StudyDate=2013", "StudyDate"),
        ("00080020=20130101-20131301", "00080020"),
        ("0010001G=1", "0010001G"),
        ("includefield=0010", "0010"),
        ("orderby=Nonsense", "Nonsense"),
        ("orderby=PixelData", "7FE00010"),
        ("multiplevaluematching=true&ModalitiesInStudy=" + "CT%5C" * 3000, "ModalitiesInStudy"),
        (f"{'00400275.' * 900}00400009=1", "too many sequences"),
        ("PatientID=1&PatientID=2", "PatientID"),
        ("SeriesNumber=1_0", "SeriesNumber"),
        ("SeriesNumber=nan", "SeriesNumber"),
        ("emptyvaluematching=perhaps", "emptyvaluematching"),
        ('emptyvaluematching=false&StudyDate=""', "StudyDate"),
    ],
)
def test_what_makes_no_sense_is_refused(client: httpx.Client, query: str, named: str) -> None:
    answer = client.get(f"/dicom-web/studies?{query}")
    assert answer.status_code == 400 and named in str(error_of(answer)) + query.partition("=")[0]


def test_every_value_or_one_of_them(client: httpx.Client) -> None:
    for both, either, every in (("CT\\US", 3, 1), ("CT\\MR", 3, 0)):
        keys = {"ModalitiesInStudy": both, "strict": "true"}
        assert len(found(client.get("/dicom-web/studies", params=keys))) == either
        answer = client.get("/dicom-web/studies", params={**keys, "multiplevaluematching": "true"})
        assert len(found(answer)) == every
    one_value = {"Modality": "CT\\US", "multiplevaluematching": "true"}  # more than one it cannot have
    assert len(found(client.get("/dicom-web/studies", params=one_value))) == 3
    absent = {"AdmissionID": '""', "emptyvaluematching": "true", "strict": "true"}
    assert len(found(client.get("/dicom-web/studies", params=absent))) == 3


def test_what_says_how_a_query_is_meant_restricts_nothing(client: httpx.Client) -> None:
    answer = client.get("/dicom-web/studies?SpecificCharacterSet=ISO_IR%20100&strict=true")
    assert len(found(answer)) == 3 and "warning" not in answer.headers
    answer = client.get("/dicom-web/studies?TimezoneOffsetFromUTC=%2B0100")
    assert len(found(answer)) == 3 and "TimezoneOffsetFromUTC" in answer.headers["warning"]
    answer = client.get("/dicom-web/instances?TransferSyntaxUID=1.2.840.10008.1.2.1")
    assert len(found(answer)) == 5 and "TransferSyntaxUID" in answer.headers["warning"]
    for uid, number in (("1.2.840.10008.1.2.1", 5), ("1.2.840.10008.1.2", 0)):
        question = {"AvailableTransferSyntaxUID": uid, "strict": "true"}
        assert len(found(client.get("/dicom-web/instances", params=question))) == number
    answer = client.get("/dicom-web/series?RequestAttributesSequence=&strict=true&Modality=US")
    assert len(found(answer)) == 1


@pytest.mark.parametrize("modality", ["CT", "US"])
def test_the_image_that_is_meant_speaks_for_its_study(client: httpx.Client, modality: str) -> None:
    for question in ({"Modality": modality}, {"Modality": f"{modality[0]}*", "Rows": "16"}):
        query = {"PatientID": "12345", "includefield": "SOPInstanceUID"} | question
        (study,) = found(client.get("/dicom-web/studies", params=query))
        assert value(study, "00080060") == modality
        image = found(client.get(f"/dicom-web/instances?SOPInstanceUID={value(study, '00080018')}"))
        assert value(image[0], "00080060") == modality


def test_patients_and_how_many_studies_they_have(client: httpx.Client) -> None:
    for base in filter(None, BASES):
        models = found(client.get(f"{base}/patients?orderby=PatientID&PatientName=thomps*&strict=true"))
        assert [value(model, "00100020") for model in models] == ["12345", "12346"]
        assert [value(models[0], f"0020120{number}") for number in (0, 2, 4)] == [1, 2, 3]
    assert client.get("/patients").status_code == 404
    assert client.get("/dicom-web/patients/count?Modality=US").json() == {"count": 1}
    page = client.get("/dicom-web/patients?limit=1&offset=1&orderby=PatientID&PatientName=thomps*")
    assert value(found(page)[0], "00100020") == "12346" and "warning" not in page.headers
    assert "additional" in client.get("/dicom-web/patients?limit=1").headers["warning"]
    for model in found(client.get("/dicom-web/patients?includefield=all")):
        assert all(name[:4] in {"0008", "0010", "0020"} and name != "0020000D" for name in model)
    assert found(client.get("/dicom-web/patients?PatientID=nobody")) == []


def test_a_private_element_comes_with_its_creator() -> None:
    for query in (b"includefield=00091001", b"00091001=x", b"00091001="):
        assert asked_of(Call("GET", False, {}, query), strict=False).fields == {0x00091001, 0x00090010}
    assert asked_of(Call("GET", False, {}, b"includefield=00090010"), strict=False).fields == {0x00090010}


def test_requests_and_time_zone_come_if_they_are_known(client: httpx.Client) -> None:
    base = "/api/v3/storage/dicomweb/known"
    with_both = ct_slice(SampleStudy("search 5", CANARY, "20140102"), size=16)
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "S1", "R1"
    with_both.RequestAttributesSequence, with_both.TimezoneOffsetFromUTC = [item], "+0100"
    files = [part10(with_both), part10(ct_slice(SampleStudy("search 6", CANARY, "20140101"), size=16))]
    assert client.post(f"{base}/studies", content=body_of(files), headers=TYPE).status_code == 200
    for level in ("studies", "series", "instances"):
        known, unknown = found(client.get(f"{base}/{level}?orderby=-StudyDate"))
        assert value(known, "00080201") == "+0100" and "00080201" not in unknown
        if level == "series":
            assert value(known, "00400275")["00401001"]["Value"] == ["R1"] and "00400275" not in unknown


def test_an_unknown_namespace_is_refused(client: httpx.Client) -> None:
    base = "/api/v3/storage/dicomweb"
    for path in ("studies", "studies/count", "studies/1.2.3/series", "instances?PatientID=1"):
        assert error_of(client.get(f"{base}/nowhere/{path}"))["kind"]["code"] == 7
    assert client.get(f"{base}/default/studies?PatientID=nobody").status_code == 204


def test_no_length_is_told_that_is_not_known(client: httpx.Client) -> None:
    xml = {"accept": 'multipart/related; type="application/dicom+xml"'}
    for path, headers in (("studies", xml), (f"studies/{STUDIES[0].uid}", {"accept": "application/zip"})):
        answer = client.head(f"/dicom-web/{path}", headers=headers)
        assert answer.status_code == 200 and "content-length" not in answer.headers
    assert "content-length" not in client.get("/dicom-web/studies?PatientID=nobody").headers
    whole = client.get("/dicom-web/studies")
    assert client.head("/dicom-web/studies").headers["content-length"] == str(len(whole.content))


def test_forms_and_rights(stocked: Served, client: httpx.Client) -> None:
    for accept in (
        "application/dicom+json",
        "*/*",
        "text/html, */*;q=0.1",
    ):
        answer = client.get("/dicom-web/studies", headers={"accept": accept})
        assert answer.headers["content-type"] == "application/dicom+json"
    assert client.get("/studies", headers={"accept": "text/html"}).status_code == 406
    assert client.head("/dicom-web/studies").status_code == 200
    assert client.get("/dcm4chee-arc/aets/NOBODY/rs/studies").status_code == 404
    with stocked.client("viewer") as viewer:
        assert viewer.get("/dicom-web/studies").status_code == 200
    with stocked.client("limited") as limited:
        assert limited.get("/dicom-web/studies").status_code == 403
    with stocked.anonymous() as nobody:
        assert nobody.get("/dicom-web/studies").status_code == 401


def test_everything_of_an_instance(client: httpx.Client) -> None:
    (model,) = found(client.get("/instances?includefield=all&Modality=US&PatientID=12345"))
    assert {"00080070", "00280008", "00280002", "00081190"} <= set(model) and "7FE00010" not in model
