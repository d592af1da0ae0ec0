"""Pictures of stored frames: rendered in worker processes, thumbnails kept beside the archive."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from core.archive.archive import Archive
from core.archive.nouns import StoredImage
from core.archive.thumbnails import Thumbnails
from core.errors import NotFound, StorageFault
from server.web.call import Call, Headers, Send, answer
from server.web.errors import BAD_REQUEST, Refused
from server.web.files import ASK_AGAIN, FOREVER, check_match
from server.web.waiting import outcome

MAX_EDGE = 16384
MEDIA_TYPES = {"png": "image/png", "tif": "image/tiff"}
MOST_REMEMBERED = 10_000
LOOKING = 2
"""Threads that look pictures up: so few that they stay warm, which counts more than their number."""
CACHE_BYTES = 2 << 30
PRUNE_EVERY, PRUNE_AFTER_BYTES = 1000, 256 << 20
"""After so many new entries, or bytes, the oldest are removed until the cache is within its size."""


class Renderer(Protocol):
    """Renders in worker processes; the Future raises NotRenderable or NotFound("frame")."""

    def render(
        self, path: Path, frame0: int, kind: str, size: tuple[int, int] | None, quality: int
    ) -> Future[bytes]:
        """The picture of 0-based *frame0* of the object at *path*."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture as asked for; *quality* in percent; *size* None is the original size."""

    kind: str
    size: tuple[int, int] | None
    quality: int
    frame: int = 0
    depths: Mapping[int, str] = field(default_factory=lambda: {8: "frame", 16: "jpeg16"}, compare=False)
    """The kind by bits a sample."""

    @property
    def media_type(self) -> str:
        """What it is once made."""
        return MEDIA_TYPES.get(self.kind[:3], "image/jpeg")

    def at(self, frame: int) -> Wanted:
        """The same of another frame."""
        return replace(self, frame=frame)

    def asked(self, call: Call) -> Wanted:
        """With the query's own `size`, `quality` and `depth`. Raises Refused (400)."""
        return replace(
            self,
            kind=self._kind(call.query("depth")),
            size=_size(call.query("size"), self.size),
            quality=_quality(call.query("quality"), self.quality),
        )

    def _kind(self, depth: str) -> str:
        if not depth:
            return self.kind
        if depth not in ("8", "16"):
            raise Refused(BAD_REQUEST, "The parameter depth must be 8 or 16.")
        return self.depths[int(depth)]

    def name(self, version: str) -> str:
        """What tells it from every other picture."""
        size = "x".join(map(str, self.size)) if self.size else "max"
        return f"{version}-{self.frame}-{self.kind}-{size}-{self.quality}"


FULL = Wanted("frame", None, 95)
THUMBNAIL = Wanted("thumbnail", (512, 512), 75, depths={8: "thumbnail", 16: "jpeg16"})
DIAGNOSTIC = Wanted("png16", None, 100, depths={8: "png8", 16: "png16"})
TIFF = Wanted("tiff8", None, 100, depths={8: "tiff8", 16: "tiff16"})

Place = tuple[str, str, str, str]
"""Namespace, study, image and version, as `Archive.image` takes them."""
_Ready = tuple[str, bytes | None]
"""The name of a picture, and the picture; None if whoever asks has it already."""


