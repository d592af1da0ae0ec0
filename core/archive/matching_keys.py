"""Matching keys of a query (PS3.4 C.2.2.2): what of an attribute is wanted, and whether values are that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, partial
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, tag_for_keyword

from core.archive.person_names import NamePattern, Wildcard
from core.dicom.json_model import DEEPEST, values_in
from core.dicom.moments import current_form
from core.dicom.recoding import dictionary_vr
from core.errors import BadInput

Path = tuple[int, ...]
"""A tag, before it those of the sequences it is in."""
Values = Callable[[Path], Sequence[Any]]
"""What an object has of an attribute: texts, of a sequence its items as models."""

EMPTY = '""'
"""Empty value matching: the attribute is absent or has no value."""
WILD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
ONE_VALUE_VRS = frozenset({"LT", "ST", "UT", "UR"})
NUMBER_VRS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
RANGE_VRS = frozenset({"DA", "TM", "DT"})
SEVERAL_VRS = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
"""Of which several values may be wanted all at once (C.2.2.2.8)."""
NO_KEY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"})
VALUES_KEPT = 4096
LONGEST, LONGEST_NAME = 1024, 200
"""Characters of a value; lists of UIDs may be longer."""
MOMENTS = {
    "DA": r"\d{8}",
    "TM": r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d|60)?)?(?:(?<=\d{6})\.\d{1,6})?",
    # the least offset is -1200 (PS3.5 6.2): what else stands behind a hyphen is the year a range ends with
    "DT": r"\d{4}(?:\d\d){0,5}(?:(?<=\d{14})\.\d{1,6})?(?:\+\d{4}|-(?:0\d|1[0-2])\d\d)?",
}
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?"
LOWEST, HIGHEST = "00000101000000000000", "99991231235959999999"
PAIRS = {
    0x00080020: 0x00080030,
    0x00080021: 0x00080031,
    0x00080022: 0x00080032,
    0x00080023: 0x00080033,
    0x00400244: 0x00400245,
}
"""Dates and the times that go with them: two ranges of these are one range of moments (C.2.2.2.5)."""


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute and what is wanted of it; *name* is how the caller called it."""

    name: str
    path: Path
    vr: str
    wanted: tuple[str, ...]
    accepts_value: Callable[[str], bool]
    fuzzy: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The attributes it looks at."""
        return (self.path,)

    @property
    def empty(self) -> bool:
        """Whether the attribute is to be absent or empty."""
        return self.wanted == (EMPTY,)

    def matches(self, values: Values) -> bool:
        """Whether one of the values is wanted."""
        found: list[str] = [value for value in values(self.path) if value.strip(" \0")]
        return not found if self.empty else any(map(self.accepts_value, found))


@dataclass(frozen=True, slots=True)
class Moments:
    """A range of days and a range of times of day as one: from the first time of the first day on."""

    day: Key
    time: Key

    @property
    def paths(self) -> tuple[Path, ...]:
        """The attributes it looks at."""
        return (self.day.path, self.time.path)

    def matches(self, values: Values) -> bool:
        """Whether the moment lies between; without a date or a time it does not."""
        days: Sequence[str] = values(self.day.path)
        times: Sequence[str] = values(self.time.path)
        day, time = (current_form(vr, (found or [""])[0]) for vr, found in (("DA", days), ("TM", times)))
        if not _is("DA", day) or not _is("TM", time):
            return False
        moment = day.strip() + _padded("TM", time.strip(), LOWEST)
        (first_day, last_day), (first, last) = _ends("DA", self.day), _ends("TM", self.time)
        begin = (first_day or "00000000") + (_padded("TM", first, LOWEST) if first else "0" * 12)
        end = (last_day or "99999999") + (_padded("TM", last, HIGHEST) if last else "9" * 12)
        return begin <= moment <= end


@dataclass(frozen=True, slots=True)
class Nested:
    """What is wanted of the items of a *sequence*, in paths from there: all of it of one item (C.2.2.2.6)."""

    sequence: int
    tests: tuple[Test, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The attributes it looks at."""
        return ((self.sequence,),)

    def matches(self, values: Values) -> bool:
        """Whether an item matches; where there are none, whether nothing but absence is wanted."""
        items = values((self.sequence,)) or [{}]
        return any(all(test.matches(partial(values_in, item)) for test in self.tests) for item in items)


Test = Key | Moments | Nested


