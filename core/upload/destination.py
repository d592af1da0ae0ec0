"""The port of whatever an upload goes to: a `Sink` that can also be asked what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from core.dicom.ports import Sent
from core.dicom.refs import Header
from core.errors import KnownError

Images = Callable[[], Iterator[tuple[Header, bytes]]]
"""Small instances, each as a whole, in the same order each time it is called."""


class Destination(Protocol):
    """Called from several threads at once. Every method raises KnownError, Unreachable when worth a retry."""

    @property
    def name(self) -> str:
        """What a clerk calls it; also the `destination` of the receipt."""

    @property
    def gives_digest(self) -> bool | None:
        """Whether its digests are versions as of `core.dicom.digest`; None = found out by comparing."""

    def held(self, study_uid: str, sop_uids: Sequence[str]) -> dict[str, str]:
        """Digest ("" if it gives none) of each of *sop_uids* that it holds now; none of an unknown study."""

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        """Send one instance of *size* bytes, read once from *data*; returns when it says it is durable."""

    @property
    def small_bytes(self) -> int:
        """Instances of at most so many bytes may be sent several at once; 0 = each goes by itself."""

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        """Send small instances in one exchange; what became of each, in order, once that is durable."""

    def attachments_held(self, study_uid: str) -> set[str]:
        """Digests of the study's attachments; of an unknown study none."""

    def attach(self, study_uid: str, path: Path, name: str, content_type: str) -> str:
        """Attach a file to the study; returns the digest the destination gives, "" if none."""

    def reachable(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""

    def test(self) -> str:
        """Prove address and login; returns a sentence for a person."""

    def close(self) -> None:
        """Let go of all connections."""
