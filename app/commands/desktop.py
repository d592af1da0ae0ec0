"""The desktop application: builds what the window needs from the data folder, and opens it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from app import __version__, paths
from core import log

if TYPE_CHECKING:
    from ui.main_window import MainWindow


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
    from app.desk import LocalArchive, SavedDestinations, SettingsFile, Uploads
    from core.scan.drives import drives, eject
    from core.scan.scanner import Scanner
    from core.upload.ledger import Ledger
    from ui import application
    from ui.services import Services
    from ui.state import WindowState
    from ui.tasks import Tasks

    app = application.create()
    with closing(Ledger(data / "client.db")) as ledger:
        settings = SettingsFile(data)
        archive = LocalArchive(data, settings.now)
        settings.on_change = archive.changed
        services = Services(
            data=data,
            version=__version__,
            tasks=Tasks(),
            jobs=Tasks(),
            state=WindowState(data / "window.ini"),
            settings=settings,
            archive=archive,
            scanner=Scanner,
            uploads=Uploads(ledger, archive),
            destinations=SavedDestinations(ledger, archive),
            drives=drives,
            eject=eject,
        )
        try:
            return application.run(app, services, [path] if path else [], shown=shown)
        finally:
            archive.stop()