def accepting(test: Test, places: Mapping[Path, int]) -> Callable[[Sequence[Any]], bool]:
    """Whether a row, with the attributes at *places*, matches; values that come again are looked at once."""
    at = [places[path] for path in test.paths]

    @lru_cache(maxsize=VALUES_KEPT)
    def accepted(*values: Any) -> bool:
        found = {path: _texts(value) for path, value in zip(test.paths, values, strict=True)}
        return test.matches(lambda path: found[path])

    if len(at) == 1:
        only = at[0]
        return lambda row: accepted(row[only])
    return lambda row: accepted(*[row[each] for each in at])


def _texts(value: Any) -> Sequence[str]:
    return [] if value is None or value == "" else [str(value)]


def path_of(name: str) -> Path | None:
    """The attribute *name* stands for: keywords or tags, those of sequences before, with dots between.

    None for words PS3.6 does not have. Raises BadInput for tags that are none, and too many.
    """
    found, parts = [], name.split(".")
    if len(parts) > DEEPEST:
        raise BadInput(
            f"{shown(name)} leads through too many sequences.", "Name one within 23 others at most."
        )
    for part in parts:
        tag = tag_for_keyword(part) if part else None
        if tag is None and re.fullmatch("[0-9A-Fa-f]{8}", part):
            tag = int(part, 16)
        if tag is None:
            if re.fullmatch("[0-9].*|", part, re.DOTALL):
                raise BadInput(f"{shown(name)} is not a tag.", "Give eight hexadecimal digits, or a keyword.")
            return None
        found.append(tag)
    return tuple(found)


def shown(name: str) -> str:
    """What a caller wrote as the name of a key, fit for a message."""
    return re.sub(r"[^0-9A-Za-z_.,-]", "?", name)[:64] or "An empty name"


def key_vr(tag: int) -> str:
    """The VR as which an attribute is matched: that of PS3.6, a number where it is one of either sign."""
    if dictionary_has_tag(tag) and dictionary_VR(tag) == "US or SS":
        return "US"
    return dictionary_vr(tag).decode("ascii")


def key_of(name: str, path: Path, text: str, *, fuzzy: bool = False) -> Key | None:
    """The key, or None where everything matches. Raises BadInput naming it where *text* makes no sense."""
    vr = key_vr(path[-1])
    vr = "LO" if vr == "UN" else vr
    text = text.strip()
    if not text.strip("*^=" if vr == "PN" else "*"):
        return None
    _check_length(name, vr, text)
    if text == EMPTY:
        return Key(name, path, vr, (EMPTY,), lambda value: not value)
    wanted = tuple(part.strip() for part in _split(vr, text))
    tests = [_test(vr, name, part, fuzzy) for part in wanted if part]
    return Key(name, path, vr, wanted, lambda value: any(test(value) for test in tests), fuzzy)


def keys_of(name: str, path: Path, text: str, *, fuzzy: bool = False, every: bool = False) -> list[Key]:
    """The same; with *every* one for each value, where an attribute may have several. Raises BadInput."""
    vr = key_vr(path[-1])
    _check_length(name, vr, text)  # of all of them: each becomes a condition
    parts = _split(vr, text) if every and vr in SEVERAL_VRS and dictionary_VM(path[-1]) != "1" else [text]
    found = [key_of(name, path, part, fuzzy=fuzzy) for part in parts]
    return [key for key in found if key is not None]


def _check_length(name: str, vr: str, text: str) -> None:
    if vr != "UI" and len(text) > (LONGEST_NAME if vr == "PN" else LONGEST):
        raise BadInput(f"The value of the key {name} is too long.", "Give the beginning, and * for the rest.")


def tests_of(keys: Sequence[Key]) -> list[Test]:
    """The keys, ranges of a date and of its time made one, and those of a sequence."""
    flat = [key for key in keys if len(key.path) == 1]
    ranges = {key.path: key for key in flat if key.vr in RANGE_VRS and _is_range(key)}
    found: list[Test] = list(flat)
    for day_tag, time_tag in PAIRS.items():
        day, time = ranges.get((day_tag,)), ranges.get((time_tag,))
        if day is not None and time is not None:
            found = [each for each in found if each not in (day, time)] + [Moments(day, time)]
    inner: dict[int, list[Key]] = {}
    for key in keys:
        if len(key.path) > 1:
            inner.setdefault(key.path[0], []).append(replace(key, path=key.path[1:]))
    return [*found, *(Nested(sequence, tuple(tests_of(each))) for sequence, each in inner.items())]


