"""Modality Worklist C-FIND (PS3.4 K.4.1): what is scheduled, matched as any other query."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core.archive.matching_keys import NO_KEY_VRS, Key, Test, key_of, tests_of
from core.dicom.elements import tag_text
from core.dicom.identifier import Identifier
from core.dicom.json_model import CHARSET, Model, values_in
from core.dicom.ports import Scheduled, Worklist
from core.dicom.recoding import dictionary_vr

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
SHOWN_STATES = frozenset({"SCHEDULED", "IN PROGRESS"})
Modelling = Callable[[Scheduled], Model]


class Entries:
    """The worklist of a namespace as models that match an identifier."""

    def __init__(self, worklist: Worklist, modelling: Modelling) -> None:
        self._worklist = worklist
        self._modelling = modelling

    def matching(self, identifier: Identifier, namespace: str) -> Iterator[Model]:
        """Those that match every key. Raises BadInput for a key that makes no sense, StorageFault."""
        tests = wanted_of(identifier)
        for entry in self._worklist.scheduled(namespace):
            if entry.state not in SHOWN_STATES:
                continue
            model = self._modelling(entry)
            if all(test.matches(lambda path, model=model: values_in(model, path)) for test in tests):  # type: ignore[misc] # bound now
                yield model


def wanted_of(identifier: Identifier) -> list[Test]:
    """The keys of a worklist query, of the items of its sequences too. Raises BadInput."""
    found: list[Key] = []
    for path, text in identifier.texts.items():
        if path == (CHARSET,) or dictionary_vr(path[-1]).decode() in NO_KEY_VRS:
            continue
        if (key := key_of(tag_text(path[-1]), path, text)) is not None:
            found.append(key)
    return tests_of(found)
