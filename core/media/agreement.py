"""Whether metadata and bulk data say the same: what a stream says of itself is believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.media.assemble import (
    DOCUMENT,
    GREY_BYTES,
    GREY_WORDS,
    PIXELS,
    SEVERAL_CAPTURES,
    SINGLE_BITS,
    TRUE_COLOUR,
    VISIBLE_LIGHT,
    Content,
    Mismatch,
    default,
)
from core.media.wrap import ENCAPSULATED_PDF, SECONDARY_CAPTURE, VIDEO_PHOTOGRAPHIC

MUST_AGREE = frozenset({"Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames"})
OF_SAMPLES = frozenset({"PhotometricInterpretation", "BitsStored", "HighBit", "PlanarConfiguration"})
"""What senders often say wrong, and a stream knows of itself (PS3.5 8.2): it is believed."""
NATIVE = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
ONE_SAMPLE = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
WITHOUT_TRANSFORM = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422"})
PALETTE = "RedPaletteColorLookupTableDescriptor"
FRAME_TIME, PAGE_NUMBERS = 0x00181063, 0x00182001
OF_DICOM, ENCAPSULATING = "1.2.840.10008.", "1.2.840.10008.5.1.4.1.1.104."
IMAGE = "Image Storage"
"""How the names of classes of images end (PS3.6 table A-1)."""
ANY_PIXELS = frozenset({PIXELS, 0x7FE00008, 0x7FE00009})
PDF_WITHIN, PDF_BEGINS = 1024, b"%PDF-"


def inline(ds: Any) -> dict[int, Content]:
    """Pixel data and a document that stand in the metadata themselves (PS3.18 F.2.7), taken out of *ds*."""
    found: dict[int, Content] = {}
    for tag in (PIXELS, DOCUMENT):
        value = ds[tag].value if tag in ds else None
        if isinstance(value, bytes) and value:
            is_pdf = tag == DOCUMENT and PDF_BEGINS in value[:PDF_WITHIN]
            kind = ENCAPSULATED_PDF if is_pdf else SECONDARY_CAPTURE
            found[tag] = Content(Path(), 0, len(value), sop_class_uid=kind, data=value)
            del ds[tag]
    return found


def class_of(ds: Any, content: Content, *, raw: bool) -> str:
    """The SOP Class of an object whose metadata say none."""
    if not raw or content.sop_class_uid != SECONDARY_CAPTURE or _frames(ds) == 1:
        return content.sop_class_uid
    if ds.SamplesPerPixel > 1:
        return TRUE_COLOUR
    return {1: SINGLE_BITS, 8: GREY_BYTES}.get(ds.BitsAllocated, GREY_WORDS)


def check_class(ds: Any, contents: Mapping[int, Content]) -> None:
    """Whether an object of its class has such bulk data. Raises Mismatch."""
    from pydicom import config
    from pydicom.uid import UID

    kind = str(ds.SOPClassUID)
    encapsulates = kind.startswith(ENCAPSULATING)
    if PIXELS in contents and encapsulates:
        raise Mismatch("Pixel data are given for a SOP Class that encapsulates a document.")
    if DOCUMENT in contents and kind.startswith(OF_DICOM) and not encapsulates:
        raise Mismatch("A document is given for a SOP Class that encapsulates none.")
    if kind == ENCAPSULATED_PDF:
        if DOCUMENT not in contents:
            raise Mismatch("An Encapsulated PDF has no document.")
        if contents[DOCUMENT].sop_class_uid != ENCAPSULATED_PDF:
            raise Mismatch("The document of an Encapsulated PDF is no PDF.")
    has_pixels = any(tag in contents or (tag in ds and ds[tag].value) for tag in ANY_PIXELS)
    if UID(kind, validation_mode=config.IGNORE).name.endswith(IMAGE) and not has_pixels:
        raise Mismatch("An image has no pixel data.")


def describe(ds: Any, content: Content, tag: int, *, raw: bool) -> None:
    """Have *ds* say what its pixel data or document say. Raises Mismatch where it says otherwise."""
    if tag == DOCUMENT and content.sop_class_uid == ENCAPSULATED_PDF:
        ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
        ds.EncapsulatedDocumentLength = content.length
    if tag != PIXELS:
        return
    if content.sop_class_uid == ENCAPSULATED_PDF:
        raise Mismatch("A PDF is given as pixel data.")
    _say(ds, content)
    frames = _frames(ds)
    if raw:
        _check_raw(ds, content, frames)
    elif "NumberOfFrames" not in content.says and frames != 1:
        raise Mismatch("NumberOfFrames of the metadata is not that of the bulk data.")
    if content.frames or (frames > 1 and str(ds.SOPClassUID) in SEVERAL_CAPTURES):
        _order(ds, frames)
    if content.lossy:
        ds.LossyImageCompression = "01"
        default(ds, "LossyImageCompressionMethod", content.lossy)
        plain = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8
        default(ds, "LossyImageCompressionRatio", f"{plain * frames / max(1, content.length):.4g}")
    elif str(ds.SOPClassUID) in VISIBLE_LIGHT:
        default(ds, "LossyImageCompression", "00")


def _say(ds: Any, content: Content) -> None:
    for keyword, value in content.says.items():
        said = ds.get(keyword)
        counted = (
            keyword == "NumberOfFrames" and content.sop_class_uid == VIDEO_PHOTOGRAPHIC
        )  # others estimate
        if (
            said in (None, "")
            or counted
            or (keyword in OF_SAMPLES and not _stands(ds, keyword, said, content))
        ):
            setattr(ds, keyword, value)
        elif keyword in MUST_AGREE and said != value:
            raise Mismatch(f"{keyword} of the metadata is not that of the bulk data.")


def _stands(ds: Any, keyword: str, said: Any, content: Content) -> bool:
    """Whether what the metadata say of the samples can be true of the stream."""
    value = content.says[keyword]
    if keyword == "PhotometricInterpretation":
        return _colour_stands(ds, str(said), str(value), sure=content.colour_is_sure)
    if keyword == "BitsStored":  # fewer than the stream has room for are usual
        return bool(0 < said <= value)
    if keyword == "HighBit":
        return bool(said == ds.BitsStored - 1)
    return bool(said == value)


def _colour_stands(ds: Any, said: str, value: str, *, sure: bool) -> bool:
    if value in ONE_SAMPLE:
        return said in ONE_SAMPLE and (said != "PALETTE COLOR" or PALETTE in ds)
    alike = said in WITHOUT_TRANSFORM and value in WITHOUT_TRANSFORM
    return said == value or (alike and (not sure or (said != "RGB") == (value != "RGB")))


def _frames(ds: Any) -> int:
    said = ds.get("NumberOfFrames")
    frames = 1 if said in (None, "") else int(said)
    if frames < 1:
        raise Mismatch("NumberOfFrames of the metadata makes no sense.")
    return frames


def _order(ds: Any, frames: int) -> None:
    """By what the frames follow each other (PS3.3 C.7.6.6)."""
    if ds.get("FrameIncrementPointer"):
        return
    timed = bool(ds.get("FrameTime"))
    ds.FrameIncrementPointer = FRAME_TIME if timed else PAGE_NUMBERS
    if not timed:
        ds.PageNumberVector = list(range(1, frames + 1))


def _check_raw(ds: Any, content: Content, frames: int) -> None:
    missing = [keyword for keyword in NATIVE if ds.get(keyword) in (None, "")]
    if missing:
        raise Mismatch(f"Uncompressed pixel data need {missing[0]} in the metadata.")
    default(ds, "BitsStored", ds.BitsAllocated)
    default(ds, "HighBit", ds.BitsStored - 1)
    default(ds, "PixelRepresentation", 0)
    samples, colour = ds.SamplesPerPixel, str(ds.PhotometricInterpretation)
    if samples > 1:
        default(ds, "PlanarConfiguration", 0)
    if (samples == 1) != (colour in ONE_SAMPLE):
        raise Mismatch("SamplesPerPixel and PhotometricInterpretation of the metadata do not fit together.")
    if not 0 < ds.BitsStored <= ds.HighBit + 1 <= ds.BitsAllocated:
        raise Mismatch("BitsAllocated, BitsStored and HighBit of the metadata do not fit together.")
    if colour == "YBR_FULL_422":
        samples = 2
    bits = ds.Rows * ds.Columns * samples * ds.BitsAllocated * frames
    if (bits + 7) // 8 not in (content.length, content.length - content.length % 2, content.length - 1):
        raise Mismatch("The pixel data are not as long as rows, columns, samples and bits make them.")
