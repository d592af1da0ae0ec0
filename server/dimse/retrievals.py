"""Studies that are being fetched from PACS, or were: kept in the database, so that none is forgotten."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import uuid4

from tinydb import Query as Where

from core.archive.archive import Archive
from core.audit.log import Event, Note
from core.documents.tables import DOCUMENTS, Documents
from core.errors import Conflict, KnownError, NotFound
from core.net.dimse.asking import Stopped
from core.net.dimse.requestor import Peer
from core.net.tls import Tls
from server.dimse.door import Door
from server.dimse.fetching import Fetch, Outcome, Progress

logger = logging.getLogger("filmjacket.dimse")

TABLE = "retrievals"
AT_ONCE = 2
MOST_KEPT = 500


class State(StrEnum):
    """How far a retrieval is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    STOPPED = "stopped"


UNDER_WAY = frozenset({State.WAITING, State.RUNNING})


@dataclass(frozen=True, slots=True)
class Node:
    """A PACS: what a person calls it, and where it is."""

    name: str
    ae_title: str
    host: str
    port: int
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class StudyAsked:
    """A study that is wanted, as the PACS described it."""

    study_uid: str
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_description: str = ""


@dataclass(frozen=True, slots=True)
class Retrieving:
    """One study on its way; *why* and *remedy* say what is missing, times are seconds since 1970."""

    id: str
    node: Node
    study: StudyAsked
    namespace: str
    actor: str
    asked: float
    state: State = State.WAITING
    progress: Progress = field(default_factory=Progress)
    why: str = ""
    remedy: str = ""
    ended: float = 0.0


