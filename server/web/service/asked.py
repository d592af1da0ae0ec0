"""What requests of the DICOM Service have in common: their namespace, rights, and parameters in any case."""

from __future__ import annotations

from core.access.rights import Right
from core.archive.ae_titles import DEFAULT_NAMESPACE
from core.errors import Denied
from server.web.auth import Caller
from server.web.call import Call

TAG = "DICOM Service"
NAMESPACE = DEFAULT_NAMESPACE
READERS = (Right.VIEW, Right.WORKLIST, Right.ORDERS)
PLANNERS = (Right.WORKLIST, Right.ORDERS)
"""Who may see the worklist, and who may change it: one of these rights will do."""


def parameter(call: Call, name: str, *others: str) -> str:
    """The value of a query parameter by one of its names, in capitals or not."""
    names = {each.lower() for each in (name, *others)}
    return next((call.query(given) for given in call.query_names() if given.lower() in names), "")


def require_one(caller: Caller, rights: tuple[Right, ...], namespace: str = NAMESPACE) -> None:
    """Raises Denied unless the caller has one of *rights* in *namespace*."""
    have = [right for right in rights if right in caller.rights]
    if not have:
        raise Denied("Your account may not do this.", "Ask an administrator for the right.")
    caller.require(have[0], namespace)
