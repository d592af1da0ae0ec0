"""What the corners say, gathered from a file's header and its picture's attributes."""

from __future__ import annotations

from core.imaging.attributes import ImageAttributes
from core.imaging.geometry import Edges, edges
from core.imaging.stack import Slot
from ui.viewer.picture import Facts


def facts_of(slot: Slot, attributes: ImageAttributes) -> Facts:
    """The facts of one slot of a stack; names and IDs come from this very file's header."""
    header, frames = slot.found.header, slot.found.header.number_of_frames
    return Facts(
        patient_name=header.patient_name,
        patient_id=header.patient_id,
        birth_date=header.patient_birth_date,
        sex=header.patient_sex,
        institution=header.institution_name,
        study_description=header.study_description,
        accession_number=header.accession_number,
        study_date=header.study_date,
        study_time=header.study_time,
        modality=header.modality or attributes.modality,
        series_number=header.series_number,
        series_description=header.series_description,
        instance_number=header.instance_number,
        laterality=attributes.laterality,
        view_position=attributes.view_position,
        contrast=attributes.contrast,
        thickness_mm=attributes.slice_thickness_mm,
        location_mm=_location(attributes),
        lossy=attributes.lossy,
        lossy_ratio=attributes.lossy_ratio,
        frame=(slot.frame0 + 1, frames) if frames > 1 else None,
    )


def edges_of(attributes: ImageAttributes) -> Edges:
    """The letters beyond the edges of the picture as stored."""
    return edges(attributes.orientation, attributes.patient_orientation, quadruped=attributes.quadruped)


def _location(attributes: ImageAttributes) -> float | None:
    """Slice Location as written, else the place along the normal where the slice lies."""
    if attributes.slice_location_mm is not None:
        return attributes.slice_location_mm
    position, orientation = attributes.position, attributes.orientation
    if position is None or orientation is None:
        return None
    a, b, c, d, e, f = orientation
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return sum(p * n for p, n in zip(position, normal, strict=True))
