"""Removing parts of a study: images, all of them, one version of an attachment; into the trash as a whole is.

What goes is moved under a twin of the study's row that only the trash knows: restoring merges it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from core.archive import remove
from core.archive.nouns import CURRENT, By, TrashEntry
from core.archive.schema import attachments, instances, phi_sets, series, studies, trash, words
from core.archive.studies import study_row
from core.audit.log import AuditLog, Event
from core.db.database import Database
from core.db.writer import Work
from core.errors import NotFound

AT_A_TIME = 500
NOT_YET = -1
"""Stands for the trash entry of a twin while there is none yet."""


class Removals:
    """Each is one transaction with its audit row; the Futures resolve when durable, or raise NotFound.

    *changed* is called after each: what is left of the study is to settle anew.
    """

    def __init__(
        self, database: Database, audit: AuditLog, *, days: float, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._audit = audit
        self._days = days
        self._changed = changed

    def images(self, namespace: str, study_uid: str, sop_uids: Collection[str], by: By) -> Future[TrashEntry]:
        """Remove images with all their versions, or none of them if one is not there.

        With the last image goes the study, unless it has attachments.
        """
        return self._write(lambda connection: self.take(connection, namespace, study_uid, sop_uids, by))

    def take(
        self, connection: Connection, namespace: str, study_uid: str, sop_uids: Collection[str], by: By
    ) -> TrashEntry:
        """The same, as a part of a transaction."""
        study = study_row(connection, namespace, study_uid)
        rows = _rows_of(connection, study.id, sop_uids)
        if not study.attachments and not _others(connection, study.id, rows):
            return self._whole(connection, study, by)
        twin = _twin(connection, study)
        _move_images(connection, study, twin, rows)
        return self._done(connection, study, twin, by, "images deleted")

    def take_study(self, connection: Connection, namespace: str, study_uid: str, by: By) -> TrashEntry:
        """Remove a study as a whole, as a part of a transaction. Raises NotFound."""
        return self._whole(connection, study_row(connection, namespace, study_uid), by)

    def all_images(self, namespace: str, study_uid: str, by: By) -> Future[TrashEntry]:
        """Remove every image and keep the attachments; without any, the study goes."""

        def work(connection: Connection) -> TrashEntry:
            study = study_row(connection, namespace, study_uid)
            if not study.attachments:
                return self._whole(connection, study, by)
            rows = list(
                connection.execute(select(instances.c.id).where(instances.c.study_id == study.id)).scalars()
            )
            twin = _twin(connection, study)
            _move_images(connection, study, twin, rows)
            return self._done(connection, study, twin, by, "images deleted")

        return self._write(work)

    def attachment(
        self, namespace: str, study_uid: str, guid: str, version: str, by: By
    ) -> Future[TrashEntry]:
        """Remove one version of an attachment ("*" is its newest). Raises NotFound("attachment")."""

        def work(connection: Connection) -> TrashEntry:
            study = study_row(connection, namespace, study_uid)
            query = select(attachments.c.id).where(
                attachments.c.study_id == study.id, attachments.c.guid == guid
            )
            if version != CURRENT:
                query = query.where(attachments.c.version == version)
            found = connection.execute(query.order_by(attachments.c.id.desc()).limit(1)).scalar()
            if found is None:
                raise NotFound("attachment", "Attachment wasn't found by provided ids.")
            twin = _twin(connection, study)
            connection.execute(update(attachments).where(attachments.c.id == found).values(study_id=twin))
            return self._done(connection, study, twin, by, "attachment deleted")

        return self._write(work)

    def _write(self, work: Work[TrashEntry]) -> Future[TrashEntry]:
        removed = self._database.write(work)
        removed.add_done_callback(lambda _: self._changed())
        return removed

    def _whole(self, connection: Connection, study: Row[Any], by: By) -> TrashEntry:
        entry = remove.delete_study(
            connection, study.namespace, study.study_uid, actor=by.actor, days=self._days
        )
        self._record(connection, entry, by, "deleted")
        return entry

    def _done(self, connection: Connection, study: Row[Any], twin: int, by: By, action: str) -> TrashEntry:
        now = time.time()
        row = {
            "study_id": twin,
            "deleted": now,
            "deleted_by": by.actor,
            "expires": now + self._days * remove.DAY_S,
        }
        entry_id = connection.execute(insert(trash), row).lastrowid
        connection.execute(update(studies).where(studies.c.id == twin).values(trash_id=entry_id))
        connection.execute(
            update(studies)
            .where(studies.c.id == study.id)
            .values(changed=now, revision=studies.c.revision + 1, settled=False)
        )
        for study_id in (study.id, twin):
            remove.recount(connection, study_id)
        gone = connection.execute(select(studies).where(studies.c.id == twin)).one()
        remove.clear_conflicts_with(connection, gone)
        entry = remove.entry(connection, entry_id)
        self._record(connection, entry, by, action)
        return entry

    def _record(self, connection: Connection, entry: TrashEntry, by: By, action: str) -> None:
        self._audit.record(
            connection,
            Event.STUDY_DELETED,
            action,
            actor=by.actor,
            namespace=entry.namespace,
            study_uid=entry.study_uid,
            detail=by.detail(images=entry.images, trash_id=entry.id),
        )


def _rows_of(connection: Connection, study_id: int, sop_uids: Collection[str]) -> list[int]:
    """The rows of these images, every version. Raises NotFound("image") if one has none."""
    wanted, found = sorted(set(sop_uids)), []
    seen: set[str] = set()
    for at in range(0, len(wanted), AT_A_TIME):
        query = select(instances.c.id, instances.c.sop_uid).where(
            instances.c.study_id == study_id, instances.c.sop_uid.in_(wanted[at : at + AT_A_TIME])
        )
        for row in connection.execute(query):
            found.append(row.id)
            seen.add(row.sop_uid)
    if len(seen) < len(wanted):
        raise NotFound("image", "Image wasn't found by provided ids.")
    return found


def _others(connection: Connection, study_id: int, rows: list[int]) -> bool:
    """Whether the study has images beside these rows."""
    query = select(instances.c.id).where(instances.c.study_id == study_id)
    return bool(set(connection.execute(query).scalars()) - set(rows))


def _twin(connection: Connection, study: Row[Any]) -> int:
    """A copy of the study's row for the trash, with the words it is found by once restored."""
    values = {**study._mapping, "trash_id": NOT_YET, "settled": True}
    del values["id"]
    twin: int = connection.execute(insert(studies), values).lastrowid
    mine = select(words.c.word, words.c.kind).where(words.c.study_id == study.id)
    for word, kind in connection.execute(mine).all():
        connection.execute(insert(words).values(word=word, kind=kind, study_id=twin))
    return twin


