"""The address of an HTTP peer: checked once, so that what follows need not."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from core.errors import BadInput
from core.net.tls import Tls, read_files

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Scheme, host, port and path prefix of a peer; `str` gives the URL, which never holds credentials.

    *tls* is how an https connection is encrypted.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""
    tls: Tls = field(default_factory=Tls)

    @property
    def peer(self) -> str:
        """Host and port, as error messages name the peer."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True if the peer is this machine."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def written(self) -> str:
        """What `parse` reads: the URL, and behind ? the files of *tls*, if there are any."""
        files = str(self.tls)
        return f"{self}?{files}" if files else str(self)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.peer}{self.prefix}"


def parse(url: str) -> Address:
    """The address written as http(s)://HOST[:PORT][/PREFIX]; behind https and ? the files of `Tls`.

    Raises BadInput.
    """
    remedy = "Write it as http://HOST:PORT or https://HOST."
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput("The address is no valid URL.", remedy) from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise BadInput("The address must start with http:// or https:// and name a host.", remedy)
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            "A login or password does not belong into an address.",
            "Save the destination with its login, or set FILMJACKET_LOGIN and FILMJACKET_PASSWORD.",
        )
    tls = read_files(parts.query.split("&")) if parts.query else Tls()
    if tls is None or parts.fragment:
        raise BadInput(
            "The address must not have a fragment (#), and behind ? only files of certificates.",
            f"{remedy} Behind https addresses ?ca=FILE or ?pin=FILE names whom to trust.",
        )
    if parts.scheme != "https" and tls != Tls():
        raise BadInput("Certificates are for https addresses only.", "Write https:// in place of http://.")
    if port == 0 or any(c.isspace() for c in parts.netloc):
        raise BadInput("The address is no valid URL.", remedy)
    port, prefix = port or DEFAULT_PORTS[parts.scheme], quote(parts.path.rstrip("/"), "/%")
    return Address(parts.scheme, parts.hostname, port, prefix, tls)
