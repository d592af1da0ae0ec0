"""The desktop application: builds what the window needs from the data folder, and opens it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app import __version__, paths
from core import log

if TYPE_CHECKING:
    from ui.main_window import MainWindow
    from ui.services import Services

SHORT_WORKERS = 4
LONG_WORKERS = 12  # so many discs and sendings at a time, those that wait for a network among them


def run(path: Path | None = None) -> int:
    """Open the window, on *path* if given; returns when it is closed. Raises KnownError."""
    data = paths.prepare(paths.data_folder())
    log.start(file=paths.log_folder(data) / "desktop.log")
    try:
        return open_window(data, path)
    finally:
        log.stop()


def open_window(
    data: Path, path: Path | None = None, *, shown: Callable[[MainWindow], object] | None = None
) -> int:
    """Open the window on the data folder *data* and stay until it is closed; *shown* hears of it before."""
    from ui import application

    app = application.create()
    with services(data) as given:
        return application.run(app, given, [path] if path else [], shown=shown)


@contextmanager
def services(data: Path) -> Generator[Services, None, None]:
    """What the window works with, over the data folder *data*; the local archive is stopped at the end."""
    from app.desk import LocalArchive, SavedDestinations, SettingsFile
    from app.sendings import Uploads
    from core.scan.drives import drives, eject
    from core.scan.scanner import Scanner
    from core.upload.ledger import Ledger
    from ui.services import Services
    from ui.state import WindowState
    from ui.tasks import Tasks

    with closing(Ledger(data / "client.db")) as ledger:
        settings = SettingsFile(data)
        archive = LocalArchive(data, settings.now)
        settings.on_change = archive.changed
        destinations = SavedDestinations(ledger, archive)
        tasks, jobs = Tasks(SHORT_WORKERS), Tasks(LONG_WORKERS)
        try:
            yield Services(
                data=data,
                version=__version__,
                tasks=tasks,
                jobs=jobs,
                state=WindowState(data / "window.ini"),
                settings=settings,
                archive=archive,
                scanner=Scanner,
                uploads=Uploads(ledger, archive),
                destinations=destinations,
                drives=drives,
                eject=eject,
            )
        finally:
            destinations.hang_up()
            jobs.shutdown()
            tasks.shutdown()
            archive.stop()
