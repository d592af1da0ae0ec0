"""A WebSocket client over a real connection, for tests: text messages as JSON."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage


class WebSocket:
    """Open within a with statement; *accepted* tells whether the server wanted it."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._connection = WSConnection(ConnectionType.CLIENT)
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self._socket.sendall(
            self._connection.send(Request(host=f"127.0.0.1:{port}", target=path, extra_headers=extra))
        )
        self._events: list[Any] = []
        self.accepted = isinstance(self._next(), AcceptConnection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def say(self, document: object) -> None:
        """Send JSON, or a text as it is."""
        text = document if isinstance(document, str) else json.dumps(document)
        self._socket.sendall(self._connection.send(TextMessage(data=text)))

    def ask(self, document: object) -> dict[str, Any]:
        """Send, and hear the next message."""
        self.say(document)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """The next message. Raises TimeoutError, ConnectionError when the server closes."""
        text = ""
        while True:
            event = self._next()
            if isinstance(event, CloseConnection):
                raise ConnectionError(event.code)
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    document: dict[str, Any] = json.loads(text)
                    return document

    def _next(self) -> Any:
        wanted = (AcceptConnection, RejectConnection, TextMessage, CloseConnection)
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, wanted):
                    return event
            data = self._socket.recv(1 << 16)
            self._connection.receive_data(data or None)
            self._events += self._connection.events()
