"""The open viewers: one window a study, brought forward instead of opened twice."""

from __future__ import annotations

from PySide6.QtCore import QObject

from core.errors import NotFound
from core.imaging.budget import Budget
from ui.models.study_view import StudyView
from ui.state import WindowState
from ui.tasks import Tasks
from ui.viewer.window import ViewerWindow


class Viewers(QObject):
    """Opens viewers and closes them all at the end."""

    def __init__(
        self,
        tasks: Tasks,
        state: WindowState | None = None,
        parent: QObject | None = None,
        *,
        far: Tasks | None = None,
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._far = far or tasks  # for what another machine is asked
        self._state = state
        self.budget = Budget()
        self.windows: dict[str, ViewerWindow] = {}

    def open(self, study: StudyView, series_uid: str) -> ViewerWindow:
        """Show *series_uid* of *study*. Raises NotFound if nothing can give its pictures."""
        window = self.windows.get(_key(study))
        if window is None:
            window = self._new(study)
        else:
            window.show_study(study)
        if series_uid:
            window.open_series(series_uid)
        window.show()
        window.raise_()
        window.activateWindow()
        return window

    def close_all(self) -> None:
        """Close every window; files are let go in the background."""
        for window in tuple(self.windows.values()):
            window.close()

    def _new(self, study: StudyView) -> ViewerWindow:
        if study.stack is None:
            raise NotFound("study", self.tr("The pictures of this study cannot be reached."))
        window = ViewerWindow(
            study,
            study.stack,
            self._far if study.origin else self._tasks,
            state=self._state,
            budget=self.budget,
            on_closing=study.hang_up,
            on_closed=study.release,
        )
        window.closed.connect(lambda: self.windows.pop(_key(study), None))
        self.windows[_key(study)] = window
        return window


def _key(study: StudyView) -> str:
    """The same study from elsewhere is another one: who opens it there wants to see what is there."""
    return f"{study.origin}\n{study.uid}" if study.origin else study.uid
