"""A DICOM Service as the destination of an upload: each object by a form to /exams, found by its patient.

It gives no digests: what it says it holds is believed by SOP Instance UID. It keeps nothing but objects, so a
document is attached as an Encapsulated PDF of the study, and its SOP Instance UID stands for its digest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from core.dicom.json_model import Model, element_of
from core.dicom.model_values import text
from core.dicom.ports import Outcome, Sent
from core.dicom.refs import Header
from core.errors import KnownError, NotFound, Unsupported
from core.net.credentials import Access
from core.net.exams_client import NOBODY, STUDY_UID, ExamsClient
from core.net.http import Timeouts
from core.upload.destination import Images
from core.upload.documents import Encapsulate, document

Whose = Callable[[str], str]
"""The Patient ID of a study, "" if it has none or is not known."""
PATIENT_ID = "00100020"


class ExamsDestination:
    """One service; called from any thread."""

    def __init__(
        self,
        base_url: str,
        access: Access,
        encapsulate: Encapsulate,
        *,
        whose: Whose,
        name: str = "",
        timeouts: Timeouts | None = None,
    ) -> None:
        self._client = ExamsClient(base_url, access, timeouts)
        self._encapsulate = encapsulate
        self._whose = whose
        self._name = name or f"exams:{self._client.base_url}"
        self._lock = threading.Lock()
        self._sent: dict[str, Header] = {}

    @property
    def name(self) -> str:
        """What a clerk calls it."""
        return self._name

    @property
    def gives_digest(self) -> bool:
        """Never: the service has no such thing."""
        return False

    @property
    def small_bytes(self) -> int:
        """A form brings one object."""
        return 0

    def held(self, study_uid: str, sop_uids: Sequence[str]) -> dict[str, str]:
        """Those of *sop_uids* that it finds under the study's patient, or would give back."""
        wanted = set(sop_uids)
        there = wanted & self._found(study_uid) if wanted else set()
        return dict.fromkeys(there | self._given(wanted - there), "")

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        """Store one instance."""
        self._store(header.sop_instance_uid, data, size)
        with self._lock:
            self._sent[header.sop_instance_uid] = header
        return Sent(Outcome.STORED)

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        """Never used, since `small_bytes` is 0."""
        raise Unsupported("A DICOM Service takes one object at a time.")

    def attachments_held(self, study_uid: str) -> set[str]:
        """SOP Instance UIDs of the study: an attachment is one of its objects."""
        return self._found(study_uid)

    def attach(self, study_uid: str, path: Path, name: str, content_type: str) -> str:
        """Attach a PDF to the study, for the patient it has there; returns its SOP Instance UID."""
        with document(self._encapsulate, self._study(study_uid), path, name) as made:
            self._store(made.sop_uid, made.file, made.size)
        return made.sop_uid

    def reachable(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self._client.alive()

    def test(self) -> str:
        """Prove address and login; returns a sentence for a person."""
        try:
            self._client.studies(NOBODY)
        except NotFound as error:
            raise _no_service(self._client.peer) from error
        return f"The DICOM Service at {self._client.peer} answers."

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def _store(self, sop_uid: str, data: BinaryIO, size: int) -> None:
        """Raises KnownError unless the answer names the object as stored."""
        try:
            answer = self._client.store(data, size)
        except NotFound as error:
            raise _no_service(self._client.peer) from error
        if sop_uid in answer.stored:
            return
        refusal = next((each for each in answer.failed if each.sop_uid in (sop_uid, "")), None)
        if refusal is not None:
            raise refusal.error(self._client.peer)
        raise KnownError(f"{self._client.peer} did not say what became of the image.", "Try again.")

    def _found(self, study_uid: str) -> set[str]:
        """What it lists of the study; nothing of one whose patient has no ID: it cannot be asked then."""
        patient_id = self._whose(study_uid).strip()
        if not patient_id:
            return set()
        try:
            return set(self._client.instances(patient_id, study_uid))
        except NotFound:
            return set()

    def _given(self, sop_uids: Iterable[str]) -> set[str]:
        """Of those that went there just now, the ones it gives back: they bear another ID, or none."""
        with self._lock:
            sent = [self._sent[uid] for uid in sop_uids if uid in self._sent]
        return {
            each.sop_instance_uid
            for each in sent
            if self._client.has(each.study_instance_uid, each.series_instance_uid, each.sop_instance_uid)
        }

    def _study(self, study_uid: str) -> Model:
        """The study's patient and dates as the service has them. Raises KnownError."""
        patient_id = self._whose(study_uid).strip()
        if not patient_id:
            raise Unsupported("The patient has no ID, so the service cannot be asked for the study.")
        for model in self._client.studies(patient_id):
            if text(model, STUDY_UID) == study_uid:
                return {**model, PATIENT_ID: model.get(PATIENT_ID) or element_of("LO", [patient_id])}
        raise KnownError(f"{self._client.peer} does not show the study yet.", "Try again.")


def _no_service(peer: str) -> NotFound:
    return NotFound(
        "storage",
        f"{peer} answers, but has no DICOM Service there.",
        "Check the address; /exams is added to it.",
    )
