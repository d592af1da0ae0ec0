"""A TinyDB whose tables keep each document in a row: every operation is one transaction, nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    false,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document
from tinydb.table import Table as TinyTable

from core.db.database import Database, Part
from core.documents.compile import compiled, extracted

T = TypeVar("T")

_tables = MetaData()
documents = Table(
    "documents",
    _tables,
    Column("row", Integer, primary_key=True),  # order of arrival
    Column("table_name", String, nullable=False),
    Column("doc_id", Integer, nullable=False),
    Column("body", String, nullable=False),  # JSON
    UniqueConstraint("table_name", "doc_id"),
    sqlite_autoincrement=True,
)
counters = Table(
    "document_counters",
    _tables,
    Column("table_name", String, primary_key=True),
    Column("last_id", Integer, nullable=False),  # an ID is never given twice
)

DOCUMENTS = Part("documents", _tables, version=1)

TABLE_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


class _Slice(TinyTable):
    """Those documents of a table that *where* lets through, in one transaction; TinyDB does the rest."""

    def __init__(self, connection: Connection, name: str, where: ColumnElement[bool]) -> None:
        self._connection = connection
        self._where = where
        self._next_free: int | None = None
        super().__init__(_NoStorage(), name, cache_size=0)

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return {str(doc_id): json.loads(body) for doc_id, body in self._rows()}

    def _rows(self) -> Sequence[tuple[int, str]]:
        query = (
            select(documents.c.doc_id, documents.c.body)
            .where(documents.c.table_name == self.name, self._where)
            .order_by(documents.c.row)
        )
        return [(row[0], row[1]) for row in self._connection.execute(query)]

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        before = dict(self._rows())
        table: dict[int, Mapping[str, Any]] = {doc_id: json.loads(body) for doc_id, body in before.items()}
        updater(table)
        gone = [doc_id for doc_id in before if doc_id not in table]
        if gone:
            self._execute(delete(documents).where(self._mine(gone)))
        for doc_id, document in table.items():
            body = json.dumps(document, separators=(",", ":"), allow_nan=False)
            if doc_id not in before:
                self._execute(insert(documents).values(table_name=self.name, doc_id=doc_id, body=body))
                self._count(doc_id)
            elif body != before[doc_id]:
                self._execute(update(documents).where(self._mine([doc_id])).values(body=body))

    def _get_next_id(self) -> int:
        if self._next_free is None:
            query = select(counters.c.last_id).where(counters.c.table_name == self.name)
            self._next_free = (self._connection.execute(query).scalar() or 0) + 1
        self._next_free += 1
        return self._next_free - 1

    def _count(self, doc_id: int) -> None:
        statement = sqlite_insert(counters).values(table_name=self.name, last_id=doc_id)
        highest = func.max(counters.c.last_id, statement.excluded.last_id)
        self._execute(
            statement.on_conflict_do_update(index_elements=["table_name"], set_={"last_id": highest})
        )

    def _mine(self, doc_ids: Sequence[int]) -> ColumnElement[bool]:
        return (documents.c.table_name == self.name) & documents.c.doc_id.in_(doc_ids)

    def _execute(self, statement: Any) -> None:
        self._connection.execute(statement)


class _NoStorage(Storage):
    """Stands where TinyDB wants a storage; nothing ever reads or writes a whole database."""

    def read(self) -> dict[str, dict[str, Any]] | None:
        return None

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        raise TypeError("documents are written row by row")


class _Rows(_NoStorage):
    """How a table reaches its rows: on a given connection, or through the database's readers and writer."""

    def __init__(self, database: Database, connection: Connection | None) -> None:
        self.database = database
        self.connection = connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if self.connection is not None:
            yield self.connection
        else:
            with self.database.read() as connection:
                yield connection

    def writing(self, work: Callable[[Connection], T]) -> T:
        if self.connection is not None:
            return work(self.connection)
        return self.database.write(work).result()


