"""A worklist entry in the DICOM JSON model, as the Modality Worklist has it (PS3.4 table K.6-1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from core.dicom.json_model import UTF_8, Model, element_of, values_in
from core.dicom.ports import Worklist
from core.worklist.fields import FIELDS
from core.worklist.steps import Key

CHARSET = "00080005"
STEPS = "00400100"


def entry_model(values: Mapping[str, str]) -> Model:
    """Every attribute of an entry; those without a value are there, empty."""
    outer: Model = {CHARSET: element_of("CS", [UTF_8])}
    step: Model = {}
    for name, field in FIELDS.items():
        value = values.get(name, "")
        if value or not field.sparse:
            (step if field.step else outer)[field.tag] = element_of(field.vr, [value] if value else [])
    outer[STEPS] = {"vr": "SQ", "Value": [dict(sorted(step.items()))]}
    return dict(sorted(outer.items()))


def matching(worklist: Worklist, namespace: str, keys: Sequence[Key]) -> Iterator[Model]:
    """The entries that are not finished and have what every key wants, in the order they start."""
    for entry in worklist.scheduled(namespace):
        model = entry_model(entry.values)
        if all(key.matches(partial(values_in, model)) for key in keys):
            yield model
