"""Several worklists as one: the items kept here, and orders nobody has made into items yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from core.dicom.ports import Scheduled, Worklist


class Joined:
    """A `Worklist` of others, the first of which is believed where two name the same study.

    *finished* gives studies nobody is to be told of any more: an order that was made into an item is done
    with when that is.
    """

    def __init__(
        self,
        first: Worklist,
        *others: Worklist,
        finished: Callable[[str], Collection[str]] = lambda namespace: (),
    ) -> None:
        self._all: Sequence[Worklist] = (first, *others)
        self._finished = finished

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """Every entry once."""
        seen: set[str] = set()
        for number, worklist in enumerate(self._all):
            if number == 1:
                seen.update(uid for uid in self._finished(namespace) if uid)
            new = []
            for each in worklist.scheduled(namespace):
                if each.study_instance_uid not in seen:
                    new.append(each.study_instance_uid)
                    yield each
            seen.update(uid for uid in new if uid)  # one list may have several steps of one study
