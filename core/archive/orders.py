"""Orders: posted as messages, found although mistyped, associated with a study as an overlay of its PHI."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection
from tinydb import Query

from core.archive.homes import add_namespace
from core.archive.matching import FIELDS, LEAST, digits, score
from core.archive.overlays import (
    ORDERS,
    Layer,
    Laying,
    Overlays,
    checked_tags,
    link_orders,
    orders_out_of_sight,
)
from core.archive.schema import namespaces
from core.archive.store import check_namespace
from core.audit.log import AuditLog, Event
from core.db.database import Database
from core.dicom.digest import new_hash, version_of
from core.documents import Documents
from core.errors import BadInput, NotFound

TAGS = {
    "patient_name": "(0010,0010)",  # PID-5
    "patient_gender": "(0010,0040)",  # PID-8
    "patient_dob": "(0010,0030)",  # PID-7
    "patient_physical_address": "(0010,1040)",  # PID-11
    "order_id": "(0008,0050)",
    "order_description": "(0008,1030)",
    "study_date": "(0008,0020)",
    "patient_mrn": "(0010,0020)",
    "referring_physician": "(0008,0090)",
}
"""RelevantData of the API: the element each field is written to."""
DATES = frozenset({"patient_dob", "study_date"})
PLACEHOLDER = "YYYYMMDD"
"""What the API's samples write for a date: it says nothing."""
SEXES = {"MALE": "M", "FEMALE": "F", "OTHER": "O", "A": "O", "U": "", "N": "", "UNKNOWN": ""}
"""HL7 table 0001 and plain words in the terms of PS3.3 C.7.1.1."""


class BadField(BadInput):
    """A field of a message that cannot be accepted; *field* names it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"The field {field} {why}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Order:
    """One posted order; *data* is what it says of the patient and the study, *version* its digest."""

    guid: str
    version: str
    namespace: str
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hit:
    """An order that fits, and how well: 0 to 1."""

    order: Order
    score: float


class Orders:
    """The orders of one archive."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit
        self.overlays = Overlays(database, audit)
        for field in ("namespace", "order_id"):
            Documents(database).index(ORDERS, field)

    def post(self, namespace: str, message: str, *, actor: str) -> Future[Order]:
        """Keep a message as it came. Raises BadField, BadInput."""
        check_namespace(namespace)
        fields, data = read_message(message)
        running = new_hash()
        running.update(message.encode("utf-8"))
        order = Order(str(uuid.uuid4()), version_of(running), namespace, data)
        document = {
            "guid": order.guid,
            "version": order.version,
            "namespace": namespace,
            "order_id": data.get("order_id", ""),
            "fields": fields,
            "data": data,
            "message": message,
            "received": time.time(),
        }

        def work(connection: Connection) -> Order:
            add_namespace(connection, namespace)
            Documents(self._database, connection).table(ORDERS).insert(document)
            self._audit.record(
                connection,
                Event.ORDER_RECORD,
                "order posted",
                actor=actor,
                namespace=namespace,
                detail={"guid": order.guid, "version": order.version},
            )
            return order

        return self._database.write(work)

    def search(self, namespace: str, wanted: Mapping[str, str], limit: int = 100) -> Sequence[Hit]:
        """Orders that fit, an exact order_id first, then the best and newest; all if nothing is *wanted*.

        Raises NotFound("namespace").
        """
        wanted = {field: value for field, value in wanted.items() if field in FIELDS and value.strip()}
        number = wanted.get("order_id", "").strip()
        with self._database.read() as connection:
            if connection.execute(namespaces.select().where(namespaces.c.name == namespace)).first() is None:
                raise NotFound("namespace")
            hidden = orders_out_of_sight(connection, namespace)
            rows = Documents(self._database, connection).table(ORDERS).search(Query().namespace == namespace)
        ranked = []
        for place, row in enumerate(rows):
            points, exact = score(wanted, row["fields"]), bool(number) and row["order_id"].strip() == number
            if row["guid"] not in hidden and (exact or points >= LEAST):
                ranked.append((exact, points, place))
        ranked.sort(reverse=True)
        return [Hit(_order(rows[place]), points) for _, points, place in ranked[:limit]]

    def associate(
        self, namespace: str, study_uid: str, order_namespace: str, message: str, *, actor: str, silent: bool
    ) -> Future[Layer]:
        """Lay what an order says over a study. Raises BadField, BadInput, NotFound."""
        tags = read_relevant(message)
        what = Laying(namespace, study_uid, order_namespace, tags, actor, silent, "order associated")
        number = tags.get(TAGS["order_id"], "")

        def work(connection: Connection) -> Layer:
            layer = self.overlays.lay_on(connection, what)
            orders = Documents(self._database, connection).table(ORDERS)
            mine = (Query().namespace == order_namespace) & (Query().order_id == number)
            link_orders(connection, layer, [row["guid"] for row in orders.search(mine)] if number else [])
            return layer

        return self._database.write(work)


