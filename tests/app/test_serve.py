"""`filmjacket serve` as a process: ready line, clean stop, refusals with exit codes, TLS, private files."""

from __future__ import annotations

import signal
import socket
import ssl
import stat
import threading
import time
from pathlib import Path

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, part10
from tests.app.archive_process import here
from tests.app.serving import FREE, Serving, certificate
from tests.guards import CANARY, assert_canary_free


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_is_ready_serves_and_stops_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    data = tmp_path / "data"
    serving = Serving(data, "--dimse-port", "off")
    try:
        password = (data / "initial-admin-password").read_text().strip()
        with httpx.Client(base_url=serving.url, auth=("admin", password), trust_env=False) as client:
            body = part10(ct_slice(SampleStudy(patient=CANARY)))
            answer = client.post("/api/v3/storage/namespace/default/image", content=body)
            assert answer.status_code == 200
            assert client.get("/api/desktop/v1/status").json()["ae_title"] == "FILMJACKET"
        for path, mode in (
            (data, 0o700),
            (data / "archive", 0o700),
            (data / "initial-admin-password", 0o600),
        ):
            assert stat.S_IMODE(path.stat().st_mode) == mode
        assert serving.url.startswith("http://127.0.0.1:") and serving.internal != serving.url
    finally:
        code, out, err = serving.stop(how)
    assert (code, out, err) == (0, "", "")
    log = (data / "logs" / "serve.log").read_text()
    assert "POST /api/v3/storage/namespace/{namespace}/image 200" in log and password not in log
    assert_canary_free(data / "logs")


def test_a_request_on_its_way_is_finished(tmp_path: Path) -> None:
    serving = Serving(tmp_path / "data", "--no-auth")
    body = part10(ct_slice(SampleStudy(), size=256))
    statuses: list[int] = []
    half = threading.Event()

    def send() -> None:
        def pieces() -> object:
            yield body[:1000]
            half.set()
            time.sleep(0.5)
            yield body[1000:]

        with httpx.Client(base_url=serving.url, trust_env=False) as client:
            statuses.append(
                client.post("/api/v3/storage/namespace/default/image", content=pieces()).status_code  # type: ignore[arg-type]
            )

    thread = threading.Thread(target=send)
    thread.start()
    assert half.wait(20)
    code, _, _ = serving.stop()
    thread.join()
    assert (statuses, code) == ([200], 0)


def test_a_second_one_on_the_same_data_says_who_has_it(tmp_path: Path) -> None:
    serving = Serving(tmp_path / "data")
    try:
        second = here("serve", "--data", tmp_path / "data", *FREE)
    finally:
        serving.stop()
    assert (second.returncode, second.stdout) == (3, "")
    assert f"process {serving.process.pid}" in second.stderr and "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--host", "0.0.0.0", "--no-auth"), 2, "loopback"),  # noqa: S104
        (("--host", "0.0.0.0"), 2, "--behind-proxy"),  # noqa: S104
        (("--tls-cert", "nowhere.pem"), 2, "--tls-key"),
        (("--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"), 1, "PEM"),
        (("--ae-title", "X" * 17), 2, "AE title"),
        (("--ae-title", "A\\B"), 2, "AE title"),
        (("--dimse-port", "maybe"), 2, "off"),
        (("--port", "70000"), 2, "65535"),
        (("--port", "no"), 2, "integer"),
        (("--host", "no.such.host.invalid", "--behind-proxy"), 1, "address"),
        (("--nonsense",), 2, "nonsense"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: tuple[str, ...], code: int, words: str) -> None:
    refused = here("serve", "--data", tmp_path / "data", "--internal-port", "0", *options)
    assert (refused.returncode, refused.stdout) == (code, "")
    assert words in refused.stderr and "Traceback" not in refused.stderr


def test_other_databases_come_later(tmp_path: Path) -> None:
    url = "postgresql://clinic/archive"
    refused = here("serve", "--data", tmp_path / "data", *FREE, FILMJACKET_DATABASE_URL=url)
    assert refused.returncode == 2 and "SQLite" in refused.stderr


def test_a_taken_port_and_a_folder_that_is_none(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = here("serve", "--data", tmp_path / "a", "--port", port, "--internal-port", "0")
    file = tmp_path / "file"
    file.write_text("")
    no_folder = here("serve", "--data", file, *FREE)
    inside = here("serve", "--data", file / "data", *FREE)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "settings.toml").write_text("serve = ")
    bad_settings = here("serve", "--data", broken, *FREE)
    assert refused.returncode == 3 and port in refused.stderr and "0 is any free one" in refused.stderr
    assert no_folder.returncode == inside.returncode == 3 and str(file) in no_folder.stderr
    assert bad_settings.returncode == 1 and "settings.toml" in bad_settings.stderr
    for each in (refused, no_folder, inside, bad_settings):
        assert "Traceback" not in each.stderr and each.stdout == ""


def test_tls(tmp_path: Path) -> None:
    found = certificate(tmp_path)
    if found is None:
        pytest.skip("openssl makes no certificate here")
    serving = Serving(tmp_path / "data", *found.options)
    try:
        trust = ssl.create_default_context(cafile=found.path)
        password = (tmp_path / "data" / "initial-admin-password").read_text().strip()
        with httpx.Client(base_url=serving.url, verify=trust, trust_env=False) as client:
            fields = {"login": "admin", "password": password}
            answer = client.post("/api/v3/session/login", data=fields)
            assert serving.url.startswith("https://") and "Secure" in answer.headers["set-cookie"]
            began = time.monotonic()  # while the client keeps its connection, and does not look at it
            code, _, errors = serving.stop()
            assert (code, errors) == (0, "") and time.monotonic() - began < 15
    finally:
        serving.stop()


def test_settings_are_defaults_that_options_win_over(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.toml").write_text('[serve]\nae_title = "CLINIC"\nallowed_hosts = ["Archive.example"]\n')
    serving = Serving(data, "--no-auth")
    try:
        with httpx.Client(base_url=serving.url, trust_env=False) as client:
            assert client.get("/api/desktop/v1/status").json()["ae_title"] == "CLINIC"
            named = client.get("/healthz", headers={"Host": "archive.example"})
            assert named.status_code == 200
    finally:
        serving.stop()
    again = Serving(data, "--no-auth", "--ae-title", "OTHER")
    try:
        with httpx.Client(base_url=again.url, trust_env=False) as client:
            assert client.get("/api/desktop/v1/status").json()["ae_title"] == "OTHER"
    finally:
        again.stop()


def test_check_and_backup_beside_a_serving_archive(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    serving = Serving(data, "--no-auth")
    try:
        with httpx.Client(base_url=serving.url, trust_env=False) as client:
            body = part10(ct_slice(SampleStudy(patient=CANARY)))
            client.post("/api/v3/storage/namespace/default/image", content=body)
        checked = here("check", "--data", data, "--json")
        repair = here("check", "--data", data, "--repair")
        saved = here("backup", copy, "--data", data)
        again = here("backup", copy, "--data", data)
    finally:
        serving.stop()
    assert checked.returncode == 0 and '"ok": true' in checked.stdout
    assert repair.returncode == 3 and "process" in repair.stderr
    assert saved.returncode == 0 and here("check", "--data", copy).returncode == 0
    assert again.returncode in (1, 3) and "Traceback" not in again.stderr
    blob = next((copy / "archive" / "objects").rglob("*/*"))
    blob.chmod(0o600)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    damaged = here("check", "--data", copy)
    assert damaged.returncode == 1 and "have changed" in damaged.stdout
    assert here("check", "--data", tmp_path / "nowhere").returncode == 1
