"""An archive that speaks V3 storage, as the destination of an upload.

A Filmjacket archive is recognized by the desktop's own routes: it says in one question which versions it
holds, and its versions are our digests. Of any other V3 archive the schema is asked, and comparing tells.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from core.dicom.ports import Outcome, Sent
from core.dicom.refs import Header
from core.errors import KnownError, NotFound, SourceFault
from core.net.answers import UnknownNamespace
from core.net.credentials import Access, Credentials
from core.net.http import Timeouts
from core.net.records import Schema, StoredAnswer
from core.net.v3_client import V3Client
from core.upload.destination import Images

HEADERS = {"X-Filmjacket-Via": "desktop"}
SMALL_BYTES = 1 << 20


class V3Destination:
    """One namespace of a V3 archive; called from any thread."""

    def __init__(
        self,
        base_url: str,
        access: Access,
        namespace: str,
        *,
        name: str = "",
        uploaded_by: str = "",
        timeouts: Timeouts | None = None,
    ) -> None:
        self._client = V3Client(base_url, access, timeouts)
        self._namespace = namespace
        self._name = name or f"v3:{self._client.base_url}"
        self._uploaded_by = uploaded_by or (access.login if isinstance(access, Credentials) else "Filmjacket")
        self._ours: bool | None = None
        self._together = False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What a clerk calls it."""
        return self._name

    @property
    def gives_digest(self) -> bool | None:
        """True of a Filmjacket archive, None of another V3 archive: comparing tells."""
        return True if self._is_ours() else None

    def held(self, study_uid: str, sop_uids: Sequence[str]) -> dict[str, str]:
        """Current version of each of *sop_uids* that the study has."""
        try:
            if self._is_ours():
                return self._client.held(self._namespace, study_uid, sop_uids)
            schema = self._schema(study_uid)
        except UnknownNamespace:  # it is created by the first store
            return {}
        wanted = set(sop_uids)
        images = (image for series in schema.series for image in series.images)
        return {image.id: image.version for image in images if image.id in wanted}

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        """Store one instance, and see that the archive found in it what we did."""
        try:
            answer = self._client.store(self._namespace, data, size, HEADERS)
        except NotFound as error:
            raise _no_storage(self._client.peer) from error
        sent = _sent(header, answer)
        if isinstance(sent, KnownError):
            raise sent
        return sent

    @property
    def small_bytes(self) -> int:
        """Our own archive takes several small images in one request, and commits them together."""
        return SMALL_BYTES if self._together else 0

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        """Store several instances, and see that the archive found in each what we did."""
        headers: list[Header] = []

        def contents() -> Iterator[bytes]:
            headers.clear()
            for header, content in images():
                headers.append(header)
                yield content

        answers = self._client.store_together(self._namespace, contents)
        if len(answers) != len(headers):
            raise KnownError("The archive answered for another number of images than it was sent.")
        return [_sent(header, answer) for header, answer in zip(headers, answers, strict=True)]

    def attachments_held(self, study_uid: str) -> set[str]:
        """Versions of the study's attachments."""
        try:
            return {each.version for each in self._schema(study_uid).attachments}
        except UnknownNamespace:
            return set()

    def attach(self, study_uid: str, path: Path, name: str, content_type: str) -> str:
        """Attach a file to the study; returns its version."""
        with path.open("rb") as data:
            answer = self._client.attach(
                self._namespace,
                study_uid,
                data,
                name=name,
                content_type=content_type,
                uploaded_by=self._uploaded_by,
            )
        return answer.attachment_version

    def reachable(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self._client.alive()

    def test(self) -> str:
        """Prove address and login; returns a sentence for a person."""
        self._client.login()
        if self._is_ours():
            status = self._client.status()
            return (
                f"Filmjacket {status.version} answers at {self._client.peer} with {status.studies} studies."
            )
        self._client.alive()
        return f"{self._client.peer} answers; it is not a Filmjacket archive."

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def _is_ours(self) -> bool:
        with self._lock:
            if self._ours is None:
                try:
                    self._together = self._client.status().images_together
                    self._ours = True
                except NotFound:
                    self._ours = False
            return self._ours

    def _schema(self, study_uid: str) -> Schema:
        try:
            return self._client.schema(self._namespace, study_uid)
        except NotFound:  # nothing of the study yet
            return Schema(study_uid)


def _sent(header: Header, answer: StoredAnswer | KnownError) -> Sent | KnownError:
    """The answer for one instance; an error if the archive found another one in the file."""
    if isinstance(answer, KnownError):
        return answer
    if (answer.study_uid, answer.image_uid) == (header.study_instance_uid, header.sop_instance_uid):
        return Sent(Outcome.STORED, answer.image_version)
    return SourceFault(
        "The file holds another image than when the source was read.",
        "Read the source again, then go on with the upload.",
        lasting=True,
    )


def _no_storage(peer: str) -> NotFound:
    return NotFound(
        "storage",
        f"{peer} answers, but has no V3 storage there.",
        "Check the address and port of the archive.",
    )
