"""A small V3 archive over real sockets that misbehaves when told to; with or without the desktop's routes."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from core.dicom.digest import new_hash, version_of

TOKEN = "token-of-the-stub"


def digest(data: bytes) -> str:
    running = new_hash()
    running.update(data)
    return version_of(running)


class Stub:
    """State of the made-up archive. *fault* sees each request first and may answer it: True = it did."""

    def __init__(
        self,
        *,
        desktop: bool = True,
        together: bool = False,
        login: tuple[str, str] | None = None,
        handler: type[Handler] | None = None,
    ) -> None:
        self.desktop = desktop
        self.together = together
        self.login = login
        self.fault: Callable[[Handler], bool] = lambda _: False
        self.version_of: Callable[[bytes], str] = digest
        self.refuse: Callable[[bytes], dict[str, object] | None] = lambda _: None  # of images sent together
        self.images: dict[str, bytes] = {}
        self.attached: list[tuple[str, bytes]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sids: set[str] = set()
        self.connections = 0
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), handler or Handler)
        self.server.stub = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def posts(self) -> int:
        return sum(method == "POST" and path.endswith("/image") for method, path, _ in self.requests)

    def parcels(self) -> int:
        return sum(method == "POST" and path.endswith("/images") for method, path, _ in self.requests)


class Server(ThreadingHTTPServer):
    """Quiet about clients that go away: that is what is being tested."""

    stub: Stub
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """Serve until the with-statement ends."""
    thread = threading.Thread(target=stub.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.server.shutdown()
        stub.server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    timeout = 20

    def setup(self) -> None:
        super().setup()
        with self.server.stub.lock:
            self.server.stub.connections += 1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's own name
        return

    def body(self, size: int | None = None) -> bytes:
        """The request's body, or its first *size* bytes as they come over the wire."""
        if size is None and self.headers.get("Transfer-Encoding") == "chunked":
            return b"".join(self.chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)) if size is None else size)

    def chunks(self) -> Iterator[bytes]:
        while length := int(self.rfile.readline(), 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()

    def answer(self, status: int, value: object = None, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def error(self, status: int, code: int, message: str) -> None:
        self.answer(status, {"kind": {"code": code}, "message": message})

    def reset(self) -> None:
        """Cut the connection as a crash does (RST)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def do_GET(self) -> None:
        self.handle_any()

    def do_POST(self) -> None:
        self.handle_any()

    def do_DELETE(self) -> None:
        self.handle_any()

    def handle_any(self) -> None:
        stub, path = self.server.stub, urlsplit(self.path).path
        with stub.lock:
            stub.requests.append((self.command, path, dict(self.headers.items())))
        if stub.fault(self):
            return
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts == ["healthz"]:
            self.answer(200, {"status": "ok"})
        elif parts[-2:] == ["session", "login"]:
            self.log_in()
        elif not self.allowed():
            self.body()
            self.error(401, 4, "Who are you?")
        elif parts[:3] == ["api", "desktop", "v1"]:
            self.desktop(parts[3:])
        elif parts[3:4] == ["namespace"] and self.command == "POST":
            self.store()
        elif parts[-1] == "schema":
            self.schema(parts[5])
        elif parts[-1] == "attachment":
            data = self.body().split(b"\r\n\r\n", 2)[-1].rsplit(b"\r\n--", 1)[0]  # of the form's last field
            with stub.lock:
                stub.attached.append((parts[5], data))
            self.answer(200, {"attachment_guid": "g", "attachment_version": digest(data)})
        else:
            self.error(404, 3, "Nothing here.")

    def log_in(self) -> None:
        form = {name: values[0] for name, values in parse_qs(self.body().decode()).items()}
        stub = self.server.stub
        if (form.get("login"), form.get("password")) != stub.login:
            self.answer(412, {"status": "ERROR", "error_type": "INVALID_CREDENTIALS"})
            return
        with stub.lock:
            sid = f"sid-{len(stub.sids) + 1}"
            stub.sids.add(sid)
        self.answer(200, {"status": "OK", "sid": sid})

    def allowed(self) -> bool:
        stub = self.server.stub
        cookie = self.headers.get("Cookie", "").removeprefix("sid=")
        return stub.login is None or cookie in stub.sids

    def store(self) -> None:
        self.answer(200, self.stored(self.body()))

    def stored(self, data: bytes) -> dict[str, str]:
        """What is stored is named by the first line of its bytes: study, image."""
        stub = self.server.stub
        study, image = data.split(b"\n", 1)[0].decode().split()
        with stub.lock:
            stub.images[image] = data
        return {"study_uid": study, "image_uid": image, "image_version": stub.version_of(data)}

    def store_together(self, body: bytes) -> None:
        boundary = self.headers["Content-Type"].split('boundary="')[1].rstrip('"').encode()
        first, *parts, last = (b"\r\n" + body).split(b"\r\n--" + boundary)
        assert not first.strip() and last == b"--\r\n"
        rows: list[dict[str, object]] = []
        for part in parts:
            data = part.split(b"\r\n\r\n", 1)[1]
            refused = self.server.stub.refuse(data)
            rows.append(refused or {"status": 200, **self.stored(data)})
        self.answer(200, {"images": rows})

    def schema(self, study: str) -> None:
        stub = self.server.stub
        if not stub.images:
            self.error(404, 18, "Study wasn't found by provided ids")
            return
        images = [{"id": u, "version": stub.version_of(d), "rank": 1} for u, d in stub.images.items()]
        attached = [{"id": "g", "version": digest(d)} for _, d in stub.attached]
        self.answer(
            200, {"study_uid": study, "series": [{"id": "1", "images": images}], "attachments": attached}
        )

    def desktop(self, parts: list[str]) -> None:
        stub = self.server.stub
        wanted = self.body()
        if not stub.desktop:
            self.error(404, 3, "Nothing here.")
        elif parts == ["status"]:
            status = {"version": "1", "ae_title": "STUB", "studies": 3, "images_together": stub.together}
            self.answer(200, status)
        elif parts[0] == "namespaces" and parts[-1] == "images" and stub.together:
            self.store_together(wanted)
        elif parts[-1] == "held":
            uids = json.loads(wanted)["image_uids"]
            self.answer(200, {"images": {u: digest(stub.images[u]) for u in uids if u in stub.images}})
        else:
            self.error(404, 3, "Nothing here.")
