"""De-identifying one object by the Basic Application Confidentiality Profile (PS3.15 Annex E).

The alternatives of the table are taken so that the object stays valid without knowing its IOD: what may need
a value gets a dummy, what may have to be there becomes empty. Beyond the table, elements that PS3.6 does not
have are removed, and every person name, date and time it does not list gets a dummy. Nothing is claimed
about what is burned into the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from core.dicom.confidentiality import Action, profile
from core.dicom.editing import code

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

METHOD = "DICOM PS3.15 Annex E Basic Application Confidentiality Profile"
CONTENT_SEQUENCE = 0x0040A730
ENCAPSULATED_DOCUMENT = 0x00420011
SOP_INSTANCE_TAGS = frozenset((0x00080018, 0x00081155, 0x00020003))
WELL_KNOWN = "1.2.840.10008."
DUMMY_TEXT = "ANONYMIZED"
DUMMIES: dict[str, Any] = {
    "AS": "000Y",
    "AT": 0,
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "IS": "0",
    "DS": "0",
    "UR": "urn:anonymized",
    **dict.fromkeys(("FL", "FD"), 0.0),
    **dict.fromkeys(("US", "UL", "UV", "SS", "SL", "SV"), 0),
    **dict.fromkeys(("OB", "OW", "OL", "OD", "OF", "OV", "UN"), b"\0" * 8),
}
"""By VR; text and names get DUMMY_TEXT."""
MUST_HAVE_TIME = frozenset(("PN", "DA", "DT", "TM"))
EMPTY_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


class Option(NamedTuple):
    """An option of the profile as it is recorded (PS3.16 CID 7050)."""

    value: str
    meaning: str


BASIC = Option("113100", "Basic Application Confidentiality Profile")
RETAIN_UIDS = Option("113110", "Retain UIDs Option")
"""Taken for SOP Instance UIDs alone: studies, series and everything else get new ones all the same."""


class Deidentifier:
    """De-identifies the objects of one operation; *uid* gives the new for an old UID."""

    def __init__(
        self, uid: Callable[[str], str], patient_id: str, *, keep_instance_uids: bool = False
    ) -> None:
        self._uid = uid
        self._patient_id = patient_id
        self._keep_instance_uids = keep_instance_uids
        self._profile = profile()

    def apply(self, ds: Dataset) -> None:
        """Change *ds* in place, with everything nested in it, and record that it was done."""
        self._clean(ds)
        ds.PatientName = DUMMY_TEXT
        ds.PatientID = self._patient_id
        ds.PatientIdentityRemoved = "YES"
        ds.LongitudinalTemporalInformationModified = "REMOVED"
        ds.DeidentificationMethod = METHOD
        options = [BASIC, RETAIN_UIDS] if self._keep_instance_uids else [BASIC]
        ds.DeidentificationMethodCodeSequence = [code(option.value, option.meaning) for option in options]

    def _clean(self, ds: Dataset) -> None:
        for tag in list(ds.keys()):
            if _is_removed_as_group(int(tag)) or not _is_known(int(tag)):
                del ds[tag]
                continue
            element = ds[tag]
            action = self._profile.get(int(tag))
            if action is None:
                self._unlisted(element)
            elif not self._act(ds, element, action):
                del ds[tag]

    def _unlisted(self, element: DataElement) -> None:
        if element.VR == "SQ":
            self._clean_items(element)
        elif element.VR in MUST_HAVE_TIME and not element.is_empty:
            element.value = _dummy(element)

    def _act(self, ds: Dataset, element: DataElement, action: Action) -> bool:
        """Do what the table says; False if the element is to be removed."""
        sequence = element.VR == "SQ"
        if action is Action.X or (sequence and action is Action.XD):
            return False
        if sequence and action is Action.XZD and "ContentSequence" not in ds:
            return False  # reports alone must have them, if empty (PS3.3 C.17.1)
        if action is Action.U or (action is Action.D and element.VR == "UI"):
            self._replace_uids(element)
        elif action in (Action.Z, Action.XZ) or (sequence and action is Action.XZD):
            element.value = [] if sequence else ("" if element.VR not in DUMMIES else None)
        elif sequence and int(element.tag) == CONTENT_SEQUENCE:
            element.value = [_removed_content()]
        elif sequence:
            self._clean_items(element)
            if int(element.tag) == 0x00401101:
                element.value = [code("ANONYMIZED", "Anonymized", "99FILMJACKET") for _ in element.value]
        elif int(element.tag) == ENCAPSULATED_DOCUMENT:
            kind = str(ds.get("MIMETypeOfEncapsulatedDocument", ""))
            document = EMPTY_PDF if "pdf" in kind.lower() else b"removed "
            element.value = document + b"\0" * (len(document) % 2)
            if "EncapsulatedDocumentLength" in ds:
                ds.EncapsulatedDocumentLength = len(document)
        else:
            element.value = _dummy(element)
        return True

    def _clean_items(self, element: DataElement) -> None:
        for item in element.value:
            self._clean(item)

    def _replace_uids(self, element: DataElement) -> None:
        if element.VR != "UI" or (self._keep_instance_uids and int(element.tag) in SOP_INSTANCE_TAGS):
            return
        values = [element.value] if element.VM <= 1 else list(element.value)
        new = [
            self._uid(str(each)) if each and not str(each).startswith(WELL_KNOWN) else each for each in values
        ]
        element.value = new[0] if len(new) == 1 else new


def _is_removed_as_group(tag: int) -> bool:
    group = tag >> 16
    return bool(group % 2) or 0x5000 <= group < 0x5100 or 0x6000 <= group < 0x6100


def _is_known(tag: int) -> bool:
    from pydicom.datadict import dictionary_has_tag

    return dictionary_has_tag(tag) or tag in profile()


def _dummy(element: DataElement) -> Any:
    return DUMMIES.get(element.VR, DUMMY_TEXT)


def _removed_content() -> Dataset:
    """What stands for the content of a report (PS3.3 C.17.3)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [code("121106", "Comment")]
    item.TextValue = DUMMY_TEXT
    return item
