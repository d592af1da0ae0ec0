"""An object in the DICOM JSON model (PS3.18 annex F), without bulk data and without pixel data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.dicom.recoding import dictionary_vr
from core.errors import SourceFault

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WHOLE_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
BROKEN_VRS = frozenset({"DS", "FD", "FL"})
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
DEFERRED = 64 << 10
CHARSET = 0x00080005
UTF_8 = "ISO_IR 192"
DEEPEST = 24

Model = dict[str, Any]


def metadata(path: Path, overlay: Mapping[int, str] | None = None) -> Model:
    """The elements of the object at *path* up to its pixel data, with *overlay* by tag on top.

    Raises SourceFault when it cannot be read.
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite valid are shown as they are
            ds = dcmread(path, stop_before_pixels=True, defer_size=DEFERRED, force=True)
            found = _model(ds, 0)
    except OSError as error:
        raise SourceFault("A stored object cannot be read.", "Run filmjacket check.") from error
    except Exception as error:  # whatever damage provokes in a reader that is not ours
        raise SourceFault("A stored object makes no sense.", "Run filmjacket check.", lasting=True) from error
    for tag, value in (overlay or {}).items():
        vr = dictionary_vr(tag).decode("ascii")
        vr = "LO" if vr == "UN" else vr
        found[f"{tag:08X}"] = _element(vr, value.split("\\") if value else [])
    return dict(sorted(found.items()))


def _model(ds: Dataset, depth: int) -> Model:
    found: Model = {}
    for tag in ds.keys():  # noqa: SIM118 # iterating gives elements
        if tag.element and depth < DEEPEST:  # group lengths are none of it (F.2.2)
            element = ds[tag]
            found[f"{int(tag):08X}"] = _shown(element, depth)
    return found


def _shown(element: DataElement, depth: int) -> Model:
    vr = str(element.VR)
    if vr == "SQ":
        items = [_model(item, depth + 1) for item in element.value or ()]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in BULK_VRS:
        return {"vr": vr}
    if int(element.tag) == CHARSET:
        return {"vr": vr, "Value": [UTF_8]}  # JSON is UTF-8, whatever the file was
    value = element.value
    if value is None or value == "":
        return {"vr": vr}
    several = not isinstance(value, str | bytes) and isinstance(value, Iterable) and vr != "PN"
    if vr == "PN":
        several = element.VM > 1
    return _element(vr, list(value) if several else [value])


def _element(vr: str, values: list[Any]) -> Model:
    shown = [_value(vr, each) for each in values]
    return {"vr": vr, "Value": shown} if any(each is not None for each in shown) else {"vr": vr}


def _value(vr: str, value: Any) -> Any:
    """One value; a number that is none stays a text, so that nothing is lost or made up."""
    if value is None or value == "":
        return None
    if vr == "PN":
        groups = str(value).split("=")
        return {name: group for name, group in zip(GROUPS, groups, strict=False) if group} or None
    if vr == "AT":
        return f"{int(value):08X}"
    if vr in WHOLE_VRS or vr in BROKEN_VRS:
        return _number(vr, value)
    return str(value)


def _number(vr: str, value: Any) -> Any:
    try:
        number = float(value)
        if not math.isfinite(number):
            return str(value)
        return int(value) if vr in WHOLE_VRS or (number.is_integer() and abs(number) < 1e15) else number
    except (TypeError, ValueError, OverflowError):
        return str(value)
