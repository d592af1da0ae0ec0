"""Files on their way into a study of an archive of ours, or to a worklist entry: one request, all or none."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from core.errors import BadInput, KnownError, SourceFault
from core.net.store_answer import read_answer
from core.net.v3_client import V3Client

BASE = "/api/v3/storage/dicomweb"
PIECE = 1 << 20
EVERY_S = 0.1
ANSWER_S, SLOWEST_DISK = 120.0, 10_000_000
"""The archive makes objects of the files before it answers: seconds, and bytes a second."""
SAYS = " It says: "
NUMBERED = re.compile(r"File (\d+) of \d+: ")


class Stopped(KnownError):
    """The person stopped it before everything was sent: nothing was added."""

    def __init__(self) -> None:
        super().__init__("Stopped: nothing was added.")


@dataclass(frozen=True, slots=True)
class Naming:
    """How the new series is called ("" = as its first file), and whether pictures are photographs."""

    title: str = ""
    photographs: bool = False


@dataclass(frozen=True, slots=True)
class AddProgress:
    """Bytes sent of all; *files* that are gone. With everything sent the archive still has to store it."""

    sent: int
    total: int
    files: int
    seconds_left: float | None

    @property
    def storing(self) -> bool:
        """Whether the archive has it all, and nothing can be stopped any more."""
        return self.sent >= self.total


@dataclass(frozen=True, slots=True)
class Added:
    """What was stored, by SOP Instance UID; *failed* counts what the archive's disk did not take."""

    study_uid: str
    stored: tuple[str, ...]
    failed: int = 0


def of_study(namespace: str, study_uid: str) -> str:
    """Where files are added to a study."""
    return f"{BASE}/{quote(namespace, safe='')}/studies/{quote(study_uid, safe='')}/files"


def of_entry(namespace: str, entry_uid: str) -> str:
    """Where files are added to a worklist entry; an order is named by its study, as a study is."""
    return f"{BASE}/{quote(namespace, safe='')}/workitems/{quote(entry_uid, safe='')}/files"


class Adding:
    """One sending to *place*; `run` it once, `stop` it from any thread."""

    def __init__(
        self, client: Callable[[], V3Client], place: str, files: Sequence[Path], naming: Naming
    ) -> None:
        self._client = client
        self._place = place
        self._files = tuple(files)
        self._naming = naming
        self._boundary = f"filmjacket-{uuid4().hex}"
        self._lock = threading.Lock()
        self._stopped = self._all_sent = False
        self._sent = self._gone = 0

    def run(self) -> Generator[AddProgress, None, Added]:
        """Send and wait until it is durable. Raises Stopped, SourceFault, and what the archive says."""
        sizes = _sizes(self._files)
        total, begun = sum(sizes), time.monotonic()
        done: Future[Added] = Future()
        thread = threading.Thread(target=self._work, args=(done, sizes), name="adding")
        thread.start()
        try:
            while not done.done():
                with suppress(TimeoutError):
                    done.exception(EVERY_S)
                yield self._progress(total, time.monotonic() - begun)
            return done.result()
        finally:
            self.stop()
            thread.join()

    def stop(self) -> bool:
        """Stop unless everything was sent; whether nothing will have been added."""
        with self._lock:
            if not self._all_sent:
                self._stopped = True
            return self._stopped

    def _work(self, done: Future[Added], sizes: Sequence[int]) -> None:
        try:
            done.set_result(self._send(sizes))
        except BaseException as error:  # whoever waits must hear about every failure, known or bug
            done.set_exception(error)

    def _send(self, sizes: Sequence[int]) -> Added:
        headers = {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}
        try:
            session = self._client().session
            patience = ANSWER_S + sum(sizes) / SLOWEST_DISK
            answer = session.post_pieces(self._place, lambda: self._pieces(sizes), headers, answer_s=patience)
        except Stopped:
            raise
        except KnownError as error:
            raise self._in_words(error) from error
        told = read_answer(answer, session.address.peer)
        study = told.study_url.rstrip("/").rpartition("/")[2]
        return Added(study, tuple(told.stored), len(told.failed))

    def _pieces(self, sizes: Sequence[int]) -> Iterator[bytes]:
        """The form, from its beginning each time."""
        with self._lock:
            self._sent = self._gone = 0
            self._all_sent = False
        title = self._naming.title
        fields = {
            "description": title[:64],
            "title": title,
            "photographs": str(int(self._naming.photographs)),
        }
        head = "".join(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        yield head.encode()
        for path, size in zip(self._files, sizes, strict=True):
            yield (
                f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; '
                f'filename="{_escaped(path.name)}"\r\nContent-Length: {size}\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode()
            yield from self._content(path, size)
            yield b"\r\n"
            self._gone += 1
        with self._lock:
            if self._stopped:
                raise Stopped
            self._all_sent = True
        yield f"--{self._boundary}--\r\n".encode()

    def _content(self, path: Path, size: int) -> Iterator[bytes]:
        try:
            with path.open("rb") as stream:
                left = size
                while left:
                    if self._stopped:
                        raise Stopped
                    piece = stream.read(min(PIECE, left))
                    if not piece:
                        raise SourceFault(
                            f"{path.name} became shorter while it was read.", "Choose it again."
                        )
                    left -= len(piece)
                    yield piece
                    self._sent += len(piece)
        except OSError as error:
            raise SourceFault(f"{path.name} cannot be read.", "Check that it is still there.") from error

    def _progress(self, total: int, seconds: float) -> AddProgress:
        left = (total - self._sent) * seconds / self._sent if self._sent else None
        return AddProgress(self._sent, total, self._gone, left)

    def _in_words(self, error: KnownError) -> KnownError:
        """What the archive said, naming the file by its name."""
        _, says, words = error.message.partition(SAYS)
        if not says:
            return error
        if found := NUMBERED.match(words):
            which = self._files[min(len(self._files), int(found[1])) - 1].name
            words = f"{which}: {words[found.end() :]}"
        elif len(self._files) == 1 and isinstance(error, BadInput):
            words = f"{self._files[0].name}: {words}"
        return KnownError(words, error.remedy)


def _sizes(files: Sequence[Path]) -> list[int]:
    sizes = []
    for path in files:
        try:
            sizes.append(path.stat().st_size)
        except OSError as error:
            raise SourceFault(f"{path.name} cannot be read.", "Check that it is still there.") from error
    return sizes


def _escaped(name: str) -> str:
    """A file name as forms write it (RFC 7578 4.2 and the HTML standard)."""
    clean = "".join(c for c in name if c.isprintable())
    return clean.replace("\\", "%5C").replace('"', "%22")
