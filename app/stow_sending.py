"""Files on their way to an archive by STOW-RS, and what became of each, for `filmjacket stow`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from core.dicom.header import TruncatedObject, read_header
from core.errors import BadInput, KnownError, Unreachable
from core.net.dicomweb_client import DICOM, DICOM_JSON, DICOM_XML, DicomWebClient
from core.net.related import Part, RelatedBody
from core.net.store_answer import StoreAnswer
from core.upload.backoff import Outage, Pace


@dataclass(frozen=True, slots=True)
class Failure:
    """One object that is not stored; *path* "" where nobody can tell which file it was."""

    sop_uid: str
    path: str
    reason: str
    words: str


@dataclass(slots=True)
class Report:
    """What the archive said of each object."""

    url: str
    sent: int = 0
    kept: int = 0  # of the files; two may hold the same object
    stored: dict[str, str] = field(default_factory=dict)  # addresses by SOP Instance UID
    failed: list[Failure] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    held: int | None = None  # of those stored, listed when asked afterwards; None = it cannot be asked

    @property
    def complete(self) -> bool:
        """Whether everything that was sent is stored, as far as the archive says."""
        stored = bool(self.sent) and not self.failed and self.kept >= self.sent
        return stored and self.held in (None, len(self.stored))


class Sender:
    """Sends requests and writes down what is answered."""

    def __init__(
        self, client: DicomWebClient, resource: str, report: Report, *, xml: bool, pace: Pace
    ) -> None:
        self._client = client
        self._resource = resource
        self._accept = DICOM_XML if xml else DICOM_JSON
        self._report = report
        self._pace = pace

    def files(self, files: Sequence[Path]) -> None:
        """One request of DICOM files; where the archive refuses it as a whole, halves of it.

        Raises KnownError where it takes none of them.
        """
        try:
            answer = self._patiently([Part(DICOM, each) for each in files], DICOM)
        except BadInput as error:  # too much at once, too
            if len(files) == 1:
                raise
            self._halves(files, error)
            return
        named = len(answer.stored) < len(files)
        self._heard(answer, [(path, _uid(path) if named else "") for path in files])

    def _halves(self, files: Sequence[Path], error: KnownError) -> None:
        """Each half by itself; a file that is refused alone has failed, unless that is true of all."""
        before, middle = len(self._report.stored), len(files) // 2
        refused: list[tuple[Path, KnownError]] = []
        for half in (files[:middle], files[middle:]):
            try:
                self.files(half)
            except BadInput as again:
                refused += [(each, again) for each in half]
        if len(refused) == len(files) and len(self._report.stored) == before:
            raise error
        for path, why in refused:
            self._report.sent += 1
            self._report.failed.append(Failure("", str(path), "refused", why.message))

    def described(self, parts: Sequence[Part], inner: str, files: Sequence[tuple[Path, str]]) -> None:
        """One request of metadata with bulk data, of *files* with their UIDs. Raises KnownError."""
        self._heard(self._patiently(parts, inner), files)

    def _heard(self, answer: StoreAnswer, files: Sequence[tuple[Path, str]]) -> None:
        """*files* with their SOP Instance UIDs, "" where they are not known, or not needed."""
        report, peer = self._report, self._client.peer
        report.sent += len(files)
        report.kept += max(len(answer.stored), sum(uid in answer.stored for _, uid in files))
        report.warnings += [each for each in [answer.warning] if each]
        report.stored |= answer.stored
        report.studies += [each for each in [answer.study_url] if each]
        told = set(answer.stored) | {each.sop_uid for each in answer.failed} - {""}
        unnamed = sum(not each.sop_uid for each in answer.failed)
        rest = [path for path, uid in files if uid not in told]
        rest = rest if len(rest) == unnamed else []
        for each in answer.failed:
            named = [path for path, uid in files if uid and uid == each.sop_uid]
            path = named[0] if named else rest.pop(0) if rest and not each.sop_uid else ""
            report.failed.append(Failure(each.sop_uid, str(path), each.code, each.error(peer).message))

    def _patiently(self, parts: Sequence[Part], inner: str) -> StoreAnswer:
        """Try again for a while when the archive is away or silent; what it had then is not stored twice."""
        outage: Outage | None = None
        while True:
            try:
                with closing(RelatedBody(parts)) as body:
                    return self._client.store(body, inner, self._resource, accept=self._accept)
            except Unreachable as error:
                now = time.monotonic()
                outage = outage or Outage(error, now)
                outage.again(error, now, self._pace)
                if outage.hopeless(now, self._pace):
                    raise
                time.sleep(max(0.0, outage.retry_at - now))


def _uid(path: Path) -> str:
    """The SOP Instance UID, "" if it cannot be read."""
    try:
        return read_header(path).sop_instance_uid
    except TruncatedObject as error:
        return error.header.sop_instance_uid if error.header is not None else ""
    except (KnownError, OSError):
        return ""
