"""The pictures of a stack for a viewport: a thread fetches what is wanted, the newest wish first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from PySide6.QtCore import QCoreApplication

from core.errors import KnownError, Unreachable
from core.imaging.attributes import ImageAttributes
from core.imaging.image import Frame
from core.imaging.render import window_to_u8
from core.imaging.stack import Slot, Stack
from core.imaging.viewport import Patch, window_patch
from core.imaging.voi import Modality, Voi, VoiFunction, auto_voi
from ui.models.people import said
from ui.viewer.camera import Shape
from ui.viewer.facts import edges_of, facts_of
from ui.viewer.picture import AUTOMATIC_EACH, Choice, Picture, Pixels, Preset

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
EACH = "Auto, each image"
IN_SPACE = {"CT", "MR", "PT", "NM"}  # series of these are bodies in slices: begin in the middle


class StackFrames:
    """`Frames` over a `Stack`, which it closes. Made off the Qt thread: the first picture is decoded here.

    The order by geometry is found out in the background after that; *rearranged* is called (on any thread)
    when indices changed.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._changed = threading.Condition()
        self._target: int | None = None
        self._arrived: Callable[[int], None] = _nobody
        self._last = 0
        self._closed = False
        self._buffer: Pixels | None = None
        self._automatic: tuple[Frame, Voi] | None = None
        self._held: dict[object, Voi] = {}
        self._warnings: tuple[str, ...] = ()
        self._rearranged: Callable[[], None] = lambda: None
        self.total = max(1, len(stack))
        self.opening = self._opening()
        self.frame_times_ms: Sequence[float] = ()
        with suppress(KnownError):  # `ready` will say why there is no picture
            self.frame_times_ms = stack.get(self.opening).attributes.frame_times_ms
        self._threads = [threading.Thread(target=self._fetch, name="pictures", daemon=True)]
        if len(stack) > 2 and not self.frame_times_ms:
            self._threads.append(threading.Thread(target=self._arrange, name="pictures-order", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def warnings(self) -> Sequence[str]:
        """What ordering found out so far."""
        return self._warnings

    def on_rearranged(self, call: Callable[[], None]) -> None:
        """Tell *call* when indices changed or warnings came; at once if that was before."""
        with self._changed:
            self._rearranged = call
            if self._warnings:
                call()

    def ready(self, index: int) -> Picture | None:
        """The picture, or the reason why there is none, if that is known by now."""
        slot = self._stack.slot(index)
        frame, failure = self._stack.peek(index), self._stack.failure(index)
        if self._stack.slot(index) is not slot:  # the order was found out just now
            return self.ready(index)
        if frame is not None:
            return self._picture(index, slot, frame)
        if failure is not None:
            return self._no_picture(index, slot, failure)
        return None

    def index_of(self, picture: Picture) -> int:
        """Where a picture stands now."""
        return self._stack.index_of(picture.slot)

    def want(self, index: int, arrived: Callable[[int], None]) -> None:
        """Decode it, and its neighbours in the direction of travel."""
        direction = -1 if index < self._last else 1
        self._last = index
        self._stack.prefetch(index, direction)
        if self._stack.peek(index) is None:
            with self._changed:
                self._target, self._arrived = index, arrived
                self._changed.notify_all()

    def window(self, picture: Picture, choice: Choice) -> tuple[float, float, str] | None:
        """Centre, width and name of what *choice* means for this very picture."""
        frame = picture.source
        if not isinstance(frame, Frame) or frame.is_colour:
            return None
        voi = self._voi(frame, choice)
        plain = voi.as_window()
        name = EACH if choice == AUTOMATIC_EACH else choice.name or voi.name
        return plain.center, plain.width, name

    def level(self, picture: Picture) -> None:
        """Hold the automatic window of this picture for all like it."""
        frame = picture.source
        if isinstance(frame, Frame) and not frame.is_colour:
            self._held[_kind(frame)] = self._auto(frame)

    def grey(self, picture: Picture, choice: Choice) -> Pixels:
        """The windowed picture; grey ones lie in a buffer that the next call uses again."""
        frame: Frame = picture.source
        if frame.is_colour:
            return window_to_u8(frame)
        if self._buffer is None or self._buffer.shape != frame.pixels.shape:
            self._buffer = np.empty(frame.pixels.shape, np.uint8)
        return window_to_u8(frame, self._voi(frame, choice), self._buffer)

    def seen(self, picture: Picture, choice: Choice, patch: Patch) -> Pixels:
        """Only the part that is seen, thinned to the screen."""
        frame: Frame = picture.source
        return window_patch(frame, None if frame.is_colour else self._voi(frame, choice), patch)

    def value_at(self, picture: Picture, column: int, row: int) -> str:
        """`-1000 HU`, or the three colours."""
        frame: Frame = picture.source
        if frame.is_colour:
            return " ".join(str(int(part)) for part in frame.pixels[row, column])
        found = frame.real_value(row, column)
        if found is None:
            return "–"
        value, unit = found
        if not unit and picture.facts.modality == "CT" and frame.grey.modality != Modality():
            unit = "HU"  # what CT means where the file names no Rescale Type (PS3.3 C.8.2.1)
        return f"{value:.6g} {unit}".strip()

    def document(self, picture: Picture) -> bytes:
        """The document that stands in place of *picture*. Raises OSError, KnownError."""
        from core.dicom.encapsulated import encapsulated_document

        with self._stack.file(picture.slot) as file:
            return encapsulated_document(file)

    def close(self) -> None:
        """Ask the threads to end; the last one closes the stack. Returns at once."""
        with self._changed:
            self._closed = True
            self._rearranged = lambda: None
            self._changed.notify_all()

    def wait_closed(self) -> None:
        """Until all files are closed; off the Qt thread."""
        for thread in self._threads:
            thread.join()

    def _opening(self) -> int:
        slots = len(self._stack)
        first = self._stack.slot(0).found.header
        if first.modality in IN_SPACE and first.number_of_frames <= 1:
            return slots // 2
        return 0

    def _fetch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._target is not None)
                if self._closed:
                    break
                index, self._target = self._target or 0, None
                arrived = self._arrived
            with suppress(KnownError):  # kept by the stack; `ready` gives the reason
                self._stack.get(index)
            with self._changed:
                if not self._closed:
                    arrived(index)
        self._stack.close()

    def _arrange(self) -> None:
        order = self._stack.arrange()
        with self._changed:
            self._warnings = order.warnings
            if not self._closed and (order.by_geometry or order.warnings):
                self._rearranged()

    def _voi(self, frame: Frame, choice: Choice) -> Voi:
        vois = frame.grey.vois
        if choice.fixed and choice.name:
            return Voi(choice.center, choice.width, VoiFunction.LINEAR, name=choice.name)
        if choice.fixed:
            return (vois[0] if vois else self._held_for(frame)).moved(choice.center, choice.width)
        if 0 < choice.file_number <= len(vois):
            return vois[choice.file_number - 1]
        if choice == AUTOMATIC_EACH:
            return self._auto(frame)
        return self._held_for(frame)

    def _held_for(self, frame: Frame) -> Voi:
        """The automatic window of the first such picture that was shown, for all of them."""
        kind = _kind(frame)
        if kind not in self._held:
            self._held[kind] = self._auto(frame)
        return self._held[kind]

    def _auto(self, frame: Frame) -> Voi:
        if self._automatic is None or self._automatic[0] is not frame:
            self._automatic = (frame, auto_voi(frame.pixels, frame.grey))
        return self._automatic[1]

    def _picture(self, index: int, slot: Slot, frame: Frame) -> Picture:
        attributes: ImageAttributes = frame.attributes
        spacing = attributes.spacing
        return Picture(
            index=index,
            total=self.total,
            key=frame,
            slot=slot,
            source=frame,
            facts=facts_of(slot, attributes),
            shape=Shape(frame.columns, frame.rows, attributes.pixel_aspect),
            colour=frame.is_colour,
            inverse=frame.grey.inverted,
            spacing_mm=None if spacing is None else (spacing.row_mm, spacing.column_mm),
            spacing_source="" if spacing is None else str(spacing.source),
            edges=edges_of(attributes),
            presets=tuple(
                Preset(voi.name, voi.as_window().center, voi.as_window().width, number)
                for number, voi in enumerate(frame.grey.vois, 1)
            ),
        )

    def _no_picture(self, index: int, slot: Slot, failure: KnownError) -> Picture:
        how = _scroll() if isinstance(failure, Unreachable) else ""
        reason = " ".join(part for part in (said(failure.message), said(failure.remedy), how) if part)
        document = slot.found.header.sop_class_uid == ENCAPSULATED_PDF
        facts = facts_of(slot, ImageAttributes())
        return Picture(index, self.total, failure, facts, slot=slot, reason=reason, document=document)


def _kind(frame: Frame) -> object:
    """What pictures have in common that can share one automatic window."""
    grey = frame.grey
    return frame.pixels.dtype.kind, grey.bits_stored, grey.inverted, grey.modality.unit


def _scroll() -> str:
    """What a person does where looking again may help."""
    return QCoreApplication.translate("Canvas", "Scroll to try again.")


def _nobody(_index: int) -> None:
    """Nobody waits."""
