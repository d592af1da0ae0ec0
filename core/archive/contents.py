"""What a study holds, listed for reading object by object, and what its overlay says of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.archive import studies
from core.archive.archive import Archive
from core.errors import NotFound


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is of a study; superseded versions of images are not counted."""

    images: int
    attachments: int


def overlay(archive: Archive, namespace: str, study_uid: str, phi_namespace: str | None) -> Mapping[int, str]:
    """Values by tag that lie over every image of the study. Raises NotFound."""
    with archive.db.read() as connection:
        row = studies.study_row(connection, namespace, study_uid)
        found = studies.overlay_of(connection, row, phi_namespace)
    return {int(tag[1:5] + tag[6:10], 16): value for tag, value in found.items()}


def images_of(archive: Archive, namespace: str, study_uid: str, series_uid: str = "") -> list[str]:
    """SOP Instance UIDs of a study, or of one of its series, in order. Raises NotFound."""
    schema = archive.schema(namespace, study_uid)
    series = [one for one in schema.series if series_uid in ("", one.series_uid)]
    if series_uid and not series:
        raise NotFound("series", "Series not found by following ids.")
    return [image.sop_instance_uid for one in series for image in one.images]


def counts(archive: Archive, namespace: str, study_uid: str, *, on_disk: bool) -> Counts:
    """From the catalog's own sums, or by looking for each file. Raises NotFound."""
    if not on_disk:
        tags = archive.study_tags(namespace, study_uid)
        return Counts(tags.image_count, tags.attachment_count)
    images = [archive.image(namespace, study_uid, uid) for uid in images_of(archive, namespace, study_uid)]
    attached = [
        archive.attachment(namespace, study_uid, each.guid, each.version)
        for each in archive.schema(namespace, study_uid).attachments
    ]
    return Counts(sum(i.path.is_file() for i in images), sum(a.path.is_file() for a in attached))
