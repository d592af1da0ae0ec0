"""An object in the DICOM JSON model (PS3.18 annex F); bulk and pixel data as addresses, or left out."""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.dicom.inside import places
from core.dicom.recoding import dictionary_vr
from core.dicom.syntaxes import DEFLATED_UID
from core.errors import SourceFault

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WHOLE_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
BROKEN_VRS = frozenset({"DS", "FD", "FL"})
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
DEFERRED = 64 << 10
CHARSET = 0x00080005
UTF_8 = "ISO_IR 192"
DEEPEST = 24

PIXEL_TAGS = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}
"""Float, double float and integer pixel data, and what they are where the file does not say."""

Model = dict[str, Any]
Address = Callable[[str], str]
"""The BulkDataURI of a value, by its way through the object: tag, and item (from 1) and tag a depth."""


def metadata(path: Path, overlay: Mapping[int, str] | None = None, bulk: Address | None = None) -> Model:
    """The elements of the object at *path*, with *overlay* by tag on top.

    Values of binary elements are given as addresses that *bulk* makes (F.2.6); without it they are left out,
    and pixel data altogether. Raises SourceFault when the object cannot be read.
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite valid are shown as they are
            with open(os.fspath(path), "rb") as file:  # a plain name: what is deferred is read by it
                ds = dcmread(file, stop_before_pixels=True, defer_size=DEFERRED, force=True)
                found = _model(ds, 0, bulk)
                if bulk is not None and (pixels := _pixels(path, file, ds)):
                    tag, vr = pixels
                    found[f"{tag:08X}"] = {"vr": vr, "BulkDataURI": bulk(f"{tag:08X}")}
    except OSError as error:
        raise SourceFault("A stored object cannot be read.", "Run filmjacket check.") from error
    except Exception as error:  # whatever damage provokes in a reader that is not ours
        raise SourceFault("A stored object makes no sense.", "Run filmjacket check.", lasting=True) from error
    for tag, value in (overlay or {}).items():
        vr = dictionary_vr(tag).decode("ascii")
        vr = "LO" if vr == "UN" else vr
        found[f"{tag:08X}"] = element_of(vr, value.split("\\") if value else [])
    return dict(sorted(found.items()))


def encoded(model: Model) -> bytes:
    """A model as JSON in UTF-8, without a line end in it."""
    return json.dumps(model, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _pixels(path: Path, file: BinaryIO, ds: Any) -> tuple[int, str] | None:
    """Tag and VR of the pixel data before which reading has stopped, None if there are none."""
    little, implicit = ds.original_encoding[1], ds.original_encoding[0]
    syntax = str(getattr(ds.file_meta, "TransferSyntaxUID", ""))
    if syntax == DEFLATED_UID:
        found = [tag for tag in PIXEL_TAGS if places(path).get(tag, (0, 0))[1]]
        return (found[0], PIXEL_TAGS[found[0]]) if found else None
    head = file.read(12)
    group, element = struct.unpack_from("<HH" if little else ">HH", head.ljust(4, b"\0"))
    tag = group << 16 | element
    length = head[4:8] if implicit else head[8:12]
    if tag not in PIXEL_TAGS or not any(length):
        return None
    said = head[4:6].decode("latin-1")
    return tag, said if not implicit and said in BULK_VRS else PIXEL_TAGS[tag]


def _model(ds: Dataset, depth: int, bulk: Address | None, way: str = "") -> Model:
    found: Model = {}
    for tag in ds.keys():  # noqa: SIM118 # iterating gives elements
        if tag.element and depth < DEEPEST:  # group lengths are none of it (F.2.2)
            name = f"{int(tag):08X}"
            found[name] = _deferred(ds, tag, bulk, way + name) or _shown(ds[tag], depth, bulk, way + name)
    return found


def _deferred(ds: Dataset, tag: BaseTag, bulk: Address | None, way: str) -> Model:
    """Long binary values need not be read to be left out; {} where it is another one."""
    raw: Any = ds.get_item(tag)
    vr, value = raw.VR, raw.value
    if (
        value is not None
        or getattr(raw, "length", 0) <= DEFERRED
        or vr is None
        or vr == "UN"
        or vr not in BULK_VRS
    ):
        return {}
    return {"vr": vr} if bulk is None else {"vr": vr, "BulkDataURI": bulk(way)}


def _shown(element: DataElement, depth: int, bulk: Address | None, way: str) -> Model:
    vr = certain_vr(element)
    if vr == "SQ":
        items = [
            _model(item, depth + 1, bulk, f"{way}/{number}/")
            for number, item in enumerate(element.value or (), 1)
        ]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in BULK_VRS:
        return {"vr": vr, "BulkDataURI": bulk(way)} if bulk is not None and element.value else {"vr": vr}
    if int(element.tag) == CHARSET:
        return {"vr": vr, "Value": [UTF_8]}  # JSON is UTF-8, whatever the file was
    value = element.value
    if value is None or value == "":
        return {"vr": vr}
    several = not isinstance(value, str | bytes) and isinstance(value, Iterable) and vr != "PN"
    if vr == "PN":
        several = element.VM > 1
    return element_of(vr, list(value) if several else [value])


def certain_vr(element: DataElement) -> str:
    """The element's VR; where the dictionary leaves several open, by its value."""
    vr = str(element.VR)
    if " or " not in vr:
        return vr
    binary = isinstance(element.value, bytes)
    return next((each for each in vr.split(" or ") if (each in BULK_VRS) == binary), vr[:2])


def element_of(vr: str, values: list[Any]) -> Model:
    """One element of the model."""
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


def values_in(model: Mapping[str, Any], path: Sequence[int]) -> list[Any]:
    """The values of an attribute, of every item on the way: texts, or the items of a sequence."""
    element = model.get(f"{path[0]:08X}") or {}
    values = [value for value in element.get("Value") or () if value is not None]
    if len(path) > 1:
        return [each for item in values if isinstance(item, dict) for each in values_in(item, path[1:])]
    return values if element.get("vr") == "SQ" else [_text_of(value) for value in values]


def _text_of(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(str(value.get(name, "")) for name in GROUPS).rstrip("=")
    return str(value)
