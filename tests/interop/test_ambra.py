"""The V3 vendor's own client: log in, upload, read, attach, delete."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from core.media.samples import SampleStudy, ct_slice, pdf_report, uid, write
from tests import house
from tests.app.archive_process import ArchiveProcess
from tests.app.serving import Serving, certificate
from tests.guards import CANARY, assert_canary_free

pytestmark = pytest.mark.interop

PYTHON = house.ROOT / ".make" / "ambra" / "bin" / "python"
JPEG = "ffd8"


def test_a_session_of_the_vendors_client(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("ambra-sdk is not installed")
    study = SampleStudy(seed="ambra", patient=CANARY)
    dicom = write(ct_slice(study), tmp_path / "ct.dcm")
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(pdf_report(["Findings"]))
    with ArchiveProcess(tmp_path / "data") as archive:
        password = (tmp_path / "data" / "initial-admin-password").read_text("utf-8").strip()
        script = house.ROOT / "tests" / "interop" / "ambra_session.py"
        done = subprocess.run(
            [PYTHON, script, archive.url, "admin", password, dicom, pdf],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    image = uid(study.seed, 1, 1)
    assert said["sid"] and said["series"] == [[image]]
    assert (said["stored"]["study_uid"], said["stored"]["image_uid"]) == (study.uid, image)
    for phi in (said["study_phi"], said["image_phi"]):
        assert phi["(0010,0010)"] == CANARY.name and phi["(0010,0020)"] == CANARY.patient_id
    assert said["image_count"] == 1
    assert said["thumbnail"] == said["frame"] == JPEG
    assert said["same_bytes"] and said["same_pdf"] and said["latest_pdf"]
    assert said["count"] == said["study_json"] == 1 and said["json"] == "Filmjacket samples"
    assert said["attribute"] and said["cadsr"] == [] and said["refused"] == [True, True] and said["recoded"]
    assert said["medium"] == b"PK\3\4".hex()
    assert (said["diagnostic"], said["tiff"]) == (b"\x89PNG".hex(), b"II*\0".hex())
    assert (said["wrapped"], said["in_parts"], said["as_images"]) == (202, 200, study.uid)
    assert said["detached"] == said["cache"] == said["image_deleted"] == 202 and said["images_left"] == 1
    assert said["rt"] and said["dicomweb"] == [[image], 1]
    assert said["deleted"] in (200, 202, 204) and said["gone"]


def test_an_upload_by_the_vendors_client_over_tls(tmp_path: Path) -> None:
    """Its own `upload_dir_and_get`: announce, upload, sync, wait on the channel until the study is ready."""
    found = certificate(tmp_path) if PYTHON.exists() else None
    if found is None:
        pytest.skip("ambra-sdk or openssl is not installed")
    study = SampleStudy(seed="ambra tls", patient=CANARY)
    folder = tmp_path / "study"
    folder.mkdir()
    for number in (1, 2, 3):
        write(ct_slice(study, instance=number), folder / f"{number}.dcm")
    serving = Serving(tmp_path / "data", *found.options)
    try:
        password = (tmp_path / "data" / "initial-admin-password").read_text("utf-8").strip()
        script = house.ROOT / "tests" / "interop" / "ambra_upload.py"
        trust = {"SSL_CERT_FILE": str(found.path), "REQUESTS_CA_BUNDLE": str(found.path)}
        done = subprocess.run(
            [PYTHON, script, serving.url, "admin", password, folder],
            env={**os.environ, **trust},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        code, _, errors = serving.stop()
    assert done.returncode == 0, done.stderr
    assert code == 0 and errors == ""
    said = json.loads(done.stdout)
    for place, namespace in (("study", "clinic"), ("elsewhere", "elsewhere")):
        record = said[place]
        assert (record["study_uid"], record["storage_namespace"]) == (study.uid, namespace)
        assert record["phantom"] == 0 and record["image_count"] == 3
        assert record["patient_name"] == CANARY.name and record["patientid"] == CANARY.patient_id
    assert said["copy"]["image_count"] == 3 and said["copy"]["patientid"].startswith("ANON")
    assert set(said["listed"]) == {study.uid, said["copy"]["study_uid"]} and said["schema"] == 3
    assert set(said["only"]) == {"study_uid", "phantom"} and said["pydicom"] == CANARY.name
    assert said["host"] and said["again"] and said["gone"]
    assert_canary_free(tmp_path / "data" / "logs")
