"""How long the Qt thread is away while a folder of many files is read into the Import page.

Run `python -m tests.benchmarks.bench_scan_ui [FILES]`. Prints the longest time between two turns of the
event loop, and when the first patient was visible. Targets: 50 ms and 0.3 s.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from core.media import samples
from core.scan.scanner import Scanner
from tests.ui import fakes
from ui import application
from ui.importing.session import Stage
from ui.main_window import MainWindow
from ui.tasks import Tasks

PATIENTS = 8


def make_folder(root: Path, count: int) -> None:
    """*count* small files: eight patients, nested folders, ten studies a patient, series of fifty."""
    for n in range(count):
        p = n % PATIENTS
        s = (n // PATIENTS) % 10
        r = (n // (PATIENTS * 10)) // 50
        who = samples.SamplePatient(f"Family{p}^Given", f"ID{p}", "19700101")
        study = samples.SampleStudy(f"bench{p}.{s}", who, f"202401{s + 1:02}")
        ds = samples.dataset(study, series=r + 1, instance=n)
        samples.write(ds, root / f"P{p}" / f"S{s}" / f"R{r}" / f"IM{n:06}")


def queued() -> float:
    """Seconds this thread has waited for a free core (Linux; 0 elsewhere): others' load, not our doing."""
    try:
        return (
            int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1]) / 1e9
        )
    except (OSError, IndexError, ValueError):
        return 0.0


class Watch:
    """Ticks as often as the event loop lets it, and keeps how long it was away, without and with queueing."""

    def __init__(self) -> None:
        self.own: list[float] = []
        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._queued = queued()
        self._timer = QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now, waited = time.perf_counter(), queued()
        self.gaps.append(now - self._last)
        self.own.append(now - self._last - (waited - self._queued))
        self._last, self._queued = now, waited

    def stop(self) -> None:
        """No more ticks."""
        self._timer.stop()


def measure(app: QApplication, folder: Path) -> tuple[float, float, Watch]:
    """First patient visible, everything shown, in seconds, and how long the Qt thread was away."""
    tasks, jobs = Tasks(4), Tasks(4)
    with tempfile.TemporaryDirectory() as data:
        services = fakes.services(Path(data), tasks, jobs, scanner=Scanner)
        window = MainWindow(services, application.dress(app, services))
        window.resize(1280, 800)
        window.show()
        for _ in range(50):
            app.processEvents()
        watch = Watch()
        started = time.perf_counter()
        window.open_paths([folder])
        first = 0.0
        session = window.imports.session
        while session.stage is not Stage.DONE:
            app.processEvents()
            if not first and session.model.rowCount():
                window.imports.scan.tree.repaint()
                first = time.perf_counter() - started
        whole = time.perf_counter() - started
        watch.stop()
        window.close()
        jobs.shutdown()
        tasks.shutdown()
    return first, whole, watch


def main() -> None:
    """Make the folder, measure three times, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    app = application.create()
    with tempfile.TemporaryDirectory() as root:
        make_folder(Path(root), count)
        for _ in range(3):
            first, whole, watch = measure(app, Path(root))
            worst = [round(gap * 1000) for gap in sorted(watch.own)[-5:]]
            print(f"{count} files: first patient {first * 1000:.0f} ms, all {whole:.2f} s")
            print(f"  Qt thread away at most {worst[-1]} ms, five worst {worst}")
            print(f"  {max(watch.gaps) * 1000:.0f} ms with waiting for a free core")


if __name__ == "__main__":
    main()
