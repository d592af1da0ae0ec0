"""Opens files of a job whose studies lie in a DICOMweb archive: fetched to disk one by one, by WADO-RS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from core.dicom.refs import FileRef
from core.errors import Denied, NotFound, SourceFault
from core.net.credentials import Access
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_study import resource_of
from core.net.file_cache import FileCache
from core.upload.archived_files import KEPT_BYTES, nameless
from core.upload.destinations import Found, find
from core.upload.picks import RemoteArchive
from core.upload.saved import Destinations
from core.upload.target import place


class RemoteFiles:
    """Files of the archive at *url*; close it to let go of what was fetched. Any thread may open them."""

    def __init__(self, url: str, access: Access) -> None:
        self._client = DicomWebClient(url, access)
        self._cache = FileCache(KEPT_BYTES)

    def open(self, ref: FileRef) -> BinaryIO:
        """The image's bytes, as the archive has them; the caller closes it.

        Raises SourceFault for this image, other KnownErrors for what befell the archive.
        """
        try:
            file = self._cache.open(ref, lambda out: self._client.instance(resource_of(ref), out))
        except NotFound as error:
            raise SourceFault("The image is no longer in the archive.", lasting=True) from error
        except Denied as error:
            raise SourceFault("The archive does not give this image away.", error.remedy) from error
        return nameless(file)

    def reachable(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self._client.alive()

    def cut(self) -> None:
        """End what is under way; from then on it cannot be reached."""
        self._client.close()

    def close(self) -> None:
        """Drop what was fetched and the connections."""
        self._client.close()
        self._cache.close()


def find_remote(archive: RemoteArchive, saved: Destinations, environ: Mapping[str, str]) -> Found:
    """Where *archive* is and how to sign in, also if its name was changed since. Raises KnownError."""
    names = [each.name for each in saved.all() if place(each.spec) == place(archive.spec)]
    if not names:
        return find(archive.spec, saved, environ)
    return find(archive.name if archive.name in names else names[0], saved, environ)
