"""A study filed under a worklist entry: what the entry says of patient and order, laid over its images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Connection, select

from core.archive.overlays import Laying, Overlays, layers
from core.archive.studies import study_row
from core.errors import NotFound

TAGS = {
    "AccessionNumber": "(0008,0050)",
    "ReferringPhysicianName": "(0008,0090)",
    "PatientName": "(0010,0010)",
    "PatientID": "(0010,0020)",
    "PatientBirthDate": "(0010,0030)",
    "PatientSex": "(0010,0040)",
}
"""Values an entry gives; where it says nothing, the images keep their word."""
ISSUER = "(0010,0021)"
"""Issuer of Patient ID: whoever gave the ID of the images did not give that of the entry."""


class EntryLike(Protocol):
    """An entry of the worklist."""

    @property
    def namespace(self) -> str: ...
    @property
    def said(self) -> Mapping[str, str]: ...


class Filing:
    """Layers of overlays in the storage namespace, so that every reader sees them who asks for none."""

    def __init__(self, overlays: Overlays) -> None:
        self._overlays = overlays

    def lay(
        self, connection: Connection, item: EntryLike, study_uid: str, before: str, actor: str
    ) -> tuple[str, bool]:
        """The layer's GUID, and whether it is new; one laid *before* that is there still stays.

        Raises NotFound("study"), BadInput.
        """
        namespace = item.namespace
        if before and self.there(connection, item, study_uid, before):
            return before, False
        tags = {tag: item.said[name] for name, tag in TAGS.items() if item.said.get(name)}
        tags[ISSUER] = ""
        what = Laying(namespace, study_uid, namespace, tags, actor, action="worklist entry associated")
        return self._overlays.lay_on(connection, what).guid, True

    def lift(self, connection: Connection, item: EntryLike, study_uid: str, layer: str, actor: str) -> None:
        """Take the layer away; where it or the study is gone already there is nothing to do."""
        if self.there(connection, item, study_uid, layer):
            what = Laying(item.namespace, study_uid, item.namespace, {}, actor)
            self._overlays.lift_on(connection, what, layer)

    def there(self, connection: Connection, item: EntryLike, study_uid: str, layer: str) -> bool:
        """Whether this layer lies over the study."""
        try:
            study = study_row(connection, item.namespace, study_uid)
        except NotFound:
            return False
        query = select(layers.c.id).where(layers.c.study_id == study.id, layers.c.guid == layer)
        return connection.execute(query).first() is not None
