"""The one thread that writes to a database: takes work from a queue, commits a batch at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from core.db.engine import BEGIN, storage_fault
from core.errors import StorageFault

T = TypeVar("T")
Work = Callable[[Connection], T]
Together = Callable[[Connection, Sequence[Work[T]]], Sequence[T]]
"""Does several pieces of work at once, which costs less, and gives their results in order."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What must be done besides some work before that is committed.

    *ready* takes its time meanwhile; if it raises, nothing is kept of the work. *settle* does the rest for
    all of a batch, which are ready; if it raises, nothing is kept of any. Such work may be done twice.
    """

    ready: Future[None]
    settle: Callable[[Sequence[Work[Any]]], None]


COMPANY_S = 0.004
"""So long a batch waits for announced work: one commit for several costs less than one for each."""

BATCH = 200
"""At most so many pieces of work share one commit."""


class _Item:
    """One piece of work, the Future that waits for it, and what it gave before the commit."""

    __slots__ = ("beside", "error", "future", "result", "together", "work")

    def __init__(
        self,
        work: Work[Any],
        future: Future[Any],
        together: Together[Any] | None,
        beside: Beside | None,
    ) -> None:
        self.work = work
        self.future = future
        self.together = together
        self.beside = beside
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Owns the write connection of an engine; the caller closes it before disposing the engine.

    Each piece of work runs in its own savepoint of a shared BEGIN IMMEDIATE transaction, so that one that
    raises undoes only itself. Neighbours of one *together* share a savepoint; if that raises, all of it is
    undone and each piece is done by itself. A Future resolves after COMMIT, never before. When the disk
    fails, every Future of the batch gets StorageFault, nothing of the batch is kept, and the next one starts
    on a new connection.
    """

    def __init__(self, engine: Engine, *, name: str = "database-writer") -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._announced = 0
        self._closed = False
        self._connection: Connection | None = None
        self._held: _Item | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(
        self, work: Work[T], together: Together[T] | None = None, beside: Beside | None = None
    ) -> Future[T]:
        """Have *work* done in a transaction; its result comes once that is durable. Never blocks.

        It is committed only after what is to be done *beside* it.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("work waits for other work of its own writer")
        future: Future[T] = Future()
        with self._gate:
            if not self._closed:
                self._queue.put(_Item(work, future, together, beside))
                return future
        future.set_exception(StorageFault("The database is closed.", "Start the program again."))
        return future

    def announce(self, count: int) -> None:
        """Say that so many pieces of work more (or fewer, below zero) are about to be submitted."""
        with self._gate:
            self._announced += count

    def close(self) -> None:
        """Finish what is queued and end the thread; calling it again does nothing."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if batch:
                self._commit(batch)
        self._drop_connection()

    def _next_batch(self) -> tuple[list[_Item], bool]:
        batch: list[_Item] = []
        item, self._held = self._held or self._queue.get(), None
        until = time.monotonic() + COMPANY_S
        while item is not None:
            if batch and (item.beside is None) != (batch[0].beside is None):
                self._held = item  # what may be done again shares no batch with what may not
                return batch, True
            if item.future.set_running_or_notify_cancel():
                batch.append(item)
            if len(batch) >= BATCH:
                return batch, True
            left = until - time.monotonic() if self._announced > 0 else 0.0
            try:
                item = self._queue.get(timeout=left) if left > 0.0 else self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Item]) -> None:
        try:
            connection = self._begin()
            for together, items in groupby(batch, key=lambda item: item.together):
                _attempt_all(connection, together, list(items))
            late = _not_ready(batch)
            if late:
                self._drop_connection()
                self._commit_others(batch, late)
                return
            _settle(batch)
            connection.commit()
        except Exception as error:  # whatever it is, every waiter must hear of it
            _not_ready(batch)  # nobody is told while what belongs to it goes on
            self._drop_connection()
            reason = storage_fault(error) or error
            for item in batch:
                item.future.set_exception(item.error or reason)
            return
        for item in batch:
            if item.error is None:
                item.future.set_result(item.result)
            else:
                item.future.set_exception(item.error)

    def _commit_others(self, batch: list[_Item], late: dict[_Item, BaseException]) -> None:
        """Do again, without those that will never be ready, what has just been undone."""
        others = [item for item in batch if item not in late]
        for item in others:
            item.result = item.error = None
        if others:
            self._commit(others)
        for item, error in late.items():
            item.future.set_exception(error)

    def _begin(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
        self._connection.begin()
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except Exception as error:  # a connection over a failing disk may fail to close, too; it is let go
            del error


def _not_ready(batch: list[_Item]) -> dict[_Item, BaseException]:
    """Wait until each is ready; those that never will be, and why."""
    waited = {item: item.beside.ready.exception() for item in batch if item.beside is not None}
    return {item: error for item, error in waited.items() if error is not None}


def _settle(batch: list[_Item]) -> None:
    """Do what is left beside the work of a batch that is all ready."""
    for settle, items in groupby(batch, key=lambda item: item.beside and item.beside.settle):
        if settle is not None:
            settle([item.work for item in items])


def _attempt_all(connection: Connection, together: Together[Any] | None, items: list[_Item]) -> None:
    """Run neighbours at once if they can be, else one after the other."""
    if together is not None:
        try:
            with _Savepoint(connection):
                results = together(connection, [item.work for item in items])
        except Exception:  # done again one by one, where each hears of its own error
            if not _lives(connection):
                raise
        else:
            for item, result in zip(items, results, strict=True):
                item.result = result
            return
    for item in items:
        _attempt(connection, item)


def _attempt(connection: Connection, item: _Item) -> None:
    """Run one piece of work in a savepoint; raise only what spoils the whole batch."""
    try:
        with _Savepoint(connection):
            item.result = item.work(connection)
    except Exception as error:  # one bad item must not fail the others; its own Future hears of it
        item.error = storage_fault(error) or error
        if not _lives(connection):
            raise


class _Savepoint:
    """Undoes what was done within it when that raises, unless SQLite itself has rolled everything back."""

    __slots__ = ("_connection", "_driver")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection

    def __enter__(self) -> None:
        self._driver.execute("SAVEPOINT item")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None:
            if not _lives(self._connection):
                return
            self._driver.execute("ROLLBACK TO item")
        self._driver.execute("RELEASE item")


def _lives(connection: Connection) -> bool:
    """Whether the transaction goes on; a full disk or an I/O error has SQLite end it."""
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction)