def day_range(key: Key) -> tuple[str, str]:
    """First and last day of a date key with one value, "" where it is open."""
    return _ends("DA", key)


def _split(vr: str, text: str) -> list[str]:
    if vr in ONE_VALUE_VRS or vr in RANGE_VRS:
        return [text]
    return re.split(r"[\\,]" if vr in {"UI", "CS"} else r"\\", text)


def _test(vr: str, name: str, text: str, fuzzy: bool) -> Callable[[str], bool]:
    if vr == "PN":
        return NamePattern(text, fuzzy=fuzzy).matches
    if vr in RANGE_VRS:
        return _between(vr, name, text)
    if vr in NUMBER_VRS:
        number = _number(text)
        if number is None:
            raise BadInput(f"The key {name} must be a number.", "Leave it out, or give a number.")
        return lambda value: _number(value) == number
    if vr in WILD_VRS and ("*" in text or "?" in text):
        pattern = Wildcard(text)
        return lambda value: pattern.fits(value.strip(" \0"))
    return lambda value: value.strip(" \0") == text


def _between(vr: str, name: str, text: str) -> Callable[[str], bool]:
    ends = _split_range(vr, text)
    if ends is None or (vr == "DA" and not all(map(_is_day, ends))):
        form = {"DA": "YYYYMMDD", "TM": "HHMMSS.FFFFFF", "DT": "YYYYMMDDHHMMSS.FFFFFF&ZZXX"}[vr]
        raise BadInput(f"The key {name} is not a range of {form}.", f"Give {form}, or two with - between.")
    low = _moment(vr, ends[0], LOWEST) if ends[0] else None
    high = _moment(vr, ends[1], HIGHEST) if ends[1] else None

    def inside(value: str) -> bool:
        value = current_form(vr, value.strip(" \0"))
        if not _is(vr, value):
            return False
        there = _moment(vr, value, LOWEST)
        return (low is None or _order(low, there)) and (high is None or _order(there, high))

    return inside


def _split_range(vr: str, text: str) -> tuple[str, str] | None:
    """First and last, the same twice for a single value; None for what is neither."""
    if _is(vr, text):
        return text, text
    match = re.fullmatch(f"({MOMENTS[vr]})?-({MOMENTS[vr]})?", text, re.ASCII)
    return (match[1] or "", match[2] or "") if match and (match[1] or match[2]) else None


def _ends(vr: str, key: Key) -> tuple[str, str]:
    return _split_range(vr, key.wanted[0]) or ("", "")


def _is_range(key: Key) -> bool:
    return not key.empty and not _is(key.vr, key.wanted[0])


def _is(vr: str, text: str) -> bool:
    return re.fullmatch(MOMENTS[vr], text.strip(" \0"), re.ASCII) is not None


def _is_day(text: str) -> bool:
    try:
        return not text or bool(datetime(int(text[:4]), int(text[4:6]), int(text[6:]), tzinfo=UTC))
    except ValueError:
        return False


Moment = tuple[str, str | None]


def _moment(vr: str, text: str, rest: str) -> Moment:
    """As digits that sort, what is not said taken from *rest*; and in UTC where an offset is given."""
    if vr != "DT":
        return _padded(vr, text, rest), None
    match = re.fullmatch(r"([\d.]+)([+-]\d{4})?", text)
    if match is None:
        return text, None
    digits = _padded("DT", match[1], rest)
    return digits, _utc(digits, match[2]) if match[2] else None


def _utc(digits: str, offset: str) -> str | None:
    minutes = int(offset[0] + "1") * (int(offset[1:3]) * 60 + int(offset[3:]))
    try:
        there = datetime.strptime(digits, "%Y%m%d%H%M%S%f")
        moved = there.replace(tzinfo=timezone(timedelta(minutes=minutes))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04}{moved:%m%d%H%M%S%f}"


def _order(first: Moment, last: Moment) -> bool:
    """Both in UTC where both say their offset, else as they are written."""
    if first[1] is not None and last[1] is not None:
        return first[1] <= last[1]
    return first[0] <= last[0]


def _padded(vr: str, text: str, rest: str) -> str:
    digits = text.replace(".", "")
    return digits + {"DA": "", "TM": rest[8:], "DT": rest}[vr][len(digits) :]


def _number(text: str) -> float | None:
    """As decimal strings are written (PS3.5 6.2), and no further: neither `nan` nor `1_000`."""
    return float(text) if re.fullmatch(NUMBER, text.strip(), re.ASCII) else None
