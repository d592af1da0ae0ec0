"""What the tests of the archive share: storing made-up objects, and a file system whose steps can fail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from io import FileIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from core.archive.archive import Archive
from core.archive.files import LocalFiles
from core.archive.nouns import Attachment, StoreResult
from core.media.samples import SampleStudy, dataset, part10, uid

NS = "default"


def tiny(study: SampleStudy, *, series: int = 1, instance: int = 1, **elements: Any) -> Dataset:
    """An object without pixels: all the catalog needs."""
    return dataset(study, series=series, instance=instance, **elements)


def sop(study: SampleStudy, series: int = 1, instance: int = 1) -> str:
    """The SOP Instance UID of `tiny`."""
    return uid(study.seed, series, instance)


def send(
    archive: Archive, what: Dataset | bytes, namespace: str = NS, actor: str = "tester"
) -> Future[StoreResult]:
    """Store an object."""
    data = what if isinstance(what, bytes) else part10(what)
    with archive.incoming(namespace) as incoming:
        for start in range(0, len(data), 1000):
            incoming.write(data[start : start + 1000])
        return archive.store(incoming, actor=actor)


def store(archive: Archive, what: Dataset | bytes, namespace: str = NS) -> StoreResult:
    """Store an object and wait until it is durable."""
    return send(archive, what, namespace).result(30)


def attach(archive: Archive, study_uid: str, data: bytes, name: str = "a.pdf") -> Future[Attachment]:
    """Attach bytes to a study."""
    with archive.incoming(NS) as incoming:
        incoming.write(data)
        return archive.attach(
            NS,
            study_uid,
            incoming,
            name=name,
            content_type="application/pdf",
            uploaded_by="Rita",
            actor="tester",
        )


def files_in(data: Path) -> list[Path]:
    """Every blob and every half-arrived file."""
    return [
        p for part in ("objects", "incoming") for p in (data / "archive" / part).rglob("*") if p.is_file()
    ]


class Failing(LocalFiles):
    """The file system of this machine, until `fail` names the step that does not work."""

    def __init__(self) -> None:
        self.fail = ""
        self.error: Callable[[], OSError] = lambda: OSError(28, "No space left on device")
        self.calls: list[str] = []

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if self.fail == name:
            raise self.error()

    def create(self, path: Path) -> FileIO:
        self._step("create")
        return super().create(path)

    def write(self, file: FileIO, data: bytes | bytearray | memoryview) -> None:
        self._step("write")
        super().write(file, data)

    def sync(self, file: FileIO) -> None:
        self._step("sync")
        super().sync(file)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)

    def sync_folder(self, path: Path) -> None:
        self._step("sync_folder")
        super().sync_folder(path)

    def make_folder(self, path: Path) -> bool:
        self._step("make_folder")
        return super().make_folder(path)

    def free_bytes(self, path: Path) -> int:
        return 0 if self.fail == "free_bytes" else super().free_bytes(path)
