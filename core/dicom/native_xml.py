"""The Native DICOM Model in XML (PS3.19 annex A), written from the DICOM JSON model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from core.dicom.json_model import GROUPS, Model

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters XML 1.0 cannot hold, not even as references."""


def as_xml(model: Model) -> bytes:
    """*model* as a document of its own, in UTF-8; characters XML does not have become U+FFFD."""
    return "".join((HEAD, *_elements(model), "</NativeDicomModel>\n")).encode("utf-8")


def _elements(model: Model) -> Iterator[str]:
    from pydicom.datadict import keyword_for_tag

    for tag, element in model.items():
        vr, number = element["vr"], int(tag, 16)
        keyword = keyword_for_tag(number) if not number >> 16 & 1 else ""
        said = f" keyword={quoteattr(keyword)}" if keyword else ""
        if creator := _creator(model, number):
            said += f" privateCreator={quoteattr(_clean(creator))}"
        yield f'<DicomAttribute tag="{number:08X}" vr="{vr}"{said}'
        content = "".join(_content(vr, element))
        yield f">{content}</DicomAttribute>" if content else "/>"


def _creator(model: Model, tag: int) -> str:
    """Who defines a private element (PS3.5 7.8.1)."""
    group, block = tag >> 16, tag >> 8 & 0xFF
    if not group & 1 or not block:
        return ""
    values = model.get(f"{group:04X}{block:04X}", {}).get("Value") or [""]
    return str(values[0] or "")


def _content(vr: str, element: Model) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={quoteattr(_clean(element['BulkDataURI']))}/>"
    elif "InlineBinary" in element:
        yield f"<InlineBinary>{escape(element['InlineBinary'])}</InlineBinary>"
    for number, value in enumerate(element.get("Value") or (), 1):
        if vr == "SQ":
            yield f'<Item number="{number}">{"".join(_elements(value or {}))}</Item>'
        elif value is None:
            yield f'<Value number="{number}"/>'
        elif isinstance(value, dict):
            yield f'<PersonName number="{number}">{"".join(_name(value))}</PersonName>'
        else:
            yield f'<Value number="{number}">{_text(value)}</Value>'


def _name(value: Model) -> Iterator[str]:
    for group in GROUPS:
        if text := value.get(group):
            parts = str(text).split("^", len(NAME_PARTS) - 1)  # what is beyond the suffix stays with it
            named = zip(NAME_PARTS, parts, strict=False)
            inner = "".join(f"<{name}>{_text(part)}</{name}>" for name, part in named if part)
            yield f"<{group}>{inner}</{group}>"


def _text(value: Any) -> str:
    return escape(_clean(str(value)), {"\r": "&#13;"})


def _clean(text: str) -> str:
    return NO_XML.sub("�", text)