class RowTable(TinyTable):
    """A TinyDB table whose documents are rows; reads see one snapshot, each change is one transaction."""

    _storage: _Rows

    def insert(self, document: Mapping[str, Any]) -> int:
        where = _by_id([document.doc_id]) if isinstance(document, Document) else false()
        return self._change(where, lambda part: part.insert(document))

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        many = list(documents)
        where = _by_id([one.doc_id for one in many if isinstance(one, Document)])
        return self._change(where, lambda part: part.insert_multiple(many))

    def search(self, cond: QueryLike) -> list[Document]:
        return self._look(compiled(cond), lambda part: part.search(cond))

    def get(
        self, cond: QueryLike | None = None, doc_id: int | None = None, doc_ids: list[int] | None = None
    ) -> Any:
        def ask(part: _Slice) -> Document | list[Document] | None:
            if doc_id is not None:
                return part.get(doc_id=doc_id)
            if doc_ids is not None:
                return part.get(doc_ids=doc_ids)
            return part.get() if cond is None else part.get(cond)

        return self._look(_where(cond, [doc_id] if doc_id is not None else doc_ids), ask)

    def update(
        self,
        fields: Any,
        cond: QueryLike | None = None,
        doc_ids: Iterable[int] | None = None,
    ) -> list[int]:
        ids = None if doc_ids is None else list(doc_ids)
        return self._change(_where(cond, ids), lambda part: part.update(fields, cond, ids))

    def update_multiple(self, updates: Iterable[tuple[Any, QueryLike]]) -> list[int]:
        many = list(updates)
        return self._change(true(), lambda part: part.update_multiple(many))

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[int]:
        ids = [document.doc_id] if isinstance(document, Document) else None
        return self._change(_where(cond, ids), lambda part: part.upsert(document, cond))

    def remove(self, cond: QueryLike | None = None, doc_ids: Iterable[int] | None = None) -> list[int]:
        ids = None if doc_ids is None else list(doc_ids)
        return self._change(_where(cond, ids), lambda part: part.remove(cond, ids))

    def truncate(self) -> None:
        def work(connection: Connection) -> None:
            for table in (documents, counters):
                connection.execute(delete(table).where(table.c.table_name == self.name))

        self._storage.writing(work)

    def __len__(self) -> int:
        query = select(func.count()).where(documents.c.table_name == self.name)
        with self._storage.reading() as connection:
            return connection.execute(query).scalar_one()

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return self._look(true(), lambda part: part._read_table())

    def _look(self, where: ColumnElement[bool], ask: Callable[[_Slice], T]) -> T:
        with self._storage.reading() as connection:
            return ask(_Slice(connection, self.name, where))

    def _change(self, where: ColumnElement[bool], change: Callable[[_Slice], T]) -> T:
        return self._storage.writing(lambda connection: change(_Slice(connection, self.name, where)))


class Documents(TinyDB):
    """TinyDB over *database*; with *connection* (the writer's) it takes part in a transaction under way."""

    table_class = RowTable

    def __init__(self, database: Database, connection: Connection | None = None) -> None:
        if connection is None:
            database.ensure(DOCUMENTS)
        super().__init__(storage=lambda: _Rows(database, connection))

    def index(self, table: str, field: str) -> None:
        """Make finding documents of *table* by a top-level *field* fast."""
        expression = extracted((field,))
        if expression is None or not TABLE_NAME.fullmatch(table) or not TABLE_NAME.fullmatch(field):
            raise ValueError("not a name an index can have")
        statement = (
            f"CREATE INDEX IF NOT EXISTS documents_{table}_{field} ON documents (table_name, {expression})"
        )
        self._rows.writing(lambda connection: connection.exec_driver_sql(statement) and None)

    def tables(self) -> set[str]:
        with self._rows.reading() as connection:
            return set(connection.execute(select(documents.c.table_name).distinct()).scalars())

    def drop_tables(self) -> None:
        self._rows.writing(_forget_all)
        self._tables.clear()

    def drop_table(self, name: str) -> None:
        self.table(name).truncate()
        self._tables.pop(name, None)

    @property
    def _rows(self) -> _Rows:
        rows: _Rows = self._storage  # type: ignore[assignment] # what our constructor put there
        return rows


def _forget_all(connection: Connection) -> None:
    connection.execute(delete(documents))
    connection.execute(delete(counters))


def _by_id(doc_ids: Sequence[int]) -> ColumnElement[bool]:
    return documents.c.doc_id.in_(doc_ids)


def _where(cond: QueryLike | None, doc_ids: Sequence[int] | None) -> ColumnElement[bool]:
    """As TinyDB: IDs go before a condition, nothing means all."""
    if doc_ids is not None:
        return _by_id(doc_ids)
    return true() if cond is None else compiled(cond)
