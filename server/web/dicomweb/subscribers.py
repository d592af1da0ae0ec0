"""UPS-RS, notifications (PS3.18 11.10 to 11.13): subscriptions, and the WebSocket events come through."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.dicom.json_model import Model, element_of
from core.errors import BadInput, KnownError
from core.settings import AE_TITLE
from core.worklist.model import value_at
from core.worklist.procedure_step import PROGRESS, PUSH, READINESS, STATE, step_model
from core.worklist.steps import Key, matches
from core.worklist.watching import FILTERED, GLOBAL, Subscription
from core.worklist.worklist import Workitem
from server.web.call import App, Call, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.places import base_url
from server.web.dicomweb.search import asked_of
from server.web.dicomweb.workitems import ITEM, TAG, UPS_BASES, at_ups_bases, namespace_for
from server.web.errors import encode
from server.web.services import Services
from server.web.streaming import Operation
from server.web.worklist_rights import READERS

log = logging.getLogger("filmjacket.web")

SUBSCRIBER = ITEM + "/subscribers/{subscriber}"
MOST_WAITING = 1000
TOO_SLOW = 1013  # RFC 6455's registry of close codes
STATE_REPORT, CANCEL_REQUESTED = 1, 2  # event types (PS3.4 table CC.2.4-1)
OTHERS = frozenset({"deletionlock", "sid"})
PATHS = tuple(
    re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", base) + "/subscribers/(?P<subscriber>[^/]+)" for base in UPS_BASES
)
"""The paths of the WebSockets, as regular expressions."""


class SubscriptionRoutes:
    """Handlers of subscriptions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        error = ("application/json",)
        query = {
            "deletionlock": "true: kept with the subscription.",
            "filter": "Of the filtered global subscription: keys as in a search, each a parameter.",
        }
        made = {201: (), 400: error, 404: error}
        gone = {200: (), 400: error}
        return [
            Operation(path, method, handler, TAG, answers=answers, query=asked, documented=documented)
            for resource, method, handler, answers, asked in (
                (SUBSCRIBER, "POST", self.subscribe, made, query),
                (SUBSCRIBER, "DELETE", self.unsubscribe, gone, {}),
                (SUBSCRIBER + "/suspend", "POST", self.suspend, gone, {}),
            )
            for path, documented in at_ups_bases(resource)
        ]

    async def subscribe(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Subscribe an AE title to a workitem, to all (1.2.840.10008.5.1.4.34.5), or to all that match.

        The answer's Content-Location is the WebSocket through which its events come.
        """
        namespace, title, uid = self._asked(scope)
        call, watching = call_of(scope), self._services.watching
        lock, query = call.flag("deletionlock"), ""
        if uid == FILTERED:
            query = call.query_string.decode("latin-1")
            if not _keys(query):
                raise BadInput("A filtered subscription needs keys.", "Give them as in a search.")
        if uid in {GLOBAL, FILTERED}:
            uid = GLOBAL
            item = None
        else:
            item = await self._services.run(lambda: self._services.steps.find(namespace, uid))
        await self._services.durable(
            lambda: watching.subscribe(namespace, title, uid, lock=lock, query=query)
        )
        if item is not None:  # it begins with a report of how things are (PS3.4 CC.2.3.3)
            self._services.worklist.tell(item)
        address = f"{base_url(scope)}/subscribers/{title}".replace("http", "ws", 1)
        await answer(send, 201, b"", [(b"content-location", address.encode("ascii"))])

    async def unsubscribe(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End a subscription; of one workitem under a global one, that workitem is left out."""
        namespace, title, uid = self._asked(scope)
        uid = GLOBAL if uid == FILTERED else uid
        await self._services.durable(lambda: self._services.watching.unsubscribe(namespace, title, uid))
        await answer(send, 200)

    async def suspend(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Subscribe to no new workitems any more; those that are there stay subscribed to."""
        namespace, title, uid = self._asked(scope)
        if uid not in {GLOBAL, FILTERED}:
            raise BadInput("Only a global subscription can be suspended.", "Delete this one.")
        await self._services.durable(lambda: self._services.watching.suspend(namespace, title))
        await answer(send, 200)

    def _asked(self, scope: Scope) -> tuple[str, str, str]:
        """Namespace, AE title and workitem. Raises BadInput, Denied, NotFound."""
        namespace = namespace_for(self._services, scope, READERS)
        params = scope["path_params"]
        return namespace, _title(params["subscriber"]), params["workitem_uid"]


def _title(text: str) -> str:
    if not AE_TITLE.fullmatch(text) or not re.fullmatch(r"[A-Za-z0-9_.\- ]+", text):
        raise BadInput("The subscriber is no AE title.", "Give 1 to 16 letters, digits and signs.")
    return text.strip()


def _keys(query: str) -> Sequence[Key]:
    """The keys of a filter. Raises BadInput."""
    asked = asked_of(Call("GET", False, {}, query.encode("latin-1")), strict=False)
    if others := [name for name in asked.unsupported if name.lower() not in OTHERS]:
        raise BadInput(f"The key {others[0]} of the filter is not supported.")
    return asked.tests


def sockets(services: Services) -> Mapping[str, App]:
    """The WebSockets of the subscribers, by their paths."""
    channel = Channel(services)
    services.worklist.listen(channel.hear)
    return dict.fromkeys(PATHS, channel)


@dataclass(eq=False)
class _Listener:
    """One connection, and what it has still to be told."""

    namespace: str
    title: str
    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Queue[Model] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    slow: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by one event after the other: they are told in the order they came."""

    def tell(self, event: Model) -> None:
        """Queue an event; one who does not take them is let go."""
        try:
            self.waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.slow = True


class Channel:
    """Serves subscribers' connections; `hear` is told of every change of a workitem."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._listeners: set[_Listener] = set()
        self._number = int(time.time())

    def hear(self, item: Workitem, asked: bool) -> None:
        """A workitem was made or changed, or its cancellation is *asked* for; called on any thread."""
        for listener in list(self._listeners):
            if listener.namespace == item.namespace:
                with suppress(RuntimeError):  # the loop has ended meanwhile
                    asyncio.run_coroutine_threadsafe(self._pass_on(listener, item, asked), listener.loop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its opening to its end; who may not see the worklist gets none."""
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            listener = await self._opened(scope)
        except KnownError:
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        self._listeners.add(listener)
        telling = asyncio.create_task(_tell(listener, send))
        try:
            while (await receive())["type"] == "websocket.receive":
                pass  # subscribers say nothing; pings keep the connection
        finally:
            self._listeners.discard(listener)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _opened(self, scope: Scope) -> _Listener:
        """Raises Unauthenticated, Denied, NotFound, BadInput."""
        path: str = scope["path"].rstrip("/")
        params = next(found.groupdict() for each in PATHS if (found := re.fullmatch(each, path)) is not None)
        call = Call("GET", False, dict(scope["headers"]), scope["query_string"])
        await self._services.authenticator.identify(call, path)
        inside = {**scope, "path_params": params, "state": {"call": call}}
        namespace = namespace_for(self._services, inside, READERS)
        return _Listener(namespace, _title(params["subscriber"]), asyncio.get_running_loop())

    async def _pass_on(self, listener: _Listener, item: Workitem, asked: bool) -> None:
        try:
            watching = self._services.watching
            async with listener.turn:
                found = await self._services.run(
                    lambda: watching.of(item.namespace, [listener.title], item.uid)
                )
                if (wanted := found.get(listener.title)) is not None and _wants(wanted, item):
                    self._number += 1
                    listener.tell(_event(item, self._number, asked))
        except KnownError as error:
            log.warning("a subscriber could not be told: %s", type(error).__name__)


def _wants(subscription: Subscription, item: Workitem) -> bool:
    if subscription.uid != GLOBAL:
        return subscription.wanted
    return subscription.covers(item) and matches(
        item, _keys(subscription.filter) if subscription.filter else []
    )


async def _tell(listener: _Listener, send: Send) -> None:
    while True:
        event = await listener.waiting.get()
        await send({"type": "websocket.send", "text": encode(event).decode()})
        if listener.slow:
            await send({"type": "websocket.close", "code": TOO_SLOW, "reason": "events were not taken"})
            return


def _event(item: Workitem, number: int, asked: bool) -> Model:
    """A state report, or the request for cancellation (PS3.18 11.13, PS3.4 table CC.2.4-1)."""
    step = step_model(item)
    event: dict[str, Any] = {
        "00000002": element_of("UI", [PUSH]),
        "00000110": element_of("US", [number & 0xFFFF]),
        "00001000": element_of("UI", [item.uid]),
        "00001002": element_of("US", [CANCEL_REQUESTED if asked else STATE_REPORT]),
        STATE: step[STATE],
    }
    if READINESS in step:
        event[READINESS] = step[READINESS]
    if reason := value_at(step, int(PROGRESS, 16), 0x00741238):
        event["00741238"] = element_of("LT", [reason])
    return event
