"""Frames as a page shows them: windowed by the render workers, the latest kept in memory."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.archive.nouns import StoredImage
from server.web.call import Call
from server.web.errors import BAD_REQUEST, Refused
from server.web.waiting import done

if TYPE_CHECKING:
    from core.imaging.voi import Voi

KEPT_BYTES = 64 << 20
FORMATS = {"png": b"image/png", "jpeg": b"image/jpeg", "description": b"application/json"}
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
JPEG_QUALITY = 95
Region = tuple[float, float, float, float]
"""Left, top, width and height in parts of the whole; a negative extent turns the picture around."""
FARTHEST = 1e9


class Renderer(Protocol):
    """Renders in worker processes; the Future raises NotRenderable or NotFound("frame")."""

    def render(
        self,
        source: Path,
        frame0: int,
        kind: str,
        size: tuple[int, int] | None,
        quality: int,
        *,
        voi: Voi | None,
        invert: bool,
        region: Region | None,
    ) -> Future[bytes]:
        """*kind* of 0-based *frame0* of the object at *source*."""

    def live_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have futures done on *loop*, if they can be. Before the first task."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window as asked for."""

    center: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class Look:
    """One frame, 0-based, and how to look at it; no *window* is the frame's own."""

    frame: int
    kind: str = "png"
    window: Window | None = None
    invert: bool = False
    size: tuple[int, int] | None = None
    quality: int = JPEG_QUALITY
    region: Region | None = None

    @classmethod
    def asked(cls, call: Call, frame: int) -> Look:
        """As the query says. Raises Refused (400)."""
        kind = call.query("format", "png")
        if kind not in ("png", "jpeg"):
            raise Refused(BAD_REQUEST, "The parameter format must be png or jpeg.")
        return cls(frame, kind, _window(call.query("window"), call.query("function")), call.flag("invert"))

    def name(self, version: str) -> str:
        """What tells it from every other picture."""
        window = "own"
        if self.window is not None:
            window = f"{self.window.center!r},{self.window.width!r},{self.window.function}"
        more = f"{self.size}-{self.quality}-{self.region}"
        return f"{version}-{self.frame}-{self.kind}-{window}-{int(self.invert)}-{more}"


def tag_of(name: str) -> str:
    """A picture's name as an entity tag has it."""
    return name.replace('"', "").replace(" ", "")


class Frames:
    """Renders through *renderer*; asked twice for the same at once, it renders it once."""

    def __init__(self, renderer: Renderer, budget: int = KEPT_BYTES) -> None:
        self._renderer = renderer
        self._budget = budget
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, Future[bytes]] = {}
        self._waiting: Counter[str] = Counter()
        self._at_home = False

    async def picture(self, image: StoredImage, look: Look) -> bytes:
        """The picture or description; called on the event loop. Raises NotRenderable, NotFound("frame").

        When everyone who waits for it has been cancelled, it is not begun any more.
        """
        name = look.name(image.version)
        if (found := self._kept.get(name)) is not None:
            self._kept.move_to_end(name)
            return found
        making = self._making.get(name)
        if making is None or making.cancelled():
            making = self._making[name] = self._render(image, look)
            making.add_done_callback(lambda made: self._made(name, made))
        self._waiting[name] += 1
        try:
            await done(making)
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]
                making.cancel()  # nothing happens if it has begun
        return making.result()

    def _made(self, name: str, made: Future[bytes]) -> None:
        """On the event loop, where the renderer lives."""
        if self._making.get(name) is made:
            del self._making[name]
        if not made.cancelled() and made.exception() is None:
            self._keep(name, made.result())

    def _render(self, image: StoredImage, look: Look) -> Future[bytes]:
        from core.imaging.voi import Voi, VoiFunction  # numpy comes with it: not before it is needed

        if not self._at_home:
            self._renderer.live_on(asyncio.get_running_loop())
            self._at_home = True
        voi = None
        if look.window is not None:
            voi = Voi(look.window.center, look.window.width, VoiFunction(look.window.function))
        return self._renderer.render(
            image.path,
            look.frame,
            look.kind,
            look.size,
            look.quality,
            voi=voi,
            invert=look.invert,
            region=look.region,
        )

    def _keep(self, name: str, body: bytes) -> None:
        self._size -= len(self._kept.pop(name, b""))  # it may have been made for two who asked differently
        self._kept[name] = body
        self._size += len(body)
        while self._size > self._budget:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)


def _window(value: str, function: str) -> Window | None:
    if function and function not in FUNCTIONS:
        raise Refused(BAD_REQUEST, f"The parameter function must be one of {', '.join(FUNCTIONS)}.")
    if not value:
        return None
    try:
        center, width = (float(part) for part in value.split(","))
    except ValueError:
        center = width = math.nan
    function = function or "LINEAR"
    least = 1.0 if function == "LINEAR" else 1e-9
    if not (abs(center) <= FARTHEST and least <= width <= FARTHEST):
        raise Refused(BAD_REQUEST, "The parameter window must be CENTER,WIDTH with a width of at least 1.")
    return Window(center, width, function)
