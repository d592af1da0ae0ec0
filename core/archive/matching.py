"""How well an order fits what is searched for: forgiving of case, accents, name order and typing errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from core.dicom.tree import folded

LEAST = 0.5
"""Orders that fit worse are not answered with."""
PART_OF_A_NAME = 0.9
SWAPPED = 0.9
MISTYPED = 0.95


def name(wanted: str, found: str) -> float:
    """Names in any order of their parts; a part of a name fits nearly as well as the whole."""
    a, b = folded(wanted), folded(found)
    if not a or not b:
        return 0.0
    return max(fuzz.token_sort_ratio(a, b), PART_OF_A_NAME * fuzz.token_set_ratio(a, b)) / 100


def day(wanted: str, found: str) -> float:
    """Dates in any of the common forms; day and month may be swapped, a digit or two mistyped."""
    a, b = digits(wanted), digits(found)
    if not a or not b:
        return text(wanted, found)
    if a == b:
        return 1.0
    if len(a) == len(b) == 8 and a == b[:4] + b[6:] + b[4:6]:
        return SWAPPED
    return {1: 0.8, 2: 0.5}.get(OSA.distance(a, b), 0.0)


def identifier(wanted: str, found: str) -> float:
    """Numbers of orders and patients: exact, or nearly."""
    a, b = wanted.strip().casefold(), found.strip().casefold()
    if a == b:
        return 1.0 if a else 0.0
    return MISTYPED * OSA.normalized_similarity(a, b) if a and b else 0.0


def gender(wanted: str, found: str) -> float:
    """The first letter counts."""
    return float(bool(wanted.strip()) and wanted.strip()[:1].casefold() == found.strip()[:1].casefold())


def text(wanted: str, found: str) -> float:
    """Words in any order."""
    a, b = folded(wanted), folded(found)
    return fuzz.token_sort_ratio(a, b) / 100 if a and b else 0.0


def digits(value: str) -> str:
    """The digits of a date, of a time stamp its first eight."""
    return "".join(c for c in value if c.isascii() and c.isdigit())[:8]


Comparison = Callable[[str, str], float]

FIELDS: Mapping[str, tuple[float, Comparison]] = {
    "order_id": (4.0, identifier),
    "patient_mrn": (4.0, identifier),
    "patient_name": (3.0, name),
    "patient_dob": (2.0, day),
    "study_date": (1.0, day),
    "patient_gender": (0.5, gender),
    "referring_physician": (1.0, name),
    "order_description": (1.0, text),
    "patient_physical_address": (1.0, text),
    "message_id": (4.0, identifier),
}
"""What can be searched by: its weight, and how it is compared."""


def score(wanted: Mapping[str, str], found: Mapping[str, str]) -> float:
    """Between 0 and 1: the weighted mean over what was asked."""
    total = sum(FIELDS[field][0] for field in wanted)
    got = sum(FIELDS[f][0] * FIELDS[f][1](value, found.get(f, "")) for f, value in wanted.items())
    return got / total if total else 1.0
