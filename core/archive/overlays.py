"""PHI overlays: layers of values over a study, one on the other in the order they came; any can be lifted."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.archive import studies as reading
from core.archive.homes import file_again
from core.archive.phi import overlaid
from core.archive.schema import overlays, studies
from core.archive.store import check_namespace
from core.audit.log import AuditLog, Event
from core.db.database import Database, Part
from core.dicom.editable import checked, tag_of
from core.dicom.elements import tag_text
from core.documents.tables import documents
from core.errors import BadInput, NotFound

_tables = MetaData()
layers = Table(
    "overlay_layers",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("guid", String, nullable=False, unique=True),
    Column("study_id", Integer, ForeignKey(studies.c.id, ondelete="CASCADE"), nullable=False),
    Column("phi_namespace", String, nullable=False),
    Column("tags", String, nullable=False),  # JSON: what it sets
    Column("originals", String, nullable=False),  # JSON: what the study said before; null where nothing
    Column("actor", String, nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970, UTC
    sqlite_autoincrement=True,
)
Index("layers_of_study", layers.c.study_id, layers.c.phi_namespace)

order_links = Table(
    "order_links",
    _tables,
    Column("layer_id", Integer, ForeignKey(layers.c.id, ondelete="CASCADE"), primary_key=True),
    Column("order_guid", String, primary_key=True),
)
Index("links_of_order", order_links.c.order_guid)

OVERLAYS = Part("overlays", _tables, version=1)
ORDERS = "orders"
"""The table of documents that holds the orders."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Values one change laid over a study, and what the study said before (None where it said nothing)."""

    guid: str
    phi_namespace: str
    tags: Mapping[str, str]
    originals: Mapping[str, str | None]
    actor: str
    created: float


@dataclass(frozen=True, slots=True)
class Laying:
    """What is to be laid over which study by whom; *silent* asks that nobody be notified."""

    namespace: str
    study_uid: str
    phi_namespace: str
    tags: Mapping[str, str]
    actor: str
    silent: bool = False
    action: str = "phi overlaid"


class Overlays:
    """The overlays of one archive's studies; stored bytes never change."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def of(self, namespace: str, study_uid: str, phi_namespace: str | None) -> Mapping[str, str]:
        """What a read with *phi_namespace* sees laid over the images. Raises NotFound."""
        with self._database.read() as connection:
            study = reading.study_row(connection, namespace, study_uid)
            return reading.overlay_of(connection, study, phi_namespace)

    def layers(self, namespace: str, study_uid: str, phi_namespace: str) -> Sequence[Layer]:
        """The layers of one overlay, the lowest first. Raises NotFound."""
        with self._database.read() as connection:
            study = reading.study_row(connection, namespace, study_uid)
            return [_layer(row) for row in _rows(connection, study.id, phi_namespace)]

    def lay(self, what: Laying) -> Future[Layer]:
        """Lay values over a study; tags as in `core.dicom.editable`. Raises NotFound, BadInput."""
        return self._database.write(lambda connection: self.lay_on(connection, what))

    def lay_on(self, connection: Connection, what: Laying) -> Layer:
        """The same in the writer's transaction."""
        study = reading.study_row(connection, what.namespace, what.study_uid)
        check_namespace(what.phi_namespace)
        tags = checked_tags(what.tags)
        shown = overlaid(
            reading.average_of(connection, study),
            reading.overlay_of(connection, study, what.phi_namespace),
        )
        new = Layer(
            str(uuid.uuid4()),
            what.phi_namespace,
            tags,
            {tag: shown.get(tag) for tag in tags},
            what.actor,
            time.time(),
        )
        connection.execute(
            insert(layers).values(
                guid=new.guid,
                study_id=study.id,
                phi_namespace=new.phi_namespace,
                tags=_json(new.tags),
                originals=_json(new.originals),
                actor=new.actor,
                created=new.created,
            )
        )
        _join(connection, study.id, what.phi_namespace)
        self._record(connection, what, new)
        return new

    def lift(
        self,
        namespace: str,
        study_uid: str,
        phi_namespace: str,
        guid: str,
        *,
        actor: str,
        silent: bool = False,
    ) -> Future[Layer]:
        """Take one layer away: the overlay is what the others make. Raises NotFound("association")."""

        what = Laying(namespace, study_uid, phi_namespace, {}, actor, silent)
        return self._database.write(lambda connection: self.lift_on(connection, what, guid))

    def lift_on(self, connection: Connection, what: Laying, guid: str) -> Layer:
        """The same in the writer's transaction; the tags of *what* say nothing."""
        study = reading.study_row(connection, what.namespace, what.study_uid)
        row = connection.execute(
            select(layers).where(
                layers.c.study_id == study.id,
                layers.c.phi_namespace == what.phi_namespace,
                layers.c.guid == guid,
            )
        ).first()
        if row is None:
            raise NotFound("association", "There is no such association of this study.")
        connection.execute(delete(layers).where(layers.c.id == row.id))
        _join(connection, study.id, what.phi_namespace)
        gone = _layer(row)
        self._record(connection, replace(what, tags=gone.tags, action="phi restored"), gone)
        return gone

    def _record(self, connection: Connection, what: Laying, layer: Layer) -> None:
        detail = {"phi_namespace": layer.phi_namespace, "layer": layer.guid, "tags": sorted(layer.tags)}
        self._audit.record(
            connection,
            Event.PATIENT_RECORD,
            what.action,
            actor=what.actor,
            namespace=what.namespace,
            study_uid=what.study_uid,
            detail=detail | ({"silent": True} if what.silent else {}),
        )


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """*tags* in their one spelling with values they can have. Raises BadInput."""
    if not tags:
        raise BadInput("There is nothing to set.", "Name at least one value.")
    found = {tag_text(tag_of(name)): value for name, value in tags.items()}
    return {name: checked(tag_of(name), value) for name, value in sorted(found.items())}


