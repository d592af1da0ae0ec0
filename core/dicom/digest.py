"""The archive's content digest: `image_version` of the contract."""

from __future__ import annotations

import base64
import hashlib
from typing import Protocol


class Hash(Protocol):
    """The part of a hashlib object used here."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


def new_hash() -> Hash:
    """The running hash whose `version_of` names a blob: SHA-256."""
    return hashlib.sha256()


def version_of(running: Hash) -> str:
    """Unpadded base64url of the first 20 bytes of the SHA-256: 27 characters."""
    return base64.urlsafe_b64encode(running.digest()[:20]).rstrip(b"=").decode("ascii")


def hex_of(version: str) -> str:
    """The same bytes of the digest as 40 hexadecimal digits."""
    return base64.urlsafe_b64decode(version + "=").hex()
