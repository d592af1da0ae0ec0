"""A reader of the Native DICOM Model (PS3.19 annex A), forgiving about how people spell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from core.dicom.json_model import BULK_VRS, DEEPEST, GROUPS, Model, element_of
from core.dicom.native_xml import NAME_PARTS
from core.dicom.recoding import dictionary_vr
from core.errors import BadInput

TAG = re.compile(r"[0-9A-Fa-f]{8}")
VR = re.compile(r"[A-Z]{2}")
WHITE = b" \t\r\n"
MOST_VALUES = 1 << 16
SINGLE_BYTE = {"singlebyte": "Alphabetic", "multibyte": "Ideographic"}
"""Component groups as drafts of the standard called them."""
GROUP_OF = {**SINGLE_BYTE, **{name.lower(): name for name in GROUPS}}
PART_OF = {name.lower(): at for at, name in enumerate(NAME_PARTS)}


def read_xml(document: bytes) -> Model:
    """The model in a whole document, white space before it passed over. Raises BadInput naming the line."""
    text = document.lstrip(WHITE)
    before = document[: len(document) - len(text)].count(b"\n")
    handler = _Handler()
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(handler)
    try:
        parser.feed(text)
        parser.close()
    except SAXParseException as error:
        raise _refused(error.getMessage(), before + (error.getLineNumber() or 1)) from error
    except _Refusal as error:
        raise _refused(str(error), before + parser.getLineNumber()) from error
    except DefusedXmlException as error:
        raise _refused(
            "it has a document type or entities of its own", before + parser.getLineNumber()
        ) from error
    except (SAXException, ValueError, LookupError) as error:
        raise _refused("unreadable", before + parser.getLineNumber()) from error
    if handler.model is None:
        raise _refused("there is no NativeDicomModel", 1)
    return dict(sorted(handler.model.items()))


class _Refusal(Exception):
    """Why a document that is well formed is no Native DICOM Model."""


def _refused(reason: str, line: int) -> BadInput:
    return BadInput(f"The XML is no Native DICOM Model: {reason} at line {line}.", "See PS3.19 annex A.")


@dataclass(slots=True)
class _Element:
    """A DicomAttribute that is being read; *values* by number."""

    tag: str
    vr: str
    values: dict[int, Any] = field(default_factory=dict)
    other: Model = field(default_factory=dict)


class _Handler(ContentHandler):
    """Builds the model; anything the model does not know is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.model: Model | None = None
        self._sets: list[Model] = []
        self._elements: list[_Element] = []
        self._path: list[str] = []
        self._number = 1
        self._name: dict[str, list[str]] = {}
        self._group = ""
        self._text: list[str] = []

    def startElement(self, name: str, attrs: Any) -> None:
        kind = name.rpartition(":")[2].lower()
        said = {key.rpartition(":")[2].lower(): attrs.getValue(key) for key in attrs.getNames()}
        if len(self._path) > 3 * DEEPEST:
            raise _Refusal("sequences are nested too deeply")
        parent = self._path[-1] if self._path else ""
        self._path.append(kind)
        self._text.clear()
        if kind == "nativedicommodel" and not parent:
            self.model = {}
            self._sets.append(self.model)
        elif kind == "dicomattribute" and parent in {"nativedicommodel", "item"}:
            self._begin(said)
        elif kind in {"value", "personname", "item"} and parent == "dicomattribute":
            of_sequence = kind == "value" and self._elements[-1].vr == "SQ"
            self._number = 0 if of_sequence else self._numbered(said)
            self._name = {}
            if kind == "item":
                self._elements[-1].values[self._number] = {}
                self._sets.append(self._elements[-1].values[self._number])
        elif kind == "bulkdata" and parent == "dicomattribute":
            self._elements[-1].other = {"BulkDataURI": said.get("uri", "")}
        elif kind in GROUP_OF and parent == "personname":
            self._group = GROUP_OF[kind]
            self._name[self._group] = [""] * len(NAME_PARTS)
        elif not (kind == "inlinebinary" and parent == "dicomattribute") and not (
            kind in PART_OF and parent in GROUP_OF
        ):
            raise _Refusal(f"an element {name[:40]!r} has no place there")

    def characters(self, content: str) -> None:
        self._text.append(content)

    def endElement(self, name: str) -> None:
        kind, text = self._path.pop(), "".join(self._text)
        self._text.clear()
        if kind == "dicomattribute":
            element = self._elements.pop()
            self._sets[-1][element.tag] = _finished(element)
        elif kind == "item":
            self._sets[-1] = dict(sorted(self._sets[-1].items()))
            self._elements[-1].values[_last(self._elements[-1])] = self._sets.pop()
        elif kind == "value" and not self._number:  # Orthanc writes empty ones behind items
            if text.strip():
                raise _Refusal("a sequence has a value that is no item")
        elif kind == "value":
            self._elements[-1].values[self._number] = text or None
        elif kind == "personname":
            groups = {group: "^".join(parts).rstrip("^") for group, parts in self._name.items()}
            plain = {group: value for group, value in groups.items() if value}
            self._elements[-1].values[self._number] = plain or text.strip() or None
        elif kind == "inlinebinary":
            self._elements[-1].other = {"InlineBinary": re.sub(r"\s+", "", text)}
        elif kind in PART_OF:
            self._name[self._group][PART_OF[kind]] = text

    def _begin(self, said: Mapping[str, str]) -> None:
        tag = said.get("tag", "").strip()
        if not TAG.fullmatch(tag):
            tag = _tag_of(said.get("keyword", ""))
        vr = said.get("vr", "").strip().upper()
        known = dictionary_vr(int(tag, 16)).decode("ascii")
        if known != "UN":
            vr = known  # PS3.6 knows better
        if not VR.fullmatch(vr):
            vr = "UN" if not vr else _no_vr(tag)
        tag = self._placed(tag.upper(), said.get("privatecreator", ""))
        if tag in self._sets[-1]:
            raise _Refusal(f"the attribute {tag} is there twice")
        self._elements.append(_Element(tag, vr))

    def _placed(self, tag: str, creator: str) -> str:
        """A private element in the block of its creator, which is reserved if need be (PS3.5 7.8.1)."""
        group, number = int(tag[:4], 16), int(tag[4:], 16)
        if not creator or not group & 1:
            return tag
        here = self._sets[-1]
        blocks = [number >> 8] if number >> 8 else list(range(0x10, 0x100))
        for block in blocks:
            key = f"{group:04X}{block:04X}"
            if here.get(key, {}).get("Value", [creator]) == [creator]:
                here.setdefault(key, {"vr": "LO", "Value": [creator]})
                return f"{group:04X}{block:02X}{number & 0xFF:02X}"
        raise _Refusal(f"the private attribute {tag} lies in the block of another creator")

    def _numbered(self, said: Mapping[str, str]) -> int:
        values = self._elements[-1].values
        text = said.get("number", "").strip() or str(len(values) + 1)
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_VALUES):
            raise _Refusal("the number of a value makes no sense")
        if int(text) in values:
            raise _Refusal(f"the value number {text} is there twice")
        return int(text)


