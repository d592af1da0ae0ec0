"""`filmjacket users`: the accounts of an archive; short transactions, also while it is served."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app import compose, paths
from app.usage import Usage

if TYPE_CHECKING:
    from core.access.accounts import Account, Accounts

ACTOR = "command line"


def add(
    login: str,
    *,
    role: str,
    namespaces: Sequence[str],
    may_delete: bool,
    password_stdin: bool,
    data: Path | None,
    as_json: bool,
) -> int:
    """Add an account; makes the data folder if it is not there. Raises KnownError."""
    from core.access.rights import Right, Role

    if role not in set(Role):
        raise Usage(f"There is no role {role}.", f"Use one of {', '.join(Role)}.")
    secret = _password(password_stdin)
    folder = paths.prepare(paths.data_folder(data))
    with _accounts(folder) as accounts:
        account = accounts.add(
            login,
            secret,
            role,
            namespaces=namespaces,
            rights=[Right.DELETE] if may_delete else [],
            actor=ACTOR,
        )
    _tell(account, f"Added {login} as {role}.", as_json=as_json)
    return 0


def list_accounts(*, data: Path | None, as_json: bool) -> int:
    """List the accounts. Raises KnownError."""
    with _accounts(compose.existing(paths.data_folder(data))) as accounts:
        found = accounts.list()
    if as_json:
        _print_json({"accounts": [as_document(account) for account in found]})
        return 0
    width = max((len(account.login) for account in found), default=0)
    for account in found:
        where = ", ".join(account.namespaces) or "all namespaces"
        sys.stdout.write(f"{account.login:<{width}}  {account.role:<8}  {where}\n")
    return 0


def remove(login: str, *, data: Path | None, as_json: bool) -> int:
    """Remove an account and end its sessions. Raises NotFound, Conflict."""
    with _accounts(compose.existing(paths.data_folder(data))) as accounts:
        accounts.remove(login, actor=ACTOR)
    _tell(None, f"Removed {login}.", as_json=as_json, login=login)
    return 0


def password(login: str, *, password_stdin: bool, data: Path | None, as_json: bool) -> int:
    """Set a password and end the account's sessions. Raises NotFound, BadInput."""
    folder = compose.existing(paths.data_folder(data))
    secret = _password(password_stdin)
    with _accounts(folder) as accounts:
        accounts.set_password(login, secret, actor=ACTOR)
    _tell(None, f"The password of {login} was changed.", as_json=as_json, login=login)
    return 0


def as_document(account: Account) -> dict[str, object]:
    """An account as JSON; no namespaces means all."""
    return {
        "login": account.login,
        "role": str(account.role),
        "namespaces": list(account.namespaces),
        "rights": sorted(account.rights),
    }


@contextmanager
def _accounts(folder: Path) -> Generator[Accounts, None, None]:
    with compose.reading(folder) as archive:
        yield compose.accounts_of(archive, folder)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        line = sys.stdin.readline()
        if not line.strip("\r\n"):
            raise Usage("Standard input held no password.", "Give it as the first line.")
        return line.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Usage("There is no terminal to ask for the password.", "Use --password-stdin.")
    secret = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != secret:
        raise Usage("The two passwords differ.", "Try again.")
    return secret


def _tell(account: Account | None, sentence: str, *, as_json: bool, login: str = "") -> None:
    if as_json:
        _print_json(as_document(account) if account else {"login": login})
    else:
        sys.stdout.write(f"{sentence}\n")


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
