"""The Qt application around the main window: locale, look, focus ring, a clean end."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QLocale, QSocketNotifier, Qt
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
    gc.set_threshold(5_000, 50, 100)  # a full collection amid a scan held the window for a tenth of a second
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
        with _closed_by_signals(window):
            return app.exec()
    finally:
        services.destinations.hang_up()
        services.jobs.shutdown()
        services.tasks.shutdown()
        window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@contextmanager
def _closed_by_signals(window: MainWindow) -> Generator[None, None, None]:
    """SIGTERM and SIGINT close the window without asking; the ledger keeps what is under way."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    notifier = QSocketNotifier(near.fileno(), QSocketNotifier.Type.Read)

    def heard() -> None:
        notifier.setEnabled(False)
        window.leave()

    notifier.activated.connect(heard)
    before = {sign: signal.signal(sign, lambda *_: None) for sign in (signal.SIGTERM, signal.SIGINT)}
    woken = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for sign, handler in before.items():
            signal.signal(sign, handler)
        notifier.setEnabled(False)
        near.close()
        far.close()
