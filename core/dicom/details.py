"""What in one object says who it is of: its identifying elements, decoded and as they were written.

The choice follows PS3.15 Annex E: all of group 0010, every person name, and the table below.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from core.dicom.elements import tag_text
from core.dicom.lenient import quieten
from core.dicom.view import opened
from core.errors import NotDicom

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

MAX_SHOWN = 1024  # characters of a value
MAX_RAW = 256  # bytes of it as written
MAX_DEPTH = 5
PATIENT_GROUP = 0x0010

IDENTIFYING = frozenset(
    (
        0x00080005,  # Specific Character Set
        0x00080012,  # Instance Creation Date
        0x00080018,  # SOP Instance UID
        0x00080020,  # Study Date
        0x00080021,  # Series Date
        0x00080022,  # Acquisition Date
        0x00080023,  # Content Date
        0x0008002A,  # Acquisition DateTime
        0x00080030,  # Study Time
        0x00080050,  # Accession Number
        0x00080060,  # Modality
        0x00080080,  # Institution Name
        0x00080081,  # Institution Address
        0x00080092,  # Referring Physician's Address
        0x00080094,  # Referring Physician's Telephone Numbers
        0x00081010,  # Station Name
        0x00081030,  # Study Description
        0x0008103E,  # Series Description
        0x00081040,  # Institutional Department Name
        0x00081080,  # Admitting Diagnoses Description
        0x00082111,  # Derivation Description
        0x00084000,  # Identifying Comments
        0x00181000,  # Device Serial Number
        0x00181030,  # Protocol Name
        0x00184000,  # Acquisition Comments
        0x0020000D,  # Study Instance UID
        0x0020000E,  # Series Instance UID
        0x00200010,  # Study ID
        0x00200011,  # Series Number
        0x00200052,  # Frame of Reference UID
        0x00204000,  # Image Comments
        0x00280301,  # Burned In Annotation
        0x00321033,  # Requesting Service
        0x00321060,  # Requested Procedure Description
        0x00324000,  # Study Comments
        0x00380010,  # Admission ID
        0x00380020,  # Admitting Date
        0x00380300,  # Current Patient Location
        0x00380400,  # Patient's Institution Residence
        0x00380500,  # Patient State
        0x00384000,  # Visit Comments
        0x00400007,  # Scheduled Procedure Step Description
        0x00400009,  # Scheduled Procedure Step ID
        0x00400244,  # Performed Procedure Step Start Date
        0x00400253,  # Performed Procedure Step ID
        0x00400254,  # Performed Procedure Step Description
        0x00400280,  # Comments on the Performed Procedure Step
        0x00401001,  # Requested Procedure ID
        0x00401400,  # Requested Procedure Comments
        0x00402016,  # Placer Order Number / Imaging Service Request
        0x00402017,  # Filler Order Number / Imaging Service Request
        0x00402400,  # Imaging Service Request Comments
        0x0040A027,  # Verifying Organization
        0x00420010,  # Document Title
    )
)


class Element(NamedTuple):
    """One element as the Details tab shows it; *name* leads through the sequences it lies in."""

    name: str
    tag: str
    value: str
    raw: str


def identifying_elements(file: Path | BinaryIO) -> list[Element]:
    """The identifying elements of one object, in file order. Raises NotDicom, OSError."""
    from pydicom import dcmread

    quieten()
    with opened(file) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds = dcmread(stream, force=True, stop_before_pixels=True)
            found = list(_identifying(ds, "", 0))
        except OSError:
            raise
        except Exception as error:  # pydicom raises whatever its parts raise on nonsense
            raise NotDicom("The elements of this file cannot be read.") from error
    if not found:
        raise NotDicom("This is no DICOM file.")
    return found


def _identifying(ds: Dataset, path: str, depth: int) -> Iterator[Element]:
    for tag in sorted(ds.keys()):
        written = ds.get_item(tag).value
        try:
            element = ds[tag]
        except Exception:  # a value that does not fit its VR raises what its converter raises
            if tag.group == PATIENT_GROUP or tag in IDENTIFYING:
                yield Element(path + _name(int(tag)), tag_text(int(tag)), "", _as_written(written))
            continue
        if element.VR == "SQ":
            if depth < MAX_DEPTH:
                for item in element.value:
                    yield from _identifying(item, f"{path}{element.name} › ", depth + 1)
        elif tag.group == PATIENT_GROUP or element.VR == "PN" or tag in IDENTIFYING:
            yield Element(path + element.name, tag_text(int(tag)), _shown(element), _as_written(written))


def _name(tag: int) -> str:
    from pydicom.datadict import dictionary_description

    try:
        return dictionary_description(tag)
    except KeyError:
        return tag_text(tag)


def _shown(element: DataElement) -> str:
    value: Any = element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return _as_written(value)
    several = isinstance(value, list) or element.VM > 1
    text = "\\".join(str(one) for one in value) if several else str(value)
    return text[:MAX_SHOWN]


def _as_written(value: Any) -> str:
    """Bytes as text: what is not printable ASCII is shown as \\xNN."""
    if isinstance(value, list):  # Specific Character Set is decoded as it is met
        value = "\\".join(value)
    if not isinstance(value, bytes):
        return "" if value is None else str(value)[:MAX_SHOWN]
    padded = value[:MAX_RAW].rstrip(b"\0 ")
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in padded)
