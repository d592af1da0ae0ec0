"""A DICOM file of everything but the pixel data, from the metadata of WADO-RS (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.dicom.from_model import Described, described, put
from core.dicom.json_model import Model
from core.dicom.maker import file_meta
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import KnownError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXELS = {"7FE00008": "OF", "7FE00009": "OD", "7FE00010": "OW"}
TABLES = 0x0028
OVERLAYS = range(0x6000, 0x6020, 2)
"""Groups of the bulk data a picture needs: palettes, lookup tables, overlays."""
ROWS = "00280010"
NEEDED = frozenset({0x0020, 0x0028, 0x5200})
"""Groups with shape, place and meaning of pixels: what is said there is believed whole or not at all."""

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


def _written(ds: Dataset) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that are not quite valid were stored so
        try:
            return _file(ds)
        except Exception:  # whatever values of another program provoke in a library that is not ours
            _leave_out(ds)
        try:
            return _file(ds)
        except Exception as error:  # as above
            raise _no_sense() from error


def _file(ds: Dataset) -> bytes:
    from pydicom import dcmwrite

    out = io.BytesIO()
    ds.file_meta = file_meta(ds, EXPLICIT_LITTLE_UID)
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _leave_out(ds: Dataset) -> None:
    """Take out what cannot be written. Raises KnownError where a picture needs it."""
    from pydicom.dataset import Dataset

    for element in list(ds):
        alone = Dataset()
        alone.add(element)
        if not _can_be_written(alone):
            if element.tag.group in NEEDED:
                raise _no_sense()
            del ds[element.tag]


def _can_be_written(ds: Dataset) -> bool:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    try:
        write_dataset(out, ds)
    except Exception:  # as above
        return False
    return True


def _no_sense() -> KnownError:
    return KnownError("The metadata of an image make no sense.")
