"""What a test may not leave behind: threads, processes, warnings in the log, a patient's name in the log."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest

from core.media.samples import SamplePatient

HARMLESS = {"nothing_left_running_by_module", "testdata", "tmp_path_factory", "qapp", "qapp_args", "qapp_cls"}
GRACE_S = 3.0  # what was told to stop may take this long to be gone
CANARY = SamplePatient("Kanarienvogel^Phi^^Dr.", "CANARY-4711", "19110911", "O")
CANARY_WORDS = ("kanarienvogel", "canary-4711", "19110911", "1911-09-11")
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # Python's own, one a process


def assert_canary_free(*where: str | Path) -> None:
    """Fail if the canary patient is named in a text, a file, or any file below a folder."""
    for place in where:
        texts = {"text": place} if isinstance(place, str) else _texts(place)
        for name, text in texts.items():
            found = [word for word in CANARY_WORDS if word in text.casefold()]
            assert not found, f"{name} names the patient: {found}"


def _texts(place: Path) -> dict[str, str]:
    files = [path for path in (place, *place.rglob("*")) if path.is_file()]
    if not files:
        raise LookupError(f"no file to look into at {place}")
    return {str(path): path.read_text("utf-8", "replace") for path in files}


def _children() -> set[int]:
    """Processes this one started and has not waited for, without Python's own helpers."""
    pids: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            pids |= {int(pid) for pid in task.read_text().split()}
        except OSError:
            continue  # that thread ended meanwhile
    return {pid for pid in pids if not _is_helper(pid)}


def _is_helper(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return True  # gone
    return any(name in command for name in HELPERS)


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.daemon}


def _left_behind(threads: set[threading.Thread], children: set[int]) -> list[str]:
    """Sentences about new threads and processes that do not go away by themselves."""
    deadline = time.monotonic() + GRACE_S
    while _threads() - threads or _children() - children:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    else:
        return []
    sentences = [f"thread {thread.name}" for thread in _threads() - threads]
    for pid in _children() - children:
        try:
            sentences.append(f"process {pid}: {' '.join(psutil.Process(pid).cmdline())[:160]}")
        except psutil.Error:
            sentences.append(f"process {pid}")
    return sentences


def _guarded() -> Iterator[None]:
    threads, children = _threads(), _children()
    yield
    left = _left_behind(threads, children)
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


def _shares_fixtures(request: pytest.FixtureRequest) -> bool:
    """Whether the test uses a fixture that outlives it; what that starts is looked at after the module."""
    definitions = request.node._fixtureinfo.name2fixturedefs  # pytest has no public way to ask
    return any(
        found[-1].scope != "function" and name not in HARMLESS for name, found in definitions.items() if found
    )


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves a thread or a process behind fails."""
    if _shares_fixtures(request):
        yield
    else:
        yield from _guarded()


@pytest.fixture(autouse=True, scope="module")
def nothing_left_running_by_module() -> Iterator[None]:
    """So does a module, with the fixtures its tests share."""
    yield from _guarded()


REFERENCES = ("pydicom", "PIL")  # tests compare with them on damaged files, and they say so


class _Watch(logging.Handler):
    """Keeps warnings, and lines of any level that name the canary patient."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.warnings: list[str] = []
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note what should not have been said."""
        line = f"{record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            line += f" [{type(record.exc_info[1]).__name__}]"
        if any(word in line.casefold() for word in CANARY_WORDS):
            self.leaks.append(line)
        if record.levelno >= logging.WARNING and record.name.split(".")[0] not in REFERENCES:
            self.warnings.append(line)


@pytest.fixture(autouse=True)
def quiet_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A warning nobody expects fails the test; one that takes `caplog` looks at the log itself."""
    watch = _Watch()
    root = logging.getLogger()
    root.addHandler(watch)
    yield
    root.removeHandler(watch)
    if watch.leaks:
        pytest.fail("the log names the patient: " + "; ".join(watch.leaks), pytrace=False)
    if watch.warnings and "caplog" not in request.fixturenames:
        pytest.fail("unexpected in the log: " + "; ".join(watch.warnings), pytrace=False)


NO_REAL_FILES = "no folder of real files"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under `make interop` everything was installed, so a skip hides something; real files may be absent."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and os.environ.get("FILMJACKET_INTEROP") and item.get_closest_marker("interop"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if NO_REAL_FILES not in reason:
            report.outcome = "failed"
            report.longrepr = f"a skip is a failure under `make interop`: {reason}"
    return report
