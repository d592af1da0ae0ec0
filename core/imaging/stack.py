"""The pictures of one series in viewing order over any source: decoded on demand, cached, read ahead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import BinaryIO, NamedTuple

from core.dicom.ports import HeaderSource, Source
from core.dicom.refs import Found
from core.errors import KnownError, NotRenderable, Unreachable
from core.imaging.apart import open_image
from core.imaging.attributes import ImageAttributes
from core.imaging.budget import Budget
from core.imaging.geometry import Order, slice_order
from core.imaging.image import Frame, ImageObject

BUDGET = 512 << 20
OPEN_OBJECTS = 8
UNREADABLE = "This file could not be read from where it lies."
CLOSED = "This series has been closed."
NO_ORDER = "The archive did not say how the slices lie: they are in the order of their numbers."


class Slot(NamedTuple):
    """One place of a stack: an instance and a 0-based frame of it."""

    found: Found
    frame0: int


class Stack:
    """Frames by index, from 0. Thread-safe. A frame that cannot be shown fails alone, with its reason.

    Slots begin in the order of Instance Numbers; `arrange` puts them in the order of their geometry.
    *ready* is called from a read-ahead thread with each index that became available or failed.
    The source is not closed here; `close` ends the threads and every stream opened from it.
    """

    def __init__(
        self,
        source: Source,
        found: Sequence[Found],
        *,
        budget: int = BUDGET,
        threads: int = 2,
        ready: Callable[[int], None] | None = None,
    ) -> None:
        last = 1 << 40
        ordered = sorted(
            found,
            key=lambda f: (last if f.header.instance_number is None else f.header.instance_number, f.ref),
        )
        self._slots = [Slot(f, n) for f in ordered for n in range(max(1, f.header.number_of_frames))]
        self._source = source
        self._budget = budget
        self._shared: Budget | None = None
        self._ready = ready
        self._changed = threading.Condition()
        self._frames: dict[Slot, Frame] = {}
        self._failures: dict[Slot, KnownError] = {}
        self._in_flight: set[Slot] = set()
        self._bytes = 0
        self._largest = 0
        self._index, self._direction = 0, 1
        self._reading_ahead = False
        self._closed = False
        self._latest: tuple[Found, ImageObject | None] | None = None  # of `arrange`
        self._objects = _OpenObjects(source)
        self._places: dict[Slot, int] = {slot: n for n, slot in enumerate(self._slots)}
        self._threads = [
            threading.Thread(target=self._read_ahead, name="read-ahead", daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, index: int) -> Slot:
        """What lies at an index."""
        return self._slots[index]

    def index_of(self, slot: Slot) -> int:
        """Where a slot lies now; it moves when the stack is arranged."""
        return self._places[slot]

    def get(self, index: int) -> Frame:
        """The frame, decoded here and now if need be. Raises KnownError with the reason."""
        slot = self._slots[index]
        with self._changed:
            self._index = index
            while slot in self._in_flight and not self._closed:
                self._changed.wait()
            if self._closed:
                raise NotRenderable(CLOSED)
            if (frame := self._frames.get(slot)) is not None:
                return frame
            failure = self._failures.get(slot)
            if failure is not None and not isinstance(failure, Unreachable):
                raise failure
            self._in_flight.add(slot)
        result = self._load(slot)
        if isinstance(result, KnownError):
            raise result
        return result

    def peek(self, index: int) -> Frame | None:
        """The frame if it is in memory; never waits for a decoder."""
        with self._changed:
            return self._frames.get(self._slots[index])

    def failure(self, index: int) -> KnownError | None:
        """Why the slot has no picture, None if it has one or was not tried yet."""
        with self._changed:
            return self._failures.get(self._slots[index])

    def prefetch(self, index: int, direction: int = 1) -> None:
        """Read ahead from *index*: in the direction of scrolling to its end, then the other way."""
        with self._changed:
            self._index, self._direction = index, 1 if direction >= 0 else -1
            self._reading_ahead = True
            self._changed.notify_all()

    def cached(self) -> int:
        """How many frames are in memory, for a progress bar."""
        with self._changed:
            return len(self._frames)

    def share(self, budget: Budget) -> None:
        """Keep frames within what all members of *budget* have together, until `close`."""
        self._shared = budget
        budget.join(self)

    def allow(self, budget: int) -> None:
        """Keep at most *budget* bytes from now on; what will be wanted last gives way."""
        with self._changed:
            self._budget = budget
            for slot in sorted(self._frames, key=self._rank, reverse=True):
                if self._bytes <= budget or len(self._frames) == 1:
                    break
                self._bytes -= self._frames.pop(slot).nbytes
            self._changed.notify_all()

    @property
    def allowed(self) -> int:
        """Bytes it may keep."""
        with self._changed:
            return self._budget

    def arrange(self) -> Order:
        """Read every header and order the slots by geometry where that is consistent; says what it found.

        Takes as long as opening each file takes: call it off the user interface's thread. Indices change.
        """
        pictures: list[ImageAttributes] = []
        for slot in self._slots:
            if self._closed:
                return Order(tuple(range(len(self._slots))), False)
            try:
                pictures.append(self._attributes(slot))
            except Unreachable:
                return Order(tuple(range(len(self._slots))), False, (NO_ORDER,))
        order = slice_order(pictures)
        if order.by_geometry:
            with self._changed:
                self._slots = [self._slots[n] for n in order.indices]
                self._places = {slot: n for n, slot in enumerate(self._slots)}
        return order

    def file(self, slot: Slot) -> BinaryIO:
        """The object of a slot, for what is no picture; the caller closes it. Raises OSError, KnownError."""
        return self._source.open(slot.found.ref)

    def close(self) -> None:
        """End the threads and forget the frames."""
        if self._shared is not None:
            self._shared.leave(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._objects.close()
        with self._changed:
            self._frames.clear()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attributes(self, slot: Slot) -> ImageAttributes:
        with self._changed:
            frame = self._frames.get(slot)
        if frame is not None:
            return frame.attributes
        if (header := self._header(slot.found)) is not None:
            return header.frame_attributes(slot.frame0)
        try:
            with self._objects.use(slot.found) as image:
                return image.frame_attributes(slot.frame0)
        except (KnownError, OSError) as error:
            if isinstance(error, Unreachable) and isinstance(self._source, HeaderSource):
                raise  # it is a whole archive that is away
            return ImageAttributes(instance_number=slot.found.header.instance_number)

    def _header(self, found: Found) -> ImageObject | None:
        """The object without its pixel data, None where the file itself must be read for its place.

        Raises Unreachable where nobody answers.
        """
        if not isinstance(self._source, HeaderSource):
            return None
        if self._latest is None or self._latest[0] is not found:
            try:
                with self._source.open_header(found.ref) as stream:
                    self._latest = found, open_image(stream)
            except Unreachable:
                raise
            except (KnownError, OSError):
                self._latest = found, None
        return self._latest[1]

    def _load(self, slot: Slot) -> Frame | KnownError:
        """Decode a slot marked as in flight and keep the outcome."""
        result: Frame | KnownError
        try:
            with self._objects.use(slot.found) as image:
                result = image.frame(slot.frame0)
        except KnownError as error:
            result = error
        except (OSError, ValueError):
            result = Unreachable(UNREADABLE, "Clean the disc or check the connection, then try again.")
        except MemoryError:
            result = NotRenderable("There is not enough memory for this picture.")
        except Exception as error:  # whatever a damaged object provokes fails its own slot only
            result = NotRenderable(f"This picture cannot be read ({type(error).__name__}).")
        with self._changed:
            self._in_flight.discard(slot)
            if isinstance(result, KnownError):
                self._failures[slot] = result
            elif not self._closed:
                self._failures.pop(slot, None)
                self._keep(slot, result)
            self._changed.notify_all()
        return result

    def _keep(self, slot: Slot, frame: Frame) -> None:
        """Cache a frame; what will be wanted last gives way."""
        self._frames[slot] = frame
        self._bytes += frame.nbytes
        self._largest = max(self._largest, frame.nbytes)
        while self._bytes > self._budget and len(self._frames) > 1:
            last = max(self._frames, key=lambda s: (s != slot, self._rank(s)))
            self._bytes -= self._frames.pop(last).nbytes

    def _rank(self, slot: Slot) -> int:
        """How soon a slot is wanted: those ahead by distance, then those behind."""
        distance = (self._places[slot] - self._index) * self._direction
        return distance if distance >= 0 else len(self._slots) - distance

    def _read_ahead(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (slot := self._wanted()) is None:
                    self._changed.wait()
                if self._closed or slot is None:
                    return
                self._in_flight.add(slot)
            self._load(slot)
            if self._ready is not None and not self._closed:
                self._ready(self._places[slot])

    def _wanted(self) -> Slot | None:
        """The next slot to decode: along the scroll direction, then behind, as far as the budget goes."""
        if not self._reading_ahead:
            return None
        reach = len(self._slots)
        if self._largest:
            reach = min(reach, max(2, int(self._budget * 0.9) // self._largest))
        up, down = range(self._index, len(self._slots)), range(self._index, -1, -1)
        ahead, behind = (up, down) if self._direction > 0 else (down, up)
        for index in islice(chain(ahead, behind[1:]), reach):
            slot = self._slots[index]
            if slot not in self._frames and slot not in self._failures and slot not in self._in_flight:
                return slot
        self._reading_ahead = bool(self._in_flight)
        return None


class _Opened:
    """An object in use: its stream stays open while anybody reads frames from it."""

    __slots__ = ("image", "stream", "users")

    def __init__(self, image: ImageObject, stream: BinaryIO) -> None:
        self.image = image
        self.stream = stream
        self.users = 0


class _OpenObjects:
    """The latest few multi-frame objects stay open; single frames are opened and forgotten."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._kept: OrderedDict[Found, _Opened] = OrderedDict()

    def use(self, found: Found) -> _Use:
        """A context in which the object can be read. Raises KnownError, OSError on entering."""
        return _Use(self, found)

    def enter(self, found: Found) -> _Opened:
        """Find or open it."""
        with self._lock:
            opened = self._kept.get(found)
            if opened is not None:
                self._kept.move_to_end(found)
                opened.users += 1
                return opened
        stream = self._source.open(found.ref)
        try:
            opened = _Opened(open_image(stream), stream)
        except BaseException:
            stream.close()
            raise
        opened.users = 1
        if opened.image.frame_count > 1:
            self._keep(found, opened)
        return opened

    def leave(self, found: Found, opened: _Opened) -> None:
        """Done with it for now."""
        with self._lock:
            opened.users -= 1
            if opened.users == 0 and self._kept.get(found) is not opened:
                opened.stream.close()

    def close(self) -> None:
        """Close what is not in use; the rest closes when left."""
        with self._lock:
            for opened in self._kept.values():
                if opened.users == 0:
                    opened.stream.close()
            self._kept.clear()

    def _keep(self, found: Found, opened: _Opened) -> None:
        with self._lock:
            if found in self._kept:
                return
            self._kept[found] = opened
            while len(self._kept) > OPEN_OBJECTS:
                _, oldest = self._kept.popitem(last=False)
                if oldest.users == 0:
                    oldest.stream.close()


class _Use:
    """The with statement of one use."""

    __slots__ = ("_found", "_objects", "_opened")

    def __init__(self, objects: _OpenObjects, found: Found) -> None:
        self._objects = objects
        self._found = found
        self._opened: _Opened | None = None

    def __enter__(self) -> ImageObject:
        self._opened = self._objects.enter(self._found)
        return self._opened.image

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._objects.leave(self._found, self._opened)
