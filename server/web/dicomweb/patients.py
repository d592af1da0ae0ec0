"""Patients and how many studies they have, at /patients beside QIDO-RS, where dcm4chee has them too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from core.archive.level_rows import Level
from core.archive.patients import (
    BIRTH_DATE,
    PATIENT_COUNTS,
    PATIENT_ID,
    PATIENT_NAME,
    SEX,
    STUDY_COUNTS,
    patients_of,
)
from core.archive.query import Query
from core.archive.returned import Fields
from core.dicom.json_model import CHARSET, Model
from server.web.call import Receive, Scope, Send, answer_json, call_of
from server.web.dicomweb.model_forms import send_models
from server.web.dicomweb.places import BASES, namespace_known
from server.web.dicomweb.search import ANSWERS, COUNTS, PARAMETERS, TAG, Asked, SearchRoutes, media_type_of
from server.web.services import Services
from server.web.streaming import Operation

PATIENTS = "/patients"
GROUP = 0x0010
STUDY_UID = 0x0020000D
ALWAYS = frozenset({CHARSET, PATIENT_ID, PATIENT_NAME, BIRTH_DATE, SEX})
EVERY = 1 << 40


class PatientRoutes:
    """The handlers, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._searches = SearchRoutes(services)

    def operations(self) -> list[Operation]:
        """Every route of this file; the root has studies, series and instances only."""
        return [
            Operation(
                base + path, "GET", handler, TAG, answers=given, query=PARAMETERS, documented=base == BASES[0]
            )
            for base in filter(None, BASES)
            for path, handler, given in (
                (PATIENTS, self.search, ANSWERS),
                (PATIENTS + "/count", self.count, COUNTS),
            )
        ]

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Patients whose studies match the keys of the query, with the numbers of these studies.

        The keys are those of studies; who has no Patient ID is told by name and birth date. 204 for nobody.
        """
        call = call_of(scope)
        form = media_type_of(call)
        query, asked = self._searches.understood(scope, Level.STUDY)

        def work() -> tuple[list[Model], bool]:
            found = list(islice(self._patients(query), query.offset, query.offset + query.limit + 1))
            if not found:
                namespace_known(self._services, scope)
            page = [self._complete(query, asked, each) for each in found[: query.limit]]
            return page, len(found) > query.limit

        models, more = await self._services.run(work)
        await send_models(call, receive, send, models, asked.warnings(more=more), form=form)

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """How many patients have studies that match."""
        query, asked = self._searches.understood(scope, Level.STUDY)

        def work() -> int:
            number = sum(1 for _ in self._patients(query))
            if not number:
                namespace_known(self._services, scope)
            return number

        number = await self._services.run(work)
        await answer_json(send, 200, {"count": number}, asked.warnings(more=False))

    def _patients(self, query: Query) -> Iterator[Model]:
        """All of them, in the order of the studies, with the UID of the first."""
        fields = Fields(ALWAYS | {*STUDY_COUNTS, STUDY_UID}, only=True)
        studies = self._services.searcher.each(replace(query, limit=EVERY, offset=0), fields)
        return patients_of(model for _, model in studies)

    def _complete(self, query: Query, asked: Asked, patient: Model) -> Model:
        """What is told of a patient; what else is asked for says the first study."""
        wanted = {f"{tag:08X}" for tag in (*ALWAYS, *PATIENT_COUNTS)}
        found = {name: element for name, element in patient.items() if name in wanted}
        more = frozenset(tag for tag in asked.fields if tag >> 16 == GROUP) - ALWAYS
        if more or asked.everything:
            uid = patient[f"{STUDY_UID:08X}"]["Value"][0]
            one = Query(Level.STUDY, query.namespace, uid, limit=1, view=query.view)
            for _, model in self._services.searcher.answers(one, Fields(more, asked.everything)).models:
                found |= {name: element for name, element in model.items() if int(name, 16) >> 16 == GROUP}
        return dict(sorted(found.items()))
