"""How a connection that we open is encrypted, and whom it trusts (PS3.15 annex B, TLS 1.2 and later)."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from core.errors import BadInput, KnownError, TookTooLong, Unreachable

if TYPE_CHECKING:
    from core.settings import DimsePeer

EXPIRED, NOT_YET = 10, 9
"""Reasons of X509_V_ERR; the others below are of an issuer that is not known, and of a name that differs."""
UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
OTHER_NAME = frozenset({62, 63, 64})
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""Reasons of OpenSSL for an answer that is none of TLS."""
CHOOSE = "If it is the right one, choose it, or the authority that signed it, in its settings."
FILES = {"ca": "ca", "pin": "pin", "cert": "certificate", "key": "key"}
"""What a file is called behind an address, and in `Tls`."""


class Untrusted(KnownError):
    """The peer's certificate or encryption is not acceptable; waiting does not help."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files, "" for none; without *ca* and *pin* the authorities of this computer are trusted.

    *ca*: only the authorities in it are, and the name of the host must be right. *pin*: only the very
    certificates in it are, whatever name they bear. *certificate*, *key*: ours, where the peer wants one.
    """

    ca: str = ""
    pin: str = ""
    certificate: str = ""
    key: str = ""

    def __str__(self) -> str:
        """`ca=FILE&cert=FILE` as it stands behind an address, names percent-encoded; "" for no files."""
        given = asdict(self)
        return "&".join(
            f"{word}={quote(given[name], safe='/:')}" for word, name in FILES.items() if given[name]
        )

    def wrap(self, sock: socket.socket, host: str, where: str) -> ssl.SSLSocket:
        """*sock* encrypted; read anew each time, so that a renewed file is seen. *where* is for the message.

        Raises Untrusted, BadInput for a file of ours that cannot be used, Unreachable.
        """
        context = self.context()
        try:
            wrapped = context.wrap_socket(sock, server_hostname=host)
        except TimeoutError as error:
            raise TookTooLong(
                f"{where} does not answer over TLS.", "Check that it speaks TLS there."
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise doubted(error, host, where) from error
        except (ssl.SSLError, ConnectionError) as error:
            raise _no_tls(error, where) from error
        except OSError as error:
            raise Unreachable(f"No secure connection to {where} could be made.", "Try again.") from error
        return wrapped

    def context(self) -> ssl.SSLContext:
        """The files as they are now. Raises BadInput."""
        context = _Pinning(_certificates(self.pin)) if self.pin else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        trusted = self.pin or self.ca
        try:
            if trusted:
                context.load_verify_locations(trusted)
            else:
                context.load_default_certs()
        except (OSError, ssl.SSLError) as error:
            raise BadInput(
                f"The certificates in {trusted} cannot be used.", "Choose a PEM file that can be read."
            ) from error
        if self.pin:
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.certificate:
            self._show_ours(context)
        return context

    def _show_ours(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key or None, password=_nobody_to_ask)
        except (OSError, ssl.SSLError, _Locked) as error:
            raise BadInput(
                f"The certificate of ours in {self.certificate} cannot be used.",
                "Choose its PEM file, and that of its private key, without a password.",
            ) from error


class _OtherCertificate(ssl.SSLCertVerificationError):
    """One that the chosen one signed, perhaps, but not itself."""


class _Pinned(ssl.SSLSocket):
    """A connection that is there only with one of the very certificates that were chosen."""

    def do_handshake(self, block: bool = False) -> None:
        """As usual. Raises also `_OtherCertificate`."""
        super().do_handshake(block)
        context = self.context
        if isinstance(context, _Pinning) and self.getpeercert(binary_form=True) not in context.chosen:
            raise _OtherCertificate


class _Pinning(ssl.SSLContext):
    """Makes such connections."""

    sslsocket_class = _Pinned
    chosen: set[bytes]

    def __new__(cls, _chosen: set[bytes]) -> _Pinning:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, chosen: set[bytes]) -> None:
        self.chosen = chosen


class _Locked(Exception):
    """A private key with a password."""


def _nobody_to_ask() -> str:
    raise _Locked


def of_peer(peer: DimsePeer) -> Tls | None:
    """As the settings file says it of a peer."""
    if not peer.tls:
        return None
    return Tls(peer.tls_ca, peer.tls_pin, peer.tls_certificate, peer.tls_key)


def read_files(pairs: Iterable[str]) -> Tls | None:
    """What `str` of a `Tls` wrote, split at each &, with absolute names of files; None if it is not clear."""
    given: dict[str, str] = {}
    for pair in pairs:
        word, _, value = pair.partition("=")
        if word not in FILES or not value or FILES[word] in given:
            return None
        given[FILES[word]] = os.path.abspath(unquote(value))
    if ("ca" in given and "pin" in given) or ("key" in given and "certificate" not in given):
        return None
    return Tls(**given)


def wants_ours(error: BaseException | None) -> bool:
    """Whether the peer ended a connection because it wants a certificate of ours, or another one."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    return "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)


def asks_for_ours(where: str) -> Untrusted:
    """The error for such a peer."""
    return Untrusted(
        f"{where} wants to see a certificate of ours, and does not accept what it was shown.",
        "Choose the certificate and key that its administrator knows in its settings.",
    )


def _certificates(path: str) -> set[bytes]:
    """Every certificate of a PEM file. Raises BadInput."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            parts = file.read().split(begin)[1:]
        return {ssl.PEM_cert_to_DER_cert(f"{begin}{part.partition(end)[0]}{end}\n") for part in parts}
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The certificates in {path} cannot be used.", "Choose a PEM file that can be read."
        ) from error


def speaks_none(error: ssl.SSLError) -> bool:
    """Whether what came back is no TLS at all."""
    return (error.reason or "") in NO_TLS


def doubted(error: ssl.SSLCertVerificationError, host: str, where: str) -> Untrusted:
    """What does not fit, in a sentence."""
    if isinstance(error, _OtherCertificate):
        return Untrusted(f"{where} shows another certificate than the one that was chosen.", CHOOSE)
    code = error.verify_code
    if code == EXPIRED:
        return Untrusted(f"The certificate of {where} has expired.", "Ask its administrator for a valid one.")
    if code == NOT_YET:
        return Untrusted(
            f"The certificate of {where} is not valid yet.",
            "Check the clock of this computer, and of that one.",
        )
    if code in OTHER_NAME:
        return Untrusted(
            f"The certificate of {where} is made out for another name than {host}.",
            "Use the name that it bears as the address, or choose to trust exactly this certificate.",
        )
    if code in UNKNOWN_ISSUER:
        return Untrusted(f"The certificate of {where} is signed by nobody who is trusted here.", CHOOSE)
    return Untrusted(f"The certificate of {where} is not valid.", "Ask its administrator for a valid one.")


def _no_tls(error: OSError, where: str) -> KnownError:
    if wants_ours(error):
        return asks_for_ours(where)
    return Unreachable(
        f"{where} does not speak TLS, or none that is safe.",
        "Check the port: encrypted DICOM often has one of its own (2762). Or it wants a certificate of ours.",
    )
