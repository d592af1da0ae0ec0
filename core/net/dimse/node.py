"""A DICOM node in one line of text: AET@HOST:PORT, and how it is encrypted (`?tls`, with files after it)."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from urllib.parse import quote, unquote

from core.errors import BadInput
from core.net.dimse.requestor import Peer
from core.net.dimse.tls import Tls

AE_TITLE = r"(?=[^@]*[^ @])[\x20-\x5b\x5d-\x7e]{1,16}?"  # PS3.5 section 6.2, VR AE
HOST = r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\]"
NODE = re.compile(rf"(?P<title>{AE_TITLE})@(?P<host>{HOST}):(?P<port>[0-9]{{1,5}})(?:\?(?P<rest>.*))?")
ON = "tls"
FILES = {"ca": "ca", "pin": "pin", "cert": "certificate", "key": "key"}
"""What a file is called in the text, and in `Tls`."""


@dataclass(frozen=True, slots=True)
class Node:
    """Whom to call, where, and how that is encrypted, if it is."""

    title: str
    host: str
    port: int
    tls: Tls | None = None

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}{options(self.tls)}"

    def peer(self, calling: str) -> Peer:
        """The same as a peer that knows us as *calling*."""
        return Peer(self.title, self.host.strip("[]"), self.port, calling, self.tls)


def options(tls: Tls | None) -> str:
    """`?tls&ca=FILE`, "" for no encryption; names of files are percent-encoded where they must be."""
    if tls is None:
        return ""
    given = asdict(tls)
    files = [f"{word}={quote(given[name], safe='/:')}" for word, name in FILES.items() if given[name]]
    return "?" + "&".join([ON, *files])


def parse_node(text: str) -> Node:
    """What `str` of a Node writes; names of files are made absolute. Raises BadInput."""
    found = NODE.fullmatch(text.strip())
    if found is None:
        raise BadInput(
            f"{text!r} is no DICOM node.", "Write AET@HOST:PORT, for example ARCHIVE@192.0.2.1:104."
        )
    port = int(found["port"])
    if not 0 < port < 1 << 16:
        raise BadInput(f"{port} is no port.", "Ports are 1 to 65535; 104 and 11112 are usual.")
    return Node(found["title"].strip(), found["host"], port, _tls(found["rest"]))


def _tls(text: str | None) -> Tls | None:
    """Raises BadInput."""
    if text is None:
        return None
    first, *pairs = text.split("&")
    given: dict[str, str] = {}
    for pair in pairs:
        word, _, value = pair.partition("=")
        if word not in FILES or not value or FILES[word] in given:
            raise _unclear(text)
        given[FILES[word]] = os.path.abspath(unquote(value))
    if first != ON or ("ca" in given and "pin" in given) or ("key" in given and "certificate" not in given):
        raise _unclear(text)
    return Tls(**given)


def _unclear(text: str) -> BadInput:
    return BadInput(
        f"{text!r} does not say how the node is encrypted.",
        "Write ?tls behind the port, and with & between them ca=FILE or pin=FILE, cert=FILE, key=FILE.",
    )
