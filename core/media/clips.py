"""The videos of a medium: of objects with several frames, or of whole series; stored ones as they are."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from core.dicom.inside import NotVideo, Pieces, video_in
from core.dicom.refs import Header
from core.dicom.syntaxes import transfer_syntax
from core.errors import KnownError, NotRenderable, SourceFault, StorageFault, TooLarge
from core.media.changing import Changes, Item, changed, seekable
from core.media.motion import MOST_BYTES, Film, avi, mp4

FORMATS = {"avi": avi, "mp4": mp4}
MOST_FRAMES = 20_000
IN_MEMORY = 16 << 20
AHEAD = 8
PIECE = 1 << 20
USUAL_RATE = 10.0
SLOWEST, FASTEST = 0.1, 120.0
ENDINGS = {"video/mp4": "MP4", "video/mpeg": "MPG", "video/mp2t": "TS"}
RATES = ("RecommendedDisplayFrameRate", "CineRate", "FrameTime")

Picture = Callable[[Item, int], "Future[bytes]"]


class File(NamedTuple):
    """One video, as it is put onto the medium."""

    path: str
    size: int
    chunks: Iterator[bytes]


@dataclass(slots=True)
class Clip:
    """What becomes one video: objects in order with their numbers of frames; *stored* holds one already."""

    name: str
    parts: list[tuple[Item, int]] = field(default_factory=list)
    stored: bool = False


class Clips:
    """Gathers what is to move. *form* is avi, mp4, or "" for nothing; *series* are all if none is named."""

    def __init__(self, form: str, series: frozenset[str]) -> None:
        self._form = form
        self._series = series
        self._clips: dict[str, Clip] = {}
        self._count = 0

    def add(self, item: Item, header: Header) -> None:
        """Take an object in, if it is one of them."""
        named = header.series_instance_uid in self._series
        if not self._form or (self._series and not named):
            return
        stored = transfer_syntax(header.transfer_syntax_uid).video
        if not stored and (not header.rows or not header.columns):
            return
        frames = max(1, header.number_of_frames)
        if not stored and not named and frames < 2:
            return
        together = named and frames == 1 and not stored
        key = header.series_instance_uid if together else item.name
        self._clips.setdefault(key, Clip(item.name, stored=stored)).parts.append((item, frames))

    def files(self, picture: Picture, failed: Callable[[str, str], None]) -> Iterator[File]:
        """Each video when its turn comes; its bytes are to be taken before the next one is asked for."""
        for clip in self._clips.values():
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as space:
                try:
                    yield _stored(clip, self._next) if clip.stored else self._made(clip, picture, space)
                except StorageFault:
                    raise
                except KnownError as error:
                    failed(f"video of {clip.name}", error.message)
                except OSError as error:
                    raise StorageFault("The disk has no room for a video.", "Free some space.") from error

    def _next(self, ending: str) -> str:
        self._count += 1
        return f"VIDEO/V{self._count:06}.{ending}"

    def _made(self, clip: Clip, picture: Picture, space: object) -> File:
        file = cast(BinaryIO, space)
        sizes: list[int] = []
        shape = (0, 0)
        for data in _pictures(clip, picture):
            found = _shape(data)
            if sizes and found != shape:
                raise NotRenderable("The pictures of the series have different sizes.")
            shape = found
            file.write(data)
            sizes.append(len(data))
            if file.tell() > MOST_BYTES:
                raise TooLarge("The video would be larger than a gigabyte.")
        made = FORMATS[self._form](Film(file, sizes, *shape, _rate(clip.parts[0][0])))
        return File(self._next(self._form.upper()), made.size, made.chunks)


def _stored(clip: Clip, place: Callable[[str], str]) -> File:
    """The stream an object holds, as it came."""
    path = clip.parts[0][0].path
    if path is None:
        raise NotRenderable("The video lies inside of an archive file.")
    try:
        inside = video_in(path)
    except NotVideo as error:
        raise NotRenderable(error.message) from error
    except OSError as error:
        raise SourceFault("The file cannot be read.") from error

    def chunks(source: Path) -> Iterator[bytes]:
        try:
            with source.open("rb") as file:
                pieces = Pieces(file, inside.spans)
                while piece := pieces.read(PIECE):
                    yield piece
        except OSError as error:
            raise SourceFault("The file cannot be read.") from error

    return File(place(ENDINGS.get(inside.media_type, "MP4")), inside.size, chunks(path))


def _pictures(clip: Clip, picture: Picture) -> Iterator[bytes]:
    """The frames in order, some being made ahead."""
    if sum(frames for _, frames in clip.parts) > MOST_FRAMES:
        raise TooLarge("The video would have too many frames.")
    wanted = ((item, frame) for item, frames in clip.parts for frame in range(frames))
    making: deque[Future[bytes]] = deque()
    try:
        for item, frame in wanted:
            making.append(picture(item, frame))
            if len(making) > AHEAD:
                yield making.popleft().result()
        while making:
            yield making.popleft().result()
    except CancelledError as error:
        raise NotRenderable("Rendering has been shut down.") from error
    finally:
        for future in making:
            future.cancel()


def _shape(jpeg: bytes) -> tuple[int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        return image.size


def _rate(item: Item) -> float:
    try:
        with changed(item, Changes()) as data, seekable(data) as stream:
            return rate_in(stream)
    except Exception:  # what cannot be read has no pictures, and that is told elsewhere
        return USUAL_RATE


def rate_in(stream: BinaryIO) -> float:
    """Frames a second, as an object has it (PS3.3 C.7.6.5), else USUAL_RATE."""
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they name the odd value
            ds = dcmread(stream, stop_before_pixels=True, specific_tags=list(RATES))
            found = [float(ds.get(keyword) or 0) for keyword in RATES]
    except Exception:  # whatever is wrong with these values, the pictures are not
        return USUAL_RATE
    shown, cine, milliseconds = found
    rate = shown or cine or (1000 / milliseconds if milliseconds else 0)
    return rate if SLOWEST <= rate <= FASTEST else USUAL_RATE
