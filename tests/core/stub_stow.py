"""A small DICOMweb archive over real sockets that misbehaves when told to; it knows no V3 and no sessions."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from tests.core.stub_v3 import Handler, Stub

JSON = {"Content-Type": "application/dicom+json"}


class StowStub(Stub):
    """State of the made-up archive.

    *largest*: of a request, more is 413 · *page*: most matches it gives at once · *silent_about*: what it
    stores, or not (*forgets*), without naming it, by SOP Instance UID · *reasons*: why it refuses some.
    """

    def __init__(self, *, login: tuple[str, str] | None = None, paging: bool = True) -> None:
        super().__init__(login=login, handler=StowHandler)
        self.paging = paging
        self.largest = 1 << 40
        self.page = 1 << 20
        self.silent_about: set[str] = set()
        self.forgets: set[str] = set()
        self.reasons: dict[str, int] = {}
        self.studies: dict[str, str] = {}  # of each image
        self.sizes: list[int] = []  # of the bodies that came

    @property
    def url(self) -> str:
        return f"{super().url}/dicom-web"

    def posts(self) -> int:
        return len(self.sizes)


class StowHandler(Handler):
    """One connection."""

    def handle_any(self) -> None:
        stub, parts = self.stow, urlsplit(self.path)
        with stub.lock:
            stub.requests.append((self.command, parts.path, dict(self.headers.items())))
        if stub.fault(self):
            return
        if not self.allowed():
            self.body()
            self.answer(401, {})
            return
        match (self.command, parts.path.strip("/").split("/")):
            case ("POST", ["dicom-web", "studies"]):
                self.store()
            case ("GET", ["dicom-web", "studies"]):
                self.page([{"0020000D": ui(uid), **PATIENT} for uid in sorted(set(stub.studies.values()))])
            case ("GET", ["dicom-web", "studies", study, "instances"]):
                self.instances(study)
            case _:
                self.body()
                self.answer(404, {})

    @property
    def stow(self) -> StowStub:
        stub = self.server.stub
        if not isinstance(stub, StowStub):
            raise TypeError("served by another stub")
        return stub

    def allowed(self) -> bool:
        if self.stow.login is None:
            return True
        return (
            self.headers.get("Authorization")
            == "Basic " + b64encode(":".join(self.stow.login).encode()).decode()
        )

    def store(self) -> None:
        stub, size = self.stow, int(self.headers["Content-Length"])
        body = self.body()
        with stub.lock:
            stub.sizes.append(size)
        if size > stub.largest:
            self.answer(413, {})
            return
        named, failed = [], []
        for data in self.parts(body):
            study, image = uids(data)
            if image in stub.reasons:
                failed.append(
                    {"00081155": ui(image), "00081197": {"vr": "US", "Value": [stub.reasons[image]]}}
                )
                continue
            if image not in stub.forgets:
                with stub.lock:
                    stub.images[image], stub.studies[image] = data, study
            if image not in stub.silent_about:
                named.append(
                    {
                        "00081155": ui(image),
                        "00081190": {
                            "vr": "UR",
                            "Value": [f"{stub.url}/studies/{study}/series/1/instances/{image}"],
                        },
                    }
                )
        model = {"00081199": {"vr": "SQ", "Value": named}, "00081198": {"vr": "SQ", "Value": failed}}
        self.answer(
            200, json.dumps({tag: each for tag, each in model.items() if each["Value"]}).encode(), JSON
        )

    def parts(self, body: bytes) -> Iterator[bytes]:
        boundary = self.headers["Content-Type"].split("boundary=")[1].encode()
        _, *parts, last = (b"\r\n" + body.removeprefix(b"\r\n")).split(b"\r\n--" + boundary)
        assert last == b"--\r\n" and 'type="application/dicom"' in self.headers["Content-Type"]
        for part in parts:
            yield part.split(b"\r\n\r\n", 1)[1]

    def instances(self, study: str) -> None:
        asked = parse_qs(urlsplit(self.path).query).get("SOPInstanceUID", [])
        found = [uid for uid, of in self.stow.studies.items() if of == study and (not asked or uid in asked)]
        if study not in self.stow.studies.values():
            self.answer(404, {})
        else:
            self.page([{"00080018": ui(uid)} for uid in found])

    def page(self, models: list[dict[str, object]]) -> None:
        query = {name: each[0] for name, each in parse_qs(urlsplit(self.path).query).items()}
        if self.stow.paging:
            start = int(query.get("offset", 0))
            models = models[start : start + min(int(query.get("limit", 1 << 20)), self.stow.page)]
        self.answer(200 if models else 204, json.dumps(models).encode() if models else b"", JSON)


def ui(uid: str) -> dict[str, object]:
    return {"vr": "UI", "Value": [uid]}


PATIENT: dict[str, object] = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Probe^Paula", "Ideographic": "試験"}]},
    "00100020": {"vr": "LO", "Value": ["P1"]},
    "00080020": {"vr": "DA", "Value": ["20240211"]},
    "00080090": {"vr": "PN"},
}


def uids(data: bytes) -> tuple[str, str]:
    """Study and image: of a DICOM object, or as the first line of a made-up one names them."""
    try:
        ds = dcmread(io.BytesIO(data), stop_before_pixels=True)
        return ds.StudyInstanceUID, ds.SOPInstanceUID
    except InvalidDicomError:
        study, image = data.split(b"\n", 1)[0].decode().split()
        return study, image
