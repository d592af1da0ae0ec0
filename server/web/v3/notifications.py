"""V3 internal API: notifications by name, scans, and the dead letters: what could not be delivered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.access.rights import Right
from core.archive.announcing import Span
from core.audit.log import Event
from core.outbox.queue import DeadLetter
from core.outbox.templates import Request, parsed
from server.notify import Notifying
from server.web.body import parse_json, read_document
from server.web.call import Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.errors import BAD_JSON, Refused
from server.web.services import Services
from server.web.streaming import Operation

TAG = "V3 internal"
STUDY = "/internal-api/v2/study"
NOTIFICATION = f"{STUDY}/notification"
DEAD = f"{STUDY}/dead-letter"
MOST_NAMESPACES = 500


class NotificationRoutes:
    """Handlers of the internal listener."""

    def __init__(self, services: Services, notifying: Notifying) -> None:
        self._services = services
        self._notifying = notifying
        self._db = services.archive.db

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [
            Operation(NOTIFICATION, "GET", self.rules, TAG),
            Operation(f"{NOTIFICATION}/{{name}}", "PUT", self.set_rule, TAG, body=("application/json",)),
            Operation(f"{NOTIFICATION}/{{name}}", "DELETE", self.remove_rule, TAG),
            Operation(f"{STUDY}/scan", "POST", self.scan, TAG, body=("application/json",), answers={202: ()}),
            Operation(DEAD, "GET", self.dead_letters, TAG),
            Operation(f"{DEAD}/{{id}}/resend", "POST", self.resend, TAG, answers={202: ()}),
        ]

    async def rules(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every notification."""
        caller_of(scope).require(Right.ADMIN)
        rules = await self._services.run(self._notifying.outbox.rules)
        await answer_json(send, 200, {"result": [_rule(name, rules[name]) for name in sorted(rules)]})

    async def set_rule(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a notification, or change it."""
        caller, name = caller_of(scope), scope["path_params"]["name"]
        caller.require(Right.ADMIN)
        request = parsed(await self._document(scope, receive))
        audit = self._services.archive.audit

        def work(connection: Any) -> None:
            self._notifying.announcer.set_rule(connection, name, request)
            audit.record(connection, Event.SECURITY_ALERT, "notification set", actor=caller.login)

        await self._services.durable(lambda: self._db.write(work))
        await answer_json(send, 200, _rule(name, request))

    async def remove_rule(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove a notification and what it has not told yet."""
        caller, name = caller_of(scope), scope["path_params"]["name"]
        caller.require(Right.ADMIN)
        audit = self._services.archive.audit

        def work(connection: Any) -> None:
            self._notifying.outbox.remove_rule(connection, name)
            audit.record(connection, Event.SECURITY_ALERT, "notification removed", actor=caller.login)

        await self._services.durable(lambda: self._db.write(work))
        await answer_json(send, 200, {"status": "OK"})

    async def scan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce every study stored from from_ts to before to_ts, milliseconds; 202 at once."""
        caller_of(scope).require(Right.ADMIN)
        document = await self._document(scope, receive)
        request, span = parsed(document), _span(document)
        await self._services.durable(
            lambda: self._db.write(
                lambda connection: self._notifying.announcer.begin_scan(connection, span, request)
            )
        )
        self._notifying.wake()
        await answer(send, 202)

    async def dead_letters(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What was tried for a day, or may not be delivered, the oldest first."""
        caller_of(scope).require(Right.ADMIN)
        found = await self._services.run(self._notifying.outbox.dead_letters)
        await answer_json(send, 200, {"result": [_dead(letter) for letter in found]})

    async def resend(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Try a dead letter for another day."""
        caller_of(scope).require(Right.ADMIN)
        number = scope["path_params"]["id"]
        row_id = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0
        outbox = self._notifying.outbox
        await self._services.durable(
            lambda: self._db.write(lambda connection: outbox.resend(connection, row_id))
        )
        self._notifying.wake()
        await answer(send, 202)

    async def _document(self, scope: Scope, receive: Receive) -> Any:
        return parse_json(await read_document(call_of(scope), receive, limits=self._services.limits))


def _span(document: dict[str, Any]) -> Span:
    bounds = []
    for field in ("from_ts", "to_ts"):
        value = document.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e17 < value < 1e17:
            raise Refused(BAD_JSON, f"The field {field} must be a number of milliseconds.")
        bounds.append(value / 1000)
    names = document.get("namespace")
    if names is not None and not (
        isinstance(names, list)
        and len(names) <= MOST_NAMESPACES
        and all(isinstance(name, str) and name.isprintable() for name in names)
    ):
        raise Refused(BAD_JSON, f"The field namespace must be a list of at most {MOST_NAMESPACES} names.")
    return Span(bounds[0], bounds[1], names)


def _rule(name: str, request: Request) -> dict[str, str]:
    return {
        "name": name,
        "request_method": request.method,
        "request_url": request.url,
        "request_body": request.body,
    }


def _dead(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "notification": letter.target,
        "event_type": str(letter.happening.event),
        "namespace": letter.happening.namespace,
        "study_uid": letter.happening.study_uid,
        "phi_namespace": letter.happening.phi_namespace,
        "actor": letter.happening.actor,
        "created": datetime.fromtimestamp(letter.created, UTC).isoformat(timespec="milliseconds"),
        "attempts": letter.attempts,
        "last_error": letter.last_error,
    }
