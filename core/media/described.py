"""Metadata for pictures, documents and videos that are sent as bulk data (PS3.18 10.5), by a few rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.dicom.json_model import Model, element_of
from core.dicom.recoding import dictionary_vr
from core.dicom.spelling import spelled
from core.errors import BadInput
from core.media.assemble import DOCUMENT, EMPTY, MODALITIES, PIXELS, VL_PHOTOGRAPHIC
from core.media.wrap import ENCAPSULATED_PDF, SECONDARY_CAPTURE, VIDEO_PHOTOGRAPHIC, fresh_uid

MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".jp2": "image/jp2",
    ".jpx": "image/jpx",
    ".pdf": "application/pdf",
    ".mpg": "video/mpeg",
    ".mpg2": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".mp4": "video/mp4",
}
"""By the ending of a file's name."""
NO_KEY = "An attribute is given as KEY=VALUE, the key a keyword or a tag of eight hexadecimal digits."


class Describer:
    """Makes the metadata of one sending: one study and one series of each class, unless *attributes* say so.

    The study is *study_uid*, else a new one. Raises BadInput for an attribute that cannot be understood.
    """

    def __init__(self, attributes: Sequence[str], *, photographs: bool, study_uid: str = "") -> None:
        self._given = [_parsed(each) for each in attributes]
        self._photographs = photographs
        self._study = study_uid or fresh_uid("study")
        self._series: dict[str, str] = {}
        self._number = 0

    def metadata(self, media_type: str, location: str) -> Model:
        """What is said of the bulk data at *location*."""
        kind = self._class(media_type)
        self._number += 1
        model: Model = {_name(keyword): {"vr": _vr(_tag(keyword))} for keyword in EMPTY}
        for keyword, value in (
            ("SOPClassUID", kind),
            ("SOPInstanceUID", fresh_uid("instance")),
            ("StudyInstanceUID", self._study),
            ("SeriesInstanceUID", self._series.setdefault(kind, fresh_uid("series"))),
            ("Modality", MODALITIES[kind]),
            ("SeriesNumber", 999),
            ("InstanceNumber", self._number),
        ):
            model[_name(keyword)] = element_of(_vr(_tag(keyword)), [value])
        tag = DOCUMENT if kind == ENCAPSULATED_PDF else PIXELS
        for path, value in self._given:
            _put(model, path, value)
        if "00080018" in {f"{path[0]:08X}" for path, _ in self._given} and self._number > 1:
            raise BadInput("A SOP Instance UID was given for several files.", "Send them one by one.")
        model[f"{tag:08X}"] = {"vr": "OB", "BulkDataURI": location}
        return dict(sorted(model.items()))

    def _class(self, media_type: str) -> str:
        if media_type == "application/pdf":
            return ENCAPSULATED_PDF
        if media_type.startswith("video/"):
            return VIDEO_PHOTOGRAPHIC
        return VL_PHOTOGRAPHIC if self._photographs else SECONDARY_CAPTURE


def _parsed(text: str) -> tuple[tuple[int, ...], str]:
    key, equals, value = text.partition("=")
    tags = tuple(_tag(part.strip()) for part in re.split(r"[/.]", key))
    if not equals or any(_vr(tag) != "SQ" for tag in tags[:-1]):
        raise BadInput(f"{key[:60]!r} cannot be given a value.", NO_KEY)
    if _vr(tags[-1]) == "SQ" and value:
        raise BadInput(f"{key[:60]!r} is a sequence.", "Give an attribute of its item: SEQUENCE/KEY=VALUE.")
    if _vr(tags[-1])[0] == "O" or tags[-1] >> 16 == 0x7FE0:
        raise BadInput(f"{key[:60]!r} holds binary data, which cannot be given here.")
    return tags, value


def _tag(key: str) -> int:
    from pydicom.datadict import tag_for_keyword

    plain = key.strip("()").replace(",", "")
    if re.fullmatch("[0-9A-Fa-f]{8}", plain):
        return int(plain, 16)
    tag = tag_for_keyword(key) if key else None  # "" is that of elements without one
    if tag is None:
        raise BadInput(f"There is no attribute {key[:60]!r}.", NO_KEY)
    return int(tag)


def _vr(tag: int) -> str:
    vr = dictionary_vr(tag).decode("ascii")
    return "LO" if vr == "UN" else vr


def _name(keyword: str) -> str:
    return f"{_tag(keyword):08X}"


def _put(model: Model, path: tuple[int, ...], value: str) -> None:
    from pydicom.datadict import keyword_for_tag

    *outer, last = path
    place: dict[str, Any] = model
    for tag in outer:
        place = place.setdefault(f"{tag:08X}", {"vr": "SQ", "Value": [{}]})["Value"][0]
    vr = _vr(last)
    texts = [value] if vr in {"LT", "ST", "UT", "UR"} else value.split("\\")
    try:
        texts = [spelled(vr, each) for each in texts]
    except ValueError as error:
        raise BadInput(f"{value[:60]!r} is no value for {keyword_for_tag(last) or f'{last:08X}'}.") from error
    place[f"{last:08X}"] = element_of(vr, list(texts) if value else [])
