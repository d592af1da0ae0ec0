"""Data sets from the DICOM JSON model (PS3.18 annex F): values checked, binary ones inline or by address."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.dicom.json_model import BULK_VRS, DEEPEST, GROUPS
from core.dicom.recoding import dictionary_vr
from core.errors import BadInput

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

WHOLE = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
BROKEN = frozenset({"FD", "FL"})
TEXT = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"]
)
CHARSET, SEX = 0x00080005, 0x00100040
SEXES = {"MALE": "M", "FEMALE": "F", "OTHER": "O"}
NAME_PARTS = ("Family", "Given", "Middle", "Prefix", "Suffix")


@dataclass(slots=True)
class Described:
    """A data set without the values that lie elsewhere: *bulk* of its own by tag, *nested* of its items."""

    ds: Dataset
    bulk: dict[int, tuple[str, str]] = field(default_factory=dict)
    nested: list[tuple[Dataset, int, str, str]] = field(default_factory=list)

    @property
    def addresses(self) -> set[str]:
        """Where the values lie that are missing."""
        return {uri for _, uri in self.bulk.values()} | {each[3] for each in self.nested}


def described(model: Any) -> Described:
    """What *model* says, in UTF-8, without file meta elements. Raises BadInput naming the attribute."""
    from pydicom.dataset import Dataset

    found = Described(Dataset())
    _fill(found, found.ds, model, 0)
    found.ds.SpecificCharacterSet = "ISO_IR 192"
    return found


def _fill(found: Described, ds: Dataset, model: Any, depth: int) -> None:
    if not isinstance(model, dict):
        raise BadInput("The metadata have something else where a data set belongs.")
    if depth > DEEPEST:
        raise BadInput("The metadata have sequences nested too deeply.")
    for name, element in model.items():
        tag = _tag(name)
        if tag & 0xFFFF == 0 or tag >> 16 in (0, 2, 0xFFFE) or tag == CHARSET:
            continue
        if not isinstance(element, dict):
            raise _bad(tag, "is no object with a vr")
        vr = dictionary_vr(tag).decode("ascii")
        vr = vr if vr != "UN" else str(element.get("vr") or "UN").upper()
        if "BulkDataURI" in element:
            uri = element["BulkDataURI"]
            if not isinstance(uri, str) or not uri or vr == "SQ":
                raise _bad(tag, "has a BulkDataURI that is none")
            if ds is found.ds:
                found.bulk[tag] = vr, uri
            else:
                found.nested.append((ds, tag, vr, uri))
        else:
            _add(found, ds, tag, vr, element, depth=depth)


def _tag(name: str) -> int:
    try:
        if len(name) == 8:
            return int(name, 16)
    except ValueError:
        pass
    raise BadInput(f"The metadata have an attribute {name[:40]!r}, which is no tag.")


def _add(found: Described, ds: Dataset, tag: int, vr: str, element: dict[str, Any], *, depth: int) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    if "InlineBinary" in element:
        put(ds, tag, vr, _binary(tag, vr, element["InlineBinary"]))
        return
    values = element.get("Value") or []
    if not isinstance(values, list):
        raise _bad(tag, "has a Value that is no array")
    if vr == "SQ":
        items = []
        for each in values:
            item = Dataset()
            _fill(found, item, each or {}, depth + 1)
            items.append(item)
        put(ds, tag, vr, Sequence(items))
        return
    if values and (vr in BULK_VRS or vr not in WHOLE | BROKEN | TEXT | {"AT"}):
        raise _bad(tag, f"has values, which a VR {vr} has not")
    shown = [_value(tag, vr, each) for each in values]
    put(ds, tag, vr, shown if len(shown) > 1 else shown[0] if shown else None)


def put(ds: Dataset, tag: int, vr: str, value: Any) -> None:
    """Add an element as it is: what is wrong with a value is no reason to print it. Raises BadInput."""
    from pydicom import config
    from pydicom.dataelem import DataElement

    try:
        ds.add(DataElement(tag, vr, value, validation_mode=config.IGNORE))
    except Exception as error:  # whatever a value provokes in a library that is not ours
        raise _bad(tag, f"has a value that is no {vr}") from error


def _binary(tag: int, vr: str, text: Any) -> bytes:
    try:
        if vr in BULK_VRS and isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise _bad(tag, "has an InlineBinary that is none")


def _value(tag: int, vr: str, value: Any) -> Any:
    if value is None:
        return ""
    try:
        if vr == "PN":
            return _name(value)
        if isinstance(value, bool | dict | list):
            raise ValueError
        if vr == "AT":
            return int(str(value), 16)
        if vr in WHOLE:
            return int(value)
        if vr in BROKEN:
            return float(value)
        if vr in {"IS", "DS"}:
            return _number(vr, value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad(tag, f"has a value that is no {vr}") from error
    text = str(value)
    return SEXES.get(text.upper(), text) if tag == SEX else text.strip() if vr == "UI" else text


def _number(vr: str, value: Any) -> str:
    from pydicom.valuerep import format_number_as_ds

    if isinstance(value, str):
        value = value.strip()
        float(value or "0")
        return str(value)
    if vr == "IS" and int(value) != value:
        raise ValueError
    return str(int(value)) if int(value) == value else format_number_as_ds(float(value))


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise ValueError
    groups = [value.get(group) or "" for group in GROUPS]
    return "=".join(_of_parts(each) if isinstance(each, dict) else str(each) for each in groups).rstrip("=")


def _of_parts(group: dict[str, Any]) -> str:
    """A component group as lists by component, as an older text of the standard had it."""
    parts = (group.get(part) or "" for part in NAME_PARTS)
    return "^".join(" ".join(each) if isinstance(each, list) else str(each) for each in parts).rstrip("^")


def _bad(tag: int, what: str) -> BadInput:
    return BadInput(f"The attribute {tag:08X} of the metadata {what}.")
