"""Where the caller has reached us, for the addresses an answer names."""

from __future__ import annotations

from server.web.call import Call, Scope, call_of
from server.web.guard import DEFAULT_PORTS, split_host


def origin_of(scope: Scope) -> str:
    """Scheme, host and port, without a slash behind."""
    call = call_of(scope)
    return f"{_scheme(scope, call)}://{_host(scope, call)}"


def _scheme(scope: Scope, call: Call) -> str:
    forwarded = call.header(b"x-forwarded-proto").lower()
    return forwarded if forwarded in {"http", "https"} else str(scope.get("scheme", "http"))


def _host(scope: Scope, call: Call) -> str:
    """As the caller wrote it: the gate has proven that it is one of ours.

    A widespread client leaves the port out of Host; without a proxy between us it is the one it came in by.
    """
    host = call.header(b"host")
    name, port = scope.get("server") or ("127.0.0.1", None)
    if host and (port is None or split_host(host)[1] is not None or not scope["state"]["direct"]):
        return host
    usual = DEFAULT_PORTS.get(_scheme(scope, call)) == port
    return f"{host or name}:{port}" if port and not usual else str(host or name)
