"""A PACS asked what it has: studies, series and images (PS3.4 C.6.2), and its worklist (PS3.4 K.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from core.dicom.identifier import LATIN, UTF_8, Identifier
from core.net.dimse.asking import STUDY_ROOT_FIND, find, is_ascii, never, wish
from core.net.dimse.association import Association, Context
from core.net.dimse.link import Patience
from core.net.dimse.requestor import Peer, associate
from core.net.records import StudyRow
from core.net.study_search import MOST, Matches, Wanted, gathered, questions, spellings

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
PATIENCE = Patience(idle_s=120.0, stall_s=30.0)
MOST_ENTRIES = 500
STEPS = "ScheduledProcedureStepSequence"
STEPS_TAG = 0x00400100
STUDY_KEYS = {
    "StudyDate": 0x00080020, "StudyTime": 0x00080030, "AccessionNumber": 0x00080050,
    "ModalitiesInStudy": 0x00080061, "StudyDescription": 0x00081030, "PatientName": 0x00100010,
    "PatientID": 0x00100020, "PatientBirthDate": 0x00100030, "PatientSex": 0x00100040,
    "StudyInstanceUID": 0x0020000D, "NumberOfStudyRelatedSeries": 0x00201206,
    "NumberOfStudyRelatedInstances": 0x00201208,
}  # fmt: skip
SERIES_KEYS = {
    "Modality": 0x00080060, "SeriesDescription": 0x0008103E, "SeriesInstanceUID": 0x0020000E,
    "SeriesNumber": 0x00200011, "NumberOfSeriesRelatedInstances": 0x00201209,
}  # fmt: skip
IMAGE_KEYS = {"SOPClassUID": 0x00080016, "SOPInstanceUID": 0x00080018}
ENTRY_KEYS = {
    "AccessionNumber": 0x00080050, "ReferringPhysicianName": 0x00080090, "PatientName": 0x00100010,
    "PatientID": 0x00100020, "PatientBirthDate": 0x00100030, "PatientSex": 0x00100040,
    "StudyInstanceUID": 0x0020000D, "RequestingPhysician": 0x00321032,
    "RequestedProcedureDescription": 0x00321060, "AdmissionID": 0x00380010,
    "RequestedProcedureID": 0x00401001,
}  # fmt: skip
STEP_KEYS = {
    "Modality": 0x00080060, "ScheduledStationAETitle": 0x00400001,
    "ScheduledProcedureStepStartDate": 0x00400002, "ScheduledProcedureStepStartTime": 0x00400003,
    "ScheduledPerformingPhysicianName": 0x00400006, "ScheduledProcedureStepDescription": 0x00400007,
    "ScheduledProcedureStepID": 0x00400009, "ScheduledStationName": 0x00400010,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeriesThere:
    """A series a PACS has; *images* 0 if it does not say how many."""

    uid: str
    number: int | None = None
    modality: str = ""
    description: str = ""
    images: int = 0


@dataclass(frozen=True, slots=True)
class ImageThere:
    """An object a PACS has; *sop_class_uid* "" if it does not say."""

    sop_instance_uid: str
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One scheduled procedure step of a worklist elsewhere: texts by keyword, "" where it says nothing."""

    values: Mapping[str, str]

    def __getitem__(self, keyword: str) -> str:
        return self.values.get(keyword, "")


@dataclass(frozen=True, slots=True)
class EntriesWanted:
    """Which entries; dates YYYYMMDD, "" for open ends and for any."""

    date_from: str = ""
    date_to: str = ""
    modality: str = ""
    station: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """What a worklist says; *more*: there are others that were not fetched."""

    rows: tuple[Entry, ...]
    more: bool = False


class Pacs:
    """One peer, asked over an association a question; *stopped* gives a question up."""

    def __init__(
        self, peer: Peer, stopped: Callable[[], bool] = never, patience: Patience = PATIENCE
    ) -> None:
        self.peer = peer
        self._stopped = stopped
        self._patience = patience

    def studies(self, wanted: Wanted, order: str = "-study_date", most: int = MOST) -> Matches:
        """Studies that match, by *order*: the name of a column, with "-" descending. Raises KnownError."""
        empty = dict.fromkeys(STUDY_KEYS, "")
        matches = Matches(())
        with self._asked(STUDY_ROOT_FIND) as line:
            for spelled in spellings(wanted):
                asked = [{**empty, **dict(keys)} for keys in questions(spelled)]
                answers = [
                    [_study(found) for found in line.ask("STUDY", keys, charset, most + 1)]
                    for keys in asked
                    for charset in charsets_for(keys)
                ]
                matches = gathered(answers, wanted, order, most)
                if matches.rows:
                    break
        return matches

    def series(self, study_uid: str) -> list[SeriesThere]:
        """The series of a study, by number. Raises KnownError."""
        keys = {"StudyInstanceUID": study_uid, **dict.fromkeys(SERIES_KEYS, "")}
        with self._asked(STUDY_ROOT_FIND) as line:
            found = [_series(each) for each in line.ask("SERIES", keys)]
        unique = {each.uid: each for each in found if each.uid}
        return sorted(unique.values(), key=lambda each: (each.number is None, each.number or 0, each.uid))

    def images(self, study_uid: str) -> dict[str, list[ImageThere]]:
        """Every object of a study, by series. Raises KnownError."""
        found: dict[str, list[ImageThere]] = {}
        with self._asked(STUDY_ROOT_FIND) as line:
            keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": ""}
            series = [each.text(0x0020000E) for each in line.ask("SERIES", keys)]
            for uid in dict.fromkeys(filter(None, series)):
                keys = {
                    "StudyInstanceUID": study_uid,
                    "SeriesInstanceUID": uid,
                    **dict.fromkeys(IMAGE_KEYS, ""),
                }
                there = (_image(each) for each in line.ask("IMAGE", keys))
                found[uid] = list(
                    {each.sop_instance_uid: each for each in there if each.sop_instance_uid}.values()
                )
        return found

    def worklist(self, wanted: EntriesWanted, most: int = MOST_ENTRIES) -> Entries:
        """The entries that match, by their start. Raises KnownError."""
        found: dict[tuple[str, ...], Entry] = {}
        more = False
        with self._asked(MODALITY_WORKLIST) as line:
            for spelled in spellings(Wanted(wanted.text)):
                for keys in _entry_questions(wanted, spelled):
                    for charset in charsets_for(keys):
                        answers = [_entry(each) for each in line.ask("", keys, charset, most + 1)]
                        more = more or len(answers) > most
                        found |= {tuple(each.values.values()): each for each in answers}
                if found:
                    break
        rows = sorted(found.values(), key=_start)
        return Entries(tuple(rows[:most]), more or len(rows) > most)

    def _asked(self, sop_class_uid: str) -> closing[_Line]:
        """Raises Unreachable, Violation; Unsupported if it does not take the service."""
        return closing(_Line(self.peer, sop_class_uid, self._patience, self._stopped))


