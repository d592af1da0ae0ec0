"""Names of files as people and databases can take them; what is no text on a disc stays findable.

Old discs name files in character sets nobody wrote down. Python carries such a byte as a lone surrogate,
which can be opened but neither printed nor stored as text.
"""

from __future__ import annotations

import os

_AS_BYTES = "\0"  # no name of a file holds it


def shown(path: str) -> str:
    """A path as it can be printed on one line: what is no text becomes replacement characters."""
    if path.isascii() and path.isprintable():
        return path
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def storable(path: str) -> str:
    """A path as text that any database takes; `stored` gives it back unchanged."""
    if path.isascii():
        return path
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return _AS_BYTES + os.fsencode(path).decode("latin-1")
    return path


def stored(text: str) -> str:
    """The path that `storable` made *text* of."""
    return os.fsdecode(text[1:].encode("latin-1")) if text.startswith(_AS_BYTES) else text
