"""The Qt application around the main window: locale, look, focus ring, a clean end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from ui.focus import FocusRings
from ui.icons import application_icon
from ui.main_window import MainWindow
from ui.services import Services
from ui.theme import Mode, Theme

SWITCH_EVERY_S = 0.001
"""How long a worker thread may keep the interpreter while the Qt thread waits for it. With Python's 5 ms,
a turn of the event loop that asks a few dozen times took 100 ms while a disc was read."""


def create(arguments: Sequence[str] = ()) -> QApplication:
    """The one QApplication of the process, in the person's locale."""
    sys.setswitchinterval(SWITCH_EVERY_S)
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication([sys.argv[0] if sys.argv else "filmjacket", *arguments])
    app.setApplicationName("Filmjacket")
    app.setApplicationDisplayName("Filmjacket")
    app.setDesktopFileName("filmjacket")
    app.setWindowIcon(application_icon())
    if QLocale.system().language() == QLocale.Language.C:  # numbers in sentences still want grouping
        QLocale.setDefault(QLocale(QLocale.Language.English))
    return app


def dress(app: QApplication, services: Services) -> Theme:
    """Put on the look the settings ask for."""
    FocusRings(app)
    wanted = services.settings.now.desktop.theme
    return Theme(app, Mode(wanted) if wanted in list(Mode) else Mode.SYSTEM)


def run(
    app: QApplication,
    services: Services,
    paths: Sequence[Path] = (),
    *,
    shown: Callable[[MainWindow], object] | None = None,
) -> int:
    """Show the window and stay until it is closed; the tasks are shut down, the rest is the caller's."""
    window = MainWindow(services, dress(app, services))
    try:
        window.show()
        if paths:
            window.open_paths(paths)
        if shown is not None:
            shown(window)
        return app.exec()
    finally:
        services.jobs.shutdown()
        services.tasks.shutdown()
