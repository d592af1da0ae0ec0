"""Folders with names for people, as clinical trials hand studies over: no file-set in the sense of PS3.10."""

from __future__ import annotations

import warnings
from typing import BinaryIO

from pydicom import dcmread

from core.dicom.refs import Header
from core.errors import Unsupported

LONGEST = 64
ALLOWED = frozenset("-_.")


class TrialFolders:
    """StudyDate-TimePoint/Modality/SeriesTime-SeriesDescription/IMG0001.dcm; *flat*: the files side by side.

    Two series that would share a folder get one each.
    """

    def __init__(self, *, flat: bool = False) -> None:
        self._flat = flat
        self._folders: dict[str, str] = {}
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def place(self, header: Header, stream: BinaryIO) -> str:
        """Where the next object goes. Raises Unsupported."""
        folder = "" if self._flat else self._folder(header, stream)
        self._counts[folder] = number = self._counts.get(folder, 0) + 1
        return f"{folder}IMG{number:04}.dcm"

    def _folder(self, header: Header, stream: BinaryIO) -> str:
        known = self._folders.get(header.series_instance_uid)
        if known is not None:
            return known
        point, time = _said(stream)
        visit = "-".join(part for part in (_name(header.study_date), _name(point)) if part) or "visit"
        series = (
            "-".join(part for part in (_name(time), _name(header.series_description)) if part) or "series"
        )
        wanted = f"{visit}/{_name(header.modality) or 'OT'}/{series}"
        folder, more = wanted, 1
        while folder.lower() in self._taken:
            more += 1
            folder = f"{wanted}_{more}"
        self._taken.add(folder.lower())
        self._folders[header.series_instance_uid] = f"{folder}/"
        return f"{folder}/"


def _said(stream: BinaryIO) -> tuple[str, str]:
    """Clinical Trial Time Point ID and Series Time of an object."""
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they name the odd value
            ds = dcmread(
                stream, stop_before_pixels=True, specific_tags=["ClinicalTrialTimePointID", "SeriesTime"]
            )
            found = str(ds.get("ClinicalTrialTimePointID", "")), str(ds.get("SeriesTime", ""))
    except Exception as error:  # a damaged header can provoke anything in pydicom
        raise Unsupported("The header of the object makes no sense.") from error
    finally:
        stream.seek(0)
    return found


def _name(text: str) -> str:
    """What every file system takes: letters, digits, and a few signs; never a way out of the folder."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in ALLOWED) else "_" for c in text.strip())
    return kept.strip("._")[:LONGEST]
