"""Exam events: kept as they came, and told to every address that was set, through the outbox."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy import Connection

from core.db.database import Database
from core.documents import Documents
from core.outbox.queue import CALLBACK, Outbox
from core.outbox.templates import Event, Happening, Request, check_url

EVENTS = "exam_events"
"""The table of what came in; each document holds the event as `pacsEvent`."""


class Callbacks:
    """Who is told of exam events; rows of one study reach each of them in order, at least once."""

    def __init__(self, database: Database, outbox: Outbox, urls: Sequence[str] = ()) -> None:
        """Raises BadInput for an address that cannot be called."""
        for url in urls:
            check_url(url, "callback_urls (CALLBACK_URLS)")
        self.urls = tuple(dict.fromkeys(urls))
        self._database = database
        self._outbox = outbox

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that were named: they may be called wherever they are."""
        return frozenset(urlsplit(url).hostname or "" for url in self.urls)

    def keep(self, connection: Connection, event: object, text: str, study_uid: str, actor: str) -> None:
        """Keep an *event* that came in, and tell it on as *text*, the way it was written."""
        row = {"received": time.time(), "actor": actor, "pacsEvent": event}
        Documents(self._database, connection).table(EVENTS).insert(row)
        self.tell(connection, text, study_uid, actor=actor)

    def tell(
        self, connection: Connection, text: str, study_uid: str, namespace: str = "", actor: str = ""
    ) -> None:
        """Have *text* told to everyone."""
        happening = Happening(Event.NONE, namespace, study_uid, namespace, actor)
        self._outbox.add(connection, [CALLBACK + url for url in self.urls], [happening], text)

    def request(self, target: str) -> Request | None:
        """The request for a receiver, None if it is no longer one."""
        url = target.removeprefix(CALLBACK)
        return Request("POST", url) if url in self.urls else None
