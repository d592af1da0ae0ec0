"""A namespace as one of its views shows it: the PHI overlays of the view lie over what the images say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from sqlalchemy import ColumnElement, Connection, Select, bindparam, select

from core.archive.schema import overlays, studies
from core.db.prepared import Prepared
from core.dicom.editable import tag_of
from core.dicom.json_model import Model, element_of
from core.dicom.recoding import dictionary_vr

LONG_TEXTS = frozenset({"LT", "ST", "UT", "UR"})
"""In which a backslash is a character (PS3.5 6.4)."""

_OF_STUDY = Prepared(
    select(overlays.c.phi_namespace, overlays.c.tags).where(overlays.c.study_id == bindparam("study_id"))
)


class Laid:
    """The overlays of a *view*: those of its own PHI namespace, else those of the storage namespace."""

    def __init__(self, connection: Connection, namespace: str, view: str | None) -> None:
        self._connection = connection
        self._names = () if view is None else (view, namespace)
        self._study: tuple[int, Mapping[int, str]] = (0, {})
        self.any = bool(self._names) and connection.execute(_some(namespace, self._names)).first() is not None

    def of(self, study_id: int) -> Mapping[int, str]:
        """What is laid over the images of a study, by tag."""
        if not self.any:
            return {}
        if self._study[0] != study_id:
            found = dict(_OF_STUDY(self._connection, {"study_id": study_id}).fetchall())
            tags = next((found[name] for name in self._names if name in found), "{}")
            self._study = study_id, {tag_of(tag): value for tag, value in json.loads(tags).items()}
        return self._study[1]

    def there(self) -> ColumnElement[bool]:
        """Whether a study has one."""
        mine = overlays.c.study_id == studies.c.id
        return select(overlays.c.study_id).where(mine, overlays.c.phi_namespace.in_(self._names)).exists()


def _some(namespace: str, names: Sequence[str]) -> Select[tuple[int]]:
    return (
        select(overlays.c.study_id)
        .join(studies, studies.c.id == overlays.c.study_id)
        .where(studies.c.namespace == namespace, overlays.c.phi_namespace.in_(names))
        .limit(1)
    )


def seen(model: Model, values: Mapping[int, str]) -> Model:
    """A *model* with the *values* laid over it, in tag order."""
    return dict(sorted({**model, **{f"{tag:08X}": laid(tag, text) for tag, text in values.items()}}.items()))


def laid(tag: int, text: str) -> Model:
    """An element that an overlay sets."""
    return element_of(_vr(tag), values_of(tag, text))


def values_of(tag: int, text: str) -> list[str]:
    """The values of an element that an overlay sets."""
    if not text:
        return []
    return [text] if _vr(tag) in LONG_TEXTS else text.split("\\")


@lru_cache(maxsize=512)
def _vr(tag: int) -> str:
    vr = dictionary_vr(tag).decode("ascii")
    return "LO" if vr == "UN" else vr  # as objects have it
