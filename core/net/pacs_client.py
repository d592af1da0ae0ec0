"""Client of an archive's routes for PACS and for its DICOM door; a V3Client that is signed in carries it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import quote

from core.net.records import StudyRow, read, read_all
from core.net.tls import Tls
from core.net.v3_client import DESKTOP, V3Client

MOST_ASKED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class PacsNode:
    """A PACS: what a person calls it, and where it is."""

    name: str
    ae_title: str
    host: str
    port: int
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One study on its way from a PACS; times are seconds since 1970, 0 = not yet.

    *state*: waiting, running, done, partial, failed, stopped. *here* of *total* (0 = unknown) images came.
    """

    id: str
    node: str = ""
    ae_title: str = ""
    namespace: str = ""
    study_uid: str = ""
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_description: str = ""
    state: str = ""
    total: int = 0
    here: int = 0
    failed: int = 0
    apart: int = 0
    method: str = ""
    why: str = ""
    remedy: str = ""
    asked: int = 0
    ended: int = 0

    @property
    def under_way(self) -> bool:
        """Whether it may still change by itself."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Visit:
    """An open association; *service* is the command it gave last."""

    calling: str = ""
    called: str = ""
    address: str = ""
    since: int = 0
    service: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Images of one study that came over the DICOM door."""

    study_uid: str
    namespace: str = ""
    calling: str = ""
    called: str = ""
    images: int = 0
    last: int = 0
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_description: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An association that was not accepted; *why*: calling-unknown, called-unknown, too-many, tls, other."""

    time: int = 0
    calling: str = ""
    called: str = ""
    address: str = ""
    why: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Today:
    """Counts since midnight, or since the archive started if that was later (*since*)."""

    since: int = 0
    associations: int = 0
    refused: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class Gateway:
    """How the DICOM door of an archive stands; *addresses*: those by which others find it."""

    ae_title: str = ""
    running: bool = False
    host: str = ""
    port: int = 0
    addresses: tuple[str, ...] = ()
    tls: bool = False
    known_only: bool = False
    associations: tuple[Visit, ...] = ()
    received: tuple[Arrival, ...] = ()
    refused: tuple[Refusal, ...] = ()
    today: Today = field(default_factory=Today)


class PacsClient:
    """Asks over *client*'s connections; every call is slow and raises KnownError."""

    def __init__(self, client: V3Client) -> None:
        self._session = client.session

    def retrievals(self) -> tuple[Retrieval, ...]:
        """All that are under way or were, the newest first."""
        return read_all(
            Retrieval, self._session.request("GET", f"{DESKTOP}/retrievals").object().get("retrievals")
        )

    def retrieve(self, node: PacsNode, studies: Iterable[StudyRow]) -> tuple[Retrieval, ...]:
        """Have the archive fetch *studies*."""
        names = (
            "study_uid", "patient_name", "patient_id", "patient_birth_date", "patient_sex", "study_date",
            "study_description",
        )  # fmt: skip
        body = {
            "node": asdict(node),
            "studies": [{name: getattr(row, name) for name in names} for row in studies],
        }
        answer = self._session.request("POST", f"{DESKTOP}/retrievals", body=body)
        return read_all(Retrieval, answer.object().get("retrievals"))

    def stop(self, retrieval_id: str) -> None:
        """End one soon; what came stays."""
        self._session.request("POST", f"{_one(retrieval_id)}/stop")

    def retry(self, retrieval_id: str) -> None:
        """Fetch what is still missing of one."""
        self._session.request("POST", f"{_one(retrieval_id)}/retry")

    def forget(self, retrieval_id: str) -> None:
        """Take one that is over off the list."""
        self._session.request("DELETE", _one(retrieval_id))

    def here(self, namespace: str, study_uids: Sequence[str]) -> Mapping[str, int]:
        """Images by Study Instance UID, of those that are in the archive."""
        path = f"{DESKTOP}/namespaces/{quote(namespace, safe='')}/here"
        found: dict[str, int] = {}
        for start in range(0, len(study_uids), MOST_ASKED_AT_ONCE):
            some = list(study_uids[start : start + MOST_ASKED_AT_ONCE])
            images = self._session.request("POST", path, body={"study_uids": some}).object().get("images")
            if isinstance(images, Mapping):
                found |= {str(uid): int(count) for uid, count in images.items()}
        return found

    def gateway(self) -> Gateway:
        """How the DICOM door stands."""
        return read(Gateway, self._session.request("GET", f"{DESKTOP}/gateway").json())

    def allow(self, ae_title: str, host: str) -> None:
        """Let a peer in from now on, until the archive stops."""
        self._session.request("POST", f"{DESKTOP}/gateway/peers", body={"ae_title": ae_title, "host": host})


def _one(retrieval_id: str) -> str:
    return f"{DESKTOP}/retrievals/{quote(retrieval_id, safe='')}"
