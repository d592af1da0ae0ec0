"""What a viewer says and measures with, of one frame: place, spacing, greys, timing, corner text."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.dicom import charset
from core.imaging.elements import Elements
from core.imaging.geometry import Spacing, read_spacing
from core.imaging.pixel_module import PixelModule
from core.imaging.voi import GreyScale, Modality, Padding, Voi, read_modality, read_vois

SHARED_GROUPS, PER_FRAME_GROUPS = 0x52009229, 0x52009230
PIXEL_VALUE_TRANSFORMATION, FRAME_VOI_LUT, PIXEL_MEASURES = 0x00289145, 0x00289132, 0x00289110
PLANE_POSITION, PLANE_ORIENTATION, FRAME_ANATOMY = 0x00209113, 0x00209116, 0x00209071
FRAMES_A_SECOND = 20.0  # where nothing is said

LOSSY_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2.4.{n}"
    for n in [
        "50",
        "51",
        "53",
        "55",
        "81",
        "91",
        "93",
        "100",
        "101",
        "102",
        "103",
        "104",
        "105",
        "106",
        "107",
        "108",
        "112",
        "203",
    ]
)


@dataclass(frozen=True, slots=True)
class ImageAttributes:
    """One frame's attributes. Lengths are in mm in the patient system, times in ms; None where not said."""

    grey: GreyScale = field(default_factory=GreyScale)
    modality: str = ""
    spacing: Spacing | None = None
    pixel_aspect: float = 1.0  # height of a pixel over its width
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, ...] | None = None  # row cosines, then column cosines
    patient_orientation: tuple[str, ...] = ()  # letters of the file where there are no cosines
    quadruped: bool = False
    laterality: str = ""
    view_position: str = ""
    slice_thickness_mm: float | None = None
    slice_location_mm: float | None = None
    contrast: str = ""
    series_number: int | None = None
    instance_number: int | None = None
    frame_of_reference_uid: str = ""
    frame_times_ms: tuple[float, ...] = ()  # one for all, or one a frame; () when it is no cine
    lossy: bool = False
    lossy_ratio: float | None = None
    burned_in_annotation: bool = False

    @property
    def window_presets(self) -> tuple[Voi, ...]:
        """The views the file itself offers."""
        return self.grey.vois

    @property
    def frame_time_ms(self) -> float:
        """How long a frame is shown in a cine loop."""
        return self.frame_times_ms[0] if self.frame_times_ms else 1000 / FRAMES_A_SECOND


