"""Accounts, roles, lockout, sessions."""

from __future__ import annotations

import itertools
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError

from core.access.accounts import Account, Accounts, LockedOut, Right, Role
from core.access.lockout import FREE_FAILURES, LONGEST_WAIT_S, Lockout
from core.access.rights import RIGHTS
from core.access.sessions import LIFETIME_S, MOST_PER_LOGIN, Sessions
from core.audit.log import AuditLog
from core.db.database import Database
from core.errors import BadInput, Conflict, NotFound, Unauthenticated

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse"


class Clock:
    """A clock that only tests turn."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database file."""
    database = Database.open(tmp_path / "archive.db")
    yield database
    database.close()


@pytest.fixture
def accounts(database: Database, tmp_path: Path) -> Accounts:
    """Accounts without any."""
    return Accounts(database, password_file=tmp_path / "initial-admin-password", hasher=CHEAP)


def test_the_first_start_makes_an_administrator(accounts: Accounts, tmp_path: Path) -> None:
    file = tmp_path / "initial-admin-password"
    assert accounts.ensure_admin()
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().strip()
    assert accounts.authenticate("admin", password).may(Right.ADMIN)
    assert not accounts.ensure_admin()
    assert file.read_text().strip() == password
    accounts.set_password("admin", "a better one")
    assert not file.exists()
    assert accounts.authenticate("admin", "a better one").role is Role.ADMIN
    with pytest.raises(Unauthenticated):
        accounts.authenticate("admin", password)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_gives_its_rights_and_no_others(accounts: Accounts, role: Role) -> None:
    account = accounts.add("joan", PASSWORD, role)
    for right in Right:
        assert account.may(right) is (right in RIGHTS[role])
    assert accounts.find("joan") == account


def test_the_table_of_rights_is_the_contract() -> None:
    may_delete = {role for role in Role if Right.DELETE in RIGHTS[role]}
    assert may_delete == {Role.ADMIN}
    assert RIGHTS[Role.VIEWER] == {Right.VIEW}
    assert RIGHTS[Role.MODALITY] == {Right.STORE, Right.WORKLIST}
    assert {Right.STORE, Right.VIEW, Right.EDIT, Right.ATTACH, Right.ORDERS} == RIGHTS[Role.STAFF]


def test_deleting_can_be_granted_and_namespaces_limit(accounts: Accounts) -> None:
    account = accounts.add("joan", PASSWORD, "staff", namespaces=["b", "a"], rights=["delete"])
    assert account == Account("joan", Role.STAFF, ("a", "b"), RIGHTS[Role.STAFF] | {Right.DELETE})
    assert account.may(Right.DELETE, "a")
    assert not account.may(Right.VIEW, "c")
    with pytest.raises(BadInput):
        accounts.add("jim", PASSWORD, "staff", rights=["admin"])


@pytest.mark.parametrize(
    ("login", "password", "role"),
    [
        ("", PASSWORD, "staff"),
        ("a:b", PASSWORD, "staff"),
        ("a\nb", PASSWORD, "staff"),
        (" a", PASSWORD, "staff"),
        ("x" * 129, PASSWORD, "staff"),
        ("a", "little", "staff"),
        ("a", "x" * 1025, "staff"),
        ("a", PASSWORD, "king"),
    ],
)
def test_what_cannot_be_an_account_is_refused(
    accounts: Accounts, login: str, password: str, role: str
) -> None:
    with pytest.raises(BadInput) as refused:
        accounts.add(login, password, role)
    assert password not in str(refused.value)
    assert accounts.list() == ()


def test_a_login_is_there_once(accounts: Accounts) -> None:
    accounts.add("joan", PASSWORD, "staff")
    with pytest.raises(Conflict):
        accounts.add("joan", "another one", "admin")
    assert accounts.authenticate("joan", PASSWORD).role is Role.STAFF


def test_removing(accounts: Accounts) -> None:
    accounts.add("root", PASSWORD, "admin")
    accounts.add("joan", PASSWORD, "staff")
    accounts.remove("joan")
    assert [one.login for one in accounts.list()] == ["root"]
    with pytest.raises(Unauthenticated):
        accounts.authenticate("joan", PASSWORD)
    with pytest.raises(Conflict, match="last administrator"):
        accounts.remove("root")
    for act in (lambda: accounts.remove("joan"), lambda: accounts.set_password("joan", PASSWORD)):
        with pytest.raises(NotFound):
            act()


def test_passwords_are_kept_as_argon2(accounts: Accounts, database: Database) -> None:
    accounts.add("joan", PASSWORD, "staff")
    with database.read() as connection:
        body = connection.exec_driver_sql("SELECT body FROM documents").scalar_one()
    assert "$argon2id$" in body
    assert PASSWORD not in body


def test_a_weak_hash_is_renewed_at_login(database: Database) -> None:
    Accounts(database, hasher=CHEAP).add("joan", PASSWORD, "staff")
    stronger = Accounts(database, hasher=PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    stronger.authenticate("joan", PASSWORD)
    database.write(lambda connection: None).result()
    with database.read() as connection:
        assert "m=128,t=2" in connection.exec_driver_sql("SELECT body FROM documents").scalar_one()
    assert stronger.authenticate("joan", PASSWORD).login == "joan"


def test_an_unknown_login_takes_as_long_as_a_wrong_password(database: Database) -> None:
    accounts = Accounts(database, hasher=PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1))
    accounts.add("joan", PASSWORD, "staff")

    def seconds(login: str) -> float:
        start = perf_counter()
        with pytest.raises(Unauthenticated):
            accounts.authenticate(login, "wrong one")
        return perf_counter() - start

    known, unknown = [], []
    for n in range(4):
        known.append(seconds("joan"))
        unknown.append(seconds(f"nobody{n}"))
    assert median(unknown) > 0.4 * median(known)


