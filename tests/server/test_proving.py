"""A password that comes many times at once is proven once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from core.access.accounts import Account, Accounts
from core.access.rights import Role
from core.access.sessions import Sessions
from core.errors import Unauthenticated
from server.web.auth import Authenticator, Caller


class SlowAccounts:
    """Proves when it is let go; knows one password."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = threading.Event()

    def authenticate(self, login: str, password: str) -> Account:
        self.asked.append(password)
        assert self.go.wait(20)
        if password != "right":
            raise Unauthenticated("No.")
        return Account(login, Role.STAFF)


async def together(accounts: SlowAccounts, passwords: list[str], *, leave: int = 0) -> list[object]:
    """What each of those who come at once gets; the first *leave* of them do not wait for it."""
    with ThreadPoolExecutor(8) as workers:
        found = Authenticator(cast(Accounts, accounts), cast(Sessions, None), workers)
        tasks = [asyncio.create_task(found.prove("rita", password)) for password in passwords]
        await asyncio.sleep(0)
        for task in tasks[:leave]:
            task.cancel()
        await asyncio.sleep(0)
        accounts.go.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(await found.prove("rita", "right"), Caller)
        return list(answers)


@pytest.mark.parametrize("leave", [0, 1])
def test_the_same_password_at_once_is_proven_once(leave: int) -> None:
    accounts = SlowAccounts()
    answers = asyncio.run(together(accounts, ["right"] * 8, leave=leave))
    assert accounts.asked == ["right"]
    assert [type(each) for each in answers[leave:]] == [Caller] * (8 - leave)


def test_another_password_is_proven_by_itself() -> None:
    accounts = SlowAccounts()
    answers = asyncio.run(together(accounts, ["wrong", "right", "wrong"]))
    assert sorted(accounts.asked) == ["right", "wrong"]
    assert [type(each) for each in answers] == [Unauthenticated, Caller, Unauthenticated]
