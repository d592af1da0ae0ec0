"""The database: durable connections, one writer with group commit, parts with versions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, event, func, insert, select

from core.db.database import Database, Part
from core.db.engine import open_engine, storage_fault
from core.db.writer import Beside, Writer
from core.errors import StorageFault

_tables = MetaData()
numbers = Table("numbers", _tables, Column("n", Integer, primary_key=True))
NUMBERS = Part("numbers", _tables)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with a table of numbers."""
    database = Database.open(tmp_path / "test.db", NUMBERS)
    yield database
    database.close()


def add(database: Database, n: int) -> Future[int]:
    """Insert *n*."""

    def work(connection: Connection) -> int:
        connection.execute(insert(numbers).values(n=n))
        return n

    return database.write(work)


def kept(database: Database) -> list[int]:
    """What is in the table."""
    with database.read() as connection:
        return list(connection.execute(select(numbers.c.n).order_by(numbers.c.n)).scalars())


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]
)
def test_every_connection_is_durable(database: Database, pragma: str, value: object) -> None:
    with database.read() as one, database.read() as two:
        for connection in (one, two):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    assert database.write(lambda c: c.exec_driver_sql(f"PRAGMA {pragma}").scalar()).result() == value


def test_a_result_comes_after_the_commit(database: Database) -> None:
    seen: list[int] = []
    future = add(database, 1)
    future.add_done_callback(lambda _: seen.extend(kept(database)))
    assert future.result() == 1
    database.write(lambda connection: None).result()
    assert seen == [1]


def test_one_bad_piece_of_work_does_not_fail_the_others(database: Database) -> None:
    gate = threading.Event()
    first = database.write(lambda _: gate.wait(10))  # the rest forms one batch behind it
    good = [add(database, n) for n in (1, 2)]
    bad = database.write(lambda connection: 1 / 0)
    twice = add(database, 1)
    late = add(database, 3)
    gate.set()
    assert first.result()
    assert [future.result() for future in (*good, late)] == [1, 2, 3]
    assert isinstance(bad.exception(), ZeroDivisionError)
    assert "UNIQUE" in str(twice.exception())
    assert kept(database) == [1, 2, 3]


def test_work_in_one_batch_shares_a_commit(database: Database) -> None:
    commits: list[int] = []
    event.listen(database.engine, "commit", lambda connection: commits.append(1))
    gate = threading.Event()
    database.write(lambda _: gate.wait(10))
    futures = [add(database, n) for n in range(50)]
    gate.set()
    for future in futures:
        future.result()
    assert len(commits) <= 2


def _behind_a_gate(database: Database) -> threading.Event:
    """Until it is set, what is written forms one batch."""
    gate = threading.Event()
    database.write(lambda _: gate.wait(10))
    return gate


def test_work_that_can_be_done_at_once_is(database: Database) -> None:
    calls: list[int] = []

    def together(connection: Connection, works: Sequence[Callable[[Connection], int]]) -> list[int]:
        calls.append(len(works))
        return [work(connection) for work in works]

    gate = _behind_a_gate(database)
    futures = [database.write(lambda _, n=n: n, together) for n in range(7)]
    gate.set()
    assert [future.result() for future in futures] == list(range(7))
    assert calls == [7]


def insert_one(n: int, connection: Connection) -> int:
    connection.execute(insert(numbers).values(n=n))
    return n


def test_one_bad_piece_among_many_at_once_fails_alone(database: Database) -> None:
    def together(connection: Connection, works: Sequence[Callable[[Connection], int]]) -> list[int]:
        return [work(connection) for work in works]

    gate = _behind_a_gate(database)
    futures = [database.write(partial(insert_one, n), together) for n in (1, 2, 2, 3)]
    gate.set()
    assert [futures[n].result() for n in (0, 1, 3)] == [1, 2, 3]
    assert "UNIQUE" in str(futures[2].exception())
    assert kept(database) == [1, 2, 3]


