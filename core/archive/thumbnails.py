"""Thumbnails made before: the latest in memory, all in one SQLite file beside the archive.

One file, because making a file for each costs more than rendering it. It is a cache: it may be deleted at any
time, and one that cannot be read or written makes the next call slower, no more.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.memory import Recent

ON_DISK_BYTES = 2 << 30
IN_MEMORY_BYTES = 32 << 20
"""Two thousand of the usual size."""
GATHER_S = 0.2
"""How long what is to be written waits for company."""
PRUNE_AT_ONCE = 100

TABLES = """
PRAGMA page_size=32768;  -- a thumbnail fits into one: less than half the work of eight small ones
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS thumbnails (
    id INTEGER PRIMARY KEY, study TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (study, name)
);
"""
REMOVE_OLDEST = "DELETE FROM thumbnails WHERE id IN (SELECT id FROM thumbnails ORDER BY id LIMIT ?)"


@dataclass(frozen=True, slots=True)
class _Kept:
    """One thumbnail to be written."""

    study: str
    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Forgotten:
    """A study to be removed; *done* is set when it has been."""

    study: str
    done: threading.Event = field(default_factory=threading.Event)


class Thumbnails:
    """Thumbnails by study and name, as the caller calls them; from any thread; close it when done."""

    def __init__(self, file: Path, *, on_disk: int = ON_DISK_BYTES, in_memory: int = IN_MEMORY_BYTES) -> None:
        self._file = file
        self._on_disk = on_disk
        self._recent = Recent(in_memory)
        self._reading: sqlite3.Connection | None = None
        self._gate = threading.Lock()
        self._era = 0
        self._queue: queue.SimpleQueue[_Kept | _Forgotten | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="thumbnails", daemon=True)
        self._thread.start()

    @property
    def era(self) -> int:
        """To be read before the object is looked up, and given to `put`."""
        return self._era

    def recent(self, name: str) -> bytes:
        """The thumbnail if it is in memory, else b""; does not wait for the disk."""
        return self._recent.get(name)

    def get(self, study: str, name: str) -> bytes:
        """The thumbnail, b"" if there is none."""
        if found := self.recent(name):
            return found
        with self._gate, suppress(sqlite3.Error, OSError):
            if self._reading is None:
                self._reading = self._open()
            row = self._reading.execute(
                "SELECT body FROM thumbnails WHERE study = ? AND name = ?", (study, name)
            ).fetchone()
            if row is not None:
                self._recent.put(name, row[0])
                return bytes(row[0])
        return b""

    def put(self, study: str, name: str, body: bytes, era: int) -> None:
        """Keep it soon, unless a study was forgotten since *era*: it may have been this one."""
        with self._gate:
            if era != self._era:
                return
            self._recent.put(name, body)
            self._queue.put(_Kept(study, name, body))

    def forget(self, study: str) -> None:
        """Remove those of a study, also what is still to be written; waits until that is done."""
        order = _Forgotten(study)
        with self._gate:
            self._era += 1
            self._queue.put(order)
        order.done.wait()

    def close(self) -> None:
        """Write what is waiting and let go of the file."""
        self._queue.put(None)
        self._thread.join()
        with self._gate:
            if self._reading is not None:
                self._reading.close()
                self._reading = None

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            connection.executescript(TABLES)
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        more = True
        while more:
            work, more = self._gathered()
            try:
                connection = connection or self._open()
                self._write(connection, work)
            except (sqlite3.Error, OSError):
                self._begin_anew(connection)
                connection = None
            for each in work:
                if isinstance(each, _Forgotten):
                    each.done.set()
        if connection is not None:
            connection.close()

    def _gathered(self) -> tuple[list[_Kept | _Forgotten], bool]:
        """What there is to do, and whether more may come."""
        work: list[_Kept | _Forgotten] = []
        item = self._queue.get()
        until = time.monotonic() + GATHER_S
        while item is not None:
            work.append(item)
            hurry = isinstance(item, _Forgotten)
            try:
                item = self._queue.get(timeout=0 if hurry else max(0.0, until - time.monotonic()))
            except queue.Empty:
                return work, True
        return work, False

    def _write(self, connection: sqlite3.Connection, work: Sequence[_Kept | _Forgotten]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for each in work:
            if isinstance(each, _Kept):
                values = (each.study, each.name, each.body)
                connection.execute(
                    "INSERT OR IGNORE INTO thumbnails (study, name, body) VALUES (?, ?, ?)", values
                )
            else:
                connection.execute("DELETE FROM thumbnails WHERE study = ?", (each.study,))
        connection.execute("COMMIT")
        self._prune(connection)

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Remove the oldest while the file holds more than it may."""
        while self._used(connection) > self._on_disk:
            if not connection.execute(REMOVE_OLDEST, (PRUNE_AT_ONCE,)).rowcount:
                return

    def _used(self, connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _begin_anew(self, connection: sqlite3.Connection | None) -> None:
        """A cache that gives trouble is not worth mending."""
        with self._gate:
            for each in (connection, self._reading):
                if each is not None:
                    with suppress(sqlite3.Error):
                        each.close()
            self._reading = None
            for ending in ("", "-wal", "-shm"):
                with suppress(OSError):
                    self._file.with_name(self._file.name + ending).unlink()
