"""A DICOM application on the network as the destination of an upload: C-STORE to send, C-FIND to ask.

It gives no digests. A peer that offers Storage Commitment is asked for it too; one that offers neither that
nor C-FIND is believed what it answers to each C-STORE. A document is attached as an Encapsulated PDF.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from core.dicom.identifier import Identifier
from core.dicom.json_model import Model, element_of
from core.dicom.ports import Outcome, Sent
from core.dicom.refs import Header
from core.dicom.stored_object import read_object
from core.errors import KnownError, Unsupported
from core.net.dimse import asking
from core.net.dimse.association import Association
from core.net.dimse.lines import MOST_OPEN
from core.net.dimse.requestor import Peer, Wish
from core.net.dimse.sending import Recode, Sender
from core.net.dimse.store_scu import PLAIN, SUCCESS, is_warning
from core.net.store_answer import DUPLICATE, NotStored
from core.upload.destination import Images
from core.upload.documents import Encapsulate, document

ANY_STORAGE = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture: proposed beside the services, so that a peer with storage alone takes something."""
SERVICES = (asking.VERIFICATION, asking.STUDY_ROOT_FIND, asking.COMMITMENT)
CONFUSED = range(0xC000, 0xD000)
"""A peer that cannot make sense of objects, or does not have what it took, may have mixed up those that came
over several associations at once, as dcmqrscp does: what is sent again goes one by one."""
MOST_COMMITTED = 1000
"""Objects of one request for commitment."""
STUDY_KEYS = {
    "StudyDate": 0x00080020,
    "StudyTime": 0x00080030,
    "AccessionNumber": 0x00080050,
    "ReferringPhysicianName": 0x00080090,
    "StudyDescription": 0x00081030,
    "PatientName": 0x00100010,
    "PatientID": 0x00100020,
    "IssuerOfPatientID": 0x00100021,
    "PatientBirthDate": 0x00100030,
    "PatientSex": 0x00100040,
    "StudyInstanceUID": 0x0020000D,
    "StudyID": 0x00200010,
}
SERIES_UID, SOP_UID = 0x0020000E, 0x00080018


