"""What is written in the four corners of a picture, by how much text is wanted and how much room there is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QCoreApplication

from ui.models.people import birth_text, clock_time, iso_date, person_name
from ui.viewer.picture import Facts, Picture


class Density(IntEnum):
    """How much is written; the patient's name, ID and birth date always are."""

    ALL = 0
    LITTLE = 1
    PATIENT_ONLY = 2

    @property
    def following(self) -> Density:
        """The next state of the three."""
        return Density((self + 1) % 3)


@dataclass(frozen=True, slots=True)
class Looking:
    """How the shown picture is looked at: *zoom* in percent, the window, what lies under the cursor."""

    zoom_percent: float = 100.0
    window: tuple[float, float] | None = None  # center, width
    window_name: str = ""
    cursor: tuple[int, int, str] | None = None  # column, row, value
    inverted: bool = False
    fps: tuple[float, float] | None = None  # wanted, true


@dataclass(frozen=True, slots=True)
class Corners:
    """Lines of each corner, outermost first for the upper, outermost last for the lower ones."""

    top_left: tuple[str, ...] = ()
    top_right: tuple[str, ...] = ()
    bottom_left: tuple[str, ...] = ()
    bottom_right: tuple[str, ...] = ()


def _tr(text: str) -> str:
    return QCoreApplication.translate("Corners", text)


def corners(picture: Picture, looking: Looking, density: Density, lines_of_room: int = 99) -> Corners:
    """The text of *picture*; with little room the least important lines go first, never who it is."""
    facts = picture.facts
    if density == Density.PATIENT_ONLY:
        return Corners(top_left=patient_lines(facts))
    right, series = study_lines(facts), series_lines(facts)
    if density == Density.LITTLE:
        right, series = right[-1:], series[:1]
    rest = max(0, lines_of_room - 3)
    status = status_lines(picture, looking)[-max(1, rest) :]
    return Corners(
        top_left=patient_lines(facts),
        top_right=right[: max(0, min(len(right), rest))],
        bottom_left=status,
        bottom_right=series[: max(0, rest)],
    )


def patient_lines(facts: Facts) -> tuple[str, ...]:
    """Who it is: always shown."""
    identity = _tr("ID {id}").format(id=facts.patient_id) if facts.patient_id else _tr("no ID")
    born = " · ".join(part for part in (birth_text(facts.birth_date), facts.sex) if part)
    return (person_name(facts.patient_name), identity, born)


def study_lines(facts: Facts) -> tuple[str, ...]:
    """Where and when."""
    when = " ".join(part for part in (iso_date(facts.study_date), clock_time(facts.study_time)) if part)
    accession = _tr("Acc {n}").format(n=facts.accession_number) if facts.accession_number else ""
    return _said(facts.institution, facts.study_description, accession, when)


def series_lines(facts: Facts) -> tuple[str, ...]:
    """Which series, and how the picture was taken."""
    number = "" if facts.series_number is None else _tr("Series {n}").format(n=facts.series_number)
    head = " · ".join(part for part in (facts.modality, number) if part)
    side = {"L": _tr("Left"), "R": _tr("Right"), "B": _tr("Both sides")}.get(facts.laterality, "")
    view = " ".join(part for part in (side, facts.view_position) if part)
    contrast = _tr("Contrast: {agent}").format(agent=facts.contrast) if facts.contrast else ""
    thick = facts.thickness_mm
    thickness = "" if thick is None else _tr("{mm} mm thick").format(mm=f"{thick:g}")
    location = "" if facts.location_mm is None else _tr("at {mm} mm").format(mm=f"{facts.location_mm:.1f}")
    slab = " · ".join(part for part in (thickness, location) if part)
    return _said(head, facts.series_description, view, contrast, slab)


def status_lines(picture: Picture, looking: Looking) -> tuple[str, ...]:
    """What is shown and how; the image number stands last, at the very corner."""
    cursor = window = speed = ""
    if looking.cursor is not None:
        column, row, value = looking.cursor
        cursor = f"({column}, {row})  {value}"
    if looking.window is not None:
        center, width = looking.window
        window = _tr("W {w} · L {l}").format(w=_number(width), l=_number(center))
        window = f"{window} · {looking.window_name}" if looking.window_name else window
    if looking.fps is not None:
        wanted, true = looking.fps
        speed = _tr("{true} of {wanted} images/s").format(true=f"{true:.1f}", wanted=f"{wanted:.3g}")
    zoom = "" if picture.source is None else _tr("Zoom {n} %").format(n=round(looking.zoom_percent))
    zoom = " · ".join(part for part in (zoom, _tr("Negative") if looking.inverted else "") if part)
    return _said(cursor, speed, lossy_text(picture.facts), window, zoom, image_text(picture))


def image_text(picture: Picture) -> str:
    """`Image 12 / 206`, with the frame where its object holds several and the series more than one object."""
    text = _tr("Image {n} / {total}").format(n=picture.index + 1, total=picture.total)
    frame = picture.facts.frame
    if frame is not None and frame[1] != picture.total:
        text += " · " + _tr("frame {n} / {total}").format(n=frame[0], total=frame[1])
    return text


def lossy_text(facts: Facts) -> str:
    """The flag of an image that lost detail by compression (PS3.3 C.7.6.1.1.5)."""
    if not facts.lossy:
        return ""
    ratio = f" {facts.lossy_ratio:.0f}:1" if facts.lossy_ratio else ""
    return _tr("Lossy compression{ratio}").format(ratio=ratio)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3g}"


def _said(*lines: str) -> tuple[str, ...]:
    return tuple(line for line in lines if line)
