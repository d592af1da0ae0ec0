"""The document inside an encapsulating object: a PDF, as the file holds it (PS3.3 C.24.2)."""

from __future__ import annotations

from typing import BinaryIO

from core.errors import NotDicom, NotFound

EncapsulatedDocument = 0x00420011
EncapsulatedDocumentLength = 0x00420015
PDF_END = b"%%EOF"


def encapsulated_document(file: BinaryIO) -> bytes:
    """The document's bytes without the padding of its element. Raises NotDicom, NotFound."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        ds = dcmread(file, specific_tags=[EncapsulatedDocument, EncapsulatedDocumentLength], force=False)
        document = ds[EncapsulatedDocument].value if EncapsulatedDocument in ds else b""
        length = ds[EncapsulatedDocumentLength].value if EncapsulatedDocumentLength in ds else None
    except (InvalidDicomError, EOFError, ValueError, KeyError) as error:
        raise NotDicom("This file is damaged; its document cannot be taken out.") from error
    if not isinstance(document, bytes) or not document:
        raise NotFound("document", "There is no document in this file.")
    if isinstance(length, int) and 0 < length <= len(document):
        return document[:length]
    if document.endswith(b"\0") and document[:-1].rstrip(b"\r\n").endswith(PDF_END):
        return document[:-1]
    return document
