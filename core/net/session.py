"""Calls to one archive as one account: logs in once, keeps the sid, logs in again when it died."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.errors import KnownError, Unauthenticated
from core.net.address import Address
from core.net.answers import ACCESS_DENIED, Answer, known_error, v3_code
from core.net.credentials import Access, Credentials, Token
from core.net.http import Params, Timeouts, Transport, Upload
from core.net.post import Body, Pieces, Poster

LOGIN = "/api/v3/session/login"
REJECTED = "Check the login and the password of the destination."


def basic(access: Credentials) -> dict[str, str]:
    """The header that signs in with every request (RFC 7617)."""
    pair = f"{access.login}:{access.password}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}


class Session:
    """Authorized requests from any number of threads; whoever made it closes it."""

    def __init__(self, address: Address, access: Access, timeouts: Timeouts | None = None) -> None:
        self.address = address
        self.access = access
        self.transport = Transport(address, timeouts)
        self.poster = Poster(address, timeouts)
        self._lock = threading.Lock()
        self._headers: dict[str, str] | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        upload: Upload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One authorized exchange, 2xx only. Raises KnownError as `core.net.answers` maps it."""

        def exchange(authorization: Mapping[str, str]) -> Answer:
            if upload is not None:
                upload.data.seek(0)
            return self.transport.request(
                method,
                path,
                params=params,
                body=body,
                form=form,
                upload=upload,
                headers={**authorization, **(headers or {})},
            )

        return self._welcome(exchange)

    def post(self, path: str, body: Body, size: int, headers: Mapping[str, str]) -> Answer:
        """POST *size* bytes of *body* (seekable), 2xx only. Raises KnownError."""
        start = body.tell()

        def exchange(authorization: Mapping[str, str]) -> Answer:
            if body.tell() != start:
                body.seek(start)
            return self.poster.post(path, body, size, {**authorization, **headers})

        return self._welcome(exchange)

    def post_pieces(
        self, path: str, pieces: Pieces, headers: Mapping[str, str], *, answer_s: float | None = None
    ) -> Answer:
        """POST a body piece by piece, 2xx only. Raises KnownError, and what *pieces* raises."""

        def exchange(authorization: Mapping[str, str]) -> Answer:
            return self.poster.post_pieces(path, pieces, {**authorization, **headers}, answer_s=answer_s)

        return self._welcome(exchange)

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str] | None = None) -> Iterator[Iterator[bytes]]:
        """The body of GET *path* as it comes in. Raises KnownError."""
        authorization = self._authorization()
        with self.transport.stream(path, headers={**authorization, **(headers or {})}) as got:
            if not isinstance(got, Answer):
                yield got
                return
        if not self._may_renew(got):
            raise known_error(got, self.address.peer)
        authorization = self._renew(authorization)
        with self.transport.stream(path, headers={**authorization, **(headers or {})}) as got:
            if isinstance(got, Answer):
                raise known_error(got, self.address.peer)
            yield got

    def login(self) -> None:
        """Log in now if we have a login, so that a wrong password shows at once. Raises KnownError."""
        self._authorization()

    def logout(self) -> None:
        """End the session at the peer, if there is one."""
        with self._lock:
            headers, self._headers = self._headers, None
        if headers and "Cookie" in headers:
            self.transport.request("POST", "/api/v3/session/logout", headers=headers)

    def close(self) -> None:
        """Close all connections."""
        self.poster.close()
        self.transport.close()

    def _welcome(self, exchange: Callable[[Mapping[str, str]], Answer]) -> Answer:
        authorization = self._authorization()
        answer = exchange(authorization)
        if self._may_renew(answer):
            answer = exchange(self._renew(authorization))
        if not answer.ok:
            raise known_error(answer, self.address.peer)
        return answer

    def _may_renew(self, answer: Answer) -> bool:
        died = answer.status == 401 or (answer.status == 403 and v3_code(answer) == ACCESS_DENIED)
        return died and isinstance(self.access, Credentials)

    def _authorization(self) -> Mapping[str, str]:
        with self._lock:
            if self._headers is None:
                self._headers = self._log_in()
            return self._headers

    def _renew(self, used: Mapping[str, str]) -> Mapping[str, str]:
        """New headers in place of *used*, unless another thread has renewed them already."""
        with self._lock:
            if self._headers is used or self._headers is None:
                self._headers = self._log_in()
            return self._headers

    def _log_in(self) -> dict[str, str]:
        if isinstance(self.access, Token):
            return {"Authorization": f"Bearer {self.access.value}"}
        if self.access is None:
            return {}
        form = {"login": self.access.login, "password": self.access.password}
        answer = self.transport.request("POST", LOGIN, form=form)
        if answer.status in {404, 405}:  # a storage without sessions of its own
            return basic(self.access)
        if answer.status in {401, 403, 412}:
            raise self._rejected(answer)
        if not answer.ok:
            raise known_error(answer, self.address.peer)
        sid = answer.object().get("sid")
        if not isinstance(sid, str) or not sid.isascii() or not sid.isprintable() or ";" in sid:
            raise KnownError(f"{self.address.peer} answered the login without a session.")
        return {"Cookie": f"sid={sid}"}

    def _rejected(self, answer: Answer) -> Unauthenticated:
        peer = self.address.peer
        try:
            kind = answer.object().get("error_type")
        except KnownError:
            kind = None
        if kind == "LOCKOUT":
            return Unauthenticated(
                f"{peer} has locked this login after too many attempts.", "Wait some minutes, then try again."
            )
        return Unauthenticated(f"{peer} does not accept the login and password.", REJECTED)
