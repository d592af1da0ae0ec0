"""How the DICOM door stands, for the desktop: who is there, what came, who was turned away; letting in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.access.rights import Right
from core.archive.nouns import StudyRow
from core.archive.search import rows_of
from core.errors import BadInput, Conflict
from core.net.own_addresses import addresses
from core.settings import AE_TITLE, DimsePeer
from server.dimse.door import Door
from server.dimse.traffic import Received
from server.web.body import parse_json, read_document
from server.web.call import Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.desktop.routes import BASE
from server.web.services import Services
from server.web.streaming import Operation

GATEWAY = BASE + "/gateway"
PEERS = GATEWAY + "/peers"
JSON = ("application/json",)
ADDRESS = re.compile(r"[A-Za-z0-9._:/%-]{0,253}")


class GatewayRoutes:
    """Handlers over the door of one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        refused: dict[int, tuple[str, ...]] = {204: (), 400: JSON, 409: JSON}
        return [
            Operation(GATEWAY, "GET", self.status, "Desktop", answers={200: JSON}),
            Operation(PEERS, "POST", self.allow, "Desktop", JSON, refused),
        ]

    async def status(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The DICOM door: its address, open associations, what came, who was turned away, counts of today."""
        caller_of(scope).require(Right.ADMIN)
        await answer_json(send, 200, await self._services.run(self._status))

    async def allow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let `ae_title` at `host` ("" for any) in from now on, until the archive stops."""
        caller_of(scope).require(Right.ADMIN)
        document = parse_json(await read_document(call_of(scope), receive, limits=self._services.limits))
        title = document.get("ae_title") if isinstance(document, dict) else None
        host = document.get("host", "") if isinstance(document, dict) else None
        if not isinstance(title, str) or not AE_TITLE.fullmatch(title) or title == "*":
            raise BadInput("The ae_title must be 1 to 16 ASCII characters.")
        if not isinstance(host, str) or not ADDRESS.fullmatch(host):
            raise BadInput("The host is no address.")
        if not self._services.door.allow(DimsePeer(title, host)):
            raise Conflict("The DICOM port is off.", "Switch it on first.")
        await answer(send, 204)

    def _status(self) -> dict[str, Any]:
        door = self._services.door
        traffic = door.traffic
        today = traffic.today()
        return {
            **_where(door),
            "associations": [
                {
                    "calling": each.calling,
                    "called": each.called,
                    "address": each.address,
                    "since": int(each.since),
                    "service": each.service,
                }
                for each in traffic.visits()
            ],
            "received": self._received(traffic.arrivals()),
            "refused": [
                {
                    "time": int(each.time),
                    "calling": each.calling,
                    "called": each.called,
                    "address": each.address,
                    "why": each.why,
                    "words": each.words,
                }
                for each in traffic.refusals()
            ],
            "today": {
                "since": int(today.since),
                "associations": today.associations,
                "refused": today.refused,
                "received": today.received,
            },
        }

    def _received(self, arrivals: Sequence[Received]) -> list[dict[str, Any]]:
        """Whose studies they are, too; one that was deleted meanwhile has no name."""
        with self._services.archive.db.read() as connection:
            return [
                _arrival(each, *rows_of(connection, each.namespace, [each.study_uid])) for each in arrivals
            ]


def _arrival(one: Received, row: StudyRow | None = None) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "study_uid": one.study_uid,
        "calling": one.calling,
        "called": one.called,
        "images": one.count,
        "last": int(one.last),
        "patient_name": row.patient_name if row else "",
        "patient_id": row.patient_id if row else "",
        "patient_birth_date": row.patient_birth_date if row else "",
        "patient_sex": row.patient_sex if row else "",
        "study_description": row.study_description if row else "",
    }


def _where(door: Door) -> dict[str, Any]:
    where = door.where
    return {
        "ae_title": door.ae_title,
        "running": where is not None,
        "host": where.host if where else "",
        "port": where.port if where else 0,
        "addresses": addresses(where.host) if where else [],
        "tls": where.tls if where else False,
        "known_only": where.known_only if where else False,
    }
