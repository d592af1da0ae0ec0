"""Several worklists as one: the items kept here, and orders nobody has made into items yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.dicom.ports import Scheduled, Worklist


class Joined:
    """A `Worklist` of others, the first of which is believed where two name the same study."""

    def __init__(self, first: Worklist, *others: Worklist) -> None:
        self._all: Sequence[Worklist] = (first, *others)

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """Every entry once."""
        seen: set[str] = set()
        for worklist in self._all:
            new = []
            for each in worklist.scheduled(namespace):
                if each.study_instance_uid not in seen:
                    new.append(each.study_instance_uid)
                    yield each
            seen.update(uid for uid in new if uid)  # one list may have several steps of one study
