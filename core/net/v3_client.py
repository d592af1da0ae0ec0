"""Client of an archive: V3 storage, and the desktop's own routes where the archive has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO
from urllib.parse import quote
from uuid import uuid4

from core.errors import KnownError
from core.net.address import parse
from core.net.answers import Answer, known_error
from core.net.credentials import Access
from core.net.http import Params, Timeouts, Upload
from core.net.post import Body
from core.net.records import (
    ArchiveStatus,
    AttachmentAnswer,
    AttachmentRow,
    Element,
    Page,
    Schema,
    SeriesRow,
    StoredAnswer,
    StudyDetail,
    StudyRow,
    StudyTags,
    Tag,
    TrashEntry,
    read,
    read_all,
)
from core.net.session import Session

STORAGE = "/api/v3/storage"
DESKTOP = "/api/desktop/v1"
LATEST = "*"
MOST_ASKED_AT_ONCE = 5000
BOUNDARY = f"filmjacket-{uuid4().hex}"
RELATED = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
BETWEEN = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\nContent-Length: ".encode("ascii")
LAST = f"\r\n--{BOUNDARY}--\r\n".encode("ascii")


class V3Client:
    """One archive as one account sees it, from any number of threads; whoever made it closes it."""

    def __init__(self, base_url: str, access: Access = None, timeouts: Timeouts | None = None) -> None:
        self.session = Session(parse(base_url), access, timeouts)

    @property
    def base_url(self) -> str:
        """The archive's address."""
        return str(self.session.address)

    @property
    def peer(self) -> str:
        """Host and port."""
        return self.session.address.peer

    def login(self) -> None:
        """Log in now, so that a wrong password shows at once. Raises KnownError."""
        self.session.login()

    def alive(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self.session.transport.request("GET", "/healthz")

    def close(self) -> None:
        """Close all connections."""
        self.session.close()

    def __enter__(self) -> V3Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # V3 storage

    def store(
        self, namespace: str, body: Body, size: int, headers: Mapping[str, str] | None = None
    ) -> StoredAnswer:
        """Store one DICOM file of *size* bytes, read from the seekable *body* as it is sent."""
        path = f"{STORAGE}/namespace/{_quoted(namespace)}/image"
        answer = self.session.post(path, body, size, {"Content-Type": "application/dicom", **(headers or {})})
        return read(StoredAnswer, answer.json())

    def schema(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> Schema:
        """What the study holds, by series."""
        path = f"{_study(namespace, study_uid)}/schema"
        return read(Schema, self.session.request("GET", path, params=_overlay(phi_namespace)).json())

    def study_phi(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> tuple[Tag, ...]:
        """The "average" PHI of the study."""
        path = f"{_study(namespace, study_uid)}/phi"
        answer = self.session.request("GET", path, params=_overlay(phi_namespace))
        return read_all(Tag, answer.object().get("attr"))

    def study_tags(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> StudyTags:
        """Commonly used elements of the study, and its size."""
        path = f"{_study(namespace, study_uid)}/tag"
        return read(StudyTags, self.session.request("GET", path, params=_overlay(phi_namespace)).json())

    def thumbnail(
        self, namespace: str, study_uid: str, image_uid: str, version: str = LATEST, frame: int = 0
    ) -> bytes:
        """JPEG of the 0-based *frame* within 512 x 512."""
        path = f"{_image(namespace, study_uid, image_uid, version)}/frame/{frame}/thumbnail"
        return self.session.request("GET", path, headers={"Accept": "image/jpeg"}).content

    def frame_jpeg(
        self, namespace: str, study_uid: str, image_uid: str, version: str = LATEST, frame: int = 0
    ) -> bytes:
        """JPEG of the 0-based *frame* in full resolution."""
        path = f"{_image(namespace, study_uid, image_uid, version)}/frame/{frame}"
        return self.session.request("GET", path, headers={"Accept": "image/jpeg"}).content

    def payload(
        self, namespace: str, study_uid: str, image_uid: str, version: str = LATEST
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The DICOM file as it was stored, piece by piece, within a with-statement."""
        path = _image(namespace, study_uid, image_uid, version)
        return self.session.stream(path, headers={"Accept": "application/dicom"})

    def attach(
        self,
        namespace: str,
        study_uid: str,
        data: BinaryIO,
        *,
        name: str,
        content_type: str,
        uploaded_by: str,
    ) -> AttachmentAnswer:
        """Add a file to the study; *data* is seekable."""
        answer = self.session.request(
            "POST",
            f"{_study(namespace, study_uid)}/attachment",
            form={"uploaded_by": uploaded_by},
            upload=Upload("data", name, data, content_type),
        )
        return read(AttachmentAnswer, answer.json())

    @contextmanager
    def attachment(
        self, namespace: str, study_uid: str, attachment_id: str, version: str
    ) -> Iterator[Iterator[bytes]]:
        """The attached file, piece by piece, within a with-statement."""
        path = (
            f"{_study(namespace, study_uid)}/attachment/{_quoted(attachment_id)}/version/{_quoted(version)}"
        )
        with self.session.stream(path) as pieces:
            yield pieces

    def delete_study(self, namespace: str, study_uid: str) -> None:
        """Move the study to the archive's trash."""
        self.session.request("DELETE", _study(namespace, study_uid))

    # the desktop's own routes

    def status(self) -> ArchiveStatus:
        """What the archive says of itself."""
        return read(ArchiveStatus, self.session.request("GET", f"{DESKTOP}/status").json())

    def search(
        self,
        text: str = "",
        *,
        patient_name: str = "",
        patient_id: str = "",
        accession_number: str = "",
        date_from: str = "",
        date_to: str = "",
        modalities: Sequence[str] = (),
        namespace: str = "",
        limit: int = 50,
        offset: int = 0,
        order: str = "-received",
    ) -> Page[StudyRow]:
        """Studies that match; dates are YYYYMMDD, *order* is a column's name, with "-" descending."""
        given = {
            "text": text,
            "patient_name": patient_name,
            "patient_id": patient_id,
            "accession_number": accession_number,
            "date_from": date_from,
            "date_to": date_to,
            "namespace": namespace,
        }
        params: Params = [(name, value) for name, value in given.items() if value]
        params += [("modality", each) for each in modalities]
        params += [("limit", str(limit)), ("offset", str(offset)), ("order", order)]
        answer = self.session.request("GET", f"{DESKTOP}/studies", params=params).object()
        total = answer.get("total")
        rows = read_all(StudyRow, answer.get("studies"))
        return Page(rows, total if isinstance(total, int) else len(rows))

    def study_detail(self, namespace: str, study_uid: str) -> StudyDetail:
        """The study with its series, images and attachments."""
        answer = self.session.request("GET", _desktop_study(namespace, study_uid)).object()
        series = answer.pop("series", [])
        attachments = answer.pop("attachment_list", [])
        row = read(StudyRow, answer | ({"series": len(series)} if isinstance(series, list) else {}))
        institution = answer.get("institution_name")
        return StudyDetail(
            row,
            read_all(SeriesRow, series),
            read_all(AttachmentRow, attachments),
            institution if isinstance(institution, str) else "",
        )

    def details(self, namespace: str, study_uid: str) -> tuple[Element, ...]:
        """The identifying elements of the study."""
        answer = self.session.request("GET", f"{_desktop_study(namespace, study_uid)}/details")
        return read_all(Element, answer.object().get("elements"))

    def store_together(
        self, namespace: str, images: Callable[[], Iterator[bytes]]
    ) -> list[StoredAnswer | KnownError]:
        """Store several small DICOM files in one request; what became of each, in order.

        *images* gives the files from the first each time it is called.
        """

        def parts() -> Iterator[bytes]:
            for image in images():
                yield b"%b%d\r\n\r\n" % (BETWEEN, len(image))
                yield image
            yield LAST

        path = f"{DESKTOP}/namespaces/{_quoted(namespace)}/images"
        answer = self.session.post_pieces(path, parts, {"Content-Type": RELATED}).object()
        rows = answer.get("images")
        if not isinstance(rows, list):
            raise KnownError("The answer is not what was expected of an archive (images).")
        return [self._stored(row) for row in rows]

    def _stored(self, row: object) -> StoredAnswer | KnownError:
        found = row if isinstance(row, dict) else {}
        status = found.get("status")
        if status == 200:
            return read(StoredAnswer, found)
        said = json.dumps(found.get("error")).encode()
        return known_error(Answer(status if isinstance(status, int) else 500, {}, said), self.peer)

    def held(self, namespace: str, study_uid: str, image_uids: Sequence[str]) -> dict[str, str]:
        """Current versions of those of *image_uids* that the archive holds."""
        found: dict[str, str] = {}
        for some in _batches(image_uids):
            answer = self.session.request(
                "POST", f"{_desktop_study(namespace, study_uid)}/held", body={"image_uids": some}
            )
            images = answer.object().get("images")
            if not isinstance(images, dict):
                raise KnownError("The answer is not what was expected of an archive (held).")
            found |= {str(uid): str(version) for uid, version in images.items()}
        return found

    def trash(self) -> tuple[TrashEntry, ...]:
        """Deleted studies that can still be restored."""
        answer = self.session.request("GET", f"{DESKTOP}/trash")
        return read_all(TrashEntry, answer.object().get("entries"))

    def restore(self, entry_id: str) -> None:
        """Bring a study back from the trash."""
        self.session.request("POST", f"{DESKTOP}/trash/{_quoted(entry_id)}/restore")

    def purge(self, entry_id: str) -> None:
        """Remove a study of the trash for good."""
        self.session.request("DELETE", f"{DESKTOP}/trash/{_quoted(entry_id)}")


def _quoted(part: str) -> str:
    return quote(part, safe="*")


def _study(namespace: str, study_uid: str) -> str:
    return f"{STORAGE}/study/{_quoted(namespace)}/{_quoted(study_uid)}"


def _image(namespace: str, study_uid: str, image_uid: str, version: str) -> str:
    return f"{_study(namespace, study_uid)}/image/{_quoted(image_uid)}/version/{_quoted(version)}"


def _desktop_study(namespace: str, study_uid: str) -> str:
    return f"{DESKTOP}/studies/{_quoted(namespace)}/{_quoted(study_uid)}"


def _overlay(phi_namespace: str | None) -> Params | None:
    return [("phi_namespace", phi_namespace)] if phi_namespace else None


def _batches(uids: Iterable[str]) -> Iterator[list[str]]:
    every = list(uids)
    for start in range(0, len(every), MOST_ASKED_AT_ONCE):
        yield every[start : start + MOST_ASKED_AT_ONCE]