def _move_images(connection: Connection, study: Row[Any], twin: int, rows: list[int]) -> None:
    """Take the rows over to the twin, with copies of the series and PHI sets they belong to."""
    new_series: Callable[[int], int] = _copier(connection, series, twin)
    new_phi: Callable[[int], int] = _copier(connection, phi_sets, twin)
    left_series = set()
    for at in range(0, len(rows), AT_A_TIME):
        query = select(instances.c.id, instances.c.series_id, instances.c.phi_set_id).where(
            instances.c.id.in_(rows[at : at + AT_A_TIME])
        )
        for row in connection.execute(query).all():
            left_series.add(row.series_id)
            connection.execute(
                update(instances)
                .where(instances.c.id == row.id)
                .values(
                    study_id=twin,
                    series_id=new_series(row.series_id),
                    phi_set_id=new_phi(row.phi_set_id),
                )
            )
    for series_id in left_series:
        still = select(instances.c.id).where(
            and_(instances.c.study_id == study.id, instances.c.series_id == series_id)
        )
        if connection.execute(still.limit(1)).first() is None:
            connection.execute(delete(series).where(series.c.id == series_id))


def _copier(connection: Connection, table: Any, twin: int) -> Callable[[int], int]:
    """Gives the row of the twin that stands for a row of the study, made when first asked for."""
    made: dict[int, int] = {}

    def copy(row_id: int) -> int:
        if row_id not in made:
            row = connection.execute(select(table).where(table.c.id == row_id)).one()
            values = {**row._mapping, "study_id": twin}
            del values["id"]
            made[row_id] = connection.execute(insert(table), values).lastrowid
        return made[row_id]

    return copy
