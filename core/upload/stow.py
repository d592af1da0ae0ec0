"""An archive that speaks DICOMweb, as the destination of an upload: STOW-RS to send, QIDO-RS to ask.

It gives no digests: what it says it holds is believed by SOP Instance UID. It keeps nothing but objects, so a
document is attached as an Encapsulated PDF of the study, and its SOP Instance UID stands for its digest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from core.dicom.json_model import Model
from core.dicom.model_values import text
from core.dicom.ports import Outcome, Sent
from core.dicom.refs import Header
from core.errors import KnownError, NotFound, SourceFault, TookTooLong, TooLarge
from core.net.answers import UnknownNamespace
from core.net.credentials import Access
from core.net.dicomweb_client import DICOM, STUDIES, DicomWebClient, held, no_service
from core.net.http import Params, Timeouts
from core.net.related import Measured, Part, RelatedBody
from core.net.store_answer import DUPLICATE, StoreAnswer
from core.upload.destination import Images
from core.upload.documents import Encapsulate, document

SMALL_BYTES = 1 << 20
MOST_BYTES, LEAST_BYTES = 8 << 20, 64 << 10
"""Of a request that brings several images: as much is tried at first, less is not asked for."""
STUDY_UID = "0020000D"
PATIENT_FIELDS = "00080050,00081030,00100010,00100020,00100021,00100030,00100040,00200010,00080090"


class StowDestination:
    """A DICOMweb archive; called from any thread."""

    def __init__(
        self,
        base_url: str,
        access: Access,
        encapsulate: Encapsulate,
        *,
        name: str = "",
        timeouts: Timeouts | None = None,
    ) -> None:
        self._client = DicomWebClient(base_url, access, timeouts)
        self._encapsulate = encapsulate
        self._name = name or f"stow:{self._client.base_url}"
        self._ceiling = MOST_BYTES
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What a clerk calls it."""
        return self._name

    @property
    def gives_digest(self) -> bool:
        """Never: DICOMweb has no such thing."""
        return False

    def held(self, study_uid: str, sop_uids: Sequence[str]) -> dict[str, str]:
        """Those of *sop_uids* that it says the study has."""
        wanted = set(sop_uids)
        return {uid: "" for uid in held(self._client, study_uid) if uid in wanted}

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        """Store one instance by itself."""
        answer = self._store([Part(DICOM, Measured(data, size))])
        sent = self._outcome(header.study_instance_uid, header.sop_instance_uid, answer)
        if isinstance(sent, KnownError):
            raise sent
        return sent

    @property
    def small_bytes(self) -> int:
        """What fits at least twice into a request as large as it takes."""
        return min(SMALL_BYTES, self._ceiling // 2)

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        """Store several instances, in as many requests as the archive's limit needs."""
        answers: list[Sent | KnownError] = []
        for some in _batches(list(images()), self._ceiling):
            answers += self._send_some(some)
        return answers

    def _send_some(self, some: Sequence[tuple[Header, bytes]]) -> list[Sent | KnownError]:
        try:
            answer = self._store([Part(DICOM, content) for _, content in some])
        except TooLarge as error:
            if len(some) == 1:
                return [error]
            half = len(some) // 2
            return self._send_some(some[:half]) + self._send_some(some[half:])
        alone = len(some) == 1
        return [
            self._outcome(header.study_instance_uid, header.sop_instance_uid, answer, alone=alone)
            for header, _ in some
        ]

    def attachments_held(self, study_uid: str) -> set[str]:
        """SOP Instance UIDs of the study: an attachment is one of its objects."""
        return set(held(self._client, study_uid))

    def attach(self, study_uid: str, path: Path, name: str, content_type: str) -> str:
        """Attach a PDF to the study, for the patient the archive has there; returns its SOP Instance UID."""
        with document(self._encapsulate, self._study(study_uid), path, name) as made:
            answer = self._store([Part(DICOM, Measured(made.file, made.size))])
        sent = self._outcome(study_uid, made.sop_uid, answer)
        if isinstance(sent, KnownError):
            raise sent
        return made.sop_uid

    def reachable(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self._client.alive()

    def test(self) -> str:
        """Prove address and login; returns a sentence for a person."""
        try:
            self._client.search(STUDIES, [], limit=1)
        except UnknownNamespace:
            return f"{self._client.peer} answers; this namespace is new there, or not for this account."
        return f"The DICOMweb archive at {self._client.peer} answers."

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def _store(self, parts: Sequence[Part]) -> StoreAnswer:
        """One request; what is too much for the archive makes the next ones smaller. Raises KnownError."""
        with closing(RelatedBody(parts)) as body:
            try:
                return self._client.store(body, DICOM)
            except NotFound as error:
                raise no_service(self._client.peer) from error
            except (TooLarge, TookTooLong):
                with self._lock:
                    self._ceiling = max(LEAST_BYTES, min(self._ceiling, body.size) // 2)
                raise

    def _outcome(
        self, study_uid: str, sop_uid: str, answer: StoreAnswer, *, alone: bool = True
    ) -> Sent | KnownError:
        """What became of one object. A success that does not name it counts only if the archive has it.

        *alone*: the request brought nothing else, so what the answer says is said of it.
        """
        if sop_uid in answer.stored:
            return Sent(Outcome.STORED)
        peer = self._client.peer
        for refusal in answer.failed:
            if refusal.sop_uid == sop_uid:
                there = refusal.reason == DUPLICATE and self._has(study_uid, sop_uid)
                return Sent(Outcome.ALREADY_THERE) if there else refusal.error(peer)
        if self._has(study_uid, sop_uid):
            return Sent(Outcome.STORED)
        if alone and answer.failed:
            return answer.failed[0].error(peer)
        if alone and answer.stored:
            return _another()
        return KnownError(f"{peer} did not say what became of the image.", "Try again.")

    def _has(self, study_uid: str, sop_uid: str) -> bool:
        return sop_uid in held(self._client, study_uid, [("SOPInstanceUID", sop_uid)])

    def _study(self, study_uid: str) -> Model:
        """The study's patient and dates as the archive has them. Raises KnownError."""
        params: Params = [("StudyInstanceUID", study_uid), ("includefield", PATIENT_FIELDS)]
        for model in self._client.search(STUDIES, params, limit=1):
            if text(model, STUDY_UID) == study_uid:
                return model
        raise KnownError(f"{self._client.peer} does not show the study yet.", "Try again.")


def _batches(
    images: Sequence[tuple[Header, bytes]], ceiling: int
) -> Iterator[Sequence[tuple[Header, bytes]]]:
    start = size = 0
    for number, (_, content) in enumerate(images):
        if number > start and size + len(content) > ceiling:
            yield images[start:number]
            start, size = number, 0
        size += len(content)
    if images:
        yield images[start:]


def _another() -> SourceFault:
    return SourceFault(
        "The file holds another image than when the source was read.",
        "Read the source again, then go on with the upload.",
        lasting=True,
    )