class Retrievals:
    """Fetches on threads of its own, a few at once; safe from any thread. Close it at the end."""

    def __init__(self, archive: Archive, door: Door, namespace: str) -> None:
        archive.db.ensure(DOCUMENTS)
        self._archive, self._door, self._namespace = archive, door, namespace
        self._lock = threading.Lock()
        self._all: dict[str, Retrieving] = {}
        self._stops: dict[str, threading.Event] = {}
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="retrieve")
        for document in Documents(archive.db).table(TABLE).all():
            found = _read(document)
            self._all[found.id] = self._interrupted(found) if found.state in UNDER_WAY else found

    def begin(self, node: Node, study: StudyAsked, actor: str) -> Retrieving:
        """Fetch *study*; one that is under way from there already is given back. Raises StorageFault."""
        with self._lock:
            for each in self._all.values():
                if each.state in UNDER_WAY and (each.node, each.study.study_uid) == (node, study.study_uid):
                    return each
        one = Retrieving(uuid4().hex, node, study, self._namespace, actor, time.time())
        self._keep(one)
        self._submit(one)
        return one

    def all(self) -> list[Retrieving]:
        """Every one that is kept, the newest first."""
        with self._lock:
            return sorted(self._all.values(), key=lambda each: each.asked, reverse=True)

    def find(self, retrieval_id: str) -> Retrieving:
        """One of them. Raises NotFound."""
        with self._lock:
            try:
                return self._all[retrieval_id]
            except KeyError:
                raise NotFound("retrieval") from None

    def stop(self, retrieval_id: str) -> Retrieving:
        """End it soon; what came stays. Raises NotFound."""
        one = self.find(retrieval_id)
        with self._lock:
            stop = self._stops.get(retrieval_id)
        if stop is not None:
            stop.set()
        return one

    def retry(self, retrieval_id: str) -> Retrieving:
        """Fetch what is still missing. Raises NotFound, StorageFault."""
        one = self.find(retrieval_id)
        if one.state in UNDER_WAY:
            return one
        again = replace(one, state=State.WAITING, why="", remedy="", ended=0.0)
        self._keep(again)
        self._submit(again)
        return again

    def forget(self, retrieval_id: str) -> None:
        """Take it off the list. Raises NotFound, Conflict while it is under way."""
        if self.find(retrieval_id).state in UNDER_WAY:
            raise Conflict("This retrieval is under way.", "Stop it first.")
        Documents(self._archive.db).table(TABLE).remove(Where().id == retrieval_id)
        with self._lock:
            self._all.pop(retrieval_id, None)

    def close(self) -> None:
        """End what is under way; it can be retried later. Calling it again does nothing."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, one: Retrieving) -> None:
        stop = threading.Event()
        with self._lock:
            self._stops[one.id] = stop
        self._pool.submit(self._run, one.id, stop)

    def _run(self, retrieval_id: str, stop: threading.Event) -> None:
        def stopped() -> bool:
            return stop.is_set() or self._closing.is_set()

        one = self._set(retrieval_id, state=State.RUNNING)
        try:
            outcome = self._fetched(one, stopped)
        except Stopped:
            outcome = Outcome(self.find(retrieval_id).progress, stopped=True)
        except KnownError as error:
            outcome = Outcome(self.find(retrieval_id).progress, error.message, error.remedy)
        except Exception as error:  # our bug: the person hears that it failed, the log gets the frames
            logger.error("unforeseen error while retrieving a study", exc_info=error)
            outcome = Outcome(self.find(retrieval_id).progress, "Something went wrong here.", "Retry.")
        with self._lock:
            self._stops.pop(retrieval_id, None)
        if self._closing.is_set() and outcome.stopped:
            return  # it stays as under way, and is found as interrupted by the next start
        self._end(retrieval_id, outcome)

    def _fetched(self, one: Retrieving, stopped: Callable[[], bool]) -> Outcome:
        def heard(progress: Progress) -> None:
            before = self.find(one.id).progress.total
            now = self._set(one.id, progress=progress)
            if progress.total != before:  # so that it is known after a power cut, too
                self._keep(now)

        node = one.node
        peer = Peer(node.ae_title, node.host, node.port, self._door.ae_title, node.tls)
        fetch = Fetch(self._archive, self._door, peer, one.namespace, heard=heard, stopped=stopped)
        outcome = fetch.run(one.study.study_uid)
        note = Note(
            Event.INSTANCES_TRANSFERRED,
            "retrieved",
            one.actor,
            success=not outcome.why and not outcome.stopped,
            namespace=one.namespace,
            study_uid=one.study.study_uid,
            detail={"from": node.ae_title, "images": outcome.progress.here, "of": outcome.progress.total},
        )
        written: Future[None] = self._archive.db.write(
            lambda connection: self._archive.audit.append(connection, [note])
        )
        written.result()
        return outcome

    def _interrupted(self, one: Retrieving) -> Retrieving:
        """What is known of one that was under way when the archive stopped; what came is in the archive."""
        here = len(self._archive.held(one.namespace, one.study.study_uid))
        here = min(here, one.progress.total) if one.progress.total else here
        return replace(
            one,
            state=State.PARTIAL if here else State.FAILED,
            progress=replace(one.progress, here=here),
            why="It was interrupted when the archive stopped.",
            remedy="Retry: only what is missing is fetched.",
        )

    def _end(self, retrieval_id: str, outcome: Outcome) -> None:
        state = State.DONE
        if outcome.stopped:
            state = State.STOPPED
        elif outcome.why:
            state = State.PARTIAL if outcome.progress.here else State.FAILED
        one = self._set(
            retrieval_id,
            state=state,
            progress=outcome.progress,
            why=outcome.why,
            remedy=outcome.remedy,
            ended=time.time(),
        )
        try:
            self._keep(one)
        except KnownError:
            logger.warning("how a retrieval ended could not be written down")

    def _set(self, retrieval_id: str, **changes: Any) -> Retrieving:
        with self._lock:
            self._all[retrieval_id] = replace(self._all[retrieval_id], **changes)
            return self._all[retrieval_id]

    def _keep(self, one: Retrieving) -> None:
        """Write it down; the oldest that are over make room. Raises StorageFault."""
        table = Documents(self._archive.db).table(TABLE)
        table.upsert(asdict(one), Where().id == one.id)
        with self._lock:
            self._all[one.id] = one
            over = [each for each in self._all.values() if each.state not in UNDER_WAY]
            spare = sorted(over, key=lambda each: each.asked)[: max(0, len(self._all) - MOST_KEPT)]
            for each in spare:
                del self._all[each.id]
        for each in spare:
            table.remove(Where().id == each.id)


def _read(document: Mapping[str, Any]) -> Retrieving:
    found = dict(document)
    return Retrieving(
        **{
            **found,
            "node": _read_node(found["node"]),
            "study": StudyAsked(**found["study"]),
            "progress": Progress(**found["progress"]),
            "state": State(found["state"]),
        }
    )


def _read_node(document: Mapping[str, Any]) -> Node:
    tls = document.get("tls")
    return Node(**{**document, "tls": Tls(**tls) if tls is not None else None})
