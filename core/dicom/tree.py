"""Patients, studies and series as a scan finds them; grows while reading, never reorders identity."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.dicom.refs import FileRef, Found, Header


@dataclass(slots=True)
class Series:
    """One series: its first header speaks for it (PS3.3 C.7.3)."""

    series_instance_uid: str
    header: Header
    instances: list[Found] = field(default_factory=list)
    bytes: int = 0

    def in_order(self) -> list[Found]:
        """Instances by InstanceNumber, then by where they lay."""
        last = 1 << 62
        return sorted(
            self.instances,
            key=lambda f: (f.header.instance_number if f.header.instance_number is not None else last, f.ref),
        )


@dataclass(slots=True)
class Study:
    """One study of one patient (PS3.3 C.7.2)."""

    study_instance_uid: str
    header: Header
    series: dict[str, Series] = field(default_factory=dict)

    @property
    def modalities(self) -> list[str]:
        """Distinct modalities of its series, sorted."""
        return sorted({s.header.modality for s in self.series.values() if s.header.modality})

    @property
    def instances(self) -> int:
        """How many instances were found."""
        return sum(len(s.instances) for s in self.series.values())

    @property
    def bytes(self) -> int:
        """Size of their files together."""
        return sum(s.bytes for s in self.series.values())


@dataclass(slots=True)
class Patient:
    """One patient as spelled on the disc: ID, issuer, name and birth date together (PS3.3 C.7.1).

    *warning* is a sentence when another patient of this tree looks like the same person, or shares the ID.
    """

    key: tuple[str, str, str, str]
    header: Header
    studies: dict[str, Study] = field(default_factory=dict)
    warning: str = ""


STROKES = {
    **{"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i"},
    **{"æ": "ae", "œ": "oe", "þ": "th"},
}
"""Letters that Unicode does not take apart, as they are written where keyboards lack them."""
_STROKES = str.maketrans(STROKES)


def unaccented(text: str) -> str:
    """A text for comparing: without case and accents, strokes among them."""
    if text.isascii():
        return text.casefold()
    letters = unicodedata.normalize("NFKD", text)
    return "".join(c for c in letters if not unicodedata.combining(c)).casefold().translate(_STROKES)


def folded(name: str) -> str:
    """A person name for comparing: without case, accents, punctuation and doubled spaces."""
    plain = unaccented(name.split("=", maxsplit=1)[0])
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split())


def patient_key(header: Header) -> tuple[str, str, str, str]:
    """What makes two instances belong to one patient of the tree."""
    return (
        header.patient_id.strip(),
        header.issuer_of_patient_id.strip(),
        folded(header.patient_name),
        header.patient_birth_date.strip(),
    )


class Tree:
    """The growing result of a scan: patient > study > series > instances."""

    def __init__(self) -> None:
        self.patients: dict[tuple[str, str, str, str], Patient] = {}
        self._places: dict[tuple[str | int | None, ...], Series] = {}  # as spelled in headers

    def add(self, found: Found) -> Series:
        """Place one instance and return the series it went to."""
        header = found.header
        spelled = header[2:4] + header[5:9]  # study, series; name, ID, issuer, birth date
        place = self._places.get(spelled)
        if place is None:
            place = self._places[spelled] = self._place(header)
        place.instances.append(found)
        place.bytes += found.size
        return place

    def _place(self, header: Header) -> Series:
        key = patient_key(header)
        patient = self.patients.get(key)
        if patient is None:
            patient = self.patients[key] = Patient(key, header)
            self._warn_of_likeness(patient)
        study = patient.studies.get(header.study_instance_uid)
        if study is None:
            study = patient.studies[header.study_instance_uid] = Study(header.study_instance_uid, header)
        series = study.series.get(header.series_instance_uid)
        if series is None:
            series = study.series[header.series_instance_uid] = Series(header.series_instance_uid, header)
        return series

    def studies(self) -> Iterator[tuple[Patient, Study]]:
        """Every study with its patient, in the order found."""
        for patient in self.patients.values():
            for study in patient.studies.values():
                yield patient, study

    def find(self, study_instance_uid: str) -> tuple[Patient, Study] | None:
        """The first patient that holds this study."""
        for patient, study in self.studies():
            if study.study_instance_uid == study_instance_uid:
                return patient, study
        return None

    def refs(self) -> Iterator[FileRef]:
        """Where every instance lies."""
        for _, study in self.studies():
            for series in study.series.values():
                for found in series.instances:
                    yield found.ref

    def _warn_of_likeness(self, new: Patient) -> None:
        for other in self.patients.values():
            if other is new:
                continue
            same_id = bool(new.key[0]) and new.key[0] == other.key[0]
            same_person = bool(new.key[2]) and new.key[2] == other.key[2]
            if same_id and not same_person:
                sentence = "Two names share one patient ID here. Check whose images these are."
            elif same_id:
                sentence = "The same patient ID and name appear with different birth dates or issuers."
            elif same_person:
                sentence = "The same name appears here with another patient ID. Check whose images these are."
            else:
                continue
            new.warning = other.warning = sentence
