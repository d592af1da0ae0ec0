"""Small files that travel together: read, hashed and counted one after the other while they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.dicom.ports import Sent
from core.dicom.refs import Header
from core.errors import KnownError, SourceFault
from core.upload.nouns import Item, Read

LEAST_BYTES = 2 << 20
MOST_BYTES = 8 << 20
LEAST_FILES = 4
MOST_FILES = 32
QUICK_S = 0.3
SLOW_S = 0.8


Reader = Callable[[Item], tuple[bytes, Read]]
"""The bytes of a small file, counted as moved, and what reading it gave. Raises SourceFault, Stopped."""


@dataclass(slots=True)
class Load:
    """How much goes in one parcel: so much that a pause, a cancel or a cut costs less than a second.

    It begins small and grows while parcels are answered quickly. The least holds two of the largest small
    files; where even these take too long, each goes alone.
    """

    bytes: int = LEAST_BYTES
    files: int = LEAST_FILES

    def took(self, files: int, size: int, seconds: float) -> None:
        """A parcel of so many files and bytes has been answered."""
        if seconds > SLOW_S:
            self.bytes = self.bytes // 2 if self.bytes > LEAST_BYTES else 0
            self.files = max(LEAST_FILES, self.files // 2)
        elif seconds < QUICK_S:
            if size * 3 > self.bytes:
                self.bytes = min(MOST_BYTES, max(LEAST_BYTES, self.bytes * 2))
            if files >= self.files:
                self.files = min(MOST_FILES, self.files * 2)

    def refused(self) -> None:
        """A parcel was not taken as a whole."""
        self.bytes, self.files = LEAST_BYTES, LEAST_FILES


class Parcel:
    """Files of one exchange and what became of each."""

    def __init__(self, items: Sequence[Item], read: Reader, moved: Callable[[int], None]) -> None:
        self._items = items
        self._read = read
        self._moved = moved
        self._results: dict[int, Read | Exception] = {}
        self._under_way: list[tuple[int, Read]] = []

    def images(self) -> Iterator[tuple[Header, bytes]]:
        """Each file that can be read, as it is needed; begins anew each time it is called."""
        self.take_back()
        for number, item in enumerate(self._items):
            if number in self._results:
                continue
            try:
                data, read = self._read(item)
            except SourceFault as fault:
                self._results[number] = fault
                continue
            self._under_way.append((number, read))
            yield item.header, data

    def answered(self, answers: Sequence[Sent | KnownError]) -> list[Read | Exception]:
        """What became of every file, given what the destination said of those that were sent, in order."""
        if len(answers) != len(self._under_way):
            raise KnownError("The destination answered for another number of files than it was sent.")
        for (number, read), answer in zip(self._under_way, answers, strict=True):
            if isinstance(answer, Sent):
                self._results[number] = Read(read.digest, read.mtime_ns, answer)
            else:
                self._moved(-self._items[number].size)
                self._results[number] = answer
        self._under_way.clear()
        return [self._results[number] for number in range(len(self._items))]

    def take_back(self) -> None:
        """Nothing of what was read counts as moved."""
        self._moved(-sum(self._items[number].size for number, _ in self._under_way))
        self._under_way.clear()