def test_nothing_is_committed_before_it_is_ready(database: Database) -> None:
    ready: Future[None] = Future()
    begun, told = threading.Event(), threading.Event()

    def work(connection: Connection) -> int:
        begun.set()
        return insert_one(1, connection)

    settled: list[int] = []
    future = database.write(work, None, Beside(ready, lambda works: settled.append(len(works))))
    future.add_done_callback(lambda _: told.set())
    assert begun.wait(10)
    assert not told.wait(0.05)
    assert kept(database) == settled == []
    ready.set_result(None)
    assert future.result(10) == 1
    assert kept(database) == settled == [1]


def test_what_cannot_be_settled_is_not_kept(database: Database) -> None:
    def fail(works: Sequence[object]) -> None:
        raise OSError(28, f"No space left for {len(works)}")

    gate = _behind_a_gate(database)
    ready: Future[None] = Future()
    ready.set_result(None)
    beside = Beside(ready, fail)
    futures = [database.write(partial(insert_one, n), None, beside) for n in (1, 2)]
    plain = add(database, 3)
    gate.set()
    assert all(isinstance(future.exception(10), StorageFault) for future in futures)
    assert plain.result(10) == 3
    assert kept(database) == [3]


def test_what_will_never_be_ready_is_undone_alone(database: Database) -> None:
    gate = _behind_a_gate(database)
    outcomes: list[Future[None]] = [Future() for _ in range(4)]
    settled: list[int] = []

    def settle(works: Sequence[object]) -> None:
        settled.append(len(works))

    futures = [database.write(partial(insert_one, n), None, Beside(outcomes[n], settle)) for n in range(4)]
    runs: list[int] = []
    plain = database.write(lambda _: runs.append(1))
    gate.set()
    for n in (0, 2):
        outcomes[n].set_result(None)
    outcomes[1].set_exception(StorageFault("The disk failed.", "Check it."))
    outcomes[3].set_exception(RuntimeError("ours"))
    assert [futures[n].result(10) for n in (0, 2)] == [0, 2]
    assert isinstance(futures[1].exception(10), StorageFault)
    assert isinstance(futures[3].exception(10), RuntimeError)
    assert kept(database) == [0, 2]
    assert settled == [2]
    plain.result(10)
    assert runs == [1]  # what waits for nothing is done once


def test_nobody_is_told_of_a_failure_before_all_is_ready(database: Database) -> None:
    def fail(connection: object) -> None:
        raise OSError(28, "No space left on device")

    ready: Future[None] = Future()
    told = threading.Event()
    future = database.write(fail, lambda connection, works: fail(connection) or [], Beside(ready, fail))  # type: ignore[func-returns-value]  # it raises
    future.add_done_callback(lambda _: told.set())
    assert not told.wait(0.05)
    ready.set_result(None)
    assert isinstance(future.exception(10), StorageFault)


def test_a_batch_waits_for_announced_work_but_not_for_ever(database: Database) -> None:
    database.announce(1)
    assert add(database, 1).result(10) == 1  # what was announced never comes
    database.announce(-1)
    assert kept(database) == [1]


def test_a_failed_piece_leaves_nothing_of_itself(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute(insert(numbers).values(n=7))
        raise RuntimeError("half-way")

    assert isinstance(database.write(half).exception(), RuntimeError)
    assert kept(database) == []


def test_many_threads_write(database: Database) -> None:
    def work(start: int) -> None:
        for future in [add(database, start + n) for n in range(100)]:
            future.result()

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(database)) == 400


def test_a_full_disk_fails_everybody_waiting_and_keeps_nothing(database: Database) -> None:
    blobs = "CREATE TABLE big (data BLOB)"
    database.write(lambda c: c.exec_driver_sql(blobs)).result()
    pages = database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar()).result()
    limit = f"PRAGMA max_page_count={pages + 2}"
    assert database.write(lambda c: c.exec_driver_sql(limit).scalar()).result() == pages + 2
    gate = threading.Event()
    database.write(lambda _: gate.wait(10))
    small = add(database, 1)
    big = database.write(lambda c: c.exec_driver_sql("INSERT INTO big VALUES (zeroblob(1000000))"))
    gate.set()
    for future in (big, small):
        error = future.exception()
        assert isinstance(error, StorageFault)
        assert "full" in error.message
    assert kept(database) == []
    assert add(database, 2).result() == 2  # the writer lives on