class DimseDestination:
    """One DICOM application; called from any thread."""

    def __init__(
        self,
        peer: Peer,
        encapsulate: Encapsulate,
        recode: Recode,
        *,
        name: str = "",
        wait_s: float = 0.0,
        associations: int = MOST_OPEN,
    ) -> None:
        """*wait_s*: how long a report of commitment is waited for, 0 = as usual; *associations* at most."""
        self._peer = peer
        self._sender = Sender(peer, recode, associations=associations)
        self._encapsulate = encapsulate
        self._name = name or f"dimse:{peer.called}@{peer.host}:{peer.port}"
        self._wait_s = wait_s or asking.REPORT_S
        self._lock = threading.Lock()
        self._sent: dict[str, Header] = {}
        self._committed: set[str] = set()
        self._doubted: set[str] = set()
        self._commits = True

    @property
    def name(self) -> str:
        """What a clerk calls it."""
        return self._name

    @property
    def gives_digest(self) -> bool:
        """Never: DIMSE has no such thing."""
        return False

    @property
    def small_bytes(self) -> int:
        """C-STORE takes one object at a time."""
        return 0

    def held(self, study_uid: str, sop_uids: Sequence[str]) -> dict[str, str]:
        """Those of *sop_uids* that it says the study has."""
        wanted = set(sop_uids)
        if not wanted:
            return {}
        with self._asked() as association:
            there = _instances(association, study_uid)
            with self._lock:
                ours = {uid: self._sent[uid] for uid in wanted if uid in self._sent}
            if there is None:
                there = set(ours)
            if not ours.keys() <= there:
                self._sender.one_at_a_time()
            refused = self._not_committed(association, {u: h for u, h in ours.items() if u in there})
        return {uid: "" for uid in wanted & there - refused}

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        """Store one instance. Raises KnownError; Refused, LinkLost and KnownError itself: try again."""
        status = self._sender.store(header, data, size)
        if status == DUPLICATE:
            return Sent(Outcome.ALREADY_THERE)
        if status != SUCCESS and not is_warning(status):
            self._doubt(header.sop_instance_uid, status)
            raise NotStored(header.sop_instance_uid, status).error(self._peer.called)
        with self._lock:
            self._sent[header.sop_instance_uid] = header
        return Sent(Outcome.STORED)

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        """Never used, since `small_bytes` is 0: one after the other."""
        raise Unsupported("C-STORE takes one object at a time.")

    def attachments_held(self, study_uid: str) -> set[str]:
        """SOP Instance UIDs of the study: an attachment is one of its objects."""
        with self._asked() as association:
            there = _instances(association, study_uid)
        if there is not None:
            return there
        with self._lock:
            return {uid for uid, header in self._sent.items() if header.study_instance_uid == study_uid}

    def attach(self, study_uid: str, path: Path, name: str, content_type: str) -> str:
        """Attach a PDF to the study, for the patient it has there; returns its SOP Instance UID."""
        with document(self._encapsulate, self._study(study_uid), path, name) as made:
            header = read_object(made.file, made.size).header
            made.file.seek(0)
            self.send(header, made.file, made.size)
        return made.sop_uid

    def reachable(self) -> None:
        """Come back if it takes associations. Raises Unreachable."""
        with self._asked():
            pass

    def test(self) -> str:
        """C-ECHO; returns a sentence for a person."""
        with self._asked() as association:
            context = asking.context_for(association, asking.VERIFICATION)
            if context is None:
                raise Unsupported(f"{self._peer.called} does not take C-ECHO.")
            asking.echo(association, context)
            can_find = asking.context_for(association, asking.STUDY_ROOT_FIND) is not None
        over = " over TLS" if self._peer.tls is not None else ""
        said = f"{self._peer.called} at {self._peer.host}:{self._peer.port} answers C-ECHO{over}."
        return said if can_find else f"{said} It cannot be asked what it holds."

    def close(self) -> None:
        """Release all associations."""
        self._sender.close()

    def _doubt(self, sop_uid: str, status: int) -> None:
        """Once for each object: it may have been mixed up, and is worth a try alone. Raises KnownError."""
        with self._lock:
            first = status in CONFUSED and sop_uid not in self._doubted
            self._doubted.add(sop_uid)
        if first:
            self._sender.one_at_a_time()
            raise KnownError(f"{self._peer.called} could not make sense of it at first.", "Try again.")

    def _asked(self) -> AbstractContextManager[Association]:
        """An association for questions. Raises Unreachable."""
        storage = (Wish(ANY_STORAGE, (each,)) for each in PLAIN)
        return self._sender.asking([*map(asking.wish, SERVICES), *storage])

    def _not_committed(self, association: Association, sent: dict[str, Header]) -> set[str]:
        """Those of *sent* for which the peer, asked for its commitment, refuses it."""
        context = asking.context_for(association, asking.COMMITMENT)
        with self._lock:
            new = [(each.sop_class_uid, uid) for uid, each in sent.items() if uid not in self._committed]
            commits = self._commits
        if context is None or not commits:
            return set()
        refused: set[str] = set()
        for start in range(0, len(new), MOST_COMMITTED):
            some = new[start : start + MOST_COMMITTED]
            try:
                kept = asking.commit(association, context, some, self._wait_s)
            except KnownError:
                kept = None
            if kept is None:  # it says no, or tells it over an association of its own: C-FIND must do
                with self._lock:
                    self._commits = False
                break
            with self._lock:
                self._committed |= kept
            refused |= {uid for _, uid in some} - kept
        return refused

    def _study(self, study_uid: str) -> Model:
        """The study's patient and dates, as it has them, or as they were sent. Raises KnownError."""
        with self._asked() as association:
            context = asking.context_for(association, asking.STUDY_ROOT_FIND)
            if context is not None:
                keys = dict.fromkeys(STUDY_KEYS, "") | {"StudyInstanceUID": study_uid}
                answers = asking.find(association, context, "STUDY", keys)
                mine = [found for found in answers if found.text(STUDY_KEYS["StudyInstanceUID"]) == study_uid]
                if mine:  # all were read: an association is not released with answers under way
                    return _model_of_answer(mine[0])
                raise KnownError(f"{self._peer.called} does not show the study yet.", "Try again.")
        with self._lock:
            header = next((h for h in self._sent.values() if h.study_instance_uid == study_uid), None)
        if header is None:
            raise KnownError(
                f"{self._peer.called} cannot be asked whose study this is.",
                "Send images of the study along with the document.",
            )
        return _model_of_header(header)


def _instances(association: Association, study_uid: str) -> set[str] | None:
    """SOP Instance UIDs of a study, None if the peer cannot be asked."""
    context = asking.context_for(association, asking.STUDY_ROOT_FIND)
    if context is None:
        return None
    keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": ""}
    series = [found.text(SERIES_UID) for found in asking.find(association, context, "SERIES", keys)]
    there: set[str] = set()
    for uid in dict.fromkeys(filter(None, series)):
        keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": uid, "SOPInstanceUID": ""}
        there |= {found.text(SOP_UID) for found in asking.find(association, context, "IMAGE", keys)}
    return there


def _model_of_answer(found: Identifier) -> Model:
    return _model({keyword: found.text(tag) for keyword, tag in STUDY_KEYS.items()})


def _model_of_header(header: Header) -> Model:
    return _model(
        {
            "StudyDate": header.study_date,
            "StudyTime": header.study_time,
            "AccessionNumber": header.accession_number,
            "ReferringPhysicianName": header.referring_physician_name,
            "StudyDescription": header.study_description,
            "PatientName": header.patient_name,
            "PatientID": header.patient_id,
            "IssuerOfPatientID": header.issuer_of_patient_id,
            "PatientBirthDate": header.patient_birth_date,
            "PatientSex": header.patient_sex,
            "StudyInstanceUID": header.study_instance_uid,
            "StudyID": header.study_id,
        }
    )


def _model(texts: dict[str, str]) -> Model:
    from pydicom.datadict import dictionary_VR

    model: dict[str, Any] = {}
    for keyword, text in texts.items():
        tag = STUDY_KEYS[keyword]
        vr = dictionary_VR(tag)
        model[f"{tag:08X}"] = element_of(vr, [text] if text else [])
    return model
