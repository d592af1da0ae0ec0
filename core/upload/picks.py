"""What a person picked to be sent: instances of one study, and files to attach to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.dicom.refs import Found, Header
from core.dicom.tree import Study
from core.errors import BadInput

ARCHIVED = "archive:"
REMOTE = "remote:"


@dataclass(frozen=True, slots=True)
class Pick:
    """Some or all instances of one study; *header* speaks for its patient and study."""

    header: Header
    instances: tuple[Found, ...]

    @classmethod
    def of(cls, study: Study, series_uids: Collection[str] | None = None) -> Pick:
        """The study, or only those of its series."""
        chosen = [s for uid, s in study.series.items() if series_uids is None or uid in series_uids]
        return cls(study.header, tuple(found for series in chosen for found in series.in_order()))

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return self.header.study_instance_uid


@dataclass(frozen=True, slots=True)
class Attach:
    """A file to attach to a study."""

    study_uid: str
    path: Path


@dataclass(frozen=True, slots=True)
class ArchivedStudy:
    """A study of the archive in the data folder, as the source of a job."""

    namespace: str
    study_uid: str

    def __str__(self) -> str:
        """As the ledger writes it among its sources; no absolute path begins so."""
        return f"{ARCHIVED}{self.namespace}/{self.study_uid}"

    @classmethod
    def parse(cls, text: str) -> ArchivedStudy | None:
        """What `str` wrote, None if *text* is a path."""
        if not text.startswith(ARCHIVED):
            return None
        namespace, _, study_uid = text.removeprefix(ARCHIVED).partition("/")
        return cls(namespace, study_uid)


@dataclass(frozen=True, slots=True)
class RemoteArchive:
    """A DICOMweb archive as the source of a job: what it is saved under, and its DEST form."""

    name: str
    spec: str

    def __str__(self) -> str:
        """As the ledger writes it among its sources; no absolute path begins so, no name has a colon."""
        return f"{REMOTE}{self.name}:{self.spec}"

    @classmethod
    def parse(cls, text: str) -> RemoteArchive | None:
        """What `str` wrote, None if *text* is something else."""
        if not text.startswith(REMOTE):
            return None
        name, _, spec = text.removeprefix(REMOTE).partition(":")
        return cls(name, spec)


@dataclass(frozen=True, slots=True)
class Order:
    """What (picks, attachments), where from (absolute source paths), where to (DEST and namespace).

    *origin*: the studies lie in the archive, or in one elsewhere, and *sources* is empty.
    *entry*: UID of the worklist entry the studies are sent for, "" for none.
    *replace*: send even where the destination holds another file under the same SOP Instance UID.
    """

    sources: Sequence[Path]
    destination: str
    picks: Sequence[Pick]
    attachments: Sequence[Attach] = field(default_factory=tuple)
    namespace: str = "default"
    replace: bool = False
    origin: ArchivedStudy | RemoteArchive | None = None
    entry: str = ""

    def __post_init__(self) -> None:
        picked = {pick.study_uid for pick in self.picks}
        for attach in self.attachments:
            if attach.study_uid not in picked:
                raise BadInput("A file can only be attached to a study that is sent as well.")