def _last(element: _Element) -> int:
    number: int = next(reversed(element.values))
    return number


def _no_vr(tag: str) -> str:
    raise _Refusal(f"the VR of {tag} is none")


def _tag_of(keyword: str) -> str:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword.strip())
    if tag is None:
        raise _Refusal("an attribute has no tag of eight hexadecimal digits")
    return f"{int(tag):08X}"


def _finished(element: _Element) -> Model:
    """The element in the JSON model; a value where binary data belong names the part that holds them."""
    vr = element.vr
    if element.other:
        return {"vr": vr, **element.other}
    if not element.values:
        return {"vr": vr}
    if max(element.values) > 2 * len(element.values) + 64:
        raise _Refusal(f"the values of {element.tag} are not numbered one by one")
    values = [element.values.get(number) for number in range(1, max(element.values) + 1)]
    if vr == "SQ":
        return {"vr": vr, "Value": [each or {} for each in values]}
    if vr in BULK_VRS:
        return {"vr": vr, "BulkDataURI": str(values[0] or "").strip()}
    if vr == "PN":
        named = [{"Alphabetic": each} if isinstance(each, str) else each for each in values]
        return {"vr": vr, "Value": named} if any(named) else {"vr": vr}
    if vr == "AT":
        return {"vr": vr, "Value": [each and str(each).strip().upper() for each in values]}
    return element_of(vr, values)