def test_a_commit_that_fails_is_told_to_all_and_undone(database: Database) -> None:
    broken = [True]

    def fail(connection: Connection) -> None:
        if broken[0]:
            raise OSError(5, "Input/output error")

    event.listen(database.engine, "commit", fail)
    futures = [add(database, n) for n in range(3)]
    for future in futures:
        assert isinstance(future.exception(), StorageFault)
    broken[0] = False
    assert kept(database) == []
    assert add(database, 9).result() == 9


def test_closing_finishes_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "test.db", NUMBERS)
    futures = [add(database, n) for n in range(20)]
    database.close()
    database.close()
    assert [future.result() for future in futures] == list(range(20))
    assert isinstance(add(database, 99).exception(), StorageFault)


def test_a_cancelled_piece_of_work_is_left_out(database: Database) -> None:
    gate = threading.Event()
    database.write(lambda _: gate.wait(10))
    cancelled, other = add(database, 1), add(database, 2)
    assert cancelled.cancel()
    gate.set()
    assert other.result() == 2
    assert kept(database) == [2]


def test_the_writer_cannot_wait_for_itself(database: Database) -> None:
    with pytest.raises(RuntimeError, match="own writer"):
        database.write(lambda _: add(database, 1)).result()


def test_readers_see_a_snapshot_and_do_not_wait(database: Database) -> None:
    add(database, 1).result()
    with database.read() as connection:
        count = select(func.count()).select_from(numbers)
        assert connection.execute(count).scalar() == 1
        add(database, 2).result()
        assert connection.execute(count).scalar() == 1
    assert kept(database) == [1, 2]


def test_an_older_file_is_migrated_once_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    ran: list[int] = []

    def to_two(connection: Connection) -> None:
        ran.append(1)
        connection.exec_driver_sql("ALTER TABLE numbers ADD COLUMN note TEXT")

    two = Part("numbers", _tables, version=2, migrations={1: to_two})
    for part in (NUMBERS, two, two):
        database = Database.open(path, part)
        add(database, len(kept(database))).result()
        database.close()
    assert ran == [1]
    with pytest.raises(StorageFault, match="newer version"):
        Database.open(path, NUMBERS)


def test_a_failing_migration_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    Database.open(path, NUMBERS).close()

    def broken(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE numbers ADD COLUMN note TEXT")
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        Database.open(path, Part("numbers", _tables, version=2, migrations={1: broken}))
    database = Database.open(path, NUMBERS)
    with database.read() as connection:
        assert "note" not in str(connection.exec_driver_sql("PRAGMA table_info(numbers)").all())
    database.close()


def test_a_file_that_is_no_database_is_a_storage_fault(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageFault):
        Database.open(path, NUMBERS)


def test_only_faults_of_the_world_are_storage_faults() -> None:
    assert storage_fault(ValueError("x")) is None
    assert storage_fault(sqlite3.IntegrityError("x")) is None
    assert isinstance(storage_fault(OSError(28, "No space left on device")), StorageFault)


def test_a_writer_can_be_closed_before_its_engine(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "test.db")
    writer = Writer(engine)
    assert writer.submit(lambda connection: 5).result() == 5
    writer.close()
    engine.dispose()
    assert isinstance(writer.submit(lambda connection: 5).exception(), StorageFault)


def test_the_version_tells_of_every_commit_and_of_nothing_else(database: Database) -> None:
    seen = [database.version()]
    assert database.version() == seen[0]
    kept(database)
    assert database.version() == seen[0]
    for n in range(3):
        add(database, n).result()
        seen.append(database.version())
    with closing(sqlite3.connect(database.path)) as other, other:
        other.execute("INSERT INTO numbers VALUES (77)")
    other.close()
    seen.append(database.version())
    assert len(set(seen)) == len(seen)
    with ThreadPoolExecutor(4) as pool:
        assert {future.result() for future in [pool.submit(database.version) for _ in range(20)]} == {
            seen[-1]
        }
