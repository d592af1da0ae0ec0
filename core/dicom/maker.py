"""Who wrote a file, as group 2 says it (PS3.10 7.1): this program, in every version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import FileMetaDataset

IMPLEMENTATION_CLASS_UID = "2.25.190146991836459203482934763948106514571"
IMPLEMENTATION_VERSION_NAME = "FILMJACKET"


def file_meta(ds: Any, syntax: str) -> FileMetaDataset:
    """The file meta elements of an object of ours in the transfer syntax *syntax*."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