class FrameLevels:
    """Where a frame's attributes are looked up: its own group, the shared groups, the object (C.7.6.16)."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self._shared = elements.item(SHARED_GROUPS)
        self._enhanced = PER_FRAME_GROUPS in elements or self._shared is not None

    def level(self, frame0: int, macro: int) -> Elements:
        """The innermost level that holds *macro*; the object itself where no functional group does."""
        if not self._enhanced:
            return self._elements
        frames = self._elements.items(PER_FRAME_GROUPS)
        for groups in (frames[frame0] if frame0 < len(frames) else None, self._shared):
            if groups is not None and (found := groups.item(macro)) is not None:
                return found
        return self._elements


def read_shown(elements: Elements, module: PixelModule, frame0: int) -> ImageAttributes:
    """Only those that a picture of 0-based *frame0* is made by."""
    levels = FrameLevels(elements)
    _, aspect = read_spacing(elements, levels.level(frame0, PIXEL_MEASURES))
    return ImageAttributes(grey=read_grey(elements, levels, module, frame0), pixel_aspect=aspect)


def read_attributes(
    elements: Elements, module: PixelModule, frame0: int, transfer_syntax_uid: str
) -> ImageAttributes:
    """The attributes of 0-based *frame0*."""
    levels = FrameLevels(elements)
    spacing, aspect = read_spacing(elements, levels.level(frame0, PIXEL_MEASURES))
    measures = levels.level(frame0, PIXEL_MEASURES)
    position = levels.level(frame0, PLANE_POSITION).numbers(0x00200032)
    orientation = levels.level(frame0, PLANE_ORIENTATION).numbers(0x00200037)
    anatomy = levels.level(frame0, FRAME_ANATOMY)
    text = elements.text
    return ImageAttributes(
        grey=read_grey(elements, levels, module, frame0),
        modality=elements.code(0x00080060),
        spacing=spacing,
        pixel_aspect=aspect,
        position=(position[0], position[1], position[2]) if len(position) == 3 else None,
        orientation=tuple(orientation) if len(orientation) == 6 else None,
        patient_orientation=tuple(p.strip().upper() for p in text(0x00200020).split("\\") if p.strip()),
        quadruped=elements.code(0x00102210) == "QUADRUPED",
        laterality=anatomy.code(0x00209072) or elements.code(0x00200062) or elements.code(0x00200060),
        view_position=elements.code(0x00185101),
        slice_thickness_mm=measures.number(0x00180050),
        slice_location_mm=elements.number(0x00201041),
        contrast=decoded_text(elements, 0x00180010),
        series_number=elements.integer(0x00200011, b"IS"),
        instance_number=elements.integer(0x00200013, b"IS"),
        frame_of_reference_uid=text(0x00200052),
        frame_times_ms=_frame_times(elements),
        lossy=text(0x00282110) == "01" or transfer_syntax_uid in LOSSY_SYNTAXES,
        lossy_ratio=elements.number(0x00282112),
        burned_in_annotation=elements.code(0x00280301) == "YES",
    )


def read_grey(elements: Elements, levels: FrameLevels, module: PixelModule, frame0: int) -> GreyScale:
    """The grey pipeline of one frame; never another frame's."""
    modality = read_modality(levels.level(frame0, PIXEL_VALUE_TRANSFORMATION), signed=module.signed)
    modality = modality or read_modality(elements, signed=module.signed) or Modality()
    signed = module.signed or modality.intercept < 0 or modality.slope < 0
    vois = read_vois(levels.level(frame0, FRAME_VOI_LUT), signed=signed) or read_vois(elements, signed=signed)
    shape = elements.code(0x20500020)
    return GreyScale(
        modality=modality,
        vois=vois,
        padding=_padding(elements, module),
        inverted=module.photometric == "MONOCHROME1" or shape == "INVERSE",
        bits_stored=module.bits_stored,
    )


def _padding(elements: Elements, module: PixelModule) -> Padding | None:
    tags = (0x00280120, 0x00280121, b"SS" if module.signed else b"US")
    if module.is_float:
        double = module.bits_allocated == 64
        tags = (0x00280123, 0x00280125, b"FD") if double else (0x00280122, 0x00280124, b"FL")
    value, limit = elements.number(tags[0], tags[2]), elements.number(tags[1], tags[2])
    if value is None:
        return None
    other = value if limit is None else limit
    if module.signed and not module.is_float:  # written as US although the pixels are signed
        half = 1 << module.bits_allocated - 1
        value, other = (v - 2 * half if v >= half else v for v in (value, other))
    return Padding(min(value, other), max(value, other))


def _frame_times(elements: Elements) -> tuple[float, ...]:
    """C.7.6.5: the displayed rate wins, then the cine rate, then the times of acquisition."""
    for tag in (0x00082144, 0x00180040):
        rate = elements.number(tag, b"IS")
        if rate is not None and 0 < rate <= 1000:
            return (1000 / rate,)
    time = elements.number(0x00181063)
    if time is not None and time >= 1:
        return (time,)
    vector = elements.numbers(0x00181065)
    if len(vector) > 1 and all(t >= 0 for t in vector) and any(vector[1:]):
        mean = sum(vector[1:]) / (len(vector) - 1)
        return tuple(max(t, 1.0) if n else mean for n, t in enumerate(vector))  # the first is 0 by definition
    return ()


def decoded_text(elements: Elements, tag: int) -> str:
    """A text value by the object's character sets."""
    return charset.text(elements.raw(tag), charset.codecs_of(elements.raw(0x00080005)))
