"""The ports in which the stages of the journey meet: bytes flow from a `Source` to a `Sink`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

from core.dicom.refs import FileRef, Found, Header, Skipped


class Source(Protocol):
    """Where instances come from: a disc, a folder, a ZIP file, a remote archive."""

    @property
    def name(self) -> str:
        """What a clerk would call it ("RAD_CD 2024", "Local archive")."""

    def headers(self) -> Iterator[Found | Skipped]:
        """Every file once, as it is found; never raises for a single bad file."""

    def open(self, ref: FileRef) -> BinaryIO:
        """The file's bytes, seekable, for reading; the caller closes it. Raises OSError or KnownError."""


class Coded(NamedTuple):
    """One frame as it came; *transfer_syntax_uid* "" = not said."""

    data: bytes
    transfer_syntax_uid: str = ""


@runtime_checkable
class FramesApart(Protocol):
    """What `Source.open` may return: a file with everything but the pixel data, which come frame by frame."""

    def frame(self, index0: int) -> Coded:
        """The 0-based frame. Raises KnownError, other than Unreachable where only the whole can be had."""

    def whole(self) -> BinaryIO:
        """The object as a file, closed with this one. Raises OSError or KnownError."""


@runtime_checkable
class HeaderSource(Protocol):
    """A `Source` that gives headers much sooner than pictures."""

    def open_header(self, ref: FileRef) -> BinaryIO:
        """A file with everything but the pixel data. Raises OSError or KnownError."""


class Outcome(StrEnum):
    """What became of one sent instance."""

    STORED = "stored"
    ALREADY_THERE = "already-there"


@dataclass(frozen=True, slots=True)
class Sent:
    """A sink's answer for one instance; *digest* is the destination's own, "" if it gives none."""

    outcome: Outcome
    digest: str = ""


class Sink(Protocol):
    """Where instances go: an archive, a folder, a disc."""

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        """Send one instance; returns only when the receiver says it is durable. Raises KnownError."""


class Modeller(Protocol):
    """Makes DICOM JSON models of stored objects."""

    def model(self, file: Path, address: str) -> bytes:
        """One line of JSON, bulk data at *address* and the way to it. Raises KnownError."""


class Thumbnailer(Protocol):
    """Makes small pictures of stored objects."""

    def thumbnail(self, file: Path, frame: int, box: int) -> bytes:
        """JPEG of 0-based *frame*, fitting *box* x *box* pixels. Raises NotRenderable."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A scheduled procedure step, as the Modality Worklist has it: *values* by keyword, as texts (PS3.4 K.6).

    *uid* names the workitem behind it; an order that is none yet has "". *state* is a Procedure Step State.
    """

    study_instance_uid: str
    values: Mapping[str, str]
    uid: str = ""
    state: str = "SCHEDULED"


class Worklist(Protocol):
    """Who knows what is to be done: workitems, and orders."""

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """Every step that is not finished, in the order they start."""
