"""An object whose pixel data come frame by frame from elsewhere, and as a whole where that does not do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

from core.dicom.ports import Coded, FramesApart
from core.dicom.syntaxes import EXPLICIT_BIG_UID, transfer_syntax
from core.errors import KnownError, NotRenderable, Unreachable
from core.imaging.attributes import ImageAttributes, read_attributes
from core.imaging.codecs import Array
from core.imaging.decode import Decoded, decode_encapsulated, decode_native
from core.imaging.image import ImageObject


def open_image(data: bytes | memoryview | Path | BinaryIO) -> ImageObject:
    """The object in *data*, a stream of which may give its frames apart. Raises as `ImageObject.open`."""
    image = ImageObject.open(data)
    return _Apart(image, data) if isinstance(data, FramesApart) else image


class _Apart(ImageObject):
    """The header of *image* with frames of *frames*."""

    def __init__(self, image: ImageObject, frames: FramesApart) -> None:
        self.__dict__.update(image.__dict__)
        self._frames = frames
        self._turn = threading.Lock()
        self._complete: ImageObject | None = None

    @property
    def frame_count(self) -> int:
        """How many frames the header claims."""
        return self.module.frame_count or 1

    def frame_attributes(self, index0: int) -> ImageAttributes:
        """Of one frame, functional groups applied."""
        return read_attributes(self._elements, self.module, index0, self.transfer_syntax_uid)

    def _decoded(self, index0: int) -> Decoded:
        if self._complete is None:
            try:
                return self._of_frame(self._frames.frame(index0))
            except Unreachable:
                raise
            except KnownError:  # it has no frames to give, or not in a form that can be trusted
                pass
        return self._whole_object()._decoded(index0)

    def _of_frame(self, coded: Coded) -> Decoded:
        """The samples of a frame. Raises KnownError where they cannot be trusted."""
        module, data = self.module, coded.data
        size = (module.frame_bits + 7) // 8
        if coded.transfer_syntax_uid:
            native = not transfer_syntax(coded.transfer_syntax_uid).encapsulated
        else:
            native = size <= len(data) <= size + 1
        if not native:
            return decode_encapsulated(memoryview(data), module, coded.transfer_syntax_uid)
        if len(data) < size:
            raise NotRenderable("The frame is too short.")
        if module.samples > 1 and (module.photometric != "RGB" or module.planar):
            raise NotRenderable("What the colours of this frame mean is not certain.")
        order = ">" if coded.transfer_syntax_uid == EXPLICIT_BIG_UID else "<"
        return decode_native(memoryview(data)[:size], 0, module, order)

    def _words(self, index0: int) -> Array | None:
        """Of overlays hidden in the pixel data: the whole object has them."""
        module = self.module
        if module.bits_allocated not in (8, 16) or module.samples != 1:
            return None
        try:
            coded = self._frames.frame(index0)
        except Unreachable:
            raise
        except KnownError:
            return self._whole_object()._words(index0)
        if len(coded.data) < module.frame_bits // 8 or (
            coded.transfer_syntax_uid and transfer_syntax(coded.transfer_syntax_uid).encapsulated
        ):
            return None
        dtype = f"<u{module.bits_allocated // 8}"
        words = np.frombuffer(coded.data, dtype, self.rows * self.columns)
        return words.reshape(self.rows, self.columns)

    def _whole_object(self) -> ImageObject:
        with self._turn:
            if self._complete is None:
                self._complete = ImageObject.open(self._frames.whole())
            return self._complete
