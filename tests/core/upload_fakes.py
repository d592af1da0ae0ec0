"""A destination in memory that can be told to misbehave, and jobs over made-up files."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import BinaryIO

from core.dicom.digest import new_hash, version_of
from core.dicom.ports import Outcome, Sent
from core.dicom.refs import FileRef, Found, Header
from core.errors import BadInput, Conflict, KnownError, NotFound, Unreachable
from core.upload.backoff import Pace
from core.upload.control import Control
from core.upload.destination import Images
from core.upload.job import UploadJob
from core.upload.ledger import Ledger
from core.upload.nouns import UploadProgress, UploadReceipt
from core.upload.picks import Attach, Order, Pick
from core.upload.runner import run

QUICK = Pace(first_delay_s=0.001, longest_delay_s=0.005, patience_s=2.0, progress_every_s=0.0)


def digest(data: bytes) -> str:
    """Version of *data*."""
    running = new_hash()
    running.update(data)
    return version_of(running)


class Store:
    """What a made-up archive keeps; outlives the destinations that reach it."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, str], bytes] = {}
        self.attached: dict[str, list[tuple[str, str]]] = {}
        self.stored: list[str] = []  # SOP Instance UIDs in the order they came, again if they came again
        self.lock = threading.Lock()

    def lose(self, study_uid: str, sop_uid: str) -> None:
        """Forget an image, if it is there."""
        with self.lock:
            self.images.pop((study_uid, sop_uid), None)


class FakeDestination:
    """The `Destination` port over a `Store`. *before* runs before each send and may raise or wait."""

    def __init__(
        self,
        store: Store,
        *,
        gives_digest: bool | None = True,
        before: Callable[[str], None] = lambda _: None,
        after_held: Callable[[], None] = lambda: None,
        piece: int = 1 << 16,
        small_bytes: int = 0,
    ) -> None:
        self.store = store
        self.gives_digest = gives_digest
        self.name = "fake"
        self.before = before
        self.after_held = after_held
        self.down = False
        self.pings = 0
        self.closed = False
        self.at_work = self.most_at_work = 0
        self.piece = piece
        self.small_bytes = small_bytes
        self.parcels = 0

    def _answers(self) -> None:
        if self.down:
            raise Unreachable("fake:1 cannot be reached.", "Plug it in.")

    def held(self, study_uid: str, sop_uids: Sequence[str]) -> dict[str, str]:
        self._answers()
        self.after_held()
        with self.store.lock:
            found = {
                u: self.store.images[study_uid, u] for u in sop_uids if (study_uid, u) in self.store.images
            }
        return {u: self._shown(data) for u, data in found.items()}

    def _shown(self, data: bytes) -> str:
        if self.gives_digest is False:
            return ""
        return digest(data)

    def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
        self._answers()
        with self.store.lock:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            self.before(header.sop_instance_uid)
            content = b"".join(iter(lambda: data.read(self.piece), b""))
        finally:
            with self.store.lock:
                self.at_work -= 1
        if len(content) != size:
            raise KnownError("The fake got another size than was promised.")
        with self.store.lock:
            self.store.images[header.study_instance_uid, header.sop_instance_uid] = content
            self.store.stored.append(header.sop_instance_uid)
        return Sent(Outcome.STORED, self._shown(content))

    def send_together(self, images: Images) -> list[Sent | KnownError]:
        self.parcels += 1
        answers: list[Sent | KnownError] = []
        for header, content in images():
            try:
                answers.append(self.send(header, io.BytesIO(content), len(content)))
            except (BadInput, Conflict) as error:
                answers.append(error)
        return answers

    def attachments_held(self, study_uid: str) -> set[str]:
        self._answers()
        return {version for _, version in self.store.attached.get(study_uid, [])}

    def attach(self, study_uid: str, path: Path, name: str, content_type: str) -> str:
        self._answers()
        if not any(study == study_uid for study, _ in self.store.images):
            raise NotFound("study")
        version = digest(path.read_bytes())
        self.store.attached.setdefault(study_uid, []).append((name, version))
        return version

    def reachable(self) -> None:
        self.pings += 1
        self._answers()

    def test(self) -> str:
        self._answers()
        return "The fake answers."

    def close(self) -> None:
        self.closed = True


def make_files(folder: Path, studies: int = 1, each: int = 5, size: int = 3000) -> list[Pick]:
    """Files that need not be DICOM (nothing in an upload looks inside), as a scan would have found them."""
    folder.mkdir(parents=True, exist_ok=True)
    picks = []
    for s in range(1, studies + 1):
        found = []
        for n in range(1, each + 1):
            header = Header(
                "1.2.840.10008.5.1.4.1.1.2",
                f"1.2.3.{s}.{n}",
                f"1.2.3.{s}",
                f"1.2.3.{s}.0",
                "1.2.840.10008.1.2.1",
                patient_name="Probe^Paula",
                patient_id="P1",
            )
            data = f"{s}/{n} ".encode() * (size // 4)
            (folder / f"{s}-{n}").write_bytes(data)
            found.append(Found(FileRef(f"{s}-{n}"), header, len(data)))
        picks.append(Pick(found[0].header, tuple(found)))
    return picks


class Desk:
    """One source folder and one ledger, as the command line or the window would use them."""

    def __init__(self, tmp_path: Path, studies: int = 1, each: int = 5, size: int = 3000) -> None:
        self.folder = tmp_path / "disc"
        self.picks = make_files(self.folder, studies, each, size)
        self.ledger_path = tmp_path / "client.db"
        self.ledger = Ledger(self.ledger_path)
        self.attachments: list[Attach] = []

    def locate(self, ref: FileRef) -> Path:
        return self.folder / ref.path

    def open(self, ref: FileRef) -> BinaryIO:
        return self.locate(ref).open("rb")

    def job(self, *, replace: bool = False) -> UploadJob:
        order = Order([self.folder], "fake", self.picks, self.attachments, replace=replace)
        return self.ledger.create(order, self.locate)

    def upload(
        self,
        destination: FakeDestination,
        job: UploadJob | None = None,
        *,
        pace: Pace = QUICK,
        control: Control | None = None,
        opener: Callable[[FileRef], BinaryIO] | None = None,
        seen: list[UploadProgress] | None = None,
    ) -> UploadReceipt:
        work = run(job or self.job(), destination, control, opener=opener or self.open, pace=pace)
        return finish(work, seen)

    def close(self) -> None:
        self.ledger.close()


def finish(
    work: Generator[UploadProgress, None, UploadReceipt], seen: list[UploadProgress] | None = None
) -> UploadReceipt:
    """Run to the end and return the receipt."""
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # a generator's return value has no type here
        if seen is not None:
            seen.append(progress)


def wait_until(happened: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that another thread will do; fails when it does not."""
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            raise AssertionError("it did not happen")
        time.sleep(0.002)
