"""TinyDB queries as SQL: a condition that lets through every document the query could match, seldom more.

The expression tree of a query is its private `_hash` (TinyDB is pinned for it). What SQL cannot say exactly
is widened; the query itself always has the last word in Python: widening costs time, never correctness.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, literal_column, not_, or_, true

PLAIN_KEY = re.compile(r"[A-Za-z0-9_ -]{1,64}")
"""Keys that may stand in an SQL text, where an index on the expression is recognised."""

MOST_EXACT = 1 << 53
"""Integers up to here compare the same in JSON, SQL and Python."""

NUMBERS = ("integer", "real", "true", "false")
ORDERINGS = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}


class Condition(NamedTuple):
    """*sql* is true for every match; *exact* when for nothing else, so that it may be negated."""

    sql: ColumnElement[bool]
    exact: bool


EVERYTHING = Condition(true(), False)


def compiled(query: object) -> ColumnElement[bool]:
    """The condition on the column `body` for a TinyDB query; everything for what is not one."""
    return _compile(getattr(query, "_hash", None)).sql


def extracted(path: tuple[str, ...]) -> str | None:
    """The SQL text of a document's field, None if its name cannot stand in SQL."""
    if not path or not all(isinstance(part, str) and PLAIN_KEY.fullmatch(part) for part in path):
        return None
    return "json_extract(body, '$" + "".join(f'."{part}"' for part in path) + "')"


def _compile(tree: object) -> Condition:
    if not isinstance(tree, tuple) or not tree:
        return EVERYTHING
    kind, *rest = tree
    if kind in ("and", "or"):
        return _joined(kind, [_compile(part) for part in rest[0]])
    if kind == "not":
        inner = _compile(rest[0])
        return Condition(not_(inner.sql), True) if inner.exact else EVERYTHING
    return _leaf(kind, rest)


def _leaf(kind: str, rest: list[Any]) -> Condition:
    if kind == "fragment" or not rest or extracted(rest[0]) is None:
        return EVERYTHING  # the tree of a fragment has lost its path
    path = rest[0]
    if kind == "exists":
        return Condition(_type(path).is_not(None), True)
    if kind == "==":
        return _equals(path, rest[1])
    if kind == "!=":
        same = _equals(path, rest[1])
        there = _type(path).is_not(None)
        return Condition(and_(there, not_(same.sql)), True) if same.exact else Condition(there, False)
    if kind in ORDERINGS:
        return _ordered(kind, path, rest[1])
    if kind == "one_of" and isinstance(rest[1], tuple):
        return _joined("or", [_equals(path, value) for value in rest[1]])
    if kind in ("matches", "search"):
        return Condition(func.coalesce(_type(path) == "text", False), False)
    return EVERYTHING


def _equals(path: tuple[str, ...], value: object) -> Condition:
    if extracted(path) is None:
        return EVERYTHING
    if value is None:
        return Condition(func.coalesce(_type(path) == "null", False), True)
    if isinstance(value, str) and value.isprintable():
        return Condition(_said(and_(_value(path) == value, _type(path) == "text")), True)
    if isinstance(value, bool | int) and abs(value) <= MOST_EXACT:
        return Condition(_said(and_(_value(path) == int(value), _type(path).in_(NUMBERS))), True)
    return EVERYTHING


def _ordered(kind: str, path: tuple[str, ...], value: object) -> Condition:
    """Comparing different kinds raises TypeError in Python: those documents are let through to do so."""
    if isinstance(value, str) and value.isprintable():
        kinds: tuple[str, ...] = ("text",)
        bound: object = value
    elif isinstance(value, bool | int) and abs(value) <= MOST_EXACT:
        kinds, bound = NUMBERS, int(value)
    else:
        return EVERYTHING
    compares = getattr(_value(path), ORDERINGS[kind])(bound)
    return Condition(and_(_type(path).is_not(None), or_(_type(path).not_in(kinds), compares)), False)


def _joined(kind: str, parts: list[Condition]) -> Condition:
    exact = all(part.exact for part in parts)
    if kind == "and":
        return Condition(and_(true(), *(part.sql for part in parts)), exact)
    return Condition(or_(*(part.sql for part in parts)), exact) if parts else EVERYTHING


def _said(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Two-valued: a missing field makes a comparison false, not unknown."""
    return and_(condition.is_not(None), condition)


def _value(path: tuple[str, ...]) -> ColumnElement[Any]:
    return literal_column(extracted(path) or "")


def _type(path: tuple[str, ...]) -> ColumnElement[Any]:
    return literal_column((extracted(path) or "").replace("json_extract(", "json_type(", 1))
