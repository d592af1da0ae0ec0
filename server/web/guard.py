"""Whom a request names as receiver and sender: Host and Origin, against rebinding and cross-site calls."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Guard:
    """What one listener accepts as Host and Origin.

    *bound* is the address it listens on. Bound to loopback only loopback names are ours; bound elsewhere any
    IP address is (rebinding needs a name), and this machine's names. *behind_proxy* without *names* leaves
    the Host to the proxy. A request without Host comes from no browser and passes.
    """

    bound: str
    names: frozenset[str] = frozenset()
    behind_proxy: bool = False

    def refusal(self, method: str, headers: Mapping[bytes, bytes], *, invited: bool = False) -> str:
        """Why the request is refused, or "" if it is not; *invited* may come from another site."""
        host = headers.get(b"host")
        name, port = split_host((host or b"").decode("latin-1"))
        if host is not None and not self._ours(name):
            return "The Host of the request is not one of this archive."
        if invited:
            return ""
        origin = headers.get(b"origin")
        if origin is not None and not self._same_origin(origin.decode("latin-1"), name, port, headers):
            return "The request comes from another site (Origin)."
        if headers.get(b"sec-fetch-site") == b"cross-site" and (
            method not in SAFE_METHODS or headers.get(b"sec-fetch-mode") != b"navigate"
        ):
            return "The request comes from another site."
        return ""

    def _ours(self, name: str) -> bool:
        if name in self.names or name in LOOPBACK_NAMES:
            return True
        if self.behind_proxy and not self.names:
            return True
        if is_loopback(self.bound):
            return is_loopback(name)
        return name == self.bound.lower() or _is_address(name) or name in own_names()

    def _same_origin(self, origin: str, name: str, port: int | None, headers: Mapping[bytes, bytes]) -> bool:
        try:
            parts = urlsplit(origin)
            from_port = parts.port or DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            return False
        from_name = (parts.hostname or "").lower()
        if not from_name:
            return False
        if self.behind_proxy:
            forwarded = headers.get(b"x-forwarded-host", b"").decode("latin-1")
            names = {name, split_host(forwarded)[0]} | self.names
            return from_name in names
        return from_name == name and from_port == (port or DEFAULT_PORTS.get(parts.scheme))


@lru_cache(maxsize=256)
def split_host(host: str) -> tuple[str, int | None]:
    """Name (lower case, no brackets) and port of a Host header; an unusable one gives ""."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return "", None
        return (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        return "", None


def own_names() -> frozenset[str]:
    """Names this machine goes by."""
    name = socket.gethostname().lower()
    return frozenset({name, name.split(".")[0], f"{name.split('.')[0]}.local"})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
