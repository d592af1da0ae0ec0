"""The desktop's own routes: search, detail, what is held, trash; and the probes and figures beside them."""

from __future__ import annotations

import httpx

from core.media.samples import SampleStudy
from tests.server.conftest import CANARY, NAMESPACE, STUDY, Served, Stored, error_of, store

BASE = "/api/desktop/v1"
ROW = {
    "namespace", "study_uid", "patient_name", "patient_id", "patient_birth_date", "patient_sex", "study_date",
    "study_time", "study_description", "accession_number", "modalities", "series", "images", "bytes",
    "attachments", "received", "state",
}  # fmt: skip
IMAGE = {
    "image_uid", "version", "instance_number", "frame_count", "rank", "bytes", "sop_class_uid",
    "transfer_syntax_uid",
}  # fmt: skip


def test_status(served: Served, stored: Stored) -> None:
    with served.client("viewer") as client:
        found = client.get(f"{BASE}/status").json()
    figures = {"free_bytes", "studies", "images", "bytes", "settling"}
    assert set(found) == {"version", "ae_title", "images_together", *figures} and found["images_together"]
    assert found["ae_title"] == "TESTS" and found["images"] >= 3 and found["free_bytes"] > 0


def test_search(served: Served, stored: Stored) -> None:
    def find(client: httpx.Client, **params: str) -> set[str]:
        page = client.get(f"{BASE}/studies", params=params).json()
        assert set(page) == {"studies", "total"} and page["total"] == len(page["studies"])
        assert all(set(row) >= ROW for row in page["studies"])
        return {row["study_uid"] for row in page["studies"]}

    with served.client() as client:
        for params in (
            {},
            {"text": CANARY.name.split("^")[0]},
            {"patient_name": CANARY.name.split("^")[0].lower()},
            {"patient_id": CANARY.patient_id},
            {"accession_number": STUDY.accession_number},
            {"date_from": STUDY.date, "date_to": STUDY.date},
            {"modality": "US"},
            {"namespace": NAMESPACE},
            {"order": "-study_date"},
        ):
            assert STUDY.uid in find(client, **params), params
        assert find(client, patient_id="nobody") == find(client, modality="MG") == set()
        both = client.get(f"{BASE}/studies?modality=CT&modality=MG").json()
        assert STUDY.uid in {row["study_uid"] for row in both["studies"]}
        assert client.get(f"{BASE}/studies", params={"namespace": "unknown"}).json()["total"] == 0


def test_pages(served: Served, stored: Stored) -> None:
    store(served, SampleStudy(seed="second page", patient=CANARY, date="20200101"))
    with served.client() as client:
        first = client.get(f"{BASE}/studies", params={"limit": 1, "order": "study_date"}).json()
        second = client.get(f"{BASE}/studies", params={"limit": 1, "offset": 1, "order": "study_date"}).json()
    assert first["total"] == second["total"] >= 2
    assert first["studies"][0]["study_date"] <= second["studies"][0]["study_date"]
    assert first["studies"][0]["study_uid"] != second["studies"][0]["study_uid"]


def test_detail_and_details(served: Served, stored: Stored) -> None:
    with served.client("viewer") as client:
        found = client.get(f"{BASE}/studies/{NAMESPACE}/{STUDY.uid}").json()
        elements = client.get(f"{BASE}/studies/{NAMESPACE}/{STUDY.uid}/details").json()["elements"]
        missing = client.get(f"{BASE}/studies/{NAMESPACE}/1.2.3")
    assert set(found) >= ROW and isinstance(found["series"], list) and found["images"] == 3
    assert {series["modality"] for series in found["series"]} == {"CT", "US", "OT"}
    assert all(set(image) >= IMAGE for series in found["series"] for image in series["images"])
    assert isinstance(found["attachment_list"], list)
    assert found["institution_name"] == "Sample Clinic"
    values = {element["tag"]: element["value"] for element in elements}
    assert values["(0010,0020)"] == CANARY.patient_id and {"name", "tag", "value"} <= set(elements[0])
    assert missing.status_code == 404 and error_of(missing)["kind"]["code"] == 18