class _Line:
    """An association for questions of one service."""

    def __init__(
        self, peer: Peer, sop_class_uid: str, patience: Patience, stopped: Callable[[], bool]
    ) -> None:
        self._association = associate(peer, [wish(sop_class_uid)], patience=patience)
        self._stopped = stopped
        self._context = _context(self._association)
        self._sound = True

    def ask(
        self, level: str, keys: Mapping[str, Any], charset: str = UTF_8, most: int | None = None
    ) -> Iterator[Identifier]:
        """The answers to one question, all or *most* at most. Raises KnownError."""
        self._sound = False
        yield from find(
            self._association, self._context, level, keys, charset=charset, most=most, stopped=self._stopped
        )
        self._sound = True

    def close(self) -> None:
        """Release it; abort it if a question did not come to its end."""
        if self._sound:
            self._association.release()
        self._association.close()


def _context(association: Association) -> Context:
    return next(iter(association.contexts.values()))


def charsets_for(keys: Mapping[str, Any]) -> Sequence[str]:
    """The character sets to ask in, one after the other: not every peer reads each of them."""
    if is_ascii(keys):
        return (UTF_8,)  # it is not named then
    try:
        str(keys).encode("latin-1")
    except UnicodeEncodeError:
        return (UTF_8,)
    return (LATIN, UTF_8)


def _study(found: Identifier) -> StudyRow:
    text = {keyword: found.text(tag).strip() for keyword, tag in STUDY_KEYS.items()}
    return StudyRow(
        namespace="",
        study_uid=text["StudyInstanceUID"],
        patient_name=text["PatientName"],
        patient_id=text["PatientID"],
        patient_birth_date=text["PatientBirthDate"],
        patient_sex=text["PatientSex"],
        study_date=text["StudyDate"],
        study_time=text["StudyTime"],
        study_description=text["StudyDescription"],
        accession_number=text["AccessionNumber"],
        modalities=tuple(each.strip() for each in text["ModalitiesInStudy"].split("\\") if each.strip()),
        series=number(text["NumberOfStudyRelatedSeries"]) or 0,
        images=number(text["NumberOfStudyRelatedInstances"]) or 0,
    )


def _series(found: Identifier) -> SeriesThere:
    text = {keyword: found.text(tag).strip() for keyword, tag in SERIES_KEYS.items()}
    return SeriesThere(
        text["SeriesInstanceUID"],
        number(text["SeriesNumber"]),
        text["Modality"],
        text["SeriesDescription"],
        number(text["NumberOfSeriesRelatedInstances"]) or 0,
    )


def _image(found: Identifier) -> ImageThere:
    return ImageThere(
        found.text(IMAGE_KEYS["SOPInstanceUID"]).strip(), found.text(IMAGE_KEYS["SOPClassUID"]).strip()
    )


def _entry(found: Identifier) -> Entry:
    outer = {keyword: found.text(tag).strip() for keyword, tag in ENTRY_KEYS.items()}
    step = {keyword: found.texts.get((STEPS_TAG, tag), "").strip() for keyword, tag in STEP_KEYS.items()}
    return Entry({**outer, **step})


def _entry_questions(wanted: EntriesWanted, spelled: Wanted) -> Iterator[dict[str, Any]]:
    dates = f"{wanted.date_from}-{wanted.date_to}" if wanted.date_from or wanted.date_to else ""
    if wanted.date_from and wanted.date_from == wanted.date_to:
        dates = wanted.date_from
    step = dict.fromkeys(STEP_KEYS, "") | {
        "ScheduledProcedureStepStartDate": dates,
        "Modality": wanted.modality,
        "ScheduledStationAETitle": wanted.station,
    }
    outer: dict[str, Any] = {**dict.fromkeys(ENTRY_KEYS, ""), STEPS: [step]}
    for keys in questions(spelled):
        yield {**outer, **dict(keys)}


def _start(entry: Entry) -> tuple[str, str, str]:
    return (
        entry["ScheduledProcedureStepStartDate"],
        entry["ScheduledProcedureStepStartTime"],
        entry["PatientName"],
    )


def number(text: str) -> int | None:
    """A whole number (IS), None if it is none."""
    try:
        return int(text.strip())
    except ValueError:
        return None
