"""The inside of one render process: takes a task, answers with a picture or a reason, until the line closes.

Imports nothing heavy at the top: the limits are set before numpy and the codecs come in.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.imaging.line import Line
from core.memory import keep_freed

if TYPE_CHECKING:
    from core.imaging.opened import Opened

EXPORTS = frozenset({"jpeg16", "png16", "png8", "tiff16", "tiff8"})
"""Kinds that `core.imaging.exports` makes."""

RASTERS = frozenset({"pdf-count", "pdf-page", "raster"})
"""Kinds that `core.imaging.raster` makes, of files that are no DICOM objects."""
KEPT_BYTES = 64 << 20
"""Of freed memory, for the next picture: frame, scratch and file of one are of the size of the last one's."""
NICE = 5
"""Whoever hands out tasks and answers goes first: else the workers keep it from giving them the next ones."""
HTML_PDF = "html-pdf:"
"""Before the character set that was sent with an HTML page, "" if none was."""
TRANSCODE = "transcode:"
"""Before the transfer syntax in which an object is wanted as a whole."""
MODEL = "model:"
"""Before the address of bulk data in the DICOM JSON model that is wanted of an object."""


READY, TASK, PICTURE, REASON = range(4)
"""What is said between the process and its owner: the first once, before the first task."""


class VoiSpec(NamedTuple):
    """A window as it crosses the process border."""

    center: float
    width: float
    function: str = "LINEAR"


class Task(NamedTuple):
    """One picture to make: of a file (or bytes), 0-based frame; "description" is JSON about it instead."""

    source: str | bytes
    frame0: int
    kind: str
    size: tuple[int, int] | None
    quality: int
    voi: VoiSpec | None
    invert: bool = False
    region: tuple[float, float, float, float] | None = None


class Answer(NamedTuple):
    """The picture, or what went wrong: *error* names a class of `core.errors`."""

    picture: bytes
    error: str = ""
    message: str = ""
    remedy: str = ""


def reason(body: bytes) -> Answer:
    """What went wrong, as it came over the line."""
    error, message, remedy = [*body.decode("utf-8", "replace").split("\0"), "", "", ""][:3]
    return Answer(b"", error or "NotRenderable", message, remedy)


def serve(end: socket.socket, memory_bytes: int) -> None:
    """Main function of the process; ends when its owner closes the other end or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the owner, who then closes the line
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # threads reserve address space that the limit counts
    keep_freed(KEPT_BYTES, KEPT_BYTES // 2)
    if hasattr(os, "nice"):  # Windows has none
        os.nice(NICE)
    owner = Line(end)
    opened = _warm_up()
    _limit_memory(memory_bytes)
    try:
        owner.send(READY)
        while (message := owner.receive()) is not None:
            picture, *why = perform(Task(*pickle.loads(message[1])), opened)  # noqa: S301  # our owner has made it
            if why[0]:
                owner.send(REASON, "\0".join(why).encode())
            else:
                owner.send(PICTURE, picture)
    except (EOFError, OSError):
        return


def perform(task: Task, opened: Opened | None = None) -> Answer:
    """Make the picture, with what has been *opened* already; every failure is an answer."""
    from core.errors import KnownError

    try:
        return Answer(_picture(task, opened))
    except KnownError as error:
        return Answer(b"", type(error).__name__, error.message, error.remedy)
    except MemoryError:
        return Answer(b"", "NotRenderable", "This picture needs more memory than a picture may take.")
    except FileNotFoundError:
        return Answer(b"", "NotFound", "The stored file of this image is missing.")
    except OSError as error:
        return Answer(
            b"", "StorageFault", f"The stored file of this image cannot be read ({error.strerror})."
        )
    except Exception as error:  # whatever a damaged object provokes must not end the process
        return Answer(b"", "NotRenderable", f"This picture cannot be made ({type(error).__name__}).")


def _picture(task: Task, opened: Opened | None) -> bytes:
    from core.imaging import render
    from core.imaging.image import ImageObject
    from core.imaging.voi import Voi, VoiFunction

    source = task.source if isinstance(task.source, bytes) else Path(task.source)
    if task.kind.startswith(TRANSCODE):
        from core.imaging.transcode import transcode

        return transcode(source, task.kind.removeprefix(TRANSCODE))
    if task.kind.startswith(HTML_PDF) and isinstance(source, Path):
        from core.imaging.html import pdf_of_html

        return pdf_of_html(source, task.kind.removeprefix(HTML_PDF))
    if task.kind.startswith(MODEL) and isinstance(source, Path):
        from core.dicom.json_model import encoded, metadata

        address = task.kind.removeprefix(MODEL)
        return encoded(metadata(source, bulk=lambda way: address + way))
    if task.kind in RASTERS and isinstance(source, Path):
        return _raster(task, source)
    if opened is not None and isinstance(task.source, str):
        image = opened.image(task.source)
    else:
        image = ImageObject.open(source)
    if task.kind == "description":
        from core.imaging.describe import description

        return description(image, task.frame0)
    if task.kind in EXPORTS:
        from core.imaging.exports import export

        return export(image.frame(task.frame0), task.kind, task.size)
    frame = image.frame(task.frame0, to_show=True)
    spec = task.voi
    voi = None if spec is None else Voi(spec.center, spec.width, VoiFunction(spec.function))
    if task.kind == "thumbnail" and task.size is not None:
        picture = render.small(frame, task.size, voi)
    elif task.region is not None:
        picture = render.cropped(render.render_frame(frame, voi, invert=task.invert), task.region)
        if task.size is not None:
            picture = render.fitted(picture, task.size, frame.attributes.pixel_aspect)
    else:
        picture = render.render_frame(frame, voi, size=task.size, invert=task.invert)
    return render.png(picture) if task.kind == "png" else render.jpeg(picture, task.quality)


def _raster(task: Task, source: Path) -> bytes:
    """What is no DICOM object yet: a page of a PDF (*quality* is its dpi), a picture of another format."""
    from core.imaging import raster

    if task.kind == "pdf-count":
        return raster.page_count(source)
    return (
        raster.page(source, task.frame0, task.quality) if task.kind == "pdf-page" else raster.picture(source)
    )


def _warm_up() -> Opened:
    """Load what nearly every task needs, so that the first one is not slow."""
    import numpy as np

    from core.imaging import render
    from core.imaging.opened import Opened

    render.jpeg(render.fitted(np.zeros((8, 8), np.uint8), (4, 4)), 75)
    gc.collect()
    gc.freeze()  # all of this stays: the collector need not look at it again
    return Opened()


def _limit_memory(memory_bytes: int) -> None:
    """Let the process grow by *memory_bytes* from here on, where the system can enforce that."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as statm:
            now = int(statm.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return  # Windows and macOS: the time limit alone protects
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = now + memory_bytes
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