def test_held(served: Served, stored: Stored) -> None:
    path = f"{BASE}/studies/{NAMESPACE}/{STUDY.uid}/held"
    answer = stored.images["ct"]
    with served.client() as client:
        all_of_it = client.post(path).json()["images"]
        asked = client.post(path, json={"image_uids": [answer["image_uid"], "1.2.3"]}).json()["images"]
        mislabelled = client.post(path, content=b'{"image_uids": []}', headers={"content-type": "text/x"})
        unknown = [
            client.post(f"{BASE}/studies/{NAMESPACE}/1.2.3/held").json(),
            client.post(f"{BASE}/studies/not-there-yet/1.2.3/held").json(),
        ]
    assert len(all_of_it) == 3 and asked == {answer["image_uid"]: answer["image_version"]}
    assert mislabelled.json() == {"images": {}} and unknown == [{"images": {}}] * 2


def test_trash(served: Served) -> None:
    thrown = store(served, SampleStudy(seed="thrown away", patient=CANARY))
    with served.client() as client, served.client("staff") as staff:
        client.delete(thrown.path)
        entries = client.get(f"{BASE}/trash").json()["entries"]
        entry = next(e for e in entries if e["study_uid"] == thrown.study.uid)
        assert entry["patient_birth_date"] == CANARY.birth_date and entry["study_description"]
        assert entry["deleted_by"] == "admin" and entry["images"] == 3 and entry["expires"]
        assert staff.post(f"{BASE}/trash/{entry['id']}/restore").status_code == 403
        assert staff.delete(f"{BASE}/trash/{entry['id']}").status_code == 403
        row = client.post(f"{BASE}/trash/{entry['id']}/restore").json()
        assert row["study_uid"] == thrown.study.uid and row["images"] == 3
        assert client.get(thrown.image()).content == thrown.files["ct"]
        assert client.post(f"{BASE}/trash/{entry['id']}/restore").status_code == 404
        client.delete(thrown.path)
        entry = next(
            e for e in client.get(f"{BASE}/trash").json()["entries"] if e["study_uid"] == thrown.study.uid
        )
        assert client.delete(f"{BASE}/trash/{entry['id']}").status_code == 204
        assert client.delete(f"{BASE}/trash/{entry['id']}").status_code == 404
        assert client.get(thrown.image()).status_code == 404


def test_probes_and_figures(served: Served, stored: Stored) -> None:
    for url in (served.url, served.internal):
        with httpx.Client(base_url=url, trust_env=False) as nobody:
            assert nobody.get("/healthz").json() == {"status": "alive"}
            assert nobody.get("/readyz").json() == {"status": "ready"}
            assert nobody.head("/readyz").status_code == 200
    with served.client("viewer") as client, served.anonymous() as nobody:
        text = client.get("/metrics").text
        assert nobody.get("/metrics").status_code == 401
    assert 'filmjacket_requests_total{method="GET",route="/healthz",status="200"}' in text
    assert "filmjacket_instances " in text and STUDY.uid not in text


def test_the_description_and_its_page(served: Served) -> None:
    with served.anonymous() as client:
        document = client.get("/openapi.json").json()
        page = client.get("/docs")
        files = {
            name: client.get(f"/docs/{name}")
            for name in ("start.js", "swagger-ui.css", "swagger-ui-bundle.js")
        }
        assert client.get("/docs/LICENSE").status_code == 404
    assert page.status_code == 200 and "https://" not in page.text
    assert all(f'/docs/{name}"' in page.text and got.status_code == 200 for name, got in files.items())
    paths = document["paths"]
    study = "/api/v3/storage/study/{namespace}/{study_uid}"
    assert set(paths[study]) == {"delete"} and "get" in paths[f"{study}/schema"]
    assert "post" in paths["/api/v3/storage/namespace/{namespace}/image"]
    assert "get" in paths[f"{study}/image/{{image_uid}}/version/{{version}}/frame/{{frame}}/thumbnail"]
    assert all("head" in items for items in paths.values() if "get" in items)
    operations = [op for items in paths.values() for op in items.values()]
    assert all(op["summary"] and "HTTPValidationError" not in str(op["responses"]) for op in operations)
    assert len({op["operationId"] for op in operations}) == len(operations)
