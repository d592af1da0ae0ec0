"""Who we are to a peer: a login with its password, or a bearer token. Neither shows its secret in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login and its password."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token (RFC 6750), such as the embedded archive hands out."""

    value: str = field(repr=False)


Access = Credentials | Token | None
