"""Files of everything but the pixel data, from metadata as archives send them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from core.dicom.json_model import Model, metadata
from core.errors import KnownError
from core.media.samples import SampleStudy, ct_slice, write
from core.net.header_file import header_file


def nothing(_uri: str) -> bytes:
    raise KnownError("There is no bulk data here.")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    ds = ct_slice(SampleStudy(), instance=1, size=16)
    return metadata(write(ds, tmp_path / "a.dcm"), None, lambda way: f"http://x/{way}")


def read(model: Model, **bulk: bytes) -> Any:
    return dcmread(
        io.BytesIO(header_file(model, lambda uri: bulk[uri]) if bulk else header_file(model, nothing))
    )


def test_everything_but_the_pixels(model: Model) -> None:
    ds, own = read(model), ct_slice(SampleStudy(), instance=1, size=16)
    assert ds.PixelData == b"\0\0" and ds.Rows == 16 and ds.PatientName == own.PatientName
    assert ds.ImagePositionPatient == own.ImagePositionPatient and ds.PixelSpacing == own.PixelSpacing


def test_negative_padding_and_private_elements(model: Model) -> None:
    model["00280120"] = {"vr": "SS", "Value": [-2000]}
    model["00091001"] = {"vr": "UN", "InlineBinary": "no base64"}
    ds = read(model)
    assert ds.PixelPaddingValue == -2000 and (0x0009, 0x1001) not in ds


def test_tables_that_lie_elsewhere_are_fetched(model: Model) -> None:
    model["00281201"] = {"vr": "OW", "BulkDataURI": "red"}
    model["00287FE0"] = {"vr": "UR", "Value": ["http://elsewhere/"]}
    assert read(model, red=b"\1\2").RedPaletteColorLookupTableData == b"\1\2"
    with pytest.raises(KnownError, match="bulk"):
        header_file(model, nothing)


def test_what_cannot_be_written_is_left_out_unless_a_picture_needs_it(model: Model) -> None:
    model["00181310"] = {"vr": "US", "Value": [70_000]}  # Acquisition Matrix
    assert read(model).Rows == 16
    model["00280010"] = {"vr": "US", "Value": [-5]}
    with pytest.raises(KnownError):
        header_file(model, nothing)
