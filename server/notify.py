"""The courier: a thread that tells what is in the outbox, a few receivers at a time, until each took it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from core.archive.announcing import Announcer
from core.db.database import Database
from core.errors import Unreachable
from core.net.pinned import NotAllowed, Policy, send
from core.outbox.callbacks import Callbacks
from core.outbox.queue import Delivery, Outbox
from core.outbox.templates import Request

log = logging.getLogger("filmjacket.notify")

WORKERS = 8
OF_ONE_TARGET = 4
"""So many workers serve one receiver at once: a slow one leaves room for the others."""
AT_ONCE = 16
"""So many deliveries a worker makes before it writes down how they went."""
LOOK_EVERY_S = 0.5
AFTER_A_FAULT_S = 5.0
DELIVERED = 200

Sender = Callable[[Request], int]


@dataclass(frozen=True, slots=True)
class Notifying:
    """What the routes of notifications work with; `wake` says that there is something new to tell."""

    outbox: Outbox
    announcer: Announcer
    callbacks: Callbacks
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
        self._running: Counter[str] = Counter()
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
            except Exception as error:  # telling must go on when the disk or one row gives trouble
                log.warning("notifying was put off: %s", type(error).__name__)
                wait = AFTER_A_FAULT_S
            if not self._closing and wait:
                self._wake.wait(wait)

    def _dispatch(self) -> bool:
        """Hand due rows to the workers, several lanes in one piece of work; whether there were any."""
        work: list[Sequence[Delivery]] = []
        with self._lock:
            busy, running = set(self._busy), Counter(self._running)
        with self._database.read() as connection:
            for target in self._outbox.targets(connection):
                free = OF_ONE_TARGET - running[target]
                mine = {lane for lane in busy if lane[0] == target}
                due = self._outbox.due(connection, target, mine, free * AT_ONCE) if free > 0 else []
                work += [due[start::free] for start in range(min(free, len(due)))]
        for some in work:
            with self._lock:
                self._busy.update(each.lane for each in some)
                self._running[some[0].target] += 1
            self._pool.submit(self._deliver, some)
        return bool(work)

    def _deliver(self, some: Sequence[Delivery]) -> None:
        """Tell one after the other and write down how it went; stop where the receiver is in trouble."""
        told: list[Delivery] = []
        failed: list[tuple[Delivery, str, bool]] = []
        try:
            for delivery in some:
                if self._closing:
                    break
                why, final = self._attempt(delivery)
                if not why:
                    told.append(delivery)
                    continue
                log.info("a notification was not delivered: %s", why)
                failed.append((delivery, why, final))
                if not final:
                    break
        except Exception as error:  # what was not written down is told again; a worker must not die of it
            log.warning("a delivery broke off: %s", type(error).__name__)
        try:
            self._database.write(lambda connection: self._write_down(connection, told, failed)).result()
        except Exception as error:  # likewise
            log.warning("deliveries could not be recorded: %s", type(error).__name__)
        with self._lock:
            self._busy.difference_update(each.lane for each in some)
            self._running[some[0].target] -= 1
        self._wake.set()

    def _write_down(
        self, connection: Connection, told: Sequence[Delivery], failed: Sequence[tuple[Delivery, str, bool]]
    ) -> None:
        for delivery in told:
            self._outbox.delivered(connection, delivery)
        for delivery, why, final in failed:
            self._outbox.failed(connection, delivery, why, final=final)

    def _attempt(self, delivery: Delivery) -> tuple[str, bool]:
        """Why it failed ("" if it did not), and whether trying again cannot help."""
        with self._database.read() as connection:
            request = self._announcer.request_of(connection, delivery.target)
        if request is None:
            return "The notification is no more.", True
        try:
            if delivery.payload:
                status = self._send(replace(request, body=delivery.payload))
            else:
                status = self._send(request.filled(delivery.happening))
        except NotAllowed as error:
            return error.message, True
        except Unreachable as error:
            return error.message, False
        taken = status // 100 == DELIVERED // 100 if delivery.payload else status == DELIVERED
        return ("" if taken else f"The receiver answered {status}."), False
