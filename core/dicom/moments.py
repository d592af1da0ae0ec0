"""Dates and times as they were written before DICOM 3.0, which PS3.5 6.2 recommends to read still."""

from __future__ import annotations

import re

_DAY = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?", re.ASCII)


def current_form(vr: str, text: str) -> str:
    """A value of VR DA or TM as it is written today: `1997.04.24` is 19970424, `15:18:59` is 151859."""
    old = {"DA": _DAY, "TM": _TIME}.get(vr)
    match = old.fullmatch(text.strip(" \0")) if old is not None else None
    return "".join(part or "" for part in match.groups()) if match else text
