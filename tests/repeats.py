"""How often slow tests repeat themselves: usually enough to notice, and all of it on request."""

from __future__ import annotations

import os

THOROUGH = "FILMJACKET_THOROUGH"


def times(usually: int, *, whole: int) -> int:
    """Rounds or examples of a test: *whole* where FILMJACKET_THOROUGH is set, as before a release."""
    return whole if os.environ.get(THOROUGH) else usually
