"""Placing many objects at once: what a series does while it arrives, for a fraction of the statements."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, select

from core.archive.catalog import (
    Change,
    Placed,
    count,
    insert_instances,
    instance_row,
    other_patient,
    place_in,
)
from core.archive.homes import Home, Placing, home_of
from core.archive.nouns import Outcome
from core.archive.schema import instances, studies, unindexed
from core.db.prepared import Prepared

MOST_REMEMBERED = 1000

_ANY_KNOWN = Prepared(
    select(instances.c.id)
    .join(studies, studies.c.id == instances.c.study_id)
    .where(
        instances.c.sop_uid.in_(
            select(literal_column("value")).select_from(func.json_each(bindparam("sop_uids")))
        ),
        unindexed(studies.c.namespace) == bindparam("namespace"),
        studies.c.trash_id.is_(None),
    )
    .limit(1)
)

Key = tuple[str, str, str, str]


class Together:
    """Places what the writer has in hand; remembers the homes of what it placed last.

    New objects of known homes take three statements, however many they are; anything else is placed one by
    one as `catalog.place` does it. What is remembered holds while nobody else has changed a row: all writing
    to the catalog goes over the writer's one connection (the folder's lock sees to that), which counts.
    """

    def __init__(self, blob_size: Callable[[str], int | None]) -> None:
        self._blob_size = blob_size
        self._homes: dict[Key, Home] = {}
        self._driver: Any = None
        self._changes = 0

    def place(self, connection: Connection, new: Sequence[Placing]) -> list[Placed]:
        """Put *new* into the catalog, in the writer's transaction. After an error undo all of it."""
        driver: Any = connection.connection.driver_connection
        if driver is not self._driver or driver.total_changes != self._changes:
            self._homes.clear()
        try:
            placed = self._place(connection, new)
        except BaseException:
            self._driver = None
            raise
        self._driver, self._changes = driver, driver.total_changes
        return placed

    def _place(self, connection: Connection, new: Sequence[Placing]) -> list[Placed]:
        now = time.time()
        homes = [self._homes.get(_key(each)) for each in new]
        plain = [(each, home) for each, home in zip(new, homes, strict=True) if home and _fits(each, home)]
        if len(plain) == len(new) and _all_new(connection, new):
            rows = [instance_row(each, home, "", True, now) for each, home in plain]
            insert_instances(connection, rows)
            _count_all(connection, plain, now)
            return [Placed(Outcome.STORED)] * len(new)
        return [self._place_one(connection, each, now) for each in new]

    def _place_one(self, connection: Connection, new: Placing, now: float) -> Placed:
        home = home_of(connection, new, now)
        placed = place_in(connection, home, new, self._blob_size, now)
        if len(self._homes) >= MOST_REMEMBERED:
            self._homes.clear()
        self._homes[_key(new)] = Home(home.study_id, home.patient_id, home.series_id, home.phi_set_id)
        return placed


def _key(new: Placing) -> Key:
    header = new.arrival.header
    return (
        new.namespace,
        header.study_instance_uid,
        header.series_instance_uid,
        new.arrival.phi.digest,
    )


def _fits(new: Placing, home: Home) -> bool:
    """Whether it names the patient its study has, or none."""
    header = new.arrival.header
    if not home.patient_id and header.patient_id.strip():
        return False
    return not other_patient(home, header)


def _all_new(connection: Connection, new: Sequence[Placing]) -> bool:
    """Whether no SOP Instance UID is there already, or twice among them."""
    uids = {each.arrival.header.sop_instance_uid for each in new}
    namespace = new[0].namespace
    if len(uids) < len(new) or any(each.namespace != namespace for each in new):
        return False
    asked = {"sop_uids": json.dumps(list(uids)), "namespace": namespace}
    return _ANY_KNOWN(connection, asked).fetchone() is None


def _count_all(connection: Connection, placed: Iterable[tuple[Placing, Home]], now: float) -> None:
    homes: dict[int, Home] = {}
    images: dict[int, int] = {}
    size: dict[int, int] = {}
    for each, home in placed:
        key = home.study_id
        homes[key] = home
        images[key] = images.get(key, 0) + 1
        size[key] = size.get(key, 0) + each.blob.bytes
    for key, home in homes.items():
        count(connection, home, Change(images[key], size[key], 0, now))
