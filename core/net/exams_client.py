"""Client of a DICOM Service's exams: an object is stored from a form, and found by its patient's ID."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO
from urllib.parse import quote

from core.dicom.json_model import Model
from core.dicom.model_values import text
from core.errors import KnownError
from core.net.address import parse
from core.net.answers import Answer, known_error
from core.net.credentials import Access
from core.net.dicomweb_client import DICOM, SOP_UID, authorization
from core.net.http import Timeouts, Transport
from core.net.post import Poster
from core.net.related import Measured, Part, RelatedBody
from core.net.store_answer import StoreAnswer, read_answer

EXAMS = "/exams"
STUDIES = f"{EXAMS}/studies"
STUDY_UID, SERIES_UID = "0020000D", "0020000E"
SPELLINGS = ("patientID", "PatientId")
"""The document has both; a service that refuses the first is asked with the other."""
NOBODY = "FILMJACKET TEST"
FILE = 'form-data; name="file"; filename="image.dcm"'
JSON = {"Accept": "application/json"}


class ExamsClient:
    """One service as one account sees it, from any number of threads; whoever made it closes it."""

    def __init__(self, base_url: str, access: Access = None, timeouts: Timeouts | None = None) -> None:
        address = parse(base_url)
        self.address = replace(address, prefix=address.prefix.removesuffix(EXAMS))
        self._transport = Transport(self.address, timeouts)
        self._poster = Poster(self.address, timeouts)
        self._headers = dict(authorization(access))
        self._spelling = SPELLINGS[0]

    @property
    def base_url(self) -> str:
        """The address of the service, without /exams."""
        return str(self.address)

    @property
    def peer(self) -> str:
        """Host and port."""
        return self.address.peer

    def close(self) -> None:
        """Close all connections, and cut what is under way."""
        self._poster.close()
        self._transport.close()

    def alive(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self._get(STUDIES, self._spelling, NOBODY)

    def store(self, data: BinaryIO, size: int) -> StoreAnswer:
        """Store one object of *size* bytes, read as it is sent. Raises KnownError."""
        part = Part(DICOM, Measured(data, size), disposition=FILE)
        body = RelatedBody([part])
        headers = {**JSON, **self._headers, "Content-Type": body.form_type}
        return read_answer(self._poster.post(EXAMS, body, body.size, headers), self.peer)

    def studies(self, patient_id: str) -> list[Model]:
        """The studies of a patient. Raises KnownError."""
        return self._found(STUDIES, patient_id)

    def instances(self, patient_id: str, study_uid: str) -> Iterator[str]:
        """SOP Instance UIDs of a patient's study; of an unknown one none. Raises KnownError."""
        series = f"{STUDIES}/{_quoted(study_uid)}/series"
        for found in self._found(series, patient_id):
            instances = f"{series}/{_quoted(text(found, SERIES_UID))}/instances"
            yield from (text(each, SOP_UID) for each in self._found(instances, patient_id))

    def has(self, study_uid: str, series_uid: str, sop_uid: str) -> bool:
        """Whether it would give this one object. Raises KnownError."""
        uids = (_quoted(each) for each in (study_uid, series_uid, sop_uid))
        place = STUDIES + "/{}/series/{}/instance/{}?fileType=application%2Fdicom".format(*uids)
        return self._transport.request("HEAD", place, headers=self._headers).ok

    def _found(self, resource: str, patient_id: str) -> list[Model]:
        """Raises KnownError; NotFound where there is no such service."""
        first, other = SPELLINGS if self._spelling == SPELLINGS[0] else SPELLINGS[::-1]
        answer = self._get(resource, first, patient_id)
        if answer.status == 400:
            again = self._get(resource, other, patient_id)
            if again.ok:
                self._spelling, answer = other, again
        if not answer.ok:
            raise known_error(answer, self.peer)
        return _models(answer, self.peer)

    def _get(self, resource: str, spelling: str, patient_id: str) -> Answer:
        """A search; the patient's ID stands in the address, as the service wants it."""
        path = f"{resource}?{spelling}={_quoted(patient_id)}"
        return self._transport.request("GET", path, headers={**JSON, **self._headers})


def _quoted(uid: str) -> str:
    return quote(uid, safe="")


def _models(answer: Answer, peer: str) -> list[Model]:
    """Raises KnownError."""
    if answer.status == 204 or not answer.content.strip():
        return []
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise KnownError(f"{peer} answers, but not as a DICOM Service does.", "Check the address.")
    return found
