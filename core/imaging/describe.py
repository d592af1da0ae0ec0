"""What a viewer without a decoder needs to know of one frame, as plain values for JSON: no patient in it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from core.errors import NotFound
from core.imaging.attributes import ImageAttributes
from core.imaging.geometry import edges
from core.imaging.image import ImageObject
from core.imaging.voi import CT_PRESETS, Voi, auto_voi


def described(image: ImageObject, frame0: int) -> dict[str, Any]:
    """Size, grey pipeline, place and timing of 0-based *frame0*. Raises NotFound, NotRenderable.

    Only a grey frame whose file offers no window is decoded: its automatic window comes from its pixels.
    """
    if not 0 <= frame0 < image.frame_count:
        raise NotFound("frame", f"This object has {image.frame_count} frame(s).")
    attributes = image.frame_attributes(frame0)
    colour = image.module.samples > 1 or image.photometric_interpretation == "PALETTE COLOR"
    views = [] if colour else list(attributes.window_presets)
    if not colour and not views:
        frame = image.frame(frame0)
        views = [] if frame.is_colour else [auto_voi(frame.pixels, frame.grey)]
    sides = edges(attributes.orientation, attributes.patient_orientation, quadruped=attributes.quadruped)
    return {
        "rows": image.rows,
        "columns": image.columns,
        "frames": image.frame_count,
        "pixel_aspect": attributes.pixel_aspect,
        "colour": colour,
        "modality": attributes.modality,
        "unit": _unit(attributes),
        "windows": [_window(view) for view in views],
        "presets": [asdict(preset) for preset in CT_PRESETS] if attributes.modality == "CT" else [],
        "edges": asdict(sides),
        "laterality": attributes.laterality,
        "view_position": attributes.view_position,
        "slice_location_mm": _place(
            attributes.position, attributes.orientation, attributes.slice_location_mm
        ),
        "slice_thickness_mm": attributes.slice_thickness_mm,
        "spacing_mm": [attributes.spacing.row_mm, attributes.spacing.column_mm]
        if attributes.spacing
        else None,
        "instance_number": attributes.instance_number,
        "frame_times_ms": list(attributes.frame_times_ms),
        "lossy": attributes.lossy,
        "lossy_ratio": attributes.lossy_ratio,
    }


def description(image: ImageObject, frame0: int) -> bytes:
    """The same as JSON, null for numbers that are none."""
    value = _finite(described(image, frame0))
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unit(attributes: ImageAttributes) -> str:
    unit = attributes.grey.modality.unit
    if unit == "US":  # "unspecified" (PS3.3 C.11.1.1.2)
        return ""
    return unit or ("HU" if attributes.modality == "CT" else "")


def _window(view: Voi) -> dict[str, Any]:
    """A view as a window to begin from; a table says that it is one."""
    plain = view.as_window()
    return {
        "name": view.name,
        "center": float(plain.center),
        "width": float(plain.width),
        "function": plain.function.value,
        "table": view.lut is not None,
    }


def _place(
    position: tuple[float, float, float] | None, orientation: tuple[float, ...] | None, said: float | None
) -> float | None:
    """Where the slice lies along its normal in mm; what the file says where that cannot be computed."""
    if position is None or orientation is None:
        return said
    a, b, c, d, e, f = orientation
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return sum(x * y for x, y in zip(normal, position, strict=True))
