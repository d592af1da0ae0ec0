"""Making an object out of another: new UIDs, and a record of what was changed, by whom, and from what.

Original Attributes and Contributing Equipment are those of the SOP Common Module (PS3.3 C.12.1).
"""

from __future__ import annotations

import io
import uuid
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core.dicom.lenient import quieten
from core.dicom.syntaxes import EXPLICIT_BIG_UID, EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID
from core.errors import Unsupported

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset, FileDataset

IMPLEMENTATION_CLASS_UID = "2.25.190146991836459203482934763948106514571"
IMPLEMENTATION_VERSION_NAME = "FILMJACKET"
MANUFACTURER = "Filmjacket"
MODIFYING = ("109103", "Modifying Equipment")
DEIDENTIFYING = ("109104", "De-identifying Equipment")
IDENTITY = frozenset(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))


class NewUids:
    """New UIDs for old ones: the same for the same within one operation, unguessable without its secret."""

    def __init__(self, secret: uuid.UUID | None = None) -> None:
        self._secret = secret or uuid.uuid4()

    def __call__(self, old: str) -> str:
        """A UID under 2.25 (PS3.5 B.2)."""
        return f"2.25.{uuid.uuid5(self._secret, old).int}"


def fresh_uid() -> str:
    """A UID that never was."""
    return f"2.25.{uuid.uuid4().int}"


def read(data: bytes) -> FileDataset:
    """A whole object. Raises Unsupported for what makes no sense."""
    from pydicom import dcmread
    from pydicom.uid import UID

    quieten()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite valid stay as they are
            ds = dcmread(io.BytesIO(data), force=True)
            if "TransferSyntaxUID" not in ds.file_meta:
                implicit, little = ds.original_encoding
                explicit = EXPLICIT_LITTLE_UID if little else EXPLICIT_BIG_UID
                ds.file_meta.TransferSyntaxUID = UID(IMPLICIT_LITTLE_UID if implicit else explicit)
    except Exception as error:  # pydicom raises many kinds for damaged objects
        raise Unsupported("An object of the study makes no sense and cannot be copied.") from error
    return ds


def written(ds: FileDataset) -> bytes:
    """The object as a file in the transfer syntax it came in. Raises Unsupported."""
    from pydicom import dcmwrite
    from pydicom.uid import UID

    meta = ds.file_meta
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "")
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "PrivateInformation"):
        if keyword in meta:
            del meta[keyword]
    for element in list(meta):
        if element.tag.element >= 0x0100:  # private information and network addresses of the original
            del meta[element.tag]
    ds.preamble = b"\0" * 128
    out = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dcmwrite(out, ds, enforce_file_format=True)
    except Exception as error:  # values no writer can encode
        raise Unsupported("An object of the study has values that cannot be written again.") from error
    return out.getvalue()


def replace_uids(ds: Dataset, new: Mapping[str, str], *, study: tuple[str, str] | None = None) -> None:
    """Replace every UID that is in *new*, also in nested references; and the *study* (old, new).

    A reference to the old study stays where it also lists instances that are not in *new*.
    """
    for element in _of_kinds(ds, ("UI", "SQ")):
        if element.VR == "UI" and element.value:
            values = [str(element.value)] if element.VM <= 1 else [str(each) for each in element.value]
            changed = [new.get(each, each) for each in values]
            if study is not None and study[0] in changed and _all_known(ds, new):
                changed = [study[1] if each == study[0] else each for each in changed]
            if changed != values:
                element.value = changed[0] if len(changed) == 1 else changed
        elif element.VR == "SQ":
            for item in element.value:
                replace_uids(item, new, study=study)


def _of_kinds(ds: Dataset, kinds: Collection[str]) -> Iterator[DataElement]:
    """The elements of these VRs; all others stay as they were read, byte for byte."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    for tag in list(ds.keys()):
        vr = ds.get_item(tag).VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "")
        if vr in kinds:
            yield ds[tag]


def _all_known(ds: Dataset, new: Mapping[str, str]) -> bool:
    """Whether no reference below goes to an instance that is not in *new*, old or new."""
    if "SOPInstanceUID" in ds:
        return True  # the object itself, whose study it is
    known: Collection[str] = {*new, *new.values()}
    return all(uid in known for uid in _referenced(ds))


def _referenced(ds: Dataset) -> list[str]:
    found = [str(ds.ReferencedSOPInstanceUID)] if "ReferencedSOPInstanceUID" in ds else []
    for element in _of_kinds(ds, ("SQ",)):
        for item in element.value:
            found += _referenced(item)
    return found


def record_originals(ds: Dataset, before: Dataset, reason: str = "COERCE") -> None:
    """Keep what the elements of *before* said, as an item of Original Attributes (PS3.3 C.12.1.1.9)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.SourceOfPreviousValues = None
    item.AttributeModificationDateTime = _now()
    item.ModifyingSystem = MANUFACTURER
    item.ReasonForTheAttributeModification = reason
    item.ModifiedAttributesSequence = [before]
    ds.OriginalAttributesSequence = [*(ds.get("OriginalAttributesSequence") or []), item]


def record_equipment(ds: Dataset, purpose: tuple[str, str], description: str) -> None:
    """Say that this program took part in making the object (PS3.3 C.12.1.1.5)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code(*purpose)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = MANUFACTURER
    item.ContributionDateTime = _now()
    item.ContributionDescription = description
    ds.ContributingEquipmentSequence = [*(ds.get("ContributingEquipmentSequence") or []), item]


def match_charset(ds: Dataset, other: Dataset, values: Mapping[str, Any]) -> None:
    """Turn *ds* into UTF-8 if it could not hold the text of *values*, which come from *other*."""
    mine, theirs = ds.get("SpecificCharacterSet"), other.get("SpecificCharacterSet")
    if mine != theirs and not "".join(map(str, values.values())).isascii():
        ds.decode()
        ds.SpecificCharacterSet = "ISO_IR 192"


def set_values(ds: Dataset, values: Mapping[str, Any]) -> Dataset:
    """Set elements by keyword, None to remove; what they said before, where that was something else."""
    from pydicom.dataset import Dataset

    before = Dataset()
    for keyword, value in values.items():
        had = ds.get(keyword)
        if had == value or (had in (None, "") and value in (None, "")):
            continue
        setattr(before, keyword, had)
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return before


def code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")


Edit = Callable[["FileDataset"], None]
"""Changes one object in place."""
