"""The permission table: which role may do what (see "Who may call" in the contract's words)."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """One thing an account may be allowed to do."""

    VIEW = "view"
    STORE = "store"
    EDIT = "edit"
    ATTACH = "attach"
    ORDERS = "orders"
    WORKLIST = "worklist"
    DELETE = "delete"
    ADMIN = "admin"


class Role(StrEnum):
    """What an account is for."""

    ADMIN = "admin"
    STAFF = "staff"
    VIEWER = "viewer"
    MODALITY = "modality"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.STAFF: frozenset({Right.VIEW, Right.STORE, Right.EDIT, Right.ATTACH, Right.ORDERS}),
    Role.VIEWER: frozenset({Right.VIEW}),
    Role.MODALITY: frozenset({Right.STORE, Right.WORKLIST}),
}
GRANTABLE = frozenset({Right.DELETE})
"""What can be given to one account beside its role."""
