"""Pictures as pydicom would make them: the independent opinion that rendering is compared with."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
    convert_color_space,
    pixel_array,
)
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

Array = np.ndarray[Any, Any]


def opened(path: Path) -> Dataset:
    """The data set; a missing transfer syntax is what PS3.10 would have it be."""
    ds = dcmread(path, force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        explicit = not ds.original_encoding[0]
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    return ds


def picture(ds: Dataset, frame0: int) -> Array:
    """Greys as float 0..255 (rows, columns), or colours (rows, columns, 3). Raises what pydicom raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = pixel_array(ds, index=frame0, raw=True)
        photometric = ds.PhotometricInterpretation
        if photometric == "PALETTE COLOR":
            rgb = apply_color_lut(stored, ds)
            top = 65535 if rgb.dtype.itemsize == 2 and rgb.max() > 255 else 255
            return rgb * (255.0 / top)
        if stored.ndim == 3:
            return colours(ds, stored, photometric)
        return greys(ds, stored, frame0)


def colours(ds: Dataset, stored: Array, photometric: str) -> Array:
    """RGB scaled to 0..255."""
    if photometric.startswith("YBR_FULL") and not _already_rgb(ds):
        stored = convert_color_space(stored, photometric, "RGB")
    return stored.astype(np.float64) * (255.0 / (2**ds.BitsStored - 1))


def _already_rgb(ds: Dataset) -> bool:
    return ds.file_meta.TransferSyntaxUID.startswith("1.2.840.10008.1.2.4.9")


def greys(ds: Dataset, stored: Array, frame0: int) -> Array:
    """Modality and VOI by pydicom, functional groups laid flat first; MONOCHROME1 turned."""
    flat = flattened(ds, frame0)
    values = apply_modality_lut(stored, flat)
    if "VOILUTSequence" in flat and flat.VOILUTSequence:
        item = flat.VOILUTSequence[0]
        result = apply_voi(values.astype(np.int64), flat) / (2.0 ** item.LUTDescriptor[2] - 1)
    elif _has_window(flat):
        low, high = _output_range(flat)
        result = (apply_windowing(values, flat) - low) / (high - low)
    else:
        result = _stretched(stored, values, flat)
    result = np.clip(result, 0, 1) * 255
    return 255 - result if flat.PhotometricInterpretation == "MONOCHROME1" else result


def _has_window(ds: Dataset) -> bool:
    """A window that can be: pydicom refuses widths below 1, we leave them out."""
    widths = ds.get("WindowWidth")
    first = widths[0] if hasattr(widths, "__len__") and not isinstance(widths, str) and widths else widths
    return ds.get("WindowCenter") not in (None, "") and first not in (None, "") and float(first) >= 1


def _output_range(ds: Dataset) -> tuple[float, float]:
    """The range that `apply_windowing` fills."""
    if ds.get("ModalityLUTSequence"):
        return 0, 2.0 ** ds.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    bits = ds.BitsStored
    low, high = (
        (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if ds.PixelRepresentation else (0, 2.0**bits - 1)
    )
    if ds.get("RescaleSlope") is not None and ds.get("RescaleIntercept") is not None:
        low, high = (v * ds.RescaleSlope + ds.RescaleIntercept for v in (low, high))
    return float(low), float(high)


def _stretched(stored: Array, values: Array, ds: Dataset) -> Array:
    """No window in the file: all real values, padding aside; 8-bit pictures as they are."""
    if stored.dtype == np.uint8 and ds.get("BitsStored", 8) <= 8:
        return stored / (2.0**ds.BitsStored - 1)
    real = values
    if "PixelPaddingValue" in ds:
        other = ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue)
        low, high = sorted((ds.PixelPaddingValue, other))
        real = values[(stored < low) | (stored > high)]
    low, high = float(real.min()), float(real.max())
    return (values.astype(np.float64) - low) / ((high - low) or 1)


def flattened(ds: Dataset, frame0: int) -> Dataset:
    """A copy whose top level says what the functional groups say of one frame."""
    flat = Dataset()
    for keyword in ("BitsStored", "BitsAllocated", "PixelRepresentation", "PhotometricInterpretation",
                    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence",
                    "WindowCenter", "WindowWidth", "VOILUTFunction", "PixelPaddingValue",
                    "PixelPaddingRangeLimit"):  # fmt: skip
        if keyword in ds:
            flat[keyword] = ds[keyword]
    if "BitsStored" not in flat:  # floating point: the output range is free
        flat.BitsStored, flat.PixelRepresentation = 16, 0
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        items = ds.get(groups) or []
        index = frame0 if groups.startswith("PerFrame") else 0
        if index < len(items):
            for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for element in (items[index].get(macro) or [Dataset()])[0]:
                    flat[element.tag] = element
    return flat
