"""Person names (PN) as keys match them: no case, no accents, by component, or forgiving (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from rapidfuzz.distance import OSA

from core.dicom.tree import folded, unaccented

SHORT, LONG = 4, 8
"""Words of so many letters may have one, and two, typing errors."""


class Wildcard:
    """A text with `*` for any letters and `?` for one; held against a text it takes time in proportion."""

    def __init__(self, text: str) -> None:
        self.free = not text
        pieces = text.split("*")
        self._open = len(pieces) > 1
        found = [re.compile(re.escape(piece).replace(r"\?", "."), re.DOTALL) for piece in pieces]
        self._first, self._inner = found[0], [each for each in found[1:-1] if each.pattern]
        self._last, self._last_length = found[-1], len(pieces[-1])

    def fits(self, value: str) -> bool:
        """Whether it is the whole of *value*."""
        if not self._open:
            return self._first.fullmatch(value) is not None
        start = self._first.match(value)
        if start is None:
            return False
        at = start.end()
        for piece in self._inner:  # the leftmost place leaves most for the rest
            found = piece.search(value, at)
            if found is None:
                return False
            at = found.end()
        rest = len(value) - self._last_length
        return rest >= at and self._last.fullmatch(value, rest) is not None


@lru_cache(maxsize=512)
def plain(name: str) -> str:
    """A name without case, accents, and spaces around its components."""
    text = unaccented(name)
    groups = ("^".join(c.strip() for c in group.split("^")).rstrip("^") for group in text.split("="))
    return "=".join(groups).rstrip("=")


class NamePattern:
    """One wanted name; components not given are free, so `SMITH` is also everybody of that family name.

    With *fuzzy* each word of it begins, or nearly is, a word of the name, in any order.
    """

    def __init__(self, text: str, *, fuzzy: bool = False) -> None:
        self._fuzzy = folded(text.replace("=", " ")).split() if fuzzy else None
        groups = plain(text).split("=")
        self._groups = [(Wildcard(group), [Wildcard(c) for c in group.split("^")]) for group in groups]

    def matches(self, name: str) -> bool:
        """Whether *name* is meant."""
        if self._fuzzy is not None:
            return all(any(fits(word, other) for other in words_of(name)) for word in self._fuzzy)
        found = plain(name).split("=")
        if len(self._groups) == 1:
            return any(self._group(0, group) for group in found if group)
        found += [""] * (len(self._groups) - len(found))
        return all(self._group(n, found[n]) for n in range(len(self._groups)))

    def _group(self, number: int, group: str) -> bool:
        whole, components = self._groups[number]
        if whole.fits(group):
            return True
        found = group.split("^")
        found += [""] * (len(components) - len(found))
        pairs = zip(components, found, strict=False)
        return all(wanted.free or wanted.fits(there) for wanted, there in pairs)


def words_of(name: str) -> list[str]:
    """The words a name is filed under."""
    return [word for group in name.split("=") for word in folded(group).split()]


def fits(wanted: str, word: str) -> bool:
    """Whether a word begins as wanted, or is it but for a typing error or two."""
    if word.startswith(wanted):
        return True
    allowed = 0 if len(wanted) < SHORT else 1 if len(wanted) < LONG else 2
    return allowed > 0 and OSA.distance(wanted, word, score_cutoff=allowed) <= allowed


def fitting(wanted: str, words: Iterable[str]) -> list[str]:
    """Those of *words* that fit."""
    return [word for word in words if fits(wanted, word)]
