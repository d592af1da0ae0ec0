"""What a caller accepts (PS3.18 8.7): media ranges with their parameters and quality, quoted or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from server.web.call import Call

PARAMETER = re.compile(r"""\s*;\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s]*))""")
RANGE = re.compile(r"\s*([!#$&^_.+*0-9A-Za-z-]+/[!#$&^_.+*0-9A-Za-z-]+)")
UNESCAPED = re.compile(r"(?<=\w) (?=(?:json|xml)\b)")
LONGEST = 4096
ANY_SYNTAX = "*"
DICOM = "application/dicom"
RELATED = "multipart/related"
EVERYTHING = "*/*"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One accepted media type; *parameters* without q, names in lower case."""

    type: str
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def inner(self) -> str:
        """What a multipart consists of, "" for whatever there is; of anything else itself."""
        return self.parameters.get("type", "").lower() if self.type in {RELATED, "multipart/*"} else self.type

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax asked for, "" if none was."""
        return self.parameters.get("transfer-syntax", "")


def accepted(call: Call) -> list[MediaRange]:
    """The query parameter `accept` and the header Accept, the best first; what cannot be read is left out.

    A plus sign in a query is read as a space where it is not escaped, and seldom is.
    """
    asked = [UNESCAPED.sub("+", each) for each in call.queries("accept")]
    return list(_in_order(",".join([*asked, call.header(b"accept")])[:LONGEST]))


@lru_cache(maxsize=256)
def _in_order(text: str) -> tuple[MediaRange, ...]:
    """Clients say the same with every request."""
    return tuple(ranges_of(text)) or (MediaRange(EVERYTHING),)


def ranges_of(text: str) -> list[MediaRange]:
    """What *text* takes, the best first; none if nothing of it can be read."""
    found = [each for each in _ranges(text[:LONGEST]) if each.quality > 0]
    return sorted(found, key=lambda each: -each.quality)


def _ranges(text: str) -> Iterable[MediaRange]:
    position = 0
    while position < len(text):
        match = RANGE.match(text, position)
        if match is None:
            position = text.find(",", position) + 1 or len(text)
            continue
        position, parameters = match.end(), {}
        while parameter := PARAMETER.match(text, position):
            name, quoted, plain = parameter.groups()
            parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            position = parameter.end()
        quality = _quality(parameters.pop("q", "1"))
        yield MediaRange(match[1].lower(), quality, parameters)
        position = text.find(",", position) + 1 or len(text)


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
