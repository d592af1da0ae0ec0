"""One study as every screen shows it, wherever it comes from: a disc or the archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from core.dicom.refs import Skipped
from core.dicom.tree import Patient
from ui.models.people import all_groups, banner_text, frames_text, images_text, iso_date, person_name

if TYPE_CHECKING:
    from core.imaging.stack import Stack

THUMBNAIL_BOX = 256  # pixels: 128 on the screen at twice the density


class ElementLike(Protocol):
    """One identifying element; *tag* is `(gggg,eeee)`, *raw* the characters as they were written."""

    @property
    def name(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def raw(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ElementText:
    """An identifying element whose original characters are not known."""

    name: str
    tag: str
    value: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class PatientText:
    """Who: as written in the images, dates as YYYYMMDD."""

    name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""

    @property
    def shown_name(self) -> str:
        """`FAMILY, Given`."""
        return person_name(self.name)

    @property
    def all_names(self) -> str:
        """Every component group, one a line."""
        return all_groups(self.name)

    @property
    def banner(self) -> str:
        """Name, sex, birth date with age, and ID in one line."""
        return banner_text(self.name, self.sex, self.birth_date, self.patient_id)


def patient_text(patient: Patient) -> PatientText:
    """A patient of a disc."""
    who = patient.header
    return PatientText(who.patient_name, who.patient_id, who.patient_birth_date, who.patient_sex)


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One series; *thumbnail* gives JPEG bytes and is slow: never on the Qt thread."""

    uid: str
    number: int | None
    modality: str
    description: str
    count: int
    thumbnail: Callable[[], bytes]
    document: bool = False  # it has documents instead of pictures
    frames: int = 0  # of all its images together, 0 = not known

    @property
    def size(self) -> str:
        """`206 images`, or `96 frames` of the one image that is a film or a volume."""
        return frames_text(self.frames) if self.count == 1 and self.frames > 1 else images_text(self.count)

    @property
    def title(self) -> str:
        """`2 · axial 1.0 soft`."""
        number = "" if self.number is None else str(self.number)
        return " · ".join(part for part in (number, self.description or self.modality) if part)


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """A file that lies beside the images; *uploaded_by* and *created* are empty while it waits to be sent."""

    id: str
    name: str
    content_type: str
    bytes: int
    uploaded_by: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study with what its panel and the viewer show; *details* and *stack* may be slow.

    *release* lets go of what *stack* keeps open or cached, once no viewer shows the study any more; *hang_up*
    ends before that what is being fetched for it, at once.
    """

    uid: str
    patient: PatientText
    date: str = ""
    time: str = ""
    description: str = ""
    accession_number: str = ""
    institution: str = ""
    series: Sequence[SeriesView] = ()
    details: Callable[[], Sequence[ElementLike]] = field(default=lambda: ())
    stack: Callable[[str], Stack] | None = None
    release: Callable[[], None] | None = None
    hang_up: Callable[[], None] | None = None
    attachments: Sequence[AttachmentView] = ()
    skipped: Sequence[Skipped] | None = None
    origin: str = ""  # what the archive elsewhere is called, "" for what is here

    @property
    def modalities(self) -> str:
        """`CT, SR`."""
        return ", ".join(sorted({s.modality for s in self.series if s.modality}))

    @property
    def images(self) -> int:
        """How many images its series hold together."""
        return sum(s.count for s in self.series)

    @property
    def title(self) -> str:
        """What was done: the description, else the modalities."""
        return self.description or self.modalities

    def find(self, uid: str) -> SeriesView | None:
        """The series with this UID."""
        return next((s for s in self.series if s.uid == uid), None)

    @property
    def shown_date(self) -> str:
        """`2024-02-11`."""
        return iso_date(self.date)
