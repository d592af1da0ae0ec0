"""What the program says to people: banners in place, and announcements for screen readers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.errors import KnownError
from core.log import describe
from ui.icons import icon
from ui.models.people import said
from ui.picture import Picture

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """How serious it is; the icon and the word say it too, never the colour alone."""

    INFO = "info"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


_ICONS = {
    Kind.INFO: ("ph.info-fill", "primary"),
    Kind.GOOD: ("ph.check-circle-fill", "good"),
    Kind.WARN: ("ph.warning-fill", "warn"),
    Kind.BAD: ("ph.warning-octagon-fill", "bad"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence, what to do, and technical details without anything of a patient."""

    kind: Kind
    sentence: str
    remedy: str = ""
    details: str = ""

    @property
    def words(self) -> str:
        """The sentence and what to do."""
        return " ".join(filter(None, (self.sentence, self.remedy)))


def of_error(error: Exception) -> Message:
    """The message of an error; one that is our bug is also written to the log, frames only."""
    if isinstance(error, KnownError):
        return Message(Kind.BAD, said(error.message), said(error.remedy), describe(error))
    log.error("Unforeseen error shown to the user", exc_info=error)
    translate = QCoreApplication.translate
    return Message(
        Kind.BAD,
        translate("Messages", "Something unforeseen went wrong."),
        translate("Messages", "Nothing was changed. Try again; if it comes back, pass the details on."),
        describe(error),
    )


def announce(widget: QWidget, text: str, *, urgent: bool = False) -> None:
    """Let a screen reader say *text*."""
    event = QAccessibleAnnouncementEvent(widget, text)
    if urgent:
        event.setPoliteness(QAccessible.AnnouncementPoliteness.Assertive)
    QAccessible.updateAccessibility(event)


class MessageBar(QFrame):
    """A banner in place: icon, sentence, remedy, one action, details that can be copied, and Close.

    Signals:
        closed(): the person put it away.
        shownChanged(bool): it appeared or went; a frame around it follows.
    """

    closed = Signal()
    shownChanged = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message: Message | None = None
        self._action: Callable[[], object] | None = None
        self._icon = Picture(20, self)
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.action_button = QPushButton(self)
        self.details_button = QPushButton(self.tr("Details"), self)
        self.details_button.setProperty("role", "quiet")
        self.details_button.setCheckable(True)
        self.close_button = QPushButton(self)
        self.close_button.setIcon(icon("ph.x", "muted"))
        self.close_button.setProperty("role", "quiet")
        self.close_button.setAccessibleName(self.tr("Close this message"))
        self.close_button.setToolTip(self.tr("Close this message"))
        self.details = QPlainTextEdit(self)
        self.copy_button = QPushButton(icon("ph.copy", before_text=True), self.tr("Copy details"), self)
        self._build()
        for part in (self.action_button, self.details_button, self.details, self.copy_button, self):
            part.hide()

    def _build(self) -> None:
        self.details.setReadOnly(True)
        self.details.setAccessibleName(self.tr("Technical details"))
        self.details.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.details.setMaximumHeight(140)
        self.details.setTabChangesFocus(True)
        self.details_button.toggled.connect(self._show_details)
        self.copy_button.clicked.connect(
            lambda: QGuiApplication.clipboard().setText(self.details.toPlainText())
        )
        self.action_button.clicked.connect(lambda: self._action and self._action())
        self.close_button.clicked.connect(self._close)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        line.addWidget(self.text, 1)
        for button in (self.action_button, self.details_button, self.close_button):
            line.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 8)
        layout.setSpacing(8)
        layout.addLayout(line)
        layout.addWidget(self.details)
        layout.addWidget(self.copy_button, 0, Qt.AlignmentFlag.AlignRight)

    def show_message(
        self, message: Message, *, action: str = "", on_action: Callable[[], object] | None = None
    ) -> None:
        """Show *message*, with one button if *action* names it; it is announced as well."""
        self.message, self._action = message, on_action
        self.setProperty("role", f"banner-{message.kind}")
        self.style().unpolish(self)
        self.style().polish(self)
        name, role = _ICONS[message.kind]
        self._icon.show_icon(name, role)
        self.text.setText(" ".join(part for part in (message.sentence, message.remedy) if part))
        self.setAccessibleName(self.text.text())
        self.action_button.setText(action)
        self.action_button.setVisible(bool(action))
        self.details.setPlainText(message.details)
        self.details_button.setVisible(bool(message.details))
        self.details_button.setChecked(False)
        self._show_details(False)
        self.show()
        self.shownChanged.emit(True)
        # after the layout settled, so that a reader finds the banner where it says it is
        QTimer.singleShot(0, self, lambda: announce(self, self.text.text(), urgent=message.kind is Kind.BAD))

    def show_error(self, error: Exception) -> None:
        """Show what went wrong."""
        self.show_message(of_error(error))

    def put_away(self) -> None:
        """Hide the banner without a signal."""
        self.message = None
        self.hide()
        self.shownChanged.emit(False)

    def _show_details(self, shown: bool) -> None:
        self.details.setVisible(shown)
        self.copy_button.setVisible(shown)

    def _close(self) -> None:
        self.put_away()
        self.closed.emit()


def framed(bar: MessageBar) -> QWidget:
    """*bar* with a page's margins around it, which go when it goes."""
    frame = QWidget()
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(24, 12, 24, 0)
    layout.addWidget(bar)
    frame.hide()
    bar.shownChanged.connect(frame.setVisible)
    return frame
