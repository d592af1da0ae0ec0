"""Every documented query parameter of V3 storage with values it cannot have; every error code there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10, pdf_report
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, Served, Stored, error_of, store

STORAGE = "/api/v3/storage"
FLAGS = frozenset(
    [
        "all_dicom_values",
        "attachments_only",
        "count_files",
        "delete_secondary_study",
        "delete_series_from_original",
        "exclude_unnamed",
        "exclude_viewer",
        "extended",
        "flat_directory",
        "images_only",
        "include_wrapped_dicoms",
        "keep_attachments",
        "keep_image_uids",
        "new_image_uids",
        "new_series_uids",
        "pretranscode",
        "reencode_video",
        "render_wrapped_pdf",
        "return_html",
        "roche_directory",
        "static_ids",
        "stop_on_failure",
        "synchronous_wrap",
        "wrap_html_as_pdf",
        "wrap_images",
    ]
)
WRONG: dict[str, tuple[tuple[str, int, int], ...]] = {
    **{name: (("maybe", 400, 5), ("2", 400, 5)) for name in FLAGS},
    "size": (("0x5", 400, 5), ("5", 400, 5), ("99999x5", 400, 5), ("5x-5", 400, 5)),
    "depth": (("12", 400, 5), ("eight", 400, 5)),
    "quality": (("2", 400, 5), ("-0.5", 400, 5), ("nan", 400, 5)),
    "limit": (("0", 400, 5), ("1001", 400, 5), ("many", 400, 5)),
    "groups": (("x", 400, 5), ("0x10000", 400, 5)),
    "include_tags": (("Patient", 400, 5), ("0010", 400, 5)),
    "series_uid": (("1.2.3", 404, 17),),
    "image_uid": (("1.2.3", 404, 14),),
    "bundle": (("tar", 400, 5),),
    "video_format": (("webm", 400, 5),),
    "video_series_uids": (("1.2.3", 404, 17),),
    "transfer_syntax": (("1.2.3", 406, 6),),
    "anonymize_tags": (("PatientName=x", 412, 41),),
    "secondary_study_uid": (("1.2.3", 404, 18), ("", 400, 5)),
    "study_uid": (("1.2.3", 409, 11),),
    "series_uids": (("1.2.3", 404, 17),),
    "to_namespace": (("../up", 400, 5),),
    "new_study_uid": (("1.02", 412, 99), ("1." + "2" * 70, 412, 99)),
    "color": (("red", 412, 41),),
}
"""By parameter: values, and the status and code each gets."""
ELSEWHERE = {("download", "transfer_syntax"): (("jpeg", 400, 5),)}
"""By last part of the path as well, where it differs."""
FREE = frozenset(
    [
        "message_id",
        "name",
        "order_description",
        "order_id",
        "patient_dob",
        "patient_gender",
        "patient_mrn",
        "patient_name",
        "patient_physical_address",
        "referring_physician",
        "study_date",
        "uploaded_by",
    ]
)
"""Any text will do."""
OF_PARTS = frozenset({"namespace", "endpoint", "tags"})
"""Of completing an upload in parts, which has a test of its own."""
OVERLAY = "phi_namespace"
BODIES: dict[str, Any] = {
    "wrap": {"files": {"file": ("a.pdf", pdf_report(["x"]))}, "headers": {"X-File-Size": "0"}},
    "attachment": {"files": {"data": ("a.txt", b"text")}},
    "image": {"content": part10(ct_slice(SampleStudy(seed="of one study", patient=CANARY), size=32))},
    "anonymize": {"content": b"{}"},
    "crop": {"content": b'{"region": {"x": 0, "y": 0, "width": 8, "height": 8}}'},
}
MORE = {"crop": {"to_namespace": "cropped"}, "merge": {"secondary_study_uid": "OTHER"}}
"""Parameters without which another refusal would come first."""


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client(timeout=60) as found:
        yield found


@pytest.fixture(scope="module")
def other(served: Served) -> Stored:
    """Another study of the namespace, for what takes two."""
    return store(served, SampleStudy(seed="another one", patient=CANARY))


def documented(client: httpx.Client) -> Iterator[tuple[str, str, str]]:
    """Method, path and name of every query parameter."""
    for path, items in client.get("/openapi.json").json()["paths"].items():
        for method, item in items.items():
            if path.startswith(STORAGE) and method != "head":
                for each in item.get("parameters", ()):
                    if each["in"] == "query":
                        yield method.upper(), path, each["name"]


def filled(path: str, stored: Stored, attachment: dict[str, Any]) -> str:
    ct = stored.images["ct"]
    values = {
        "namespace": NAMESPACE,
        "order_namespace": NAMESPACE,
        "study_uid": stored.study.uid,
        "image_uid": ct["image_uid"],
        "version": attachment["attachment_version"] if "attachment_id" in path else "*",
        "attachment_id": attachment["attachment_guid"],
        "frame": "0",
    }
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "x"), path)


@pytest.fixture(scope="module")
def attachment(client: httpx.Client, stored: Stored) -> dict[str, Any]:
    answer = client.post(f"{stored.path}/attachment", files={"data": ("a.pdf", pdf_report(["x"]))})
    found: dict[str, Any] = answer.json()
    return found


def test_every_parameter_is_in_the_table(client: httpx.Client) -> None:
    names = {name for _, _, name in documented(client)}
    assert names == {*WRONG, *FREE, *OF_PARTS, OVERLAY}


def test_values_that_cannot_be(
    client: httpx.Client, stored: Stored, other: Stored, attachment: dict[str, Any]
) -> None:
    before = client.get("/api/desktop/v1/status").json()["images"]
    tried = 0
    for method, path, name in documented(client):
        last = path.rsplit("/", 1)[-1]
        for value, status, code in ELSEWHERE.get((last, name), WRONG.get(name, ())):
            if "/multipart/" in path:
                continue
            query = {**MORE.get(last, {}), name: value}
            query = {key: other.study.uid if each == "OTHER" else each for key, each in query.items()}
            address = filled(path, stored, attachment)
            answer = client.request(method, address, params=query, **BODIES.get(last, {}))
            assert answer.status_code == status, (method, path, name, value, answer.text[:300])
            assert error_of(answer)["kind"]["code"] == code, (method, path, name, value)
            tried += 1
    assert tried > 120
    assert client.get("/api/desktop/v1/status").json()["images"] == before, "nothing was made"


def test_any_text_will_do(client: httpx.Client, stored: Stored, attachment: dict[str, Any]) -> None:
    for method, path, name in documented(client):
        if name in FREE:
            body = BODIES.get(path.rsplit("/", 1)[-1], {})
            for value in ("", "Ünïcode <b>%\0\n", "x" * 3000):
                address = filled(path, stored, attachment)
                answer = client.request(method, address, params={name: value}, **body)
                assert answer.status_code in (200, 400), (path, name, value[:20], answer.text[:200])


def test_no_overlay_of_a_namespace_one_may_not_see(
    served: Served, client: httpx.Client, stored: Stored, attachment: dict[str, Any]
) -> None:
    """Reads that name another namespace's PHI are refused to an account limited to its own."""
    for method, path, name in documented(client):
        if name != OVERLAY:
            continue
        with served.client("limited") as limited:
            address = filled(path, stored, attachment)
            body = BODIES.get(path.rsplit("/", 1)[-1], {})
            answer = limited.request(method, address, params={OVERLAY: "elsewhere"}, **body)
        assert answer.status_code == 403, (method, path, answer.text[:200])
        assert error_of(answer)["kind"]["code"] == 7


