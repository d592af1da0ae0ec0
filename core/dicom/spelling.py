"""Texts as their VR wants them (PS3.5 6.2): what is clear though misspelled is mended, else refused."""

from __future__ import annotations

import math
import re

OF_LINES = frozenset({"LT", "ST", "UT"})
"""VRs of texts that may have several lines."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]+")
DATE = re.compile(r"([0-9]{4})([-.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12][0-9]|3[01])")
TIME = re.compile(r"([01][0-9]|2[0-3])(?::?([0-5][0-9])(?::?([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID, LONGEST_DS = 64, 16
LARGEST_IS = 2**31 - 1


def spelled(vr: str, text: str) -> str:
    """*text* as a value of *vr*, "" if it is nothing but blanks. Raises ValueError if it can be none."""
    text.encode("utf-8")  # half of a surrogate pair is no character
    if vr in OF_LINES:
        return CONTROL_BUT_LINES.sub("", text)
    text = CONTROL.sub(" ", text).strip()
    return SPELLINGS[vr](text) if text and vr in SPELLINGS else text


def _date(text: str) -> str:
    found = DATE.fullmatch(text)
    if found is None:
        raise ValueError("no date")
    return found[1] + found[3] + found[4]


def _time(text: str) -> str:
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    return "".join(part or "" for part in found.groups())


def is_uid(text: str) -> bool:
    """Whether *text* may be a UID; zeros some write before a component are let pass."""
    return len(text) <= LONGEST_UID and UID.fullmatch(text) is not None


def _uid(text: str) -> str:
    if not is_uid(text):
        raise ValueError("no UID")
    return text


def _whole(text: str) -> str:
    number = float(text)
    if not math.isfinite(number) or number != int(number) or abs(number) > LARGEST_IS:
        raise ValueError("no whole number")
    return str(int(number))


def _decimal(text: str) -> str:
    from pydicom.valuerep import format_number_as_ds

    number = float(text)
    if not math.isfinite(number) or "_" in text:
        raise ValueError("no number")
    return text if len(text) <= LONGEST_DS else format_number_as_ds(number)


SPELLINGS = {"DA": _date, "TM": _time, "UI": _uid, "IS": _whole, "DS": _decimal, "CS": str.upper}
