"""Bulk data: every address that metadata give leads to the value pydicom reads there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import dcmread

from core.dicom.bulk import bulk_in, way_of
from core.dicom.json_model import metadata
from core.dicom.syntaxes import transfer_syntax
from core.errors import NotFound, SourceFault

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PIXEL_DATA = 0x7FE00010


def addresses(model: Any) -> Iterator[str]:
    for element in model.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for item in element.get("Value", []) if element["vr"] == "SQ" else ():
            yield from addresses(item)


def value_at(ds: Any, way: tuple[int, ...]) -> bytes:
    for tag, item in zip(way[:-1:2], way[1::2], strict=True):
        ds = ds[tag].value[item - 1]
    value: bytes = ds[way[-1]].value
    return value


def proven(path: Path) -> int:
    """How many values of the file were compared."""
    try:
        found = list(addresses(metadata(path, bulk=lambda way: way)))
    except SourceFault:
        return 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dcmread(path, force=True)
        syntax = str(getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", "1.2.840.10008.1.2"))
        compressed = transfer_syntax(syntax).encapsulated
        count = 0
        for way in map(way_of, found):
            if (compressed and way == (PIXEL_DATA,)) or syntax == "1.2.840.10008.1.2.2":
                continue
            try:
                bulk = bulk_in(path, way, syntax)
            except SourceFault:
                continue  # cut short: nothing of the kind is ever stored
            data = path.read_bytes()
            value = b"".join(data[at : at + length] for at, length in bulk.spans) or bulk.data
            assert value == value_at(ds, way), (path.name, way)
            count += 1
    return count


def test_every_address_leads_to_its_value() -> None:
    assert sum(proven(path) for path in sorted(FILES.glob("*.dcm"))) > 40


def test_real_files_too(testdata: Path) -> None:
    small = (p for p in sorted(testdata.rglob("*.dcm")) if p.stat().st_size < 1 << 20)
    assert sum(proven(path) for path in small) > 40


@pytest.mark.parametrize("text", ["", "7FE0001", "7FE00010/0/00280010", "7FE00010/1", "../7FE00010"])
def test_ways_that_are_none(text: str) -> None:
    with pytest.raises(NotFound):
        way_of(text)
