"""No log line names a patient: a canary goes through scan, archive, upload, reading back and refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from core.media import samples
from core.media.samples import SampleStudy
from tests import house
from tests.guards import CANARY, assert_canary_free

STUDY = SampleStudy(
    seed="canary", patient=CANARY, description=CANARY.name, accession_number=CANARY.patient_id
)


def _disc(folder: Path) -> Path:
    """Objects of the canary, some with values that make libraries complain and quote them."""
    plain = samples.ct_slice(STUDY, size=32)
    samples.write(plain, folder / CANARY.name / "IM1")
    odd = samples.part10(samples.ct_slice(STUDY, instance=2, size=32))
    odd = odd.replace(b"19110911", b"1911x911").replace(b"ISO_IR 192", b"ISO_IR 999")
    (folder / "odd.dcm").write_bytes(odd)
    (folder / "cut.dcm").write_bytes(samples.part10(samples.ct_slice(STUDY, instance=3, size=32))[:-99])
    implicit = samples.part10(samples.ct_slice(STUDY, instance=4, size=32))
    (folder / "bare.dcm").write_bytes(implicit[132:])
    (folder / f"{CANARY.patient_id}.pdf").write_bytes(samples.pdf_report([CANARY.name]))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "FILMJACKET_"))}
    return clean | {"HOME": str(tmp_path / "home"), "FILMJACKET_DATA": str(tmp_path / "data")}


def _run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=house.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def _served(environment: dict[str, str], said: list[str]) -> Iterator[str]:
    ports = ("--port", "0", "--internal-port", "0", "--dimse-port", "off")
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "-v", *ports],
        cwd=house.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        ready = re.match(r"ready http=(\S+)", child.stdout.readline())
        try:
            assert ready, "not ready"
            yield ready[1]
        finally:
            child.send_signal(signal.SIGTERM)
            said += child.communicate(timeout=40)


def _visit(url: str, password: str) -> list[int]:
    """Requests that name the patient in their path, query, form and body; the statuses they got."""
    study = f"/api/v3/storage/study/default/{STUDY.uid}"
    images = [f"{study}/image/{samples.uid(STUDY.seed, 1, n)}/version/*" for n in (1, 2, 3)]
    with httpx.Client(base_url=url, auth=("admin", password), timeout=30) as client:
        answers = [client.get(f"{study}/{what}") for what in ("schema", "phi", "tag")]
        answers += [client.get(f"{image}/frame/0/thumbnail") for image in images]
        answers += [client.get(f"{image}/phi") for image in images]
        answers += [client.get("/api/desktop/v1/studies", params={"text": CANARY.name})]
        answers += [client.get(f"/api/v3/storage/study/default/{CANARY.patient_id}/schema")]
        answers += [client.get(f"/{CANARY.patient_id}", params={"name": CANARY.name})]
        answers += [client.post("/api/v3/storage/namespace/default/image", content=CANARY.name.encode())]
        pdf = (f"{CANARY.name}.pdf", b"%PDF-1.4", "application/pdf")
        answers += [
            client.post(f"{study}/attachment", files={"data": pdf}, data={"uploaded_by": CANARY.name})
        ]
        answers += [client.post("/api/v3/session/login", data={"login": CANARY.name, "password": "x"})]
        answers += [client.delete(study)]
    return [answer.status_code for answer in answers]


def test_no_log_line_names_the_patient(tmp_path: Path, environment: dict[str, str]) -> None:
    disc = _disc(tmp_path / "disc")
    said: list[str] = []
    scanned = _run(environment, "scan", "-v", "--json", disc)
    assert CANARY.name in scanned.stdout
    with _served(environment, said) as url:
        password = (tmp_path / "data" / "initial-admin-password").read_text().strip()
        login = {"FILMJACKET_LOGIN": "admin", "FILMJACKET_PASSWORD": password}
        pdf = disc / f"{CANARY.patient_id}.pdf"
        sent = _run(environment | login, "upload", "-v", "--json", disc, "--to", f"v3:{url}", "--attach", pdf)
        assert json.loads(sent.stdout)["studies"][0]["verified"] >= 2, sent.stdout + sent.stderr
        statuses = _visit(url, password)
        assert {200, 404} <= set(statuses) and max(statuses) < 500
    checked = _run(environment, "check", "-v", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert said[1], "the archive said nothing at all"
    assert_canary_free(scanned.stderr, sent.stderr, checked.stderr, *said, tmp_path / "data" / "logs")
