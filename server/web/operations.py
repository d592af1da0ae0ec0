"""What whoever runs the archive asks: is it alive, is it ready, how is it doing."""

from __future__ import annotations

import uuid

from core.access.rights import Right
from core.errors import KnownError
from server.web.call import Receive, Scope, Send, answer, answer_json, caller_of
from server.web.services import Services
from server.web.streaming import Operation

TAG = "Operations"
PROBE_NAMESPACE = "default"
PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class OperationRoutes:
    """Handlers of probes and figures."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [
            Operation("/healthz", "GET", self.alive, TAG),
            Operation(
                "/readyz",
                "GET",
                self.ready,
                TAG,
                answers={200: ("application/json",), 503: ("application/json",)},
            ),
            Operation("/metrics", "GET", self.metrics, TAG, answers={200: ("text/plain",)}),
        ]

    async def alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The process answers."""
        await answer_json(send, 200, {"status": "alive"})

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The store can be written and the database answers; 503 with the reason if not."""
        try:
            await self._services.run(self._probe)
        except KnownError as error:
            await answer_json(
                send, 503, {"status": "not ready", "reason": error.message, "remedy": error.remedy}
            )
            return
        await answer_json(send, 200, {"status": "ready"})

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Figures as Prometheus text."""
        caller_of(scope).require(Right.VIEW)
        status = await self._services.run(self._services.archive.status)
        gauges = {
            "filmjacket_studies": ("Studies kept.", status.studies),
            "filmjacket_instances": ("Current instances kept.", status.images),
            "filmjacket_stored_bytes": ("Bytes of current instances.", status.bytes),
            "filmjacket_free_bytes": ("Free bytes on the store's disk.", status.free_bytes),
            "filmjacket_settling_studies": ("Studies the background pass has yet to do.", status.settling),
        }
        notifying = self._services.notifying
        more = await self._services.run(notifying.figures) if notifying else {}
        text = self._services.metrics.text({**gauges, **more, **self._services.metrics.others()})
        await answer(send, 200, text.encode(), [PROMETHEUS])

    def _probe(self) -> None:
        archive = self._services.archive
        archive.namespaces()
        with archive.incoming(PROBE_NAMESPACE) as incoming:
            incoming.write(uuid.uuid4().bytes)
