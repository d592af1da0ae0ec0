"""Settings of a data folder, and log lines that say nothing of patients."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import config
from pydicom.uid import UID

from core import log, settings
from core.errors import BadInput, StorageFault
from core.settings import Settings


def test_defaults_and_round_trip(tmp_path: Path) -> None:
    found = settings.load(tmp_path, {})
    assert found == Settings() and (found.serve.port, found.serve.internal_port) == (8500, 9080)
    changed = replace(
        found,
        serve=replace(found.serve, ae_title="CLINIC", dimse_port=-1, allowed_hosts=("a.example",)),
        desktop=replace(found.desktop, theme="dark", keep_running=True),
    )
    settings.save(tmp_path, changed)
    assert settings.load(tmp_path, {}) == changed
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


def test_what_is_not_known_is_kept(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('later = "x"\n[serve]\nport = 1\nsoon = 2\n[other]\na = 1\n')
    settings.save(tmp_path, settings.load(tmp_path, {}))
    text = (tmp_path / "settings.toml").read_text()
    assert all(word in text for word in ('later = "x"', "soon = 2", "[other]", "port = 1"))


def test_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        'database_url = "a"\n[serve]\ndimse_port = "off"\nsettle_after_s = 2\n'
    )
    assert settings.load(tmp_path, {}).database_url == "a"
    assert settings.load(tmp_path, {"FILMJACKET_DATABASE_URL": "b"}).database_url == "b"
    assert settings.load(tmp_path, {}).serve.dimse_port == -1
    assert settings.load(tmp_path, {}).serve.settle_after_s == 2.0


@pytest.mark.parametrize(
    "text",
    ["[serve", "serve = 1", "[serve]\nport = 'x'", "[serve]\nport = 70000", "[serve]\nport = -1",
     "[serve]\nport = true", "[desktop]\nkeep_running = 1", "[serve]\nallowed_hosts = [1]",
     "database_url = 5"],
)  # fmt: skip
def test_wrong_values_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(BadInput, match=r"settings\.toml"):
        settings.load(tmp_path, {})


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFault):
        settings.save(tmp_path / "file" / "data", Settings())
    (tmp_path / "settings.toml").mkdir()
    with pytest.raises(StorageFault):
        settings.load(tmp_path, {})


def test_tracebacks_lose_the_text_of_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log.start(file=tmp_path / "logs" / "a.log", stderr=False)
    try:
        try:
            try:
                int("Doe^Jane")
            except ValueError as error:
                raise BadInput("a sentence") from error
        except BadInput:
            logging.getLogger("filmjacket.test").exception("it failed")
    finally:
        log.stop()
    text = (tmp_path / "logs" / "a.log").read_text()
    assert "ValueError" in text and "BadInput: a sentence" in text and "which led to" in text
    assert text.count("Doe^Jane") == 1  # in the line of source, which is ours
    assert "invalid literal" not in text


def test_log_files_are_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FILE_BYTES", 500)
    log.start(file=tmp_path / "a.log", stderr=False)
    try:
        for n in range(60):
            logging.getLogger("filmjacket.test").info("line %d", n)
    finally:
        log.stop()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert "a.log" in files and "a.log.1" in files and len(files) <= log.FILES + 1
    assert not [h for h in logging.getLogger().handlers if isinstance(h.formatter, log.SafeFormatter)]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    log.start(file=tmp_path / "file" / "a.log", stderr=False)
    log.stop()
    assert "cannot be written" in caplog.text


def test_warnings_that_quote_values_are_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(record=True) as caught:
        log.start(stderr=False)
        try:
            UID("1.2.CANARY", validation_mode=config.WARN)
        finally:
            log.stop()
    assert not caught and "CANARY" not in caplog.text