def test_asking_for_nobody_is_a_whole_proof(database: Database) -> None:
    asked: list[tuple[str, bool]] = []

    class Watched(PasswordHasher):
        def verify(self, *of: Any, **more: Any) -> Any:
            try:
                return super().verify(*of, **more)
            except VerificationError as error:
                asked.append((of[0].rsplit("$", 2)[0], isinstance(error, VerifyMismatchError)))
                raise

    accounts = Accounts(database, hasher=Watched(time_cost=2, memory_cost=128, parallelism=3))
    accounts.add("joan", PASSWORD, "staff")
    for login in ("joan", "nobody"):
        with pytest.raises(Unauthenticated):
            accounts.authenticate(login, "wrong one")
    assert asked == [("$argon2id$v=19$m=128,t=2,p=3", True)] * 2


def test_who_fails_too_often_waits_longer_each_time(accounts: Accounts) -> None:
    accounts.add("joan", PASSWORD, "staff")
    for _ in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated) as refused:
            accounts.authenticate("joan", "wrong one")
        assert not isinstance(refused.value, LockedOut)
    with pytest.raises(LockedOut, match="Too many"):
        accounts.authenticate("joan", PASSWORD)


def test_lockout_doubles_ends_and_forgets() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    waits = []
    for count in range(1, 20):
        lockout.failed("joan")
        if count >= FREE_FAILURES:
            with pytest.raises(LockedOut) as refused:
                lockout.check("joan")
            waits.append(refused.value.wait_s)
            clock.now += refused.value.wait_s
        lockout.check("joan")
    assert waits[:4] == pytest.approx([1, 2, 4, 8])
    assert waits[-1] == LONGEST_WAIT_S
    assert all(b >= a for a, b in itertools.pairwise(waits))
    lockout.forget("joan")
    lockout.failed("joan")
    lockout.check("joan")
    for n in range(20_050):
        lockout.failed(f"made up {n}")
    assert len(lockout._failures) <= 10_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(database: Database, accounts: Accounts, clock: Clock) -> Sessions:
    """Sessions of one account, joan."""
    accounts.add("joan", PASSWORD, "staff")
    accounts.add("root", PASSWORD, "admin")
    return Sessions(database, accounts, clock=clock)


def test_a_session_says_who_opened_it(sessions: Sessions, database: Database) -> None:
    sid = sessions.open("joan")
    found = sessions.find(sid)
    assert found is not None
    assert found.login == "joan"
    assert sessions.find("x" + sid) is None
    assert sessions.find("") is None
    assert sessions.find("\ud800") is None
    with database.read() as connection:
        kept = connection.exec_driver_sql("SELECT digest FROM sessions").scalar_one()
    assert kept != sid
    sessions.close(sid)
    sessions.close(sid)
    assert sessions.find(sid) is None


def test_a_session_slides_and_ends(sessions: Sessions, database: Database, clock: Clock) -> None:
    used, unused = sessions.open("joan"), sessions.open("joan")
    for _ in range(4):
        clock.now += LIFETIME_S / 2
        assert sessions.find(used) is not None
        database.write(lambda connection: None).result()  # nobody waits for the note of a use
    assert sessions.find(unused) is None
    clock.now += LIFETIME_S + 61
    assert sessions.find(used) is None


def test_the_oldest_of_too_many_ends(sessions: Sessions) -> None:
    other = sessions.open("root")
    opened = [sessions.open("joan") for _ in range(MOST_PER_LOGIN + 2)]
    alive = [sid for sid in opened if sessions.find(sid)]
    assert alive == opened[2:]
    assert sessions.find(other) is not None


def test_sessions_outlive_a_restart_but_not_their_account(
    sessions: Sessions, database: Database, accounts: Accounts, clock: Clock
) -> None:
    first, second = sessions.open("joan"), sessions.open("root")
    again = Sessions(database, accounts, clock=clock)
    assert again.find(first) is not None
    accounts.remove("joan")
    assert again.find(first) is None
    assert again.find(second) is not None
    accounts.set_password("root", "another one")
    assert again.find(second) is None


def test_logins_and_changes_are_audited(database: Database) -> None:
    log = AuditLog(database)
    accounts = Accounts(database, hasher=CHEAP, recorder=log.access)
    accounts.add("joan", PASSWORD, "staff", actor="root")
    with pytest.raises(Unauthenticated):
        accounts.authenticate("joan", "wrong one")
    accounts.authenticate("joan", PASSWORD)
    accounts.set_password("joan", "another one", actor="joan")
    found = [(one.event, one.action, one.actor, one.success) for one in reversed(log.entries())]
    assert found == [
        ("110113", "account added", "root", True),
        ("110114", "login", "joan", False),
        ("110114", "login", "joan", True),
        ("110113", "password changed", "joan", True),
    ]
    assert list(log.verify()) == []
    assert not any(PASSWORD in str(one) for one in log.entries())


def test_another_connection_can_add_while_this_one_works(tmp_path: Path) -> None:
    """What the `users` command does while the archive is served."""
    one, two = (Database.open(tmp_path / "shared.db") for _ in range(2))
    try:
        first, second = Accounts(one, hasher=CHEAP), Accounts(two, hasher=CHEAP)

        def add(accounts: Accounts, side: str) -> None:
            for n in range(15):
                accounts.add(f"{side}{n}", PASSWORD, "viewer")

        threads = [threading.Thread(target=add, args=pair) for pair in ((first, "a"), (second, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(first.list()) == len(second.list()) == 30
    finally:
        one.close()
        two.close()
