"""What surrounds DICOMweb's transactions: capabilities, other origins, strictness, ZIP files, reasons."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from defusedxml import ElementTree

from core.archive.archive import Archive
from core.audit.log import Event
from core.errors import BadInput
from core.media.samples import SampleStudy, colour_photo, ct_slice, part10, ultrasound_cine
from server.web.cors import Cors
from tests.server.conftest import CANARY, Served, error_of, serving
from tests.server.test_dicomweb import BASES, TYPE, body_of, of_study

WADL = "application/vnd.sun.wadl+xml"
IN = "{http://wadl.dev.java.net/2009/02}"
VIEWER = "https://viewer.example"


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.mark.parametrize("base", BASES)
def test_capabilities(served: Served, client: httpx.Client, base: str) -> None:
    answer = client.options(base or "/")
    assert answer.status_code == 200 and answer.headers["content-type"] == WADL
    (resources,) = ElementTree.fromstring(answer.content)
    assert resources.get("base") == f"{served.url}{base}/"
    methods = {
        (resource.get("path"), method.get("name"))
        for resource in resources
        for method in resource.findall(f"{IN}method")
    }
    study = "studies/{study_uid}"
    assert {
        ("studies", "GET"),
        ("studies", "POST"),
        (study, "DELETE"),
        (f"{study}/rendered", "GET"),
    } <= methods
    assert all(not path.startswith("/") for path, _ in methods if path is not None)
    told = client.get(f"{base}/conformance", headers={"accept": "application/json"}).json()
    (described,) = told["application"]["resources"]
    assert {
        (each["path"], one["name"]) for each in described["resource"] for one in each["method"]
    } == methods
    assert client.get(f"{base}/conformance", headers={"accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("base", BASES)
def test_options_of_one_address(client: httpx.Client, base: str) -> None:
    answer = client.options(f"{base}/studies")
    assert answer.status_code == 200 and answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    (resource,) = next(iter(ElementTree.fromstring(answer.content)))
    assert resource.get("path") == "studies"
    assert "limit" in {param.get("name") for param in resource.iter(f"{IN}param")}
    deep = f"{base}/studies/1.2/series/1.3/instances/1.4"
    for path, allowed in ((deep, "DELETE, GET, HEAD, OPTIONS"), (f"{deep}/frames/1", "GET, HEAD, OPTIONS")):
        assert client.options(path).headers["allow"] == allowed
        assert client.put(path).headers["allow"] == allowed


def test_options_of_wado_uri_and_of_nothing(served: Served, client: httpx.Client) -> None:
    for path in ("/wado", "/dcm4chee-arc/aets/DCM4CHEE/wado"):
        answer = client.options(path)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        (resources,) = ElementTree.fromstring(answer.content)
        assert resources.get("base") == f"{served.url}/"
    assert client.options("/dcm4chee-arc/aets/NOBODY/rs/studies").status_code == 404
    assert client.options("/nowhere").status_code == 404
    with served.anonymous() as nobody:
        assert nobody.options("/dicom-web/studies").status_code == 401


def test_the_description_has_it_all(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    ours = {path: items for path, items in paths.items() if path.startswith("/dicom-web")}
    assert all("options" in items for items in ours.values()) and "get" in ours["/dicom-web/conformance"]
    study = ours["/dicom-web/studies/{study_uid}"]["get"]
    assert "application/zip" in study["responses"]["200"]["content"]
    names = {each["name"] for each in ours["/dicom-web/studies"]["get"]["parameters"]}
    assert {"limit", "offset", "orderby", "includefield", "fuzzymatching", "strict"} <= names


def test_a_study_as_zip(client: httpx.Client) -> None:
    study = SampleStudy(seed="dicomweb zip", patient=CANARY)
    made = [ct_slice(study, size=32), ct_slice(study, instance=2, size=32), ultrasound_cine(study)]
    files = {ds.SOPInstanceUID: part10(ds) for ds in (*made, colour_photo(study))}
    client.post("/studies", content=body_of(list(files.values())), headers=TYPE)
    path = f"/dicom-web/studies/{study.uid}"
    series, uid = made[0].SeriesInstanceUID, made[0].SOPInstanceUID
    for part, count in (("", 4), (f"/series/{series}", 2), (f"/series/{series}/instances/{uid}", 1)):
        answer = client.get(path + part, headers={"accept": "application/zip; transfer-syntax=*"})
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
        assert "CANARY" not in str(answer.headers) and ".zip" in answer.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
            assert found.testzip() is None and len(found.namelist()) == count
            for name in found.namelist():
                assert found.read(name) == files[name.rpartition("/")[2].removesuffix(".dcm")]
    assert (
        client.head(path, params={"accept": "application/zip"}).headers["content-type"] == "application/zip"
    )
    answer = client.get(path, params={"accept": "application/zip;transfer-syntax=1.2.840.10008.1.2.4.90"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert all(b"1.2.840.10008.1.2.4.90" in found.read(name)[:600] for name in found.namelist())
    refused = client.get(path, headers={"accept": "application/zip;transfer-syntax=1.2.3"})
    assert refused.status_code == 406 and error_of(refused)


def test_keys_that_are_not_supported_are_refused_strictly(client: httpx.Client) -> None:
    study, files = of_study("dicomweb strict", 1)
    client.post("/studies", content=body_of(files), headers=TYPE)
    question = {"StudyInstanceUID": study.uid, "NoSuchKeyword": "x"}
    answer = client.get("/studies", params=question)
    assert answer.status_code == 200 and "NoSuchKeyword" in answer.headers["warning"]
    for path in ("/dicom-web/studies", "/studies", "/series", "/studies/count"):
        answer = client.get(path, params=question | {"strict": "true"})
        assert answer.status_code == 400 and "NoSuchKeyword" in error_of(answer)["message"]
    assert client.get("/studies", params=question | {"strict": "false"}).status_code == 200
    assert client.get("/studies", params=question | {"strict": "perhaps"}).status_code == 400
    allowed = {"StudyInstanceUID": study.uid, "strict": "true", "includefield": "all", "limit": "5"}
    assert client.get("/studies", params=allowed).status_code == 200


def test_a_rejection_stands_in_the_audit(served: Served, client: httpx.Client) -> None:
    base = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"
    study, files = of_study("dicomweb rejected", 2)
    model = client.post(base, content=body_of(files), headers=TYPE).json()
    instance = model["00081199"]["Value"][0]["00081190"]["Value"][0]
    for path in (f"{base}/{study.uid}", instance):
        for code in ("113001", "^DCM", "113001^", "1^2^3", "a b^DCM", "11300100000000000^DCM"):
            assert client.post(f"{path}/reject/{code}").status_code == 400
    assert client.post(f"{instance}/reject/113037%5EDCM").status_code == 204
    assert client.post(f"{base}/{study.uid}/reject/113001%5EDCM").status_code == 204
    assert client.get(f"{base}/{study.uid}").status_code == 404
    with closing(Archive.open(served.data, exclusive=False)) as archive:
        entries = archive.audit.entries(study_uid=study.uid)
    reasons = [each.detail.get("reason") for each in entries if each.event == Event.STUDY_DELETED.code]
    assert reasons == ["113001^DCM", "113037^DCM"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, log_lines: list[str]) -> Iterator[Served]:
    """An archive that a viewer's page may use, and that is strict."""
    data = tmp_path_factory.mktemp("shared") / "data"
    with serving(data, cors_origins=(VIEWER, "http://LOCALHOST:3000/"), strict_queries=True) as found:
        yield found


