"""Patients of an archive: who its studies are of, and how many of them there are."""

from __future__ import annotations

from collections.abc import Iterator

from core.dicom.json_model import Model, element_of

PATIENT_ID, PATIENT_NAME, BIRTH_DATE, SEX = 0x00100020, 0x00100010, 0x00100030, 0x00100040
PATIENT_COUNTS = (0x00201200, 0x00201202, 0x00201204)
"""Number of Patient Related Studies, Series, Instances; the last two sum the studies' own numbers."""
STUDY_COUNTS = (0x00201206, 0x00201208)


def patients_of(studies: Iterator[Model]) -> Iterator[Model]:
    """One model a patient, studies counted: of the same ID, or without one the same name and birth date."""
    found: dict[tuple[str, ...], tuple[Model, list[int]]] = {}
    for model in studies:
        patient_id = _value(model, PATIENT_ID)
        who = (patient_id,) if patient_id else ("", _value(model, PATIENT_NAME), _value(model, BIRTH_DATE))
        _, counts = found.setdefault(who, (model, [0, 0, 0]))
        counts[0] += 1
        for at, name in enumerate(STUDY_COUNTS, 1):
            counts[at] += int((model.get(f"{name:08X}", {}).get("Value") or [0])[0])
    for model, counts in found.values():
        counted = zip(PATIENT_COUNTS, counts, strict=True)
        yield {**model, **{f"{tag:08X}": element_of("IS", [number]) for tag, number in counted}}


def _value(model: Model, tag: int) -> str:
    return str((model.get(f"{tag:08X}", {}).get("Value") or [""])[0])
