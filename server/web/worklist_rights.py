"""Who may see the worklist and who may change it, whichever API asks: one right of several will do."""

from __future__ import annotations

from core.access.rights import Right
from server.web.auth import Caller

READERS = (Right.VIEW, Right.WORKLIST, Right.ORDERS)
PLANNERS = (Right.WORKLIST, Right.ORDERS)


def one_of(caller: Caller, rights: tuple[Right, ...]) -> Right:
    """The first of *rights* the caller has; the first of all if they have none, which then is refused."""
    return next((right for right in rights if right in caller.rights), rights[0])
