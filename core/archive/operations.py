"""What can be done to a study as a whole: split, merge, clone, anonymize, crop; each makes new objects.

Stored objects stay as they are. An operation is one transaction: all it makes is there at once, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, update

from core.archive import remove
from core.archive.archive import Archive
from core.archive.derive import Maker, Publishing, Source, phi_of
from core.archive.nouns import CURRENT, By, SeriesRow, StoredImage
from core.archive.removals import Removals
from core.archive.schema import attachments, studies
from core.archive.studies import study_row
from core.dicom import editing
from core.dicom.deidentify import Deidentifier
from core.dicom.editing import NewUids, fresh_uid
from core.dicom.regions import Change, Regions
from core.dicom.report import become_report, read_report
from core.dicom.structures import Reference, Senseless, become_structures, referenced
from core.errors import BadInput, Conflict, NoImages, NotFound, StorageFault, TooLarge

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

OF_THE_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
)
"""What merged objects take over from the study they come into (PS3.3 C.7.1, C.7.2)."""
LARGEST_MESSAGE = 16 << 20


class Invalid(BadInput):
    """What was asked for cannot be done to this study; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which study an operation is asked for, by whom, where the new one goes; "" is the same or a new one."""

    namespace: str
    study_uid: str
    actor: str
    to_namespace: str = ""
    new_study_uid: str = ""
    phi_namespace: str = ""
    silent: bool = False

    @property
    def by(self) -> By:
        """Who asks."""
        return By(self.actor, self.silent)

    @property
    def to(self) -> str:
        """The namespace of the new study."""
        return self.to_namespace or self.namespace


@dataclass(frozen=True, slots=True)
class _Uids:
    """Old and new UIDs of one operation."""

    study: tuple[str, str]
    instances: dict[str, str]
    series: dict[str, str]

    def edit(self, ds: FileDataset) -> None:
        """Give an object its new UIDs, record the old ones, follow them in references."""
        new = {
            "StudyInstanceUID": self.study[1],
            "SeriesInstanceUID": self.series[str(ds.SeriesInstanceUID)],
            "SOPInstanceUID": self.instances[str(ds.SOPInstanceUID)],
        }
        before = editing.set_values(ds, new)
        editing.replace_uids(ds, {**self.series, **self.instances}, study=self.study)
        editing.record_originals(ds, before)
        editing.record_equipment(ds, editing.MODIFYING, "Copied under other UIDs")


class Operations:
    """Each returns the UID of the study it made, and blocks until that is durable. Raise KnownError.

    NotFound for a namespace, study or series; Conflict where a UID is taken; Invalid.
    """

    def __init__(self, archive: Archive, maker: Maker, removals: Removals) -> None:
        self._archive = archive
        self._maker = maker
        self._removals = removals

    def split(self, target: Target, series_uids: Collection[str], *, delete: bool) -> str:
        """Some series, or all, as a new study; *delete* moves them out of the old one into the trash."""
        chosen = self._series(target.namespace, target.study_uid, series_uids)
        uids = self._uids(target, chosen, NewUids(), NewUids())
        old = list(uids.instances)

        def also(connection: Connection) -> None:
            if delete:
                self._removals.take(connection, target.namespace, target.study_uid, old, target.by)

        return self._copy(target, chosen, uids, "split", also)

    def clone(self, target: Target, *, new_image_uids: bool, new_series_uids: bool) -> str:
        """The study once more, in the same namespace, which needs new SOP Instance UIDs."""
        if not new_image_uids:
            raise Invalid("Two studies of a namespace cannot share images: a clone needs new image UIDs.")
        chosen = self._series(target.namespace, target.study_uid, ())
        kept = {one.series_uid: one.series_uid for one in chosen}
        uids = self._uids(target, chosen, NewUids(), NewUids())
        return self._copy(target, chosen, uids if new_series_uids else replace(uids, series=kept), "cloned")

    def merge(
        self, target: Target, secondary: Sequence[str], series_uids: Collection[str], *, delete: bool
    ) -> str:
        """The series of other studies into this one, with its patient; *delete* moves those into the trash.

        What was attached to a study that is deleted goes over to this one.
        """
        others = dict.fromkeys(secondary)
        if not others or target.study_uid in others:
            raise Invalid("A study can be merged with other studies only.")
        speaker = self._maker.load(self._speaker(target))
        chosen = {uid: self._archive.schema(target.namespace, uid).series for uid in others}
        if series_uids:
            chosen = {
                uid: tuple(one for one in found if one.series_uid in series_uids)
                for uid, found in chosen.items()
            }
            _all_there(series_uids, {one.series_uid for found in chosen.values() for one in found})
        sources = [
            source for uid, found in chosen.items() for source in self._merging(target, uid, found, speaker)
        ]

        def also(connection: Connection) -> None:
            primary = study_row(connection, target.namespace, target.study_uid)
            for uid in others if delete else ():
                self._take_over(connection, primary.id, target.namespace, uid)
                self._removals.take_study(connection, target.namespace, uid, target.by)

        publishing = Publishing(
            "merged", target.by, target.namespace, target.study_uid, {"from": list(others)}, also
        )
        self._maker.make(sources, publishing, {})
        return target.study_uid

    def anonymize(
        self,
        target: Target,
        regions: Regions,
        *,
        colour: tuple[int, int, int] | None,
        keep_image_uids: bool,
    ) -> str:
        """A de-identified copy (PS3.15 Annex E), with regions of its pixels covered."""
        chosen = self._series(target.namespace, target.study_uid, ())
        self._check(target, chosen, regions, keep_image_uids=keep_image_uids)
        renew = NewUids()
        study_uid = target.new_study_uid or renew(target.study_uid)

        def renewed(old: str) -> str:
            return study_uid if old == target.study_uid else renew(old)

        patient_id = "ANON" + renew("patient").rsplit(".", 1)[-1][:12]
        cleaner = Deidentifier(renewed, patient_id, keep_instance_uids=keep_image_uids)

        def edit(ds: FileDataset) -> None:
            cleaner.apply(ds)
            editing.record_equipment(ds, editing.DEIDENTIFYING, "De-identified")

        def sources() -> Iterator[Source]:
            for image in self._images(target.namespace, target.study_uid, chosen):
                boxes = regions.of(image.series_uid, image.sop_instance_uid) if image.rows else ()
                yield Source(image, edit, Change(covered=boxes, colour=colour) if boxes else None)

        self._maker.make(sources(), self._publishing("anonymized", target, study_uid), self._phi(target))
        return study_uid

    def crop(self, target: Target, regions: Regions, *, keep_image_uids: bool) -> str:
        """A copy whose pictures are cut to a region; those without one are copied whole."""
        chosen = self._series(target.namespace, target.study_uid, ())
        if regions.empty:
            raise Invalid("There is no region to crop to.")
        self._check(target, chosen, regions, keep_image_uids=keep_image_uids)
        uids = self._uids(target, chosen, _same if keep_image_uids else NewUids(), NewUids())

        def cut(ds: FileDataset) -> None:
            uids.edit(ds)
            ds.DerivationDescription = "Cropped"

        def sources() -> Iterator[Source]:
            for image in self._images(target.namespace, target.study_uid, chosen):
                boxes = regions.of(image.series_uid, image.sop_instance_uid) if image.rows else ()
                yield Source(image, cut if boxes else uids.edit, Change(cut=boxes[0]) if boxes else None)

        self._maker.make(sources(), self._publishing("cropped", target, uids.study[1]), self._phi(target))
        return uids.study[1]

    def report(self, target: Target, guid: str) -> str:
        """The HL7 message attached as *guid* as a structured report of the study."""
        attached = self._archive.attachment(target.namespace, target.study_uid, guid, CURRENT)
        if attached.attachment.bytes > LARGEST_MESSAGE:
            raise TooLarge(f"The HL7 message is larger than {LARGEST_MESSAGE} bytes.")
        try:
            with attached.open() as file:
                paragraphs = read_report(file.read())
        except OSError as error:
            raise StorageFault(
                "An attachment cannot be read from the disk.", "Run filmjacket check."
            ) from error
        speaker = self._speaker(target)
        publishing = self._publishing("report made", target, target.study_uid)
        source = Source(speaker, lambda ds: become_report(ds, paragraphs))
        self._maker.make([source], publishing, self._phi(target))
        return target.study_uid

    def structures(self, target: Target, said: Dataset) -> str:
        """A structure set of radiotherapy that refers to images of the study; its SOP Instance UID."""
        series = self._series(target.namespace, target.study_uid, ())
        known = {
            image.sop_instance_uid: Reference(image.sop_class_uid, one.series_uid)
            for one in series
            for image in one.images
        }
        wanted = referenced(said)
        if not set(wanted) <= set(known):
            raise Senseless("A contour refers to an image that the study does not have.")
        uid = str(said.get("SOPInstanceUID") or fresh_uid())
        if uid in known:
            raise Conflict("The study has an object with this SOP Instance UID already.")
        said.SOPInstanceUID = uid
        speaker = self._speaker(target)
        if wanted:
            speaker = self._archive.image(target.namespace, target.study_uid, wanted[0])
        images = {each: known[each] for each in wanted}
        source = Source(speaker, lambda ds: become_structures(ds, said, images))
        publishing = self._publishing("structures made", target, target.study_uid)
        self._maker.make([source], publishing, self._phi(target))
        return uid

    def _copy(
        self,
        target: Target,
        chosen: Sequence[SeriesRow],
        uids: _Uids,
        action: str,
        also: Callable[[Connection], None] | None = None,
    ) -> str:
        sources = (
            Source(image, uids.edit) for image in self._images(target.namespace, target.study_uid, chosen)
        )
        publishing = self._publishing(action, target, uids.study[1])
        if also is not None:
            publishing = replace(publishing, also=also)
        self._maker.make(sources, publishing, self._phi(target))
        return uids.study[1]

    def _merging(
        self, target: Target, secondary: str, chosen: Sequence[SeriesRow], speaker: FileDataset
    ) -> Iterator[Source]:
        renew = NewUids()
        uids = self._uids(
            replace(target, study_uid=secondary, new_study_uid=target.study_uid), chosen, renew, renew
        )
        values = {keyword: speaker.get(keyword) for keyword in OF_THE_STUDY}

        def edit(ds: FileDataset) -> None:
            editing.match_charset(ds, speaker, values)
            editing.record_originals(ds, editing.set_values(ds, values), "CORRECT")
            uids.edit(ds)

        for image in self._images(target.namespace, secondary, chosen):
            yield Source(image, edit)

    def _take_over(self, connection: Connection, primary_id: int, namespace: str, uid: str) -> None:
        other = study_row(connection, namespace, uid)
        connection.execute(
            update(attachments).where(attachments.c.study_id == other.id).values(study_id=primary_id)
        )
        connection.execute(
            update(studies).where(studies.c.id == primary_id).values(revision=studies.c.revision + 1)
        )
        for study_id in (primary_id, other.id):
            remove.recount(connection, study_id)

    def _speaker(self, target: Target) -> StoredImage:
        """The image that speaks for the study. Raises NoImages."""
        try:
            return self._archive.representative(target.namespace, target.study_uid)
        except NotFound as error:
            if error.kind != "image":
                raise
            raise NoImages("The study has no images.") from error

    def _series(self, namespace: str, study_uid: str, wanted: Collection[str]) -> tuple[SeriesRow, ...]:
        found = self._archive.schema(namespace, study_uid).series
        if wanted:
            _all_there(wanted, {one.series_uid for one in found})
            found = tuple(one for one in found if one.series_uid in wanted)
        if not found:
            raise NoImages("The study has no images.")
        return found

    def _images(self, namespace: str, study_uid: str, chosen: Sequence[SeriesRow]) -> Iterator[StoredImage]:
        for one in chosen:
            for image in one.images:
                yield self._archive.image(namespace, study_uid, image.sop_instance_uid, image.version)

    def _uids(
        self, target: Target, chosen: Sequence[SeriesRow], images: Callable[[str], str], series: NewUids
    ) -> _Uids:
        return _Uids(
            (target.study_uid, target.new_study_uid or fresh_uid()),
            {i.sop_instance_uid: images(i.sop_instance_uid) for one in chosen for i in one.images},
            {one.series_uid: series(one.series_uid) for one in chosen},
        )

    def _check(
        self, target: Target, chosen: Sequence[SeriesRow], regions: Regions, *, keep_image_uids: bool
    ) -> None:
        if keep_image_uids and target.to == target.namespace:
            raise Invalid("Image UIDs can be kept in another namespace only: here they are taken.")
        if target.new_study_uid and self._archive.held(target.to, target.new_study_uid):
            raise Conflict("The namespace has a study with the new Study Instance UID already.")
        series, instances = regions.named()
        if not series <= {one.series_uid for one in chosen}:
            raise Invalid("A region is given for a series that the study does not have.")
        if not instances <= {image.sop_instance_uid for one in chosen for image in one.images}:
            raise Invalid("A region is given for an image that the study does not have.")

    def _publishing(self, action: str, target: Target, study_uid: str) -> Publishing:
        origin: dict[str, object] = {"from_namespace": target.namespace, "from": target.study_uid}
        return Publishing(action, target.by, target.to, study_uid, origin)

    def _phi(self, target: Target) -> dict[int, str]:
        return phi_of(self._archive, target.namespace, target.study_uid, target.phi_namespace)


def _same(uid: str) -> str:
    return uid


def _all_there(wanted: Collection[str], found: Collection[str]) -> None:
    if not set(wanted) <= set(found):
        raise NotFound("series", "Series not found by following ids.")
