"""Values out of an object in the DICOM JSON model (PS3.18 annex F) that another program wrote.

Nothing here raises: what is absent or of another shape than the standard's is "", 0 or nothing.
"""

from __future__ import annotations

from core.dicom.json_model import GROUPS, Model


def values(model: Model, tag: str) -> list[object]:
    """The values of *tag*, written as eight hexadecimal digits."""
    element = model.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def items(model: Model, tag: str) -> list[Model]:
    """The items of a sequence."""
    return [each for each in values(model, tag) if isinstance(each, dict)]


def texts(model: Model, tag: str) -> tuple[str, ...]:
    """Every value as text; a person name with its component groups."""
    return tuple(_text(each) for each in values(model, tag))


def text(model: Model, tag: str) -> str:
    """The first value as text."""
    return next(iter(texts(model, tag)), "")


def number(model: Model, tag: str) -> int | None:
    """The first value as a whole number, None if it is none; some write numbers as text."""
    written = text(model, tag).strip()
    try:
        return int(float(written)) if written else None
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str:
    if isinstance(value, dict):
        groups = [str(value.get(each) or "") for each in GROUPS]
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)