class Pictures:
    """Renders through *renderer*; keeps *thumbnails*, and other objects in *folder*, one folder a study."""

    def __init__(
        self,
        archive: Archive,
        renderer: Renderer,
        thumbnails: Thumbnails,
        folder: Path,
        workers: ThreadPoolExecutor,
    ) -> None:
        self._archive = archive
        self._renderer = renderer
        self._thumbnails = thumbnails
        self._folder = folder
        self._workers = workers
        self._lookers = ThreadPoolExecutor(LOOKING, thread_name_prefix="pictures")
        self._names: dict[tuple[Place, int], tuple[int, str]] = {}
        self._making: dict[Path, asyncio.Task[None]] = {}
        self._waiting: Counter[Path] = Counter()
        self._written = self._unpruned = 0
        self._lock = threading.Lock()

    async def send(self, call: Call, send: Send, place: Place, wanted: Wanted, *, pinned: bool) -> None:
        """Answer with the picture of the image at *place*, which the caller may see.

        Raises NotFound, NotRenderable, StorageFault.
        """
        known = call.header(b"if-none-match")
        name, body = self._at_hand(place, wanted)
        if not body or f'"{name}"' in known:
            ready: Future[_Ready] = Future()
            self._lookers.submit(self._prepare, place, wanted, known, ready)
            name, body = await outcome(ready)
        check_match(call, name)
        headers: Headers = [
            (b"etag", f'"{name}"'.encode()),
            (b"cache-control", FOREVER if pinned else ASK_AGAIN),
        ]
        if body is None:
            await answer(send, 304, headers=headers)
            return
        await answer(send, 200, body, [(b"content-type", wanted.media_type.encode()), *headers])

    def _at_hand(self, place: Place, wanted: Wanted) -> tuple[str, bytes | None]:
        """A thumbnail in memory, if nothing in the catalog has changed since it was last looked up."""
        version, name = self._names.get((place, wanted.frame), (0, ""))
        if not name or wanted != THUMBNAIL.at(wanted.frame) or version != self._archive.db.version():
            return "", None
        return name, self._thumbnails.recent(name)

    def _prepare(self, place: Place, wanted: Wanted, known: str, ready: Future[_Ready]) -> None:
        """Have *ready* resolved: by this thread if nothing is to be rendered, else by the renderer's."""
        if not ready.set_running_or_notify_cancel():
            return
        try:
            era, version = self._thumbnails.era, self._archive.db.version()
            image = self._archive.image(*place)
            if wanted.frame >= image.frame_count:
                raise NotFound("frame", f"The image has {image.frame_count} frames, counted from 0.")
            name = wanted.name(image.version)
            if f'"{name}"' in known:
                ready.set_result((name, None))
                return
            study = _key(image) if wanted == THUMBNAIL.at(wanted.frame) else ""
            if study:
                self._remember(place, wanted.frame, version, name)
                if body := self._thumbnails.get(study, name):
                    ready.set_result((name, body))
                    return
            making = self.start(image.path, wanted)
        except BaseException as error:  # whoever waits must hear of it
            ready.set_exception(error)
            return
        making.add_done_callback(lambda made: self._made(made, ready, name, study, era))

    def _remember(self, place: Place, frame: int, version: int, name: str) -> None:
        if len(self._names) >= MOST_REMEMBERED:
            self._names.clear()
        self._names[place, frame] = version, name

    def _made(self, made: Future[bytes], ready: Future[_Ready], name: str, study: str, era: int) -> None:
        """Hand over what was rendered; a thumbnail is kept, which its answer does not wait for."""
        try:
            body = made.result()
        except BaseException as error:  # also that it was cancelled: whoever waits must hear of it
            ready.set_exception(error)
            return
        ready.set_result((name, body))
        if study:
            self._thumbnails.put(study, name, body, era)

    async def file(self, image: StoredImage, ending: str, make: Callable[[], Future[bytes]]) -> Path:
        """Where something made of *image* as a whole is kept, made now if it is not. Raises StorageFault.

        Viewers ask for many frames at once, of which each needs the same object: it is made once. When
        everyone who waits for it has been cancelled, it is not made any further.
        """
        path = self._study(image.namespace, image.study_uid) / f"{image.version}-{ending}"
        making = self._making.get(path)
        if making is None or making.cancelling():
            making = self._making[path] = asyncio.create_task(self._make(path, make))
        self._waiting[path] += 1
        try:
            await asyncio.wait((making,))
        finally:
            self._waiting[path] -= 1
            if not self._waiting[path]:
                del self._waiting[path]
                making.cancel()  # nothing happens if it is done
                if self._making.get(path) is making:
                    del self._making[path]
        making.result()
        return path

    async def _make(self, path: Path, make: Callable[[], Future[bytes]]) -> None:
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(self._workers, path.is_file):
            return
        body = await outcome(make())
        await loop.run_in_executor(self._workers, self._keep, path, body)
        if not await loop.run_in_executor(self._workers, path.is_file):
            raise StorageFault("The disk of the archive does not take what was made.", "Free some space.")

    def file_here(self, image: StoredImage, ending: str, make: Callable[[], Future[bytes]]) -> Path:
        """The same for one that may wait on its own thread: it needs no other of the workers."""
        path = self._study(image.namespace, image.study_uid) / f"{image.version}-{ending}"
        if not path.is_file():
            self._keep(path, make().result())
            if not path.is_file():
                raise StorageFault("The disk of the archive does not take what was made.", "Free some space.")
        return path

    def close(self) -> None:
        """End its threads, when nothing asks any more."""
        self._lookers.shutdown(cancel_futures=True)

    def start(self, path: Path, wanted: Wanted) -> Future[bytes]:
        """Starts making a picture of the object at *path*; nothing is kept of it."""
        return self._renderer.render(path, wanted.frame, wanted.kind, wanted.size, wanted.quality)

    def forget(self, namespace: str, study_uid: str) -> None:
        """Remove what was made of a deleted study, also what is just being made."""
        self._thumbnails.forget(f"{namespace}/{study_uid}")
        shutil.rmtree(self._study(namespace, study_uid), ignore_errors=True)

    def _study(self, namespace: str, study_uid: str) -> Path:
        key = hashlib.sha256(f"{namespace}\0{study_uid}".encode()).hexdigest()
        return self._folder / key[:2] / key[2:34]

    def _keep(self, path: Path, body: bytes) -> None:
        temporary = path.with_name(f"{uuid.uuid4().hex}.new")
        with suppress(OSError):  # a cache that cannot be written makes the next call slower, no more
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(body)
            temporary.replace(path)
        with self._lock:
            self._written += 1
            self._unpruned += len(body)
            prune = self._written % PRUNE_EVERY == 0 or self._unpruned > PRUNE_AFTER_BYTES
            self._unpruned = 0 if prune else self._unpruned
        if prune:
            self.prune(CACHE_BYTES)

    def prune(self, limit: int) -> None:
        """Remove the oldest until no more than *limit* bytes are kept."""
        entries: list[tuple[float, int, str]] = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(OSError):  # removed meanwhile
                    stat = os.stat(path)
                    entries.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= limit:
                return
            with suppress(OSError):  # removed meanwhile
                os.unlink(path)
            total -= size


def _key(image: StoredImage) -> str:
    """The study of an object, as its thumbnails are kept by."""
    return f"{image.namespace}/{image.study_uid}"


def _size(value: str, default: tuple[int, int] | None) -> tuple[int, int] | None:
    if not value:
        return default
    if value == "max":
        return None
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", value)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (0 < width <= MAX_EDGE and 0 < height <= MAX_EDGE):
        raise Refused(BAD_REQUEST, "The parameter size must be max or WIDTHxHEIGHT.")
    return width, height


def _quality(value: str, default: int) -> int:
    if not value:
        return default
    if not re.fullmatch(r"0?\.\d{1,6}|0|1|0\.|1\.0{0,6}", value):
        raise Refused(BAD_REQUEST, "The parameter quality must be a number from 0 to 1.")
    return max(1, round(float(value) * 100))
