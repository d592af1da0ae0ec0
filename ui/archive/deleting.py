"""Deleting a study of the archive: the question before, the way back after."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from ui.archive.calls import Calls
from ui.dialogs.decision import Decision
from ui.messages import Kind, Message, MessageBar
from ui.models.archive_table import StudyRowLike
from ui.models.people import banner_text, images_text, iso_date
from ui.tasks import Tasks


class Deleting(QObject):
    """Says what it does in *messages*; *kept_days* tells how long the archive keeps what was deleted.

    Signals: `deleted(object)` and `restored(object)` with the row, `failed(object)`.
    """

    deleted = Signal(object)
    restored = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        calls: Calls,
        tasks: Tasks,
        messages: MessageBar,
        kept_days: Callable[[], int],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._calls = calls
        self._tasks = tasks
        self._messages = messages
        self._kept_days = kept_days
        self._window = parent

    def ask(self, row: StudyRowLike) -> None:
        """Ask, naming the patient and the number of images; Enter keeps the study."""
        parts = (row.study_description, iso_date(row.study_date), images_text(row.images))
        what = " · ".join(part for part in parts if part)
        days = self._kept_days()
        trash = self.tr("It can be restored for {n} days.").format(n=days)
        if not days:
            trash = self.tr("It cannot be restored: this archive keeps no deleted studies.")
        question = Decision(
            self.tr("Delete this study from the archive?"),
            yes=self.tr("Delete {images}").format(images=images_text(row.images)),
            no=self.tr("Keep"),
            who=banner_text(row.patient_name, row.patient_sex, row.patient_birth_date, row.patient_id),
            detail=f"{what}\n{trash}",
            parent=self._window,
        )
        question.decided.connect(partial(self._delete, row))
        question.open()

    def _delete(self, row: StudyRowLike) -> None:
        self._tasks.call(
            partial(self._calls.delete, row.namespace, row.study_uid),
            done=lambda _none: self._gone(row),
            failed=self.failed.emit,
        )

    def _gone(self, row: StudyRowLike) -> None:
        days = self._kept_days()
        if days:
            sentence = self.tr("The study of {who} is in the trash, for {n} days.")
            self._messages.show_message(
                Message(Kind.INFO, sentence.format(who=who_of(row), n=days)),
                action=self.tr("Restore"),
                on_action=partial(self._restore, row),
            )
        else:
            sentence = self.tr("The study of {who} was deleted for good.")
            self._messages.show_message(Message(Kind.INFO, sentence.format(who=who_of(row))))
        self.deleted.emit(row)

    def _restore(self, row: StudyRowLike) -> None:
        self._messages.put_away()
        self._tasks.call(
            partial(self._calls.restore, row.namespace, row.study_uid),
            done=lambda _none: self._back(row),
            failed=self.failed.emit,
        )

    def _back(self, row: StudyRowLike) -> None:
        sentence = self.tr("The study of {who} is back.").format(who=who_of(row))
        self._messages.show_message(Message(Kind.GOOD, sentence))
        self.restored.emit(row)


def who_of(row: StudyRowLike) -> str:
    """The patient of a row, in one line."""
    return banner_text(row.patient_name, "", row.patient_birth_date, row.patient_id)
