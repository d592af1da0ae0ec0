"""Bulk data: one binary value of an object, found by its way through it, little endian (PS3.18 8.7.3.3)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.dicom.inside import Span, places
from core.dicom.json_model import BULK_VRS, certain_vr
from core.dicom.syntaxes import transfer_syntax
from core.errors import NotFound, SourceFault

DEEPEST = 24
WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of a word, by VR (PS3.5 table 6.2-1)."""
WAY = re.compile(r"[0-9A-Fa-f]{8}(?:/[1-9]\d{0,5}/[0-9A-Fa-f]{8})*")


@dataclass(frozen=True, slots=True)
class Bulk:
    """Where the value lies in the file, or the value itself where it cannot be taken as it lies."""

    spans: tuple[Span, ...] = ()
    data: bytes = b""


def way_of(text: str) -> tuple[int, ...]:
    """A way as BulkDataURIs have it: tag, then item and tag for each depth. Raises NotFound."""
    if not WAY.fullmatch(text) or text.count("/") > 2 * DEEPEST:
        raise NotFound("bulk data", "There is no bulk data at this address.")
    parts = text.split("/")
    return tuple(int(part, 10 if at % 2 else 16) for at, part in enumerate(parts))


def bulk_in(path: Path, way: Sequence[int], transfer_syntax_uid: str) -> Bulk:
    """The value at *way*, not of compressed pixel data. Raises NotFound, SourceFault, OSError."""
    syntax = transfer_syntax(transfer_syntax_uid)
    if len(way) == 1 and syntax.little and not syntax.deflated:
        with suppress(SourceFault):  # the lenient reader may still find its way
            span = places(path).get(way[0], (0, 0))
            if span[1] and _is_bulk(path, way[0]):
                return Bulk(spans=(span,))
            raise _missing()
    return Bulk(data=_value(path, way, swapped=not syntax.little))


def _is_bulk(path: Path, tag: int) -> bool:
    """Whether the element has a binary VR: of anything else the value is in the metadata."""
    from pydicom import dcmread

    if tag >> 16 == 0x7FE0:
        return True
    ds = dcmread(path, stop_before_pixels=True, defer_size=1024, force=True, specific_tags=[tag])
    raw: Any = ds.get_item(tag)
    if raw is not None and raw.VR not in (None, "UN"):
        return raw.VR in BULK_VRS
    return tag in ds and certain_vr(ds[tag]) in BULK_VRS


def _value(path: Path, way: Sequence[int], *, swapped: bool) -> bytes:
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds: Any = dcmread(path, defer_size=64 << 10, force=True)
            for tag, item in zip(way[:-1:2], way[1::2], strict=True):
                ds = ds[tag].value[item - 1]
            element = ds[way[-1]]
            vr, value = certain_vr(element), element.value
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _missing() from error
    except OSError:
        raise
    except Exception as error:  # whatever damage provokes in a reader that is not ours
        raise SourceFault("A stored object makes no sense.", "Run filmjacket check.", lasting=True) from error
    if vr not in BULK_VRS or not isinstance(value, bytes) or not value:
        raise _missing()
    return _turned(value, WIDTHS.get(vr, 1)) if swapped else value


def _turned(value: bytes, width: int) -> bytes:
    """Words of *width* bytes in the other byte order."""
    if width == 1 or len(value) % width:
        return value
    turned = bytearray(len(value))
    for at in range(width):
        turned[at::width] = value[width - 1 - at :: width]
    return bytes(turned)


def _missing() -> NotFound:
    return NotFound("bulk data", "There is no bulk data at this address.")
