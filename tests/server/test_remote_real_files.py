"""Real files seen through DICOMweb look as they do from a disc: every picture, of one frame or many."""

from __future__ import annotations

from pathlib import Path

from tests.core.remote_files import compare
from tests.server.conftest import serving


def test_remote_pictures_are_those_of_the_files(testdata: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "data", no_auth=True) as served:
        compared, apart = compare(f"{served.url}/dicom-web", testdata)
    assert compared > 60 and apart > 10
