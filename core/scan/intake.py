"""Takes what was read of each file into a scan: places instances, finds doubles, checks against DICOMDIRs."""

from __future__ import annotations

from dataclasses import dataclass

from core.dicom.file_names import shown
from core.dicom.refs import FileRef, Found, Header, Skipped, SkipReason
from core.errors import KnownError
from core.scan import sentences
from core.scan.dicomdir import MAX_BYTES, Listing, read_dicomdir
from core.scan.reading import Directory, Instance, Refused, Verdict
from core.scan.result import Scan

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Disc:
    """A DICOMDIR: the folder its paths start from, "" or ending in "/", and what it names."""

    folder: str
    listing: Listing


class Intake:
    """Fills one scan; *found* and *skipped* hold what came in since they were last taken."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._first: dict[str, Found] = {}
        self._discs: list[_Disc] = []
        self.found: list[Found] = []
        self.skipped: list[Skipped] = []

    def take(self, ref: FileRef, verdict: Verdict) -> None:
        """One file and what it is; a ZIP file's members come one by one instead of it."""
        self._scan.files += 1
        if isinstance(verdict, Instance):
            self._instance(ref, verdict.header, verdict.size)
        elif isinstance(verdict, Refused):
            self._skip(ref, verdict.reason, verdict.detail)
        elif isinstance(verdict, Directory):
            self._directory(ref)

    def _instance(self, ref: FileRef, header: Header, size: int) -> None:
        found = Found(ref, header, size)
        first = self._first.setdefault(header.sop_instance_uid, found)
        if first is not found:
            self._double(found, first)
            return
        self._scan.tree.add(found)
        self._scan.instances += 1
        self._scan.bytes += size
        self.found.append(found)

    def _double(self, found: Found, first: Found) -> None:
        where = shown(str(first.ref))
        what = _difference(found.header, first.header)
        if not what and self._same_bytes(found, first):
            self._skip(found.ref, SkipReason.DUPLICATE, sentences.duplicate(where))
        else:
            detail = sentences.conflict(where, what or "its contents differ")
            self._skip(found.ref, SkipReason.CONFLICT, detail)

    def _same_bytes(self, one: Found, other: Found) -> bool:
        if one.size != other.size:
            return False
        try:
            with self._scan.open(one.ref) as left, self._scan.open(other.ref) as right:
                while piece := left.read(_CHUNK):
                    if piece != right.read(_CHUNK):
                        return False
        except (OSError, KnownError):
            return False  # not proven to be the same
        return True

    def _directory(self, ref: FileRef) -> None:
        try:
            with self._scan.open(ref) as stream:
                listing = read_dicomdir(stream.read(MAX_BYTES))
        except (OSError, KnownError):
            listing = Listing((), whole=False)
        self._discs.append(_Disc(shown(str(ref)).rpartition("/")[0], listing))
        if listing.whole:
            self._skip(ref, SkipReason.DICOMDIR, sentences.DIRECTORY)
        else:
            self._skip(ref, SkipReason.UNREADABLE, sentences.DIRECTORY_DAMAGED)

    def _skip(self, ref: FileRef, reason: SkipReason, detail: str) -> None:
        skipped = Skipped(shown(str(ref)), reason, detail)
        self._scan.skipped.append(skipped)
        self._scan.counts[reason] = self._scan.counts.get(reason, 0) + 1
        self.skipped.append(skipped)

    def compare_with_directories(self) -> None:
        """Once all files are in: what the DICOMDIRs name that is not there, and what they do not name."""
        if not self._discs:
            return
        instances = {_key(shown(str(found.ref))): uid for uid, found in self._first.items()}
        present = instances.keys() | {_key(skipped.path) for skipped in self._scan.skipped}
        named: set[str] = set()
        missing: dict[str, str] = {}
        for disc in self._discs:
            for listed in disc.listing.listed:
                path = f"{disc.folder}/{listed.path}" if disc.folder else listed.path
                named.add(_key(path))
                named.add(listed.sop_instance_uid)
                if _key(path) not in present and listed.sop_instance_uid not in self._first:
                    missing.setdefault(_key(path), path)
        self._scan.missing.extend(missing.values())
        folders = tuple(
            _key(disc.folder) + "/" if disc.folder else "" for disc in self._discs if disc.listing.whole
        )
        self._scan.not_listed = sum(
            1
            for key, uid in instances.items()
            if key.startswith(folders) and key not in named and uid not in named
        )


def _key(path: str) -> str:
    """A path for comparing with a DICOMDIR: ISO 9660 adds versions and dots, systems change the case."""
    return "/".join(part.split(";")[0].rstrip(".") for part in path.upper().split("/"))


def _difference(one: Header, other: Header) -> str:
    """In what two instances of one number say to be of different things, or ""."""
    if one.patient_id != other.patient_id or one.patient_name != other.patient_name:
        return "it is of another patient"
    if one.study_instance_uid != other.study_instance_uid:
        return "it is of another study"
    if one.series_instance_uid != other.series_instance_uid:
        return "it is of another series"
    return ""
