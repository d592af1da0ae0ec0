"""Made-up studies and a made-up archive for the tests of viewer, panel and Archive page."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

from core.dicom.refs import FileRef, Found, Header
from core.errors import NotFound, Unreachable
from core.imaging.render import thumbnail
from core.imaging.stack import Stack
from core.media.samples import (
    SampleStudy,
    colour_photo,
    ct_slice,
    encapsulated_pdf,
    part10,
    pdf_report,
    ultrasound_cine,
)
from core.net.records import (
    AttachmentAnswer,
    AttachmentRow,
    Element,
    ImageRow,
    Page,
    SeriesRow,
    StudyDetail,
    StudyRow,
    TrashEntry,
)
from core.settings import Settings
from ui.models.study_view import PatientText, SeriesView, StudyView
from ui.services import ArchiveState, Services
from ui.state import WindowState
from ui.tasks import Tasks


def header_of(ds: Any) -> Header:
    """The header a scan would find in a made-up dataset."""
    return Header(
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        study_instance_uid=str(ds.StudyInstanceUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
        patient_name=str(ds.PatientName),
        patient_id=str(ds.PatientID),
        patient_birth_date=str(ds.PatientBirthDate),
        patient_sex=str(ds.PatientSex),
        study_date=str(ds.StudyDate),
        study_time=str(ds.StudyTime),
        study_description=str(ds.StudyDescription),
        accession_number=str(ds.AccessionNumber),
        institution_name=str(ds.InstitutionName),
        modality=str(ds.Modality),
        series_number=int(ds.SeriesNumber),
        series_description=str(ds.SeriesDescription),
        instance_number=int(ds.InstanceNumber),
        number_of_frames=int(ds.get("NumberOfFrames", 1)),
    )


class MemorySource:
    """A source in memory; *gate* holds every reading until it is set, *opened* counts what is still open."""

    name = "Memory"

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.files: dict[FileRef, bytes] = {}
        self.found: list[Found] = []
        self.gate = threading.Event()
        self.gate.set()
        for number, ds in enumerate(datasets):
            data = part10(ds)
            ref = FileRef(f"{number:04}.dcm")
            self.files[ref] = data
            self.found.append(Found(ref, header_of(ds), len(data)))

    def headers(self) -> Iterator[Found]:
        """Every file."""
        return iter(self.found)

    def open(self, ref: FileRef) -> BinaryIO:
        """The bytes, once the gate is open."""
        self.gate.wait(20)
        return io.BytesIO(self.files[ref])

    def series(self) -> dict[str, list[Found]]:
        """Files by series."""
        grouped: dict[str, list[Found]] = {}
        for found in self.found:
            grouped.setdefault(found.header.series_instance_uid, []).append(found)
        return grouped

    def stack(self, series_uid: str) -> Stack:
        """The stack of one series."""
        return Stack(self, self.series()[series_uid])


def view_of(source: MemorySource) -> StudyView:
    """A `StudyView` over a source in memory."""
    series = []
    for uid, files in source.series().items():
        first, middle = files[0].header, files[len(files) // 2]
        data = source.files[middle.ref]
        series.append(
            SeriesView(
                uid,
                first.series_number,
                first.modality,
                first.series_description,
                len(files),
                lambda data=data: thumbnail(data, 0, 256),
                first.sop_class_uid.endswith("104.1"),
            )
        )
    header = source.found[0].header
    return StudyView(
        uid=header.study_instance_uid,
        patient=PatientText(
            header.patient_name, header.patient_id, header.patient_birth_date, header.patient_sex
        ),
        date=header.study_date,
        description=header.study_description,
        accession_number=header.accession_number,
        institution=header.institution_name,
        series=series,
        stack=source.stack,
    )


def mixed_study(study: SampleStudy, *, slices: int = 12, size: int = 64) -> MemorySource:
    """CT slices, an ultrasound loop, a colour photo and a PDF."""
    datasets = [ct_slice(study, instance=n, size=size) for n in range(1, slices + 1)]
    datasets += [ultrasound_cine(study), colour_photo(study), encapsulated_pdf(study, pdf_report(["Report"]))]
    return MemorySource(datasets)


def row(number: int, **changes: Any) -> StudyRow:
    """A made-up line of the archive's list."""
    made = StudyRow(
        namespace="default",
        study_uid=f"1.2.{number}",
        patient_name=f"Müller{number:03}^Anna",
        patient_id=f"ID{number:03}",
        patient_birth_date="19500301",
        patient_sex="F",
        study_date=f"2024{number % 12 + 1:02}11",
        study_description="CT Abdomen",
        accession_number=f"A{number}",
        modalities=("CT",) if number % 2 else ("MR",),
        series=1,
        images=12 + number,
        bytes=20_000_000,
        received=f"2024-05-0{number % 9 + 1}T10:15:00+00:00",
        state="settled",
    )
    return replace(made, **changes)


