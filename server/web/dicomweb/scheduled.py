"""What is scheduled, as the Modality Worklist has it (PS3.4 K.6), at /mwlitems where dcm4chee has it too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from core.dicom.json_model import Model
from core.worklist.entries import matching
from server.web.call import Receive, Scope, Send, answer_json, call_of
from server.web.dicomweb.model_forms import send_models
from server.web.dicomweb.search import ANSWERS, COUNTS, PARAMETERS, Asked, asked_of, media_type_of
from server.web.dicomweb.workitems import MOST, USUAL, at_ups_bases, namespace_for
from server.web.services import Services
from server.web.streaming import Operation
from server.web.worklist_rights import READERS

TAG = "Modality Worklist"
ITEMS = "/mwlitems"


class ScheduledRoutes:
    """The handlers, over the worklist of one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [
            Operation(path, "GET", handler, TAG, answers=given, query=PARAMETERS, documented=documented)
            for resource, handler, given in (
                (ITEMS, self.search, ANSWERS),
                (ITEMS + "/count", self.count, COUNTS),
            )
            for path, documented in at_ups_bases(resource)
        ]

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Scheduled procedure steps that match the keys of the query, in the order they start.

        They match as in a C-FIND of the worklist, and come whole; 204 when none does.
        """
        call = call_of(scope)
        form, found, asked = media_type_of(call), *self._found(scope)
        limit, offset = min(MOST, call.number("limit", USUAL)), call.number("offset", 0)
        models = await self._services.run(lambda: list(islice(found, offset, offset + limit + 1)))
        headers = asked.warnings(more=len(models) > limit)
        await send_models(call, receive, send, models[:limit], headers, form=form)

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """How many scheduled procedure steps match."""
        found, asked = self._found(scope)
        number = await self._services.run(lambda: sum(1 for _ in found))
        await answer_json(send, 200, {"count": number}, asked.warnings(more=False))

    def _found(self, scope: Scope) -> tuple[Iterator[Model], Asked]:
        namespace = namespace_for(self._services, scope, READERS)
        asked = asked_of(call_of(scope), strict=self._services.about.strict)
        return matching(self._services.scheduled, namespace, asked.tests), asked