def read_message(message: str) -> tuple[dict[str, str], dict[str, str]]:
    """What can be searched in a posted message, and its patient's fields. Raises BadField."""
    document = _object("body", _parsed("body", message))
    patient = _object("patient", document.get("patient"))
    data = _texts(patient, "patient.")
    for field in ("message_id", "hl7_raw_message"):
        _text(field, document.get(field, ""))
    fields = {field: data[field] for field in FIELDS if field in data}
    if document.get("message_id"):
        fields["message_id"] = str(document["message_id"])
    return fields, data


def read_relevant(message: str) -> dict[str, str]:
    """The elements a RelevantData document sets. Raises BadField, BadInput."""
    document = _object("body", _parsed("body", message))
    tags: dict[str, str] = {}
    for field, tag in TAGS.items():
        if document.get(field) is not None:
            value = _said(field, _text(field, document[field]))
            if value is not None:
                tags |= _checked(field, tag, value)
    extra = document.get("extra_tags")
    if isinstance(extra, str):
        extra = _parsed("extra_tags", extra) if extra.strip() else None
    for name, value in _object("extra_tags", {} if extra is None else extra).items():
        if value is not None:
            field = f"extra_tags {name[:20]}"
            tags |= _checked(field, name, _text(field, value))
    if not tags:
        raise BadField("body", "sets nothing: name at least one value.")
    return tags


def _said(field: str, value: str) -> str | None:
    """A value of HL7 as DICOM writes it, None if it says nothing."""
    value = value.strip()
    if field in DATES:
        if value == PLACEHOLDER:
            return None
        plain = value.replace("-", "").split("T")[0]
        return digits(plain) if plain.isdigit() and len(plain) in (8, 12, 14) else value
    if field == "patient_gender":
        return SEXES.get(value.upper(), value.upper())
    return value


def _checked(field: str, tag: str, value: str) -> dict[str, str]:
    try:
        return checked_tags({tag: value})
    except BadInput as error:
        raise BadField(field, f"cannot be used: {error.message}") from error


def _parsed(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadField(field, f"is no valid JSON: {error.msg} at {where}.") from error
    except (RecursionError, ValueError) as error:
        raise BadField(field, "is JSON nested too deeply or with a number too long.") from error


def _object(field: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadField(field, "must be a JSON object." if value is not None else "is missing.")
    return cast(dict[str, Any], value)


def _texts(values: Mapping[str, Any], prefix: str) -> dict[str, str]:
    return {
        name: _text(prefix + name, value)
        for name, value in values.items()
        if value is not None and (name in FIELDS or not isinstance(value, dict | list))
    }


def _text(field: str, value: object) -> str:
    """Text, or a number written as one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadField(field, "must be text.")
    text = str(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadField(field, "holds half a character.") from error
    return text


def _order(row: Mapping[str, Any]) -> Order:
    return Order(row["guid"], row["version"], row["namespace"], row["data"])
