"""The guards guard: what is left behind, said in the log, or skipped in silence fails a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import house
from tests.guards import CANARY, assert_canary_free

CODE = """
import logging, subprocess, sys, threading, pytest
from tests import guards
guards.GRACE_S = 0.2
log = logging.getLogger("core.x")
stop = threading.Event()

@pytest.fixture(scope="module")
def server():
    thread = threading.Thread(target=stop.wait, name="shared")
    thread.start()
    yield
    stop.set()
    thread.join()

def test_ok_shared(server): pass
def test_ok_shared_again(server): pass
def test_ok_joined():
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
    subprocess.run([sys.executable, "-c", "pass"])
def test_ok_looked_at(caplog):
    log.warning("the disk is slow")
    assert "slow" in caplog.text
def test_bad_thread():
    threading.Thread(target=stop.wait, args=(1,), name="forgotten").start()
def test_bad_process():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"])
    child.returncode = 0  # no ResourceWarning: the guard alone is asked
def test_bad_warning():
    log.warning("the disk is slow")
def test_bad_leak(caplog):
    log.warning("stored %s", "CANARY-4711")
@pytest.mark.interop
def test_skip_no_peer(): pytest.skip("no peer")
@pytest.mark.interop
def test_skip_no_files(): pytest.skip("no folder of real files beside the project")
"""


Outcomes = tuple[dict[str, set[str]], str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """The sample tests run as by `make interop`: what became of each, and all that was said."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "test_sample.py").write_text(CODE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    interop: x\n")
    options = ["-q", "-rA", "-p", "tests.guards", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "FILMJACKET"))}
    ours = {"FILMJACKET_INTEROP": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-c", str(folder / "pytest.ini"), str(folder)],
        cwd=house.ROOT,
        env=clean | ours,
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes: dict[str, set[str]] = {}
    for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", done.stdout, re.MULTILINE):
        outcomes.setdefault(name, set()).add(outcome)
    return outcomes, done.stdout


def test_what_is_left_behind_or_said_fails_and_what_is_cleaned_up_passes(ran: Outcomes) -> None:
    outcomes, said = ran
    assert {name for name, seen in outcomes.items() if seen == {"PASSED"}} == {
        name for name in outcomes if name.startswith("test_ok_")
    }, said
    bad = {name: seen for name, seen in outcomes.items() if name.startswith("test_bad_")}
    assert len(bad) == 4 and all("ERROR" in seen for seen in bad.values()), said
    for sentence in (
        "left behind: thread forgotten",
        "left behind: process",
        "unexpected in the log: WARNING core.x: the disk is slow",
        "the log names the patient",
    ):
        assert sentence in said


def test_a_skip_fails_where_everything_was_installed(ran: Outcomes) -> None:
    outcomes, said = ran
    assert outcomes["test_skip_no_peer"] == {"FAILED"} and "a skip is a failure" in said, said
    assert "FAILED" not in outcomes.get("test_skip_no_files", set())


def test_a_name_in_a_file_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("nothing to see")
    assert_canary_free(tmp_path, "text")
    with pytest.raises(AssertionError):
        assert_canary_free(f"stored for {CANARY.name}")
    (tmp_path / "b.log").write_text(f"GET /x?id={CANARY.patient_id}")
    with pytest.raises(AssertionError):
        assert_canary_free(tmp_path)
    with pytest.raises(LookupError):
        assert_canary_free(tmp_path / "absent")
