"""Accounts: who there is, what they may do, and whether somebody is who they say."""

from __future__ import annotations

import os
import secrets
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from sqlalchemy import Connection, delete
from tinydb import Query
from tinydb.table import Document, Table

from core.access.changes import Changes
from core.access.lockout import LockedOut, Lockout
from core.access.rights import GRANTABLE, RIGHTS, Right, Role
from core.access.sessions import ACCESS, sessions
from core.db.database import Database
from core.documents import DOCUMENTS, Documents
from core.errors import BadInput, Conflict, NotFound, StorageFault, Unauthenticated

__all__ = ["Account", "Accounts", "LockedOut", "Recorder", "Right", "Role"]

FIRST_LOGIN = "admin"
INITIAL_PASSWORD_FILE = "initial-admin-password"  # noqa: S105 - the name of a file
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
LONGEST_LOGIN = 128
AT_ONCE = 2
"""Passwords proven at the same time: each takes 64 MiB."""


class Recorder(Protocol):
    """Where changes and attempts are written down, in the same transaction."""

    def __call__(
        self,
        connection: Connection,
        action: str,
        *,
        actor: str,
        success: bool = True,
        detail: Mapping[str, object] | None = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Account:
    """One account; no *namespaces* means all of them, *rights* are those of the role and those granted."""

    login: str
    role: Role
    namespaces: tuple[str, ...] = ()
    rights: frozenset[Right] = frozenset()

    def may(self, right: Right, namespace: str | None = None) -> bool:
        """Whether they have *right*, in *namespace* if it is named."""
        return right in self.rights and (
            namespace is None or not self.namespaces or namespace in self.namespaces
        )


class Accounts:
    """The accounts in *database*, which is asked each time: one that was removed is gone at once."""

    def __init__(
        self,
        database: Database,
        *,
        recorder: Recorder | None = None,
        password_file: Path | None = None,
        hasher: PasswordHasher | None = None,
        changes: Changes | None = None,
    ) -> None:
        """*password_file* is where the first administrator's password is left (in DATA)."""
        database.ensure(DOCUMENTS)
        database.ensure(ACCESS)
        self._database = database
        self._recorder: Recorder = recorder or _record_nothing
        self._password_file = password_file
        self._hasher = hasher or PasswordHasher()
        self._changes = changes
        self._nobody = _hash_of_nobody(self._hasher)
        self._lockout = Lockout()
        self._proving = threading.BoundedSemaphore(AT_ONCE)

    def ensure_admin(self) -> bool:
        """On first start make `admin` with a random password in the password file; whether that was needed.

        Raises StorageFault.
        """
        if self.list():
            return False
        password = secrets.token_urlsafe(18)
        if self._password_file is not None:
            _leave_password(self._password_file, password)
        self.add(FIRST_LOGIN, password, Role.ADMIN, actor="system")
        return True

    def add(
        self,
        login: str,
        password: str,
        role: Role | str,
        *,
        namespaces: Iterable[str] = (),
        rights: Iterable[Right | str] = (),
        actor: str = "system",
    ) -> Account:
        """Make an account. Raises BadInput, Conflict if the login is taken."""
        document = {
            "login": _checked_login(login),
            "password": self._hasher.hash(_checked_password(password)),
            "role": _checked_role(role).value,
            "namespaces": sorted(set(namespaces)),
            "rights": sorted(_checked_right(right).value for right in rights),
        }

        def work(connection: Connection) -> None:
            table = self._table(connection)
            if table.contains(Query().login == login):
                raise Conflict(f"There is an account {login} already.", "Choose another login.")
            table.insert(document)
            self._recorder(
                connection, "account added", actor=actor, detail={"login": login, "role": str(role)}
            )

        self._write(work)
        return _account(document)

    def remove(self, login: str, *, actor: str = "system") -> None:
        """Remove an account and end its sessions. Raises NotFound, Conflict for the last administrator."""

        def work(connection: Connection) -> None:
            table = self._table(connection)
            found = _existing(table, login)
            admins = table.search(Query().role == Role.ADMIN.value)
            if found["role"] == Role.ADMIN.value and len(admins) == 1:
                raise Conflict("This is the last administrator.", "Make another administrator first.")
            table.remove(doc_ids=[found.doc_id])
            connection.execute(delete(sessions).where(sessions.c.login == login))
            self._recorder(connection, "account removed", actor=actor, detail={"login": login})

        self._write(work)

    def set_password(self, login: str, password: str, *, actor: str = "system") -> None:
        """Change a password and end the account's sessions. Raises NotFound, BadInput."""
        hashed = self._hasher.hash(_checked_password(password))

        def work(connection: Connection) -> None:
            table = self._table(connection)
            table.update({"password": hashed}, doc_ids=[_existing(table, login).doc_id])
            connection.execute(delete(sessions).where(sessions.c.login == login))
            self._recorder(connection, "password changed", actor=actor, detail={"login": login})

        self._write(work)
        self._lockout.forget(login)
        if login == FIRST_LOGIN and self._password_file is not None:
            with suppress(OSError):  # it is of no use any more; the file says so itself
                self._password_file.unlink(missing_ok=True)

    def list(self) -> tuple[Account, ...]:
        """Every account, by login."""
        return tuple(sorted((_account(one) for one in self._table()), key=lambda account: account.login))

    def find(self, login: str) -> Account | None:
        """The account of a login."""
        found = self._table().get(Query().login == login)
        return _account(found) if found is not None else None

    def authenticate(self, login: str, password: str) -> Account:
        """Who says so. Raises LockedOut, Unauthenticated; an unknown login takes as long as a known one."""
        self._lockout.check(login)
        found = self._table().get(Query().login == login)
        known = found["password"] if found is not None else self._nobody
        with self._proving:
            right = self._proves(known, password[: LONGEST_PASSWORD + 1])
        if not right or found is None:
            self._lockout.failed(login)
            self._note("login", login, success=False)
            raise Unauthenticated("The login or the password is wrong.", "Check both and try again.")
        self._lockout.forget(login)
        self._note("login", login, success=True)
        if self._hasher.check_needs_rehash(known):
            self._rehash(found, self._hasher.hash(password))
        return _account(found)

    def _write(self, work: Callable[[Connection], None]) -> None:
        self._database.write(work).result()
        if self._changes is not None:
            self._changes.mark()

    def _proves(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    def _rehash(self, found: Document, hashed: str) -> None:
        def work(connection: Connection) -> None:
            same = (Query().login == found["login"]) & (Query().password == found["password"])
            self._table(connection).update({"password": hashed}, same)

        self._database.write(work)

    def _note(self, action: str, login: str, *, success: bool) -> None:
        """Write an attempt down; nobody waits for it."""
        actor = login if login.isprintable() and len(login) <= LONGEST_LOGIN else "?"
        self._database.write(
            lambda connection: self._recorder(connection, action, actor=actor, success=success)
        )

    def _table(self, connection: Connection | None = None) -> Table:
        return Documents(self._database, connection).table("accounts")


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """A hash that no password proves and that takes as long to ask as a real one; it is made at no cost."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2{hasher.type.name.lower()}$v={ARGON2_VERSION}${cost}${salt}${digest}"


def _existing(table: Table, login: str) -> Document:
    found = table.get(Query().login == login)
    if found is None:
        raise NotFound("account", f"There is no account {login}.")
    return found


def _account(document: Mapping[str, Any]) -> Account:
    role = Role(document["role"])
    granted = {Right(right) for right in document["rights"]}
    return Account(document["login"], role, tuple(document["namespaces"]), RIGHTS[role] | granted)


def _checked_login(login: str) -> str:
    if (
        not 0 < len(login) <= LONGEST_LOGIN
        or not login.isprintable()
        or ":" in login
        or login != login.strip()
    ):
        raise BadInput("This login cannot be used.", "Use up to 128 letters, digits and signs, no colon.")
    return login


def _checked_password(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadInput("The password is too short or too long.", "Use 8 to 1024 characters.")
    return password


def _checked_role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise BadInput("There is no such role.", f"Use one of {', '.join(Role)}.") from None


def _checked_right(right: Right | str) -> Right:
    if right not in GRANTABLE:
        raise BadInput("This right cannot be granted.", f"Use one of {', '.join(sorted(GRANTABLE))}.")
    return Right(right)


def _leave_password(path: Path, password: str) -> None:
    """Write the file so that only its owner can ever read it, and whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StorageFault(f"{path} cannot be written.", "Check space and permissions.") from error


def _record_nothing(
    connection: Connection,
    action: str,
    *,
    actor: str,
    success: bool = True,
    detail: Mapping[str, object] | None = None,
) -> None:
    """For a database that keeps no audit log."""
