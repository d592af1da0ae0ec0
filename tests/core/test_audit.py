"""The audit log: chained, append-only, in the transaction of what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.audit.log import AuditLog, Event
from core.db.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database file."""
    database = Database.open(tmp_path / "archive.db")
    yield database
    database.close()


@pytest.fixture
def log(database: Database) -> AuditLog:
    """A log of five rows."""
    log = AuditLog(database)
    for n in range(1, 6):
        write(database, log, f"act {n}")
    return log


def write(database: Database, log: AuditLog, action: str, **more: Any) -> None:
    """Record one query."""
    database.write(lambda c: log.record(c, Event.QUERY, action, actor="joan", **more)).result()


def run(database: Database, *statements: str) -> None:
    """What another hand does to the file."""

    def work(connection: Any) -> None:
        for statement in ("DROP TRIGGER audit_keeps_text", "DROP TRIGGER audit_keeps_rows", *statements):
            connection.exec_driver_sql(statement)

    database.write(work).result()


def test_rows_are_read_newest_first(database: Database, log: AuditLog) -> None:
    write(database, log, "found", namespace="ns", study_uid="1.2", success=False, detail={"count": 3})
    newest = log.entries(limit=2)
    assert [one.action for one in newest] == ["found", "act 5"]
    assert (newest[0].event, newest[0].success, newest[0].detail) == ("110112", False, {"count": 3})
    assert [one.action for one in log.entries(study_uid="1.2")] == ["found"]
    assert list(log.verify()) == []


def test_events_have_the_codes_of_the_standard() -> None:
    codes = [one.code for one in Event]
    assert codes == [str(n) for n in range(110100, 110115)]
    assert Event.STUDY_DELETED.code == "110105"
    assert Event.USER_AUTHENTICATION.meaning == "User Authentication"


def test_what_is_undone_leaves_no_row(database: Database, log: AuditLog) -> None:
    def work(connection: Any) -> None:
        log.record(connection, Event.IMPORT, "undone", actor="joan")
        raise RuntimeError("half-way")

    assert isinstance(database.write(work).exception(), RuntimeError)
    write(database, log, "next")
    assert [one.action for one in log.entries(limit=2)] == ["next", "act 5"]
    assert list(log.verify()) == []


@pytest.mark.parametrize("statement", ["DELETE FROM audit WHERE id = 3", "UPDATE audit SET actor = 'x'"])
def test_rows_are_neither_changed_nor_removed(database: Database, log: AuditLog, statement: str) -> None:
    error = database.write(lambda c: c.exec_driver_sql(statement)).exception()
    assert "append-only" in str(error)
    assert len(log.entries()) == 5


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("UPDATE audit SET actor = 'x' WHERE id = 3", "row 3"),
        ("UPDATE audit SET detail = '{}', success = 0 WHERE id = 1", "row 1"),
        ("DELETE FROM audit WHERE id = 3", "missing"),
        ("DELETE FROM audit WHERE id = 1", "missing"),
        ("DELETE FROM audit WHERE id > 3", "rows 4 to 5 are missing at the end"),
        ("DELETE FROM audit", "rows 1 to 5 are missing at the end"),
        ("UPDATE audit SET chain = 'x' WHERE id = 5", "row 5"),
    ],
)
def test_another_hand_is_noticed(database: Database, log: AuditLog, statement: str, word: str) -> None:
    run(database, statement)
    found = list(log.verify())
    assert found
    assert word in found[0]


def test_the_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        database = Database.open(tmp_path / "again.db")
        log = AuditLog(database)
        write(database, log, "act")
        count = len(log.entries())
        assert list(log.verify()) == []
        database.close()
    assert count == 2


def test_rows_cut_off_the_end_stay_missed_when_others_are_written(database: Database, log: AuditLog) -> None:
    run(database, "DELETE FROM audit WHERE id > 3")
    write(database, log, "after")
    assert log.entries(limit=1)[0].id == 6
    assert list(log.verify()) == ["Audit rows 4 to 5 are missing."]
