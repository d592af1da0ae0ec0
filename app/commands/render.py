"""`filmjacket render`: one frame of a file as JPEG or PNG, as the viewer shows it."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from pathlib import Path

from core.errors import NotFound
from core.imaging.image import ImageObject
from core.imaging.render import jpeg, png, render
from core.imaging.voi import Voi

DONE, USAGE = 0, 2
QUALITY = 92


def run(file: Path, out: Path, frame: int = 1, window: str | None = None, size: int | None = None) -> int:
    """Write 1-based *frame* of *file* to *out*; returns the exit code. Raises KnownError, OSError."""
    kind = out.suffix.lower()
    if kind not in (".jpg", ".jpeg", ".png"):
        return _wrong("The picture's name must end in .jpg, .jpeg or .png.")
    if frame < 1:
        return _wrong("Frames are counted from 1.")
    if size is not None and size < 1:
        return _wrong("The size must be at least 1 pixel.")
    voi = None
    if window is not None and (voi := _voi(window)) is None:
        return _wrong("A window is written as CENTRE,WIDTH, for example 40,400; its width is at least 1.")
    if file.exists() and not file.is_file():
        return _wrong(f"{file} is no file.")
    image = ImageObject.open(file)
    if frame > image.frame_count:
        raise NotFound("frame", f"The file has {image.frame_count} frame(s); there is no frame {frame}.")
    picture = render(image, frame - 1, voi, size=None if size is None else (size, size))
    _write(out, png(picture) if kind == ".png" else jpeg(picture, QUALITY))
    return DONE


def _voi(window: str) -> Voi | None:
    try:
        center, width = (float(part) for part in window.split(","))
    except ValueError:
        return None
    return Voi(center, width) if math.isfinite(center) and math.isfinite(width) and width >= 1 else None


def _write(out: Path, data: bytes) -> None:
    """All of the picture or nothing."""
    handle, temporary = tempfile.mkstemp(prefix=".render-", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(out)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _wrong(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return USAGE
