"""One frame on the screen with everything that is written beside it: both change together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from core.imaging.geometry import Edges
from core.imaging.viewport import Patch
from ui.viewer.camera import Shape

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named window; *file_number* is 1, 2, … for those the image brings along, 0 for ours."""

    name: str
    center: float = 0.0
    width: float = 0.0
    file_number: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the corners say of one frame, as written in the image; empty where it says nothing."""

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    institution: str = ""
    study_description: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_time: str = ""
    modality: str = ""
    series_number: int | None = None
    series_description: str = ""
    instance_number: int | None = None
    laterality: str = ""
    view_position: str = ""
    contrast: str = ""
    thickness_mm: float | None = None
    location_mm: float | None = None
    lossy: bool = False
    lossy_ratio: float | None = None
    frame: tuple[int, int] | None = None  # 1-based frame of how many within its object


@dataclass(frozen=True, slots=True)
class Choice:
    """Which window: the image's own number 1, 2, …, a fixed one, or an automatic one.

    0 is automatic and held: the same for all pictures of a series, so that brightness does not pump while
    scrolling. -1 is automatic for each picture by itself.
    """

    file_number: int = 1
    center: float = 0.0
    width: float = 0.0  # 0 = not fixed
    name: str = ""

    @property
    def fixed(self) -> bool:
        """Whether centre and width were set by a person or a named preset."""
        return self.width > 0


AUTOMATIC = Choice(file_number=0)
AUTOMATIC_EACH = Choice(file_number=-1)
AS_THE_IMAGE_SAYS = Choice()


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame; *source* is what its stack makes pixels from, None where there is no picture.

    *reason* then says why. *spacing_mm* is (between rows, between columns), None where no size is known, and
    *spacing_source* how it is known. *key* changes whenever the pixels do.
    """

    index: int
    total: int
    key: object
    facts: Facts
    slot: Any = None  # where it lies, for the stack to find it again
    source: Any = None
    reason: str = ""
    shape: Shape = field(default_factory=lambda: Shape(1, 1))
    colour: bool = False
    inverse: bool = False  # MONOCHROME1: low values are bright
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str = ""
    edges: Edges = field(default_factory=Edges)
    presets: tuple[Preset, ...] = ()
    document: bool = False


class Frames(Protocol):
    """The pictures of one series, decoded in the background; every call returns at once."""

    @property
    def total(self) -> int:
        """How many pictures there are, at least 1."""

    @property
    def opening(self) -> int:
        """Index of the picture to begin with."""

    def ready(self, index: int) -> Picture | None:
        """The picture if it is decoded by now."""

    def want(self, index: int, arrived: Callable[[int], None]) -> None:
        """Decode it, and its neighbours ahead; *arrived* is called on any thread."""

    def window(self, picture: Picture, choice: Choice) -> tuple[float, float, str] | None:
        """Centre, width and name of the window *choice* means here; None for colour."""

    def level(self, picture: Picture) -> None:
        """Hold the automatic window of this picture for the whole series from now on."""

    def grey(self, picture: Picture, choice: Choice) -> Pixels:
        """The picture as uint8 (rows, columns) or (rows, columns, 3)."""

    def seen(self, picture: Picture, choice: Choice, patch: Patch) -> Pixels:
        """Only the part that is seen, thinned to the screen: quick while a window is dragged."""

    def value_at(self, picture: Picture, column: int, row: int) -> str:
        """The value of one pixel with its unit."""

    @property
    def frame_times_ms(self) -> Sequence[float]:
        """How long frames are shown in a film: one for all, or one a frame; empty where this is no film."""

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know of this series, for instance that slices are missing."""

    def on_rearranged(self, call: Callable[[], None]) -> None:
        """Tell *call*, on any thread, when indices changed or warnings came."""

    def index_of(self, picture: Picture) -> int:
        """Where a picture stands now."""

    def document(self, picture: Picture) -> bytes:
        """The document that stands in place of *picture*; slow. Raises OSError, KnownError."""

    def close(self) -> None:
        """Stop decoding and let go of files; returns at once."""

    def wait_closed(self) -> None:
        """Until that is done; off the Qt thread."""
