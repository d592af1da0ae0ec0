"""Data sets from the DICOM JSON model (PS3.18 annex F): values checked, binary ones inline or by address."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from core.dicom.json_model import BULK_VRS, DEEPEST, GROUPS
from core.dicom.recoding import dictionary_vr
from core.dicom.spelling import spelled
from core.errors import BadInput

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

WHOLE = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
BROKEN = frozenset({"FD", "FL"})
TEXT = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"]
)
UNDIVIDED = frozenset({"LT", "ST", "UR", "UT"})
"""VRs in whose values a backslash is a sign like any other."""
CHARSET, SEX = 0x00080005, 0x00100040
SEXES = {"MALE": "M", "FEMALE": "F", "OTHER": "O", "UNKNOWN": ""}
TAG = re.compile("[0-9A-Fa-f]{8}")
NAME_PARTS = ("Family", "Given", "Middle", "Prefix", "Suffix")


@dataclass(slots=True)
class Described:
    """A data set without the values that lie elsewhere: *bulk* of its own by tag, *nested* of its items.

    *strict*: it is to be stored, so that no value may stay that its VR does not allow; values that are no
    octets (texts, numbers) are then among the *nested*.
    """

    ds: Dataset
    bulk: dict[int, tuple[str, str]] = field(default_factory=dict)
    nested: list[tuple[Dataset, int, str, str]] = field(default_factory=list)
    strict: bool = False

    @property
    def addresses(self) -> set[str]:
        """Where the values lie that are missing."""
        return {uri for _, uri in self.bulk.values()} | {each[3] for each in self.nested}


def address(uri: str) -> str:
    """*uri* as it is compared with others: no percent-encoding (RFC 3986 6.2.2), no "./" before it."""
    return unquote(uri.strip()).removeprefix("./")


def described(model: Any, *, strict: bool = False) -> Described:
    """What *model* says, in UTF-8, without file meta elements. Raises BadInput naming the attribute.

    *strict*: values are spelled as their VR wants them, or refused; addresses are those of `address`.
    """
    from pydicom.dataset import Dataset

    found = Described(Dataset(), strict=strict)
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
            uri = address(uri) if found.strict else uri
            if ds is found.ds and (vr in BULK_VRS or not found.strict):
                found.bulk[tag] = vr, uri
            else:
                found.nested.append((ds, tag, vr, uri))
        else:
            _add(found, ds, tag, vr, element, depth=depth)


def _tag(name: str) -> int:
    if TAG.fullmatch(name):
        return int(name, 16)
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
    shown = [_value(tag, vr, each, strict=found.strict) for each in values]
    if found.strict and _too_many(tag, vr, shown):
        raise _bad(tag, "has several values where there is one")
    put(ds, tag, vr, shown if len(shown) > 1 else shown[0] if shown else None)


def _too_many(tag: int, vr: str, values: list[Any]) -> bool:
    """Whether they would be read as several values of an element that has one (PS3.5 6.4, PS3.6)."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VM

    divided = vr in TEXT - UNDIVIDED and any("\\" in each for each in values)
    return (divided or len(values) > 1) and dictionary_has_tag(tag) and dictionary_VM(tag) == "1"


def put(ds: Dataset, tag: int, vr: str, value: Any) -> None:
    """Add an element as it is: what is wrong with a value is no reason to print it. Raises BadInput."""
    from pydicom import config
    from pydicom.dataelem import DataElement

    try:
        ds.add(DataElement(tag, vr, value, validation_mode=config.IGNORE))
    except Exception as error:  # whatever a value provokes in a library that is not ours
        raise _bad(tag, f"has a value that is no {vr}") from error


def put_octets(ds: Dataset, tag: int, vr: str, value: bytes) -> None:
    """Add an element whose value was sent as octets, texts in UTF-8 (PS3.18 F.2.6). Raises BadInput."""
    from pydicom.dataelem import RawDataElement, convert_raw_data_element
    from pydicom.tag import BaseTag

    value += b"\0" * (len(value) % 2) if vr in BULK_VRS else b""
    try:
        if vr in TEXT:
            put(ds, tag, vr, spelled(vr, value.decode("utf-8").rstrip("\0 ")))
        else:
            raw = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
            ds[tag] = convert_raw_data_element(raw)
    except Exception as error:  # whatever a value provokes in a library that is not ours
        raise _bad(tag, f"has bulk data that are no {vr}") from error


def _binary(tag: int, vr: str, text: Any) -> bytes:
    try:
        if vr in BULK_VRS and isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise _bad(tag, "has an InlineBinary that is none")


def _value(tag: int, vr: str, value: Any, *, strict: bool) -> Any:
    if value is None:
        return ""
    try:
        if vr == "PN":
            return spelled(vr, _name(value)) if strict else _name(value)
        if isinstance(value, bool | dict | list):
            raise ValueError
        if vr == "AT":
            return int(str(value), 16)
        if vr in WHOLE:
            return int(value)
        if vr in BROKEN:
            return float(value)
        if vr in {"IS", "DS"}:
            return spelled(vr, _number(vr, value)) if strict else _number(vr, value)
        text = spelled(vr, str(value)) if strict else str(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad(tag, f"has a value that is no {vr}") from error
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
