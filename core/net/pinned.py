"""One request to an address that others chose: resolved once, checked, connected to exactly that address."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from core.errors import KnownError, Unreachable

TIMEOUT_S = 10.0
PORTS = {"http": 80, "https": 443}
NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    )
)
"""Loopback and private networks: what may be called without being on the list."""
METADATA = frozenset({"fd00:ec2::254", "100.100.100.200", "168.63.129.16"})
"""Addresses outside link-local where clouds answer with secrets."""

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotAllowed(KnownError):
    """The address is one that may not be called."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which addresses may be called: not this program's *own_ports*; *hosts* are names allowed anywhere."""

    own_ports: frozenset[int] = frozenset()
    hosts: frozenset[str] = frozenset()

    def check(self, host: str, port: int, address: str) -> None:
        """Raises NotAllowed unless *address*, which *host* resolved to, may be called."""
        ip = _plain(address)
        if ip.is_link_local or ip.is_multicast or ip.is_unspecified or str(ip) in METADATA:
            raise NotAllowed("The address is link-local or special.")
        if port in self.own_ports and _is_own(ip):
            raise NotAllowed("The address is this archive itself.")
        if not any(ip in network for network in NETWORKS) and host.lower() not in self.hosts:
            raise NotAllowed(
                "The address lies outside of loopback and private networks.",
                "Add its host to notify_hosts in settings.toml.",
            )


def send(method: str, url: str, body: str, policy: Policy, *, timeout_s: float = TIMEOUT_S) -> int:
    """The HTTP status of the answer; redirects are answers. Raises NotAllowed, Unreachable."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    address = _resolve(host, port, policy)
    connection = _Pinned(host, port, address, secure=parts.scheme == "https", timeout_s=timeout_s)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        f"?{quote(parts.query, safe=SAFE)}" if parts.query else ""
    )
    data = body.encode("utf-8") if method != "GET" and body else None
    headers = {"Accept": "*/*", "Connection": "close", "User-Agent": "Filmjacket"}
    if data is not None:
        is_json = body.lstrip()[:1] in ("{", "[")
        headers["Content-Type"] = "application/json" if is_json else "text/plain; charset=utf-8"
    try:
        connection.request(method, target, data, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"The receiver could not be reached ({type(error).__name__}).") from error
    finally:
        connection.close()


SAFE = "/%:@!$&'()*+,;=~?[]"


class _Pinned(http.client.HTTPConnection):
    """A connection to a known address that speaks for *host*."""

    def __init__(self, host: str, port: int, address: str, *, secure: bool, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address
        self._secure = secure
        if secure:
            self.default_port = PORTS["https"]

    def connect(self) -> None:
        """Connect to the address, whatever the name resolves to by now."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        if not self._secure:
            self.sock = plain
            return
        try:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _resolve(host: str, port: int, policy: Policy) -> str:
    """The first address of *host*; every one of them must be allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable("The receiver's name could not be resolved.") from error
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        policy.check(host, port, address)
    return addresses[0]


def _plain(address: str) -> Ip:
    """The address; an IPv4 one in the guise of IPv6 as itself."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def _is_own(ip: Ip) -> bool:
    """Whether it is an address of this machine: a packet to it would leave from it."""
    if ip.is_loopback:
        return True
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(ip), 9))
            return str(probe.getsockname()[0]) == str(ip)
        except OSError:
            return False