def move_layers(connection: Connection, old: int, new: int) -> None:
    """After a study was merged into another: its layers go where its overlays went."""
    stayed = select(overlays.c.phi_namespace).where(overlays.c.study_id == old)
    connection.execute(
        update(layers)
        .where(layers.c.study_id == old, layers.c.phi_namespace.not_in(stayed))
        .values(study_id=new)
    )


def forget_orders(connection: Connection, study_id: int) -> None:
    """Before a study is removed for good: remove the orders that are associated with no other one."""
    mine = select(order_links.c.order_guid).join(layers).where(layers.c.study_id == study_id)
    other = select(order_links.c.order_guid).join(layers).where(layers.c.study_id != study_id)
    guids = connection.execute(mine.where(order_links.c.order_guid.not_in(other))).scalars().all()
    if guids:
        guid = documents.c.body.op("->>")("guid")
        connection.execute(delete(documents).where(documents.c.table_name == ORDERS, guid.in_(guids)))


def orders_out_of_sight(connection: Connection, namespace: str) -> set[str]:
    """Orders every study of which is in the trash."""
    query = (
        select(order_links.c.order_guid)
        .join(layers, layers.c.id == order_links.c.layer_id)
        .join(studies, studies.c.id == layers.c.study_id)
        .where(layers.c.phi_namespace == namespace)
        .group_by(order_links.c.order_guid)
        .having(func.count().filter(studies.c.trash_id.is_(None)) == 0)
    )
    return set(connection.execute(query).scalars())


def link_orders(connection: Connection, layer: Layer, guids: Sequence[str]) -> None:
    """Remember which orders *layer* came from."""
    layer_id = connection.execute(select(layers.c.id).where(layers.c.guid == layer.guid)).scalar_one()
    if guids:
        connection.execute(insert(order_links), [{"layer_id": layer_id, "order_guid": g} for g in guids])


def _join(connection: Connection, study_id: int, phi_namespace: str) -> None:
    """Write what the layers make together, which is what is read."""
    rows = _rows(connection, study_id, phi_namespace)
    mine = (overlays.c.study_id == study_id) & (overlays.c.phi_namespace == phi_namespace)
    if not rows:
        connection.execute(delete(overlays).where(mine))
        file_again(connection, study_id)
        return
    tags: dict[str, str] = {}
    for row in rows:
        tags |= json.loads(row.tags)
    values = {"study_id": study_id, "phi_namespace": phi_namespace, "tags": _json(dict(sorted(tags.items())))}
    statement = sqlite_insert(overlays).values(values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["study_id", "phi_namespace"], set_={"tags": values["tags"]}
        )
    )
    file_again(connection, study_id)


def _rows(connection: Connection, study_id: int, phi_namespace: str) -> Sequence[Row[tuple[object, ...]]]:
    query = select(layers).where(layers.c.study_id == study_id, layers.c.phi_namespace == phi_namespace)
    return connection.execute(query.order_by(layers.c.id)).all()


def _layer(row: Row[tuple[object, ...]]) -> Layer:
    tags, originals = json.loads(row.tags), json.loads(row.originals)
    return Layer(row.guid, row.phi_namespace, tags, originals, row.actor, row.created)


def _json(value: Mapping[str, str | None] | Mapping[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
