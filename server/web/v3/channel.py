"""V3's channel: a WebSocket over which a client hears of studies as they become ready or are changed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import Any

from core.access.rights import Right
from core.archive.following import Follower, Happened
from core.archive.records import StudyRecords
from core.errors import Denied, KnownError, NotFound
from server.web.call import Receive, Scope, Send
from server.web.errors import encode
from server.web.services import Services

log = logging.getLogger("filmjacket.channel")

PATH = "/api/v3/channel/websocket"
STUDY, JOB = "study.", "job."
IDLE_S = 300.0
"""A client that says nothing for so long, not even ping, is let go."""
LOOK_EVERY_S = 0.25
AFTER_A_FAULT_S = 5.0
MOST_CHANNELS = 100
MOST_WAITING = 1000
TOO_SLOW, GOING_IDLE, BAD_DATA = 1013, 1000, 1003  # RFC 6455 7.4, and its registry


@dataclass(eq=False)
class _Listener:
    """One connection: sids by channel, and what it has still to be told."""

    sids: dict[str, str] = field(default_factory=dict)
    waiting: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    slow: bool = False

    def tell(self, message: dict[str, Any]) -> None:
        """Queue a message; one who does not take them is let go."""
        try:
            self.waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.slow = True


class Channel:
    """Serves connections; while there are any, one task reads what happens to studies."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._records = StudyRecords(services.archive.db)
        self._listeners: set[_Listener] = set()
        self._follower: Follower | None = None
        self._turning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its opening to its end."""
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        listener = _Listener()
        self._listeners.add(listener)
        telling = asyncio.create_task(_tell(listener, send))
        try:
            await self._listen(listener, receive, send)
        finally:
            self._listeners.discard(listener)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _listen(self, listener: _Listener, receive: Receive, send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    message = await receive()
            except TimeoutError:
                await send({"type": "websocket.close", "code": GOING_IDLE, "reason": "nothing was said"})
                return
            if message["type"] != "websocket.receive":
                return
            if listener.slow:
                await send({"type": "websocket.close", "code": TOO_SLOW, "reason": "messages were not taken"})
                return
            listener.tell(await self._answer(listener, message.get("text")))

    async def _answer(self, listener: _Listener, text: str | None) -> dict[str, Any]:
        try:
            document = json.loads(text or "")
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return _refused("", "INVALID_JSON")
        action, channel, sid = (document.get(name, "") for name in ("action", "channel", "sid"))
        if action == "ping":
            return {"status": "OK", "action": "ping"}
        if not isinstance(channel, str) or not isinstance(sid, str) or len(channel) > 256:
            return _refused("", "INVALID_CHANNEL")
        if action == "unsubscribe":
            listener.sids.pop(channel, None)
            return {"status": "OK", "channel": channel}
        if action != "subscribe":
            return _refused(channel, "INVALID_ACTION")
        return await self._subscribe(listener, channel, sid)

    async def _subscribe(self, listener: _Listener, channel: str, sid: str) -> dict[str, Any]:
        if not channel.startswith((STUDY, JOB)) or len(listener.sids) >= MOST_CHANNELS:
            return _refused(channel, "INVALID_CHANNEL")
        if refusal := await self._refusal(channel, sid):
            return _refused(channel, refusal)
        try:
            async with self._turning:
                if self._follower is None:
                    self._follower = await self._services.run(lambda: Follower(self._services.archive.db))
                if channel.startswith(STUDY):
                    follower, namespace = self._follower, channel.removeprefix(STUDY)
                    await self._services.run(lambda: follower.begin(namespace))
        except KnownError:
            return _refused(channel, "TRY_AGAIN")
        listener.sids[channel] = sid
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
        return {"status": "OK", "channel": channel}

    async def _refusal(self, channel: str, sid: str) -> str:
        """Why the holder of *sid* may not hear *channel*, "" if they may."""
        caller = await self._services.authenticator.by_sid(sid)
        if caller is None:
            return "AUTHORIZATION_REQUIRED"
        try:
            caller.require(Right.VIEW, channel.partition(".")[2])
        except Denied:
            return "NOT_PERMITTED"
        return ""

    async def _follow(self) -> None:
        """Tell what happens until nobody listens."""
        while self._listeners:
            wait = LOOK_EVERY_S
            try:
                await self._turn()
            except Exception as error:  # listeners must hear of the next thing, whatever was wrong with one
                log.warning("studies could not be followed: %s", type(error).__name__)
                wait = AFTER_A_FAULT_S
            await asyncio.sleep(wait)
        self._follower = None  # who comes next begins anew

    async def _turn(self) -> None:
        follower = self._follower
        if follower is None:
            return
        spaces = {
            channel.removeprefix(STUDY)
            for listener in self._listeners
            for channel in listener.sids
            if channel.startswith(STUDY)
        }
        async with self._turning:
            happened = await self._services.run(lambda: follower.turn(spaces))
        for each in happened:
            await self._tell_all(each)

    async def _tell_all(self, happened: Happened) -> None:
        channel = f"{STUDY}{happened.namespace}"
        interested = [(one, one.sids[channel]) for one in self._listeners if channel in one.sids]
        try:
            record = await self._services.run(
                lambda: self._records.find(happened.namespace, happened.study_uid)
            )
        except NotFound:
            return  # deleted meanwhile
        message = {
            "channel": channel,
            "event": str(happened.what),
            "uuid": record.uuid,
            "study_uid": record.study_uid,
            "storage_namespace": record.namespace,
            "phi_namespace": record.phi_namespace,
            "phantom": int(record.phantom),
        }
        for listener, sid in interested:
            if await self._refusal(channel, sid):
                listener.sids.pop(channel, None)
                listener.tell(_refused(channel, "AUTHORIZATION_REQUIRED"))
            else:
                listener.tell({**message, "sid_md5": _md5(sid)})


async def _tell(listener: _Listener, send: Send) -> None:
    while True:
        message = await listener.waiting.get()
        await send({"type": "websocket.send", "text": encode(message).decode()})


def _refused(channel: str, error_type: str) -> dict[str, Any]:
    return {"status": "ERROR", "error_type": error_type, "channel": channel}


def _md5(sid: str) -> str:
    """How a message names the session it is for (the API's choice; it keeps no secret by it)."""
    return hashlib.md5(sid.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
