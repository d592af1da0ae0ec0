"""The addresses of this machine, by which others find what listens here."""

from __future__ import annotations

import ipaddress
import socket

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  they are compared with, not bound to
ELSEWHERE = ("192.0.2.1", 9)
"""An address nobody has (RFC 5737): nothing is sent there, the system only says by which way it would go."""


def addresses(host: str) -> list[str]:
    """The addresses by which others find what listens on *host*, the likeliest first."""
    if host not in EVERYWHERE:
        return [host]
    found: dict[str, None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            found[str(probe.getsockname()[0])] = None
        except OSError:
            pass
    try:
        own = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        own = []
    found |= dict.fromkeys(str(each[4][0]) for each in own)
    outside = [each for each in found if not is_loopback(each)]
    return outside or list(found) or ["127.0.0.1"]


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine alone."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
