"""What requests of the DICOM Service have in common: their namespace, rights, and parameters in any case."""

from __future__ import annotations

from core.access.rights import Right
from core.archive.ae_titles import DEFAULT_NAMESPACE
from server.web.auth import Caller
from server.web.call import Call
from server.web.worklist_rights import one_of

TAG = "DICOM Service"
NAMESPACE = DEFAULT_NAMESPACE


def parameter(call: Call, name: str, *others: str) -> str:
    """The value of a query parameter by one of its names, in capitals or not."""
    names = {each.lower() for each in (name, *others)}
    return next((call.query(given) for given in call.query_names() if given.lower() in names), "")


def require_one(caller: Caller, rights: tuple[Right, ...], namespace: str = NAMESPACE) -> None:
    """Raises Denied unless the caller has one of *rights* in *namespace*."""
    caller.require(one_of(caller, rights), namespace)
