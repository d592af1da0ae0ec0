"""The courier: a thread that tells what is in the outbox, a few receivers at a time, until each says 200."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.archive.announcing import Announcer
from core.db.database import Database
from core.errors import FilmjacketError, Unreachable
from core.net.pinned import NotAllowed, Policy, send
from core.outbox.queue import Delivery, Outbox
from core.outbox.templates import Request

log = logging.getLogger("filmjacket.notify")

WORKERS = 8
OF_ONE_TARGET = 4
"""So many deliveries to one receiver run at once: a slow one leaves room for the others."""
LOOK_EVERY_S = 0.5
AFTER_A_FAULT_S = 5.0
DELIVERED = 200

Sender = Callable[[Request], int]


@dataclass(frozen=True, slots=True)
class Notifying:
    """What the routes of notifications work with; `wake` says that there is something new to tell."""

    outbox: Outbox
    announcer: Announcer
    wake: Callable[[], None]

    def figures(self) -> dict[str, tuple[str, float]]:
        """Gauges: name -> (help, value)."""
        rows, scans = self.outbox.figures(), self.announcer.scan_figures()
        running = [announced for announced, finished in scans.values() if not finished]
        return {
            "filmjacket_notifications_waiting": ("Notifications not yet delivered.", rows["waiting"]),
            "filmjacket_notifications_dead": ("Notifications given up.", rows["dead"]),
            "filmjacket_scans_running": ("Scans that have not announced everything.", len(running)),
            "filmjacket_scan_studies_announced": ("Studies announced by running scans.", sum(running)),
            "filmjacket_scans_announced_total": (
                "Studies announced by all scans.",
                sum(announced for announced, _ in scans.values()),
            ),
        }


class Courier:
    """Announces and delivers from `start` until `close`; safe to be killed at any point."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        outbox: Outbox,
        policy: Policy,
        *,
        sender: Sender | None = None,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._outbox = outbox
        self._send = sender or (lambda request: send(request.method, request.url, request.body, policy))
        self._wake = threading.Event()
        self._closing = False
        self._lock = threading.Lock()
        self._busy: set[tuple[str, str, str]] = set()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="courier")
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    def close(self) -> None:
        """Finish what is under way; calling it again does nothing."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            wait = 0.0
            try:
                if not (self._announcer.turn() | self._dispatch()):
                    wait = LOOK_EVERY_S
            except FilmjacketError as error:
                log.warning("notifying was put off: %s", type(error).__name__)
                wait = AFTER_A_FAULT_S
            if not self._closing and wait:
                self._wake.wait(wait)

    def _dispatch(self) -> bool:
        """Hand due rows to the workers; whether any were."""
        with self._lock:
            busy = set(self._busy)
        due: list[Delivery] = []
        with self._database.read() as connection:
            for target in self._outbox.targets(connection):
                mine = {lane for lane in busy if lane[0] == target}
                if len(mine) < OF_ONE_TARGET:
                    due += self._outbox.due(connection, target, mine, OF_ONE_TARGET - len(mine))
        for delivery in due:
            with self._lock:
                self._busy.add(delivery.lane)
            self._pool.submit(self._deliver, delivery)
        return bool(due)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            why, final = self._attempt(delivery)
            if why:
                log.info("a notification was not delivered: %s", why)
                self._database.write(
                    lambda connection: self._outbox.failed(connection, delivery, why, final=final)
                ).result()
            else:
                self._database.write(lambda connection: self._outbox.delivered(connection, delivery)).result()
        except Exception as error:  # the row stays and is tried again; the pool must not lose a worker to it
            log.warning("a delivery could not be recorded: %s", type(error).__name__)
        finally:
            with self._lock:
                self._busy.discard(delivery.lane)
            self._wake.set()

    def _attempt(self, delivery: Delivery) -> tuple[str, bool]:
        """Why it failed ("" if it did not), and whether trying again cannot help."""
        with self._database.read() as connection:
            request = self._announcer.request_of(connection, delivery.target)
        if request is None:
            return "The notification is no more.", True
        try:
            status = self._send(request.filled(delivery.happening))
        except NotAllowed as error:
            return error.message, True
        except Unreachable as error:
            return error.message, False
        return ("" if status == DELIVERED else f"The receiver answered {status}."), False