ERRORS = {
    # code: (name, status)
    3: ("NOT_FOUND", 404),
    4: ("UNAUTHORIZED", 401),
    5: ("BAD_REQUEST", 400),
    6: ("NOT_ACCEPTABLE", 406),
    7: ("ACCESS_DENIED", 403),
    8: ("JSON_DESERIALIZE_EXCEPTION", 400),
    11: ("CONFLICT", 409),
    14: ("IMAGE_NOT_FOUND", 404),
    16: ("ATTACHMENT_NOT_FOUND_EXCEPTION", 404),
    17: ("SERIES_NOT_FOUND", 404),
    18: ("STUDY_NOT_FOUND", 404),
    19: ("PAYLOAD_TOO_LARGE", 413),
    36: ("NO_IMAGES_IN_STUDY", 406),
    38: ("NOT_VIDEO_IN_IMAGE", 415),
    39: ("NOT_PDF_FILE", 415),
    40: ("REQUESTED_RANGE_NOT_SATISFIABLE", 416),
    41: ("ANONYMIZE_TAGS_FORMAT_ERROR", 412),
    42: ("MISSING_REQUIRED_DICOM_TAG", 412),
    99: ("VALIDATION_ERROR", 412),
}
"""What the vendor's client knows them by. 2 is for foreign hosts and sites, 20 for a failing disk (507), 21
for a virus scanner (there is none)."""


