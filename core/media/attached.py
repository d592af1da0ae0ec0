"""A document attached to a study, as an object of it: for archives that keep nothing but DICOM objects."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from core.dicom.digest import new_hash, version_of
from core.dicom.from_model import described
from core.dicom.json_model import Model
from core.errors import SourceFault, Unsupported
from core.media.wrap import CHUNK, COMMON, Place, document, steady_uids

PDF = b"%PDF-"
SIGNATURE_WITHIN = 1024
"""PDF readers look so far for the signature."""


def encapsulate(study: Model, path: Path, title: str, out: BinaryIO) -> str:
    """Write the PDF at *path* as an Encapsulated PDF of *study* (its elements at study level) to *out*.

    Returns the SOP Instance UID; the same file in the same study is the same object, byte for byte.
    Raises Unsupported, SourceFault.
    """
    try:
        with path.open("rb") as pdf:
            if PDF not in pdf.read(SIGNATURE_WITHIN):
                raise Unsupported("Only PDF documents can be attached at this kind of archive.")
            running = new_hash()
            pdf.seek(0)
            while piece := pdf.read(CHUNK):
                running.update(piece)
            size = pdf.tell()
            place = _place(study, path, title, version_of(running))
            out.writelines(document(place, pdf, size))
    except OSError as error:
        raise SourceFault("The file to attach cannot be read.", "Check that it is still there.") from error
    return place.uid(f"series {place.series} instance {place.number}")


def _place(study: Model, path: Path, title: str, version: str) -> Place:
    from pydicom.datadict import tag_for_keyword

    tags = {f"{tag_for_keyword(keyword) or 0:08X}" for keyword in COMMON}
    ds = described({tag: element for tag, element in study.items() if tag in tags}).ds
    known = {keyword: ds.get(keyword) for keyword in COMMON if keyword in ds}
    uid = steady_uids("attachment", str(ds.StudyInstanceUID), version)
    written = datetime.fromtimestamp(path.stat().st_mtime)
    return Place(known, uid, "attachments", written, Path(title).stem or title)
