"""Looking into the DICOM JSON model of an item: texts by path, single values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from core.dicom.json_model import GROUPS, Model


def value_at(model: Model, *path: int) -> str:
    """The first of them, "" if there is none."""
    return next(_walk(model, path), "")


def items_of(model: Model, tag: str) -> list[Model]:
    """The items of a sequence."""
    found = model.get(tag, {}).get("Value") or []
    return [item for item in found if isinstance(item, dict)]


def _walk(model: Model, path: Sequence[int]) -> Iterator[str]:
    element: Any = model.get(f"{path[0]:08X}")
    if not isinstance(element, dict):
        return
    for value in element.get("Value") or ():
        if len(path) > 1:
            if isinstance(value, dict):
                yield from _walk(value, path[1:])
        elif isinstance(value, dict):
            groups = [str(value.get(group, "")) for group in GROUPS]
            yield "=".join(groups).rstrip("=")
        elif value is not None and value != "":
            yield str(value)
