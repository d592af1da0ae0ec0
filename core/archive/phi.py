"""Which elements are PHI, which describe a study, and what a study's images say of them on average."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PHI = (
    "(0008,0020)",  # StudyDate
    "(0008,0050)",  # AccessionNumber
    "(0008,0090)",  # ReferringPhysicianName
    "(0008,1030)",  # StudyDescription
    "(0010,0010)",  # PatientName
    "(0010,0020)",  # PatientID
    "(0010,0030)",  # PatientBirthDate
    "(0010,0040)",  # PatientSex
    "(0010,1010)",  # PatientAge
    "(0010,1040)",  # PatientAddress
)
"""The PHI set of V3: the tags of its sample answers and those an order can set, in tag order."""

ATTRIBUTES = (
    "(0008,0030)",  # StudyTime
    "(0008,0060)",  # Modality
    "(0008,0070)",  # Manufacturer
    "(0008,0080)",  # InstitutionName
    "(0008,0201)",  # TimezoneOffsetFromUTC
    "(0008,1010)",  # StationName
    "(0008,1040)",  # InstitutionalDepartmentName
    "(0008,1090)",  # ManufacturerModelName
    "(0010,0021)",  # IssuerOfPatientID
    "(0010,1020)",  # PatientSize
    "(0010,1030)",  # PatientWeight
    "(0018,0015)",  # BodyPartExamined
    "(0018,1030)",  # ProtocolName
    "(0020,000D)",  # StudyInstanceUID
    "(0020,0010)",  # StudyID
)
"""Further commonly asked elements, few different values within a study; with PHI they make `tag`."""

COMMON = tuple(sorted(PHI + ATTRIBUTES))

LAST = 1 << 62
"""Stands for the instance number of an image that has none: it loses every tie."""


class PhiSet(NamedTuple):
    """The common elements of one image as they are kept: JSON, and the digest that finds an equal one."""

    digest: str
    tags: str


class Weighed(NamedTuple):
    """A set of values, how many images share it, and the lowest instance number among them."""

    tags: Mapping[str, str]
    images: int
    lowest: int


def phi_set(attributes: Mapping[str, str]) -> PhiSet:
    """The common elements among *attributes*."""
    chosen = {tag: attributes[tag] for tag in COMMON if tag in attributes}
    tags = json.dumps(chosen, ensure_ascii=False, separators=(",", ":"))
    return PhiSet(hashlib.blake2b(tags.encode("utf-8", "replace"), digest_size=12).hexdigest(), tags)


def average(sets: Iterable[Weighed]) -> dict[str, str]:
    """Of each element its most frequent value that says something; ties go to the lowest instance number."""
    votes: dict[str, dict[str, tuple[int, int]]] = {}
    for weighed in sets:
        for tag, value in weighed.tags.items():
            count, lowest = votes.setdefault(tag, {}).get(value, (0, LAST))
            votes[tag][value] = (count + weighed.images, min(lowest, weighed.lowest))
    return {tag: _elected(values) for tag, values in sorted(votes.items())}


def overlaid(values: Mapping[str, str], overlay: Mapping[str, str]) -> dict[str, str]:
    """*values* with those of *overlay* on top, in tag order."""
    return dict(sorted({**values, **overlay}.items()))


def only_phi(values: Mapping[str, str], overlay: Mapping[str, str]) -> dict[str, str]:
    """The PHI set of *values* and everything of *overlay*, in tag order."""
    return overlaid({tag: values[tag] for tag in PHI if tag in values}, overlay)


def _elected(values: Mapping[str, tuple[int, int]]) -> str:
    said = {value: vote for value, vote in values.items() if value} or values
    return min(said, key=lambda value: (-said[value][0], said[value][1], value))
