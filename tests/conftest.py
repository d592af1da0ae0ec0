"""Fixtures every room shares: the optional folder of real files, and made-up studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.media.samples import SampleStudy
from tests.guards import (
    nothing_left_running,
    nothing_left_running_by_module,
    pytest_runtest_makereport,
    quiet_log,
)

__all__ = [
    "nothing_left_running",
    "nothing_left_running_by_module",
    "pytest_runtest_makereport",
    "quiet_log",
]

REAL_FILES = Path(__file__).resolve().parents[2] / "shared" / "testdata"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """A folder of real DICOM files beside the project; tests that need it are left out where it is absent."""
    if not REAL_FILES.is_dir():
        pytest.skip("no folder of real files beside the project")
    return REAL_FILES


@pytest.fixture
def study() -> SampleStudy:
    """One made-up study."""
    return SampleStudy()
