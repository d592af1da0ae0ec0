"""Unique identifiers: new ones under an organisation's root or 2.25, and whether a text is one (PS3.5 9)."""

from __future__ import annotations

import re
import secrets
import uuid

from core.errors import BadInput

LONGEST = 64
LONGEST_ROOT = 38
"""Characters of a root: 25 digits remain for chance, which is 83 bits."""
UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")


def is_uid(text: str) -> bool:
    """Whether *text* is a UID: components of digits without leading zeros, at most 64 characters."""
    return len(text) <= LONGEST and UID.fullmatch(text) is not None and text[0] in "012"


class UidMaker:
    """Makes UIDs below *root*; without one they are UUIDs below 2.25 (PS3.5 B.2)."""

    def __init__(self, root: str = "") -> None:
        """Raises BadInput for a root that is none."""
        root = root.strip().rstrip(".")
        if root and (not is_uid(root) or len(root) > LONGEST_ROOT):
            raise BadInput(
                "The UID root is none.",
                f"Write numbers with dots between, {LONGEST_ROOT} characters at most.",
            )
        self._root = root

    def new(self) -> str:
        """A UID nobody has."""
        number = str(uuid.uuid4().int)
        if not self._root:
            return f"2.25.{number}"
        room = LONGEST - len(self._root) - 1
        if len(number) > room:
            number = str(10 ** (room - 1) + secrets.randbelow(9 * 10 ** (room - 1)))
        return f"{self._root}.{number}"
