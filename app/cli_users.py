"""The command line of `filmjacket users`: the accounts of an archive."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options import Data, Json, Verbose, finish

users = typer.Typer(help="Accounts of an archive.", rich_markup_mode=None)
Login = Annotated[str, typer.Argument(help="The account's login.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input's first line.")
]


@users.command("add")
def users_add(
    *,
    login: Login,
    role: Annotated[str, typer.Option("--role", help="admin, staff, viewer or modality.")],
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only this namespace; repeatable. None given: all.")
    ] = None,
    may_delete: Annotated[bool, typer.Option("--may-delete", help="May delete studies.")] = False,
    password_stdin: PasswordStdin = False,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Add an account."""
    from app.commands import users as command

    def add() -> int:
        return command.add(
            login,
            role=role,
            namespaces=namespace or [],
            may_delete=may_delete,
            password_stdin=password_stdin,
            data=data,
            as_json=as_json,
        )

    finish(add, verbose)


@users.command("list")
def users_list(*, data: Data = None, as_json: Json = False, verbose: Verbose = False) -> None:
    """List the accounts."""
    from app.commands import users as command

    finish(lambda: command.list_accounts(data=data, as_json=as_json), verbose)


@users.command("remove")
def users_remove(*, login: Login, data: Data = None, as_json: Json = False, verbose: Verbose = False) -> None:
    """Remove an account and end its sessions."""
    from app.commands import users as command

    finish(lambda: command.remove(login, data=data, as_json=as_json), verbose)


@users.command("password")
def users_password(
    *,
    login: Login,
    password_stdin: PasswordStdin = False,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Set an account's password and end its sessions."""
    from app.commands import users as command

    finish(
        lambda: command.password(login, password_stdin=password_stdin, data=data, as_json=as_json), verbose
    )
