"""DEST of the command line, parsed: which kind of peer, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.errors import BadInput
from core.net.address import parse as parse_address
from core.net.dimse.node import parse_node

USAGE = 2
NAMESPACE_LENGTH = 64
NAMESPACE_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class TargetKind(StrEnum):
    """The forms DEST can take, by the word before the colon."""

    V3 = "v3"
    STOW = "stow"
    EXAMS = "exams"
    DIMSE = "dimse"
    SHARE = "share"
    ARCHIVE = "archive"


FORMS = "v3:http://HOST:PORT, stow:http://HOST:PORT/dicom-web, dimse:AET@HOST:PORT, exams:http://HOST:PORT"
NOT_YET: dict[TargetKind, str] = {
    TargetKind.SHARE: "Share links (share:)",
}


class WrongDestination(BadInput):
    """DEST names nothing an upload of this version can go to."""

    exit_code = USAGE


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that can be opened.

    *address*: an `Address` as it is written, the text of a `Node` for DIMSE, "" for the archive in the
    data folder.
    """

    kind: TargetKind
    address: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.address}" if self.address else str(self.kind)


def is_spec(text: str) -> bool:
    """Whether *text* is one of the forms rather than the name of a saved destination."""
    word, colon, _ = text.strip().partition(":")
    return word.lower() == TargetKind.ARCHIVE if not colon else word.lower() in set(TargetKind)


def parse(text: str) -> Target:
    """The target that *text* spells. Raises WrongDestination."""
    word, colon, rest = text.strip().partition(":")
    if not colon and word.lower() == TargetKind.ARCHIVE:
        return Target(TargetKind.ARCHIVE)
    try:
        kind = TargetKind(word.lower())
    except ValueError:
        kind = TargetKind.ARCHIVE
    if not colon or kind is TargetKind.ARCHIVE:
        raise WrongDestination(
            f"{text!r} is no destination.",
            f"Write {FORMS} or archive, or a saved name.",
        )
    if kind in NOT_YET:
        raise WrongDestination(
            f"{NOT_YET[kind]} cannot be uploaded to in this version.",
            f"Use {FORMS} or archive.",
        )
    try:
        if kind is TargetKind.DIMSE:
            return Target(kind, str(parse_node(rest)))
        return Target(kind, parse_address(rest).written)
    except BadInput as error:
        raise WrongDestination(error.message, error.remedy) from error


def place(spec: str) -> str:
    """Where *spec* leads, however the way there is encrypted: passwords belong to it, and jobs go there."""
    return spec.partition("?")[0]


def check_namespace(name: str) -> str:
    """*name* if it is a proper namespace. Raises WrongDestination."""
    proper = 0 < len(name) <= NAMESPACE_LENGTH and name[0] in NAMESPACE_LETTERS
    if not proper or not all(c in NAMESPACE_LETTERS or c == "." for c in name):
        raise WrongDestination(
            f"{name!r} is no namespace.",
            "Use letters, digits, dot, underscore and hyphen, at most 64, not beginning with a dot.",
        )
    return name
