"""A DICOM file of everything but the pixel data, from the metadata of WADO-RS (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

from core.dicom.from_model import Described, described, put
from core.dicom.json_model import Model
from core.dicom.maker import file_meta
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import KnownError

PIXELS = {"7FE00008": "OF", "7FE00009": "OD", "7FE00010": "OW"}
TABLES = 0x0028
OVERLAYS = range(0x6000, 0x6020, 2)
"""Groups of the bulk data a picture needs: palettes, lookup tables, overlays."""
ROWS = "00280010"

Bulk = Callable[[str], bytes]
"""The bulk data at an address. Raises KnownError."""


def header_file(model: Model, bulk: Bulk) -> bytes:
    """The file; where pixel data belong it has two bytes. Raises KnownError when *model* cannot be used."""
    public = {tag: element for tag, element in model.items() if _wanted(tag)}
    signed = {tag: element for tag, element in public.items() if _is_signed(element)}
    made = described({tag: element for tag, element in public.items() if tag not in signed})
    for tag, element in signed.items():  # in the dictionary it may be unsigned
        values = element["Value"]
        put(made.ds, int(tag, 16), "SS", values if len(values) > 1 else values[0])
    _fill(made, bulk)
    if ROWS in model:
        pixels = next((tag for tag in PIXELS if tag in model), "7FE00010")
        put(made.ds, int(pixels, 16), PIXELS[pixels], b"\0\0")
    return _written(made.ds)


def _wanted(tag: str) -> bool:
    """Whether a picture may need it: not private, not the pixel data."""
    try:
        return len(tag) == 8 and not int(tag[:4], 16) % 2 and tag not in PIXELS
    except ValueError:
        return False


def _is_signed(element: object) -> bool:
    return isinstance(element, dict) and element.get("vr") == "SS" and bool(element.get("Value"))


def _fill(made: Described, bulk: Bulk) -> None:
    top = [(made.ds, tag, vr, uri) for tag, (vr, uri) in made.bulk.items()]
    for ds, tag, vr, uri in (*top, *made.nested):
        if tag >> 16 == TABLES or tag >> 16 in OVERLAYS:
            put(ds, tag, vr, bulk(uri))


def _written(ds: Any) -> bytes:
    from pydicom import dcmwrite

    out = io.BytesIO()
    try:
        ds.file_meta = file_meta(ds, EXPLICIT_LITTLE_UID)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite valid were stored so
            dcmwrite(out, ds, enforce_file_format=True)
    except Exception as error:  # whatever values of another program provoke in a library that is not ours
        raise KnownError("The metadata of an image make no sense.") from error
    return out.getvalue()
