"""Stored objects as they are shown to people who must not know whose they are (PS3.15 Annex E)."""

from __future__ import annotations

import os
import threading
import uuid
import warnings
from pathlib import Path

from core.archive.nouns import StoredImage
from core.dicom.deidentify import Deidentifier
from core.dicom.editing import DEIDENTIFYING, NewUids, read, record_equipment, written
from core.errors import KnownError, NotAcceptable, StorageFault, Unsupported

LARGEST_BYTES = 512 << 20
"""An object is changed in memory."""
SECRET_BYTES = 16


class Pseudonyms:
    """De-identifies single objects, so that those of one study and patient stay together.

    New UIDs and patient IDs follow from the old ones and a secret of the archive, kept in the file *place*:
    nobody without it can tell which old one a new one stands for, and it survives a restart.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._secret: uuid.UUID | None = None
        self._lock = threading.Lock()

    def deidentified(self, image: StoredImage) -> bytes:
        """The object by the Basic Application Confidentiality Profile; blocks.

        Raises NotAcceptable where that cannot be done, StorageFault.
        """
        if image.bytes > LARGEST_BYTES:
            raise NotAcceptable("The object is too large to be anonymized.", "Leave anonymize out.")
        try:
            with image.open() as file:
                data = file.read()
        except OSError as error:
            raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
        renew = NewUids(self._known())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they name the odd value
                ds = read(data)
                burned_in = str(ds.get("BurnedInAnnotation", "")).strip().upper() == "YES"
                patient = renew(f"patient {ds.get('PatientID', '')}").rsplit(".", 1)[-1][:12]
                Deidentifier(renew, f"ANON{patient}").apply(ds)
                record_equipment(ds, DEIDENTIFYING, "De-identified")
                made = written(ds)
        except KnownError:
            raise
        except Exception as error:  # a damaged value can provoke anything in pydicom
            raise Unsupported("The object has values that make no sense.") from error
        if burned_in:
            raise NotAcceptable(
                "The pixels of this object name the patient (Burned In Annotation).", "Leave anonymize out."
            )
        return made

    def _known(self) -> uuid.UUID:
        with self._lock:
            if self._secret is None:
                self._secret = uuid.UUID(bytes=self._kept())
            return self._secret

    def _kept(self) -> bytes:
        """The secret of the file, which is made if there is none."""
        try:
            if not self._place.exists():
                fresh = self._place.with_suffix(".new")
                fresh.unlink(missing_ok=True)  # what a crash has left
                descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(os.urandom(SECRET_BYTES))
                    file.flush()
                    os.fsync(descriptor)
                fresh.replace(self._place)
            secret = self._place.read_bytes()
        except OSError as error:
            raise StorageFault(
                "The secret of pseudonyms cannot be kept.", "Check the data folder."
            ) from error
        if len(secret) != SECRET_BYTES:
            raise StorageFault("The secret of pseudonyms is damaged.", f"Remove {self._place.name}.")
        return secret
