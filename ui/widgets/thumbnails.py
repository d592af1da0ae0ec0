"""Pictures of series: loaded in the background, newest wish first, and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage
from shiboken6 import isValid

from core.errors import KnownError, Unreachable
from ui.models.people import said
from ui.models.study_view import SeriesView
from ui.tasks import Tasks

KEPT = 400  # pictures of 256 x 256: about 100 MB at most


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture, or the sentence why there is none; not *lasting*: it may be there the next time."""

    image: QImage | None
    reason: str = ""
    lasting: bool = True


class Thumbnails(QObject):
    """The cache and the one background job that fills it.

    Signals:
        ready(str): key of a series whose thumbnail is there now.
    """

    ready = Signal(str)

    def __init__(self, tasks: Tasks, parent: QObject | None = None, *, kept: int = KEPT) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._kept = kept
        self._have: OrderedDict[str, Thumbnail] = OrderedDict()
        self._wanted: OrderedDict[str, Callable[[], bytes]] = OrderedDict()
        self._running = False

    def get(self, series: SeriesView) -> Thumbnail | None:
        """The thumbnail if it is there; otherwise it is asked for and `ready` tells."""
        key = series.uid
        have = self._have.get(key)
        if have is not None:
            self._have.move_to_end(key)
            return have
        self._wanted[key] = series.thumbnail
        self._wanted.move_to_end(key)
        self._start()
        return None

    def forget(self, keys: list[str] | None = None) -> None:
        """Drop what is waiting, and the pictures of *keys* (a series that grew gets a new one)."""
        self._wanted.clear()
        passing = [key for key, each in self._have.items() if not each.lasting]
        for key in (*passing, *(keys or ())):
            self._have.pop(key, None)

    def _start(self) -> None:
        if not self._running and self._wanted:
            self._running = True
            self._tasks.run(self._work(), done=self._done, failed=self._failed, progress=self._arrived)

    def _work(self) -> Generator[tuple[str, Thumbnail], None, None]:
        while self._wanted:
            try:
                key, make = self._wanted.popitem()
            except KeyError:  # the Qt thread cleared the wishes in between
                return
            yield key, load(make)

    def _arrived(self, step: tuple[str, Thumbnail]) -> None:
        if not isValid(self):  # the window went while the picture was made
            return
        key, thumbnail = step
        self._have[key] = thumbnail
        while len(self._have) > self._kept:
            self._have.popitem(last=False)
        self.ready.emit(key)

    def _done(self, _result: object) -> None:
        self._running = False
        if isValid(self):
            self._start()

    def _failed(self, _error: Exception) -> None:
        self._done(None)


def load(make: Callable[[], bytes]) -> Thumbnail:
    """Run *make* (slow) and turn its JPEG into a picture; a failure becomes a sentence."""
    try:
        data = make()
    except KnownError as error:
        return Thumbnail(None, said(error.message), lasting=not isinstance(error, Unreachable))
    except Exception as error:  # whatever a damaged file provokes costs its own picture only
        return Thumbnail(None, type(error).__name__)
    image = QImage.fromData(data)
    return Thumbnail(None if image.isNull() else image)