def test_pages_of_a_named_origin_may_use_dicomweb(shared: Served) -> None:
    study, files = of_study("dicomweb cors", 1)
    with shared.client(headers={"origin": VIEWER, "sec-fetch-site": "cross-site"}) as client:
        for base in BASES:
            stored = client.post(f"{base}/studies", content=body_of(files), headers=TYPE)
            answer = client.get(f"{base}/studies/{study.uid}/metadata")
            assert (stored.status_code, answer.status_code) == (200, 200)
            assert answer.headers["access-control-allow-origin"] == VIEWER
            assert "Origin" in answer.headers["vary"]
            assert {"Warning", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        missing = client.get("/dicom-web/studies/1.2.3")
        assert missing.status_code == 404 and missing.headers["access-control-allow-origin"] == VIEWER
        for path in ("/api/v3/storage/namespace/default/image", "/metrics", "/studiesx", "/openapi.json"):
            answer = client.get(path)
            assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    with shared.client(headers={"origin": "http://localhost:3000"}) as client:
        assert client.get("/dicom-web/studies").status_code == 200


def test_a_browser_may_ask_before(shared: Served) -> None:
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    with shared.anonymous() as nobody:
        answer = nobody.options("/dicom-web/studies", headers={"origin": VIEWER, **asked})
        assert answer.status_code == 204 and not answer.content
        assert answer.headers["access-control-allow-origin"] == VIEWER
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert {"DELETE", "PUT"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        assert nobody.options("/conformance", headers={"origin": VIEWER, **asked}).status_code == 204
        assert nobody.options("/dicom-web/studies", headers={"origin": VIEWER}).status_code == 401
        for origin in ("https://elsewhere.example", f"{VIEWER}:8443", "http://viewer.example", "null"):
            answer = nobody.options("/dicom-web/studies", headers={"origin": origin, **asked})
            assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


def test_without_named_origins_no_page_may(served: Served, client: httpx.Client) -> None:
    answer = client.get("/dicom-web/studies", headers={"origin": VIEWER})
    assert answer.status_code == 403 and not any("access-control" in name for name in answer.headers)
    ours = client.get("/dicom-web/studies", headers={"origin": served.url})
    assert ours.status_code in (200, 204) and not any("access-control" in name for name in ours.headers)


@pytest.mark.parametrize(
    "origin", ["*", "viewer.example", "https://", "https://a/b", "ftp://a", "https://a:b"]
)
def test_what_is_no_origin_cannot_be_named(origin: str) -> None:
    with pytest.raises(BadInput, match="cors_origins"):
        Cors.of([origin])


def test_an_archive_may_be_strict(shared: Served) -> None:
    with shared.client() as client:
        question = {"NoSuchKeyword": "x"}
        assert client.get("/studies", params=question).status_code == 400
        assert client.get("/studies", params=question | {"strict": "false"}).status_code in (200, 204)
