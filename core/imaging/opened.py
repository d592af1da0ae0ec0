"""Objects a render process has opened lately: who drags a window or plays a loop asks for them again."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

from core.imaging.image import DEFLATED, ImageObject
from core.imaging.reading import FileBytes

MOST = 512
MOST_HEADER_BYTES = 8 << 20
"""Of all that are kept; parsed, headers take some ten times as much."""

Name = tuple[str, int, int, int]
"""Path, inode, size and time of change in ns: what is another file has another one."""


class Opened:
    """Headers of files, the latest used; frames are read anew each time. Of one thread."""

    def __init__(self, most_header_bytes: int = MOST_HEADER_BYTES) -> None:
        self._kept: OrderedDict[Name, ImageObject] = OrderedDict()
        self._left = most_header_bytes
        self._whole: tuple[FileBytes, int] | None = None
        """The file just opened, all of it if it is small, and the length of its header."""

    def image(self, path: str) -> ImageObject:
        """The object in the file. Raises NotDicom, NotRenderable, OSError."""
        if self._whole is not None:
            source, header_bytes = self._whole
            source.shorten(header_bytes)
            self._whole = None
        stat = os.stat(path)
        name = path, stat.st_ino, stat.st_size, stat.st_mtime_ns
        if (image := self._kept.get(name)) is not None:
            self._kept.move_to_end(name)
            return image
        source = FileBytes.open(Path(path))
        image = ImageObject.over(source)
        if image.transfer_syntax_uid != DEFLATED:  # which would keep all of what it unpacked
            self._keep(name, image)
            self._whole = source, image.header_bytes
        return image

    def _keep(self, name: Name, image: ImageObject) -> None:
        self._kept[name] = image
        self._left -= image.header_bytes
        while self._left < 0 or len(self._kept) > MOST:
            self._left += self._kept.popitem(last=False)[1].header_bytes