def test_every_error_that_can_be(
    served: Served, client: httpx.Client, stored: Stored, other: Stored, attachment: dict[str, Any]
) -> None:
    image = stored.image()
    nameless = ct_slice(SampleStudy(seed="nameless", patient=CANARY))
    del nameless.StudyInstanceUID
    barren = store(served, SampleStudy(seed="barren", patient=CANARY))
    client.post(f"{barren.path}/attachment", files={"data": ("a.txt", b"x")})
    client.delete(barren.path, params={"keep_attachments": "1"})
    upload = f"{STORAGE}/namespace/{NAMESPACE}"
    requests: dict[int, list[tuple[str, str, dict[str, Any]]]] = {
        3: [("GET", "/api/v3/storage/nothing", {}), ("GET", f"{image}/frame/99", {})],
        5: [
            ("DELETE", f"{stored.path}/images", {"content": b""}),
            ("POST", f"{upload}/image", {"content": b"x"}),
        ],
        6: [("GET", image, {"params": {"transfer_syntax": "1.2.3"}})],
        7: [
            ("GET", f"{STORAGE}/study/unknown/1.2/schema", {}),
            ("GET", f"{STORAGE}/study/unknown/1.2/phi", {}),
        ],
        8: [
            ("POST", f"{STORAGE}/order/his", {"content": b"{"}),
            ("POST", f"{stored.path}/rt", {"content": b"{"}),
        ],
        11: [
            (
                "POST",
                f"{stored.path}/anonymize",
                {
                    "params": {
                        "to_namespace": NAMESPACE,
                        "new_study_uid": other.study.uid,
                    }
                },
            )
        ],
        14: [("GET", f"{stored.path}/image/1.2/version/*", {}), ("DELETE", f"{stored.path}/image/1.2", {})],
        16: [("GET", f"{stored.path}/attachment/x/version/*", {}), ("POST", f"{stored.path}/hl7/x/sr", {})],
        17: [("POST", f"{stored.path}/split", {"params": {"series_uid": "1.2"}})],
        18: [("GET", f"{STORAGE}/study/{NAMESPACE}/1.2/{what}", {}) for what in ("schema", "tag", "count")],
        19: [("POST", f"{upload}/wrap", {"headers": {"X-File-Size": str(3 << 30)}})],
        36: [("POST", f"{barren.path}/{what}", {}) for what in ("clone", "split", "anonymize")],
        38: [("GET", f"{image}/video", {})],
        39: [("GET", f"{image}/pdf", {})],
        40: [("GET", image, {"headers": {"Range": "bytes=99999999-"}})],
        41: [("GET", f"{stored.path}/download", {"params": {"anonymize_tags": "x"}})],
        42: [
            ("POST", f"{upload}/image", {"content": part10(nameless)}),
            ("POST", f"{stored.path}/rt", {"content": b'{"StructureSetLabel": "x"}'}),
        ],
        99: [("POST", f"{upload}/wrap", {}), ("POST", f"{stored.path}/crop", {"content": b"{}"})],
    }
    with served.anonymous() as nobody:
        found = {4: [nobody.get(f"{stored.path}/schema")]}
    for code, tries in requests.items():
        found[code] = [client.request(method, path, **more) for method, path, more in tries]
    assert set(found) == set(ERRORS)
    for code, answers in found.items():
        for answer in answers:
            kind = error_of(answer)["kind"]
            told = (kind["readable_status"], answer.status_code)
            assert (kind["code"], told) == (code, ERRORS[code]), answer.text[:300]
            assert error_of(answer)["extended"] is None
    wordy = client.get(f"{STORAGE}/nothing", headers={"X-AmbraHealth-Verbose-Errors": "1"})
    assert json.loads(wordy.content)["extended"] is not None
