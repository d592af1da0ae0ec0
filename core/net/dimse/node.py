"""A DICOM node in one line of text: AET@HOST:PORT, and how it is encrypted (`?tls`, with files after it)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import BadInput
from core.net.dimse.requestor import Peer
from core.net.tls import Tls, read_files

AE_TITLE = r"(?=[^@]*[^ @])[\x20-\x5b\x5d-\x7e]{1,16}?"  # PS3.5 section 6.2, VR AE
HOST = r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\]"
NODE = re.compile(rf"(?P<title>{AE_TITLE})@(?P<host>{HOST}):(?P<port>[0-9]{{1,5}})(?:\?(?P<rest>.*))?")
ON = "tls"


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
    """`?tls&ca=FILE`, "" for no encryption."""
    return "" if tls is None else "?" + "&".join(filter(None, (ON, str(tls))))


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
    tls = read_files(pairs)
    if first != ON or tls is None:
        raise _unclear(text)
    return tls


def _unclear(text: str) -> BadInput:
    return BadInput(
        f"{text!r} does not say how the node is encrypted.",
        "Write ?tls behind the port, and with & between them ca=FILE or pin=FILE, cert=FILE, key=FILE.",
    )
