"""Which elements an overlay may set, and what values they may have (PS3.5 6.2; over-long text passes)."""

from __future__ import annotations

import re
from datetime import date

from core.dicom.elements import tag_text
from core.errors import BadInput

LONGEST_TEXT = 1024
LOCKED = {
    0x00080005: "says how the text is written",
    0x00080016: "says what the object is",
    0x00080018: "is the object's identity",
    0x0020000D: "is the object's identity",
    0x0020000E: "is the object's identity",
}
TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
LINES = frozenset({"LT", "ST", "UT"})
FORMS = {
    "AE": r"[\x20-\x5b\x5d-\x7e]{0,16}",
    "AS": r"(\d{3}[DWMY])?",
    "CS": r"[A-Z0-9 _]{0,16}",
    "DA": r"(\d{8})?",
    "DS": r"( *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *)?",
    "DT": r"(\d{4,14}(\.\d{1,6})?([+-]\d{4})?)?",
    "IS": r"( *[+-]?\d{1,10} *)?",
    "TM": r"(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?",
}
"""VRs other than text, and the form of one value."""
UNKNOWN = "LO"
"""What an element that PS3.6 does not have is written as: the API's own sample sets such a one."""


def tag_of(text: str) -> int:
    """A tag as "(0010,0020)", "0010,0020" or "00100020". Raises BadInput."""
    match = TAG.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"{text[:20]!r} is not a tag.", 'Write it as "(0010,0020)".')
    return int(match[1] + match[2], 16)


def checked(tag: int, value: str) -> str:
    """*value* as the element takes it. Raises BadInput naming the element."""
    vr, many = _known(tag)
    values = value.split("\\") if many and vr not in LINES else [value]
    return "\\".join(_one(tag, vr, each) for each in values)


def _known(tag: int) -> tuple[str, bool]:
    from pydicom.datadict import dictionary_VM, dictionary_VR

    name = tag_text(tag)
    if tag in LOCKED:
        raise BadInput(f"{name} cannot be set: it {LOCKED[tag]}.")
    group = tag >> 16
    if group < 0x0008 or group == 0x0028 or group >= 0x5000 or not tag & 0xFFFF:
        raise BadInput(f"{name} cannot be set: it belongs to the file or the picture.")
    if group % 2:
        raise BadInput(f"{name} cannot be set: it is private.")
    try:
        vr, multiplicity = dictionary_VR(tag), dictionary_VM(tag)
    except KeyError:
        return UNKNOWN, True
    if vr not in TEXT and vr not in FORMS:
        raise BadInput(f"{name} cannot be set: it holds no text (VR {vr}).")
    return vr, multiplicity != "1"


def _one(tag: int, vr: str, value: str) -> str:
    name = tag_text(tag)
    if vr in TEXT:
        plain = re.sub(r"[\r\n\t\f]", "", value) if vr in LINES else value
        if not plain.isprintable() or ("\\" in value and vr not in LINES):
            raise BadInput(f"The value of {name} has characters it cannot have.")
        if len(value) > LONGEST_TEXT:
            raise BadInput(f"The value of {name} is longer than {LONGEST_TEXT} characters.")
        if vr == "PN" and (value.count("=") > 2 or any(g.count("^") > 4 for g in value.split("="))):
            raise BadInput(f"The value of {name} is no person name.", "Write it as Family^Given^Middle.")
        return value.rstrip(" ") if vr in LINES else value.strip(" ")
    value = value.strip()
    if not re.fullmatch(FORMS[vr], value, re.ASCII) or len(value) > 26:
        raise BadInput(f"The value of {name} does not have the form of its VR, {vr}.")
    if vr == "DA" and value:
        _check_date(name, value)
    return value


def _check_date(name: str, value: str) -> None:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError as error:
        raise BadInput(f"The value of {name} is no date.", "Write it as YYYYMMDD.") from error
