"""Every element of an object as plain values: name, numbers, VR, length, text; what V3 calls json."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, SourceFault

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

UNNAMED = "?"
LARGEST_VALUE = 64 << 10
"""Longer values are left out: they are no text."""
BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
DEEPEST = 24

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which elements of the top level are wanted: of these groups, or these tags; all if neither is said."""

    groups: frozenset[int] = frozenset()
    tags: frozenset[int] = frozenset()
    exclude_unnamed: bool = False
    all_values: bool = False
    """All values of an element, joined by a backslash, instead of the first."""

    @classmethod
    def of(
        cls, groups: str, include_tags: str, *, exclude_unnamed: bool = False, all_values: bool = False
    ) -> Filter:
        """From `8,0x10` and `00080018,00081111:00080550`. Raises BadInput naming what is wrong."""
        return cls(
            frozenset(_group(part) for part in _parts(groups)),
            frozenset(_tag(part) for part in _parts(include_tags)),
            exclude_unnamed,
            all_values,
        )

    def wants(self, tag: int) -> bool:
        """Whether an element of the top level is wanted."""
        if not self.groups and not self.tags:
            return True
        return tag >> 16 in self.groups or tag in self.tags


def dump(path: Path, wanted: Filter, overlay: Mapping[int, str] | None = None) -> list[Item]:
    """The elements of the object at *path* up to its pixel data, with *overlay* by tag on top.

    Raises SourceFault when it cannot be read.
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite valid are shown as they are
            ds = dcmread(path, stop_before_pixels=True, defer_size=LARGEST_VALUE, force=True)
            found = [*_items(ds.file_meta, wanted, 0), *_items(ds, wanted, 0)]
    except OSError as error:
        raise SourceFault("A stored object cannot be read.", "Run filmjacket check.") from error
    except Exception as error:  # whatever damage provokes in a reader that is not ours
        raise SourceFault("A stored object makes no sense.", "Run filmjacket check.", lasting=True) from error
    return _overlaid(found, wanted, overlay or {})


@cache
def name_of(tag: int) -> str:
    """The name of PS3.6, "?" for an element that has none."""
    from pydicom.datadict import dictionary_description

    if tag >> 16 & 1:
        return UNNAMED
    if tag & 0xFFFF == 0:
        return "File Meta Information Group Length" if tag >> 16 == 2 else "Group Length"
    try:
        return dictionary_description(tag)
    except KeyError:
        return UNNAMED


def _items(ds: Dataset, wanted: Filter, depth: int) -> Iterator[Item]:
    for tag in sorted(ds.keys()):
        name = name_of(int(tag))
        if (depth or wanted.wants(int(tag))) and not (wanted.exclude_unnamed and name == UNNAMED):
            yield _item(ds, int(tag), name, wanted, depth)


def _item(ds: Dataset, tag: int, name: str, wanted: Filter, depth: int) -> Item:
    from pydicom.dataelem import RawDataElement

    raw: Any = ds.get_item(tag)
    vl = raw.length if isinstance(raw, RawDataElement) else None
    item = {"name": name, "group": tag >> 16, "element": tag & 0xFFFF, "vr": str(raw.VR or "UN"), "vl": vl}
    if isinstance(raw, RawDataElement) and (raw.length == 0 or raw.value is None):
        return {**item, "vr": _known_vr(tag, raw.VR), "value": ""}
    try:
        element = ds[tag]
        value = element.value
    except Exception:  # a value that makes no sense to the reader is no reason to hide the others
        return {**item, "value": ""}
    item["vr"] = element.VR
    if element.VR == "SQ":
        items = [{"tags": list(_items(each, wanted, depth + 1))} for each in value] if depth < DEEPEST else []
        return {**item, "vl": -1 if vl in (None, 0xFFFFFFFF) else vl, "value": items}
    if vl is None and isinstance(value, bytes):
        vl = len(value)
    text = "" if element.VR in BULK_VRS else _text(value, all_values=wanted.all_values)
    return {**item, "vl": len(text) if vl is None else vl, "value": text}


def _known_vr(tag: int, vr: str | None) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return vr or dictionary_VR(tag)
    except KeyError:
        return "UN"


def _text(value: Any, *, all_values: bool) -> str:
    if value is None:
        return ""
    values = list(value) if isinstance(value, MutableSequence) else [value]
    texts = [each.decode("latin-1") if isinstance(each, bytes) else str(each) for each in values]
    return "\\".join(texts) if all_values else texts[0] if texts else ""


def _overlaid(found: list[Item], wanted: Filter, overlay: Mapping[int, str]) -> list[Item]:
    """Those of the top level that *overlay* speaks of get its values; missing ones are put in."""
    left = {tag: value for tag, value in overlay.items() if wanted.wants(tag)}
    if not left:
        return found
    kept = [item for item in found if (item["group"] << 16 | item["element"]) not in left]
    for tag, value in left.items():
        shown = value if wanted.all_values else value.split("\\", 1)[0]
        item = {"name": name_of(tag), "group": tag >> 16, "element": tag & 0xFFFF, "vr": _known_vr(tag, None)}
        if not (wanted.exclude_unnamed and item["name"] == UNNAMED):
            kept.append({**item, "vl": len(value.encode()) + len(value.encode()) % 2, "value": shown})
    return sorted(kept, key=lambda item: (item["group"], item["element"]))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _group(text: str) -> int:
    if re.fullmatch(r"0[xX][0-9A-Fa-f]{1,4}", text):
        return int(text, 16)
    if re.fullmatch(r"\d{1,5}", text) and int(text) < 1 << 16:
        return int(text)
    raise BadInput(
        "The parameter groups holds something that is no group.", "Say them as 8 or 0x10, with commas."
    )


def _tag(text: str) -> int:
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(:[0-9A-Fa-f]{8})*", text):
        raise BadInput(
            "The parameter include_tags holds something that is no tag.", "Say them as 00080018, with commas."
        )
    return int(text[:8], 16)