@dataclass
class FakeClient:
    """An archive in memory that answers like `V3Client`; *down* makes it unreachable."""

    rows: list[StudyRow] = field(default_factory=list)
    attachments: dict[str, list[tuple[AttachmentRow, bytes]]] = field(default_factory=dict)
    trashed: list[StudyRow] = field(default_factory=list)
    down: bool = False
    calls: list[str] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    source: MemorySource | None = None
    session: Any = None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.threads.add(threading.current_thread().name)
        if self.down:
            raise Unreachable("The archive does not answer.", "Start it in Settings.")

    def search(
        self,
        text: str = "",
        *,
        date_from: str = "",
        date_to: str = "",
        modalities: Sequence[str] = (),
        limit: int = 50,
        offset: int = 0,
        order: str = "-received",
    ) -> Page[StudyRow]:
        """Filter, sort, cut."""
        self._called(
            f"search {text} {date_from}-{date_to} {','.join(modalities)} {offset}+{limit} {order}".strip()
        )
        found = [r for r in self.rows if self._fits(r, text, date_from, date_to, modalities)]
        found.sort(key=lambda r: str(getattr(r, order.lstrip("-"))), reverse=order.startswith("-"))
        return Page(tuple(found[offset : offset + limit]), len(found))

    def _fits(self, r: StudyRow, text: str, first: str, last: str, modalities: Sequence[str]) -> bool:
        words = f"{r.patient_name} {r.patient_id} {r.accession_number}".casefold()
        dated = (not first or r.study_date >= first) and (not last or r.study_date <= last)
        kind = not modalities or bool(set(modalities) & set(r.modalities))
        return text.casefold() in words and dated and kind

    def study_detail(self, namespace: str, study_uid: str) -> StudyDetail:
        """One series with two images, or that of the source."""
        self._called(f"detail {study_uid}")
        found = next((r for r in self.rows if r.study_uid == study_uid), None)
        if found is None:
            raise NotFound("study")
        attachments = tuple(a for a, _ in self.attachments.get(study_uid, []))
        return StudyDetail(replace(found, attachments=len(attachments)), self._series(study_uid), attachments)

    def _series(self, study_uid: str) -> tuple[SeriesRow, ...]:
        if self.source is None:
            images = tuple(ImageRow(f"{study_uid}.1.{n}", "v", n) for n in (1, 2))
            return (SeriesRow(f"{study_uid}.1", 1, "CT", "axial", images),)
        made = []
        for uid, files in self.source.series().items():
            h = files[0].header
            images = tuple(
                ImageRow(f.header.sop_instance_uid, "v", f.header.instance_number, f.header.number_of_frames)
                for f in files
            )
            made.append(SeriesRow(uid, h.series_number, h.modality, h.series_description, images))
        return tuple(made)

    def details(self, namespace: str, study_uid: str) -> tuple[Element, ...]:
        """Two elements."""
        self._called("details")
        return (
            Element("Patient's Name", "(0010,0010)", "Müller^Anna"),
            Element("Patient ID", "(0010,0020)", "7"),
        )

    def _data(self, image_uid: str) -> bytes:
        if self.source is None:
            raise NotFound("image")
        found = next(f for f in self.source.found if f.header.sop_instance_uid == image_uid)
        return self.source.files[found.ref]

    def thumbnail(self, namespace: str, study: str, image: str, version: str = "*", frame: int = 0) -> bytes:
        """A real thumbnail, if there is a source."""
        self._called("thumbnail")
        return thumbnail(self._data(image), frame, 256)

    @contextmanager
    def payload(
        self, namespace: str, study: str, image: str, version: str = "*"
    ) -> Iterator[Iterator[bytes]]:
        """The file."""
        self._called("payload")
        yield iter([self._data(image)])

    def attach(
        self,
        _namespace: str,
        study_uid: str,
        data: BinaryIO,
        *,
        name: str,
        content_type: str,
        uploaded_by: str,
    ) -> AttachmentAnswer:
        """Keep it."""
        self._called(f"attach {name}")
        body = data.read()
        made = AttachmentRow(
            f"g{len(body)}", "v", name, content_type, len(body), uploaded_by, "2024-05-01T10:00:00"
        )
        self.attachments.setdefault(study_uid, []).append((made, body))
        at = next(n for n, r in enumerate(self.rows) if r.study_uid == study_uid)
        self.rows[at] = replace(self.rows[at], attachments=self.rows[at].attachments + 1)
        return AttachmentAnswer(made.id)

    @contextmanager
    def attachment(self, _ns: str, study: str, guid: str, _version: str) -> Iterator[Iterator[bytes]]:
        """Its bytes."""
        self._called(f"attachment {guid}")
        yield iter([next(body for a, body in self.attachments[study] if a.id == guid)])

    def delete_study(self, namespace: str, study_uid: str) -> None:
        """To the trash."""
        self._called(f"delete {study_uid}")
        gone = next(r for r in self.rows if r.study_uid == study_uid)
        self.rows.remove(gone)
        self.trashed.append(gone)

    def trash(self) -> tuple[TrashEntry, ...]:
        """What was deleted."""
        self._called("trash")
        return tuple(
            TrashEntry(
                r.study_uid,
                r.namespace,
                r.study_uid,
                r.patient_name,
                r.patient_id,
                r.patient_birth_date,
                r.patient_sex,
                r.study_date,
                r.study_description,
                r.images,
                "2024-05-01T10:00:00+00:00",
                "desk",
                "2024-05-08T10:00:00+00:00",
            )
            for r in self.trashed
        )

    def purge(self, entry_id: str) -> None:
        """Gone."""
        self._called(f"purge {entry_id}")
        self.trashed = [r for r in self.trashed if r.study_uid != entry_id]

    def restore(self, entry_id: str) -> None:
        """Back again."""
        self._called(f"restore {entry_id}")
        back = next(r for r in self.trashed if r.study_uid == entry_id)
        self.trashed.remove(back)
        self.rows.append(back)


def services_of(client: FakeClient, tasks: Tasks, state: WindowState | None = None) -> Services:
    """The part of the services that the Archive page uses."""
    archive = SimpleNamespace(state=ArchiveState.RUNNING, where="", client=lambda: client)
    settings = SimpleNamespace(now=Settings())
    return cast("Services", SimpleNamespace(tasks=tasks, archive=archive, state=state, settings=settings))


Check = Callable[[], bool]
