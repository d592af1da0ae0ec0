"""The Settings page: destinations, the local archive, the look, the mouse; what is changed holds at once."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.errors import KnownError
from core.settings import Settings
from ui.flow import level_labels
from ui.keeper import ArchiveKeeper
from ui.messages import Kind, Message, MessageBar
from ui.services import ArchiveState, Services
from ui.settings.destinations import DestinationList
from ui.settings.dicom_part import DicomPart
from ui.state import DRAG_DOWN_DARKER
from ui.theme import Mode, Theme

MAX_AE_TITLE = 16  # characters, PS3.5 6.2 AE


class SettingsPage(QWidget):
    """Signals: `saved()` when settings were written; `gatewayWanted()`: show how the DICOM gateway stands."""

    saved = Signal()
    gatewayWanted = Signal()

    def __init__(
        self, services: Services, keeper: ArchiveKeeper, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._keeper = keeper
        self._theme = theme
        self.messages = MessageBar(self)
        self.destinations = DestinationList(services, self)
        self.archive_on = QCheckBox(self.tr("Keep an archive on this computer"), self)
        self.keep_running = QCheckBox(self.tr("Let it run on when this window is closed"), self)
        self.archive_state = QLabel(self)
        self.ae_title = QLineEdit(self)
        self.port = QSpinBox(self)
        self.internal_port = QSpinBox(self)
        self.dicom = DicomPart(self)
        self.themes = QButtonGroup(self)
        self.darker = QCheckBox(self.tr("Dragging down makes the picture darker"), self)
        self._build()
        self._show(services.settings.now)
        self._connect()
        self._show_state()

    def _build(self) -> None:
        title = QLabel(self.tr("Settings"), self)
        title.setProperty("role", "title")
        content = QWidget(self)
        content.setMaximumWidth(880)
        column = QVBoxLayout(content)
        column.setContentsMargins(24, 0, 24, 24)
        column.setSpacing(16)
        column.addWidget(self._card(self.tr("Destinations"), self.destinations))
        column.addWidget(self._card(self.tr("Local archive"), self._archive_part()))
        column.addWidget(self._card(self.tr("Modalities and PACS"), self.dicom))
        column.addWidget(self._card(self.tr("Look"), self._look_part()))
        column.addWidget(self._card(self.tr("Viewer"), self.darker))
        where = QLabel(self.tr("Everything is kept in {folder}").format(folder=self._services.data), content)
        where.setProperty("role", "small")
        where.setWordWrap(True)
        where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(where)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setAccessibleName(self.tr("Settings"))
        head = QVBoxLayout()
        head.setContentsMargins(24, 16, 24, 12)
        head.setSpacing(12)
        head.addWidget(title)
        head.addWidget(self.messages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)

    def _card(self, title: str, content: QWidget) -> QFrame:
        card = QFrame(self)
        card.setProperty("role", "card")
        heading = QLabel(title, card)
        heading.setProperty("role", "heading")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(16, 12, 16, 16)
        layout.setSpacing(12)
        layout.addWidget(heading)
        layout.addWidget(content)
        return card

    def _archive_part(self) -> QWidget:
        part = QWidget(self)
        self.archive_state.setProperty("role", "muted")
        self.ae_title.setMaxLength(MAX_AE_TITLE)
        self.ae_title.setMaximumWidth(220)
        for box, words in (
            (self.port, self.tr("Port for programs")),
            (self.internal_port, self.tr("Port for trusted programs")),
        ):
            box.setRange(0, 65535)
            box.setSpecialValueText(self.tr("any free port"))
            box.setMaximumWidth(220)
            box.setAccessibleName(words)
            box.lineEdit().setTextMargins(8, 0, 0, 0)
        self.ae_title.setAccessibleName(self.tr("AE title"))
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(8)
        form.addRow(self.tr("AE &title"), self.ae_title)
        form.addRow(self.tr("&Port for programs"), self.port)
        form.addRow(self.tr("Port for t&rusted programs"), self.internal_port)
        level_labels(form)
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.archive_on)
        layout.addWidget(self.keep_running)
        layout.addWidget(self.archive_state)
        layout.addSpacing(4)
        layout.addLayout(form)
        return part

    def _look_part(self) -> QWidget:
        part = QWidget(self)
        layout = QHBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        words = {
            Mode.SYSTEM: self.tr("As the system"),
            Mode.LIGHT: self.tr("Light"),
            Mode.DARK: self.tr("Dark"),
        }
        for number, (mode, text) in enumerate(words.items()):
            button = QRadioButton(text, part)
            button.setProperty("mode", mode.value)
            self.themes.addButton(button, number)
            layout.addWidget(button)
        layout.addStretch(1)
        return part

    def _show(self, settings: Settings) -> None:
        self.archive_on.setChecked(settings.desktop.local_archive)
        self.keep_running.setChecked(settings.desktop.keep_running)
        self.ae_title.setText(settings.serve.ae_title)
        self.port.setValue(settings.desktop.port)
        self.internal_port.setValue(settings.desktop.internal_port)
        self.dicom.show_settings(settings)
        for button in self.themes.buttons():
            button.setChecked(button.property("mode") == settings.desktop.theme)
        self.darker.setChecked(self._services.state.text(DRAG_DOWN_DARKER) == "yes")

    def _connect(self) -> None:
        self.archive_on.toggled.connect(self._switch_archive)
        self.keep_running.toggled.connect(lambda on: self._keep(keep_running=on))
        self.ae_title.editingFinished.connect(self._keep_title)
        self.port.editingFinished.connect(lambda: self._keep_port(port=self.port.value()))
        self.internal_port.editingFinished.connect(
            lambda: self._keep_port(internal_port=self.internal_port.value())
        )
        self.themes.buttonClicked.connect(lambda button: self._dress(Mode(button.property("mode"))))
        self.darker.toggled.connect(
            lambda on: self._services.state.keep_text(DRAG_DOWN_DARKER, "yes" if on else "no")
        )
        self.dicom.changed.connect(self._keep_dicom)
        self.dicom.statusWanted.connect(self.gatewayWanted)
        self._keeper.changed.connect(self._show_state)
        self.destinations.failed.connect(self.messages.show_error)

    def _write(self, settings: Settings) -> bool:
        if settings == self._services.settings.now:
            return False
        try:
            self._services.settings.save(settings)
        except KnownError as error:
            self.messages.show_error(error)
            return False
        self.saved.emit()
        return True

    def _keep(self, **changes: bool | int | str) -> bool:
        now = self._services.settings.now
        return self._write(replace(now, desktop=replace(now.desktop, **changes)))  # type: ignore[arg-type]

    def _keep_port(self, **changes: int) -> None:
        if self._keep(**changes):
            self._offer_restart()

    def _keep_dicom(self, wanted: Settings) -> None:
        if self._write(wanted):
            self._offer_restart()

    def showEvent(self, event: QShowEvent) -> None:
        """The list of senders may have grown meanwhile."""
        super().showEvent(event)
        self.dicom.show_settings(self._services.settings.now)

    def _keep_title(self) -> None:
        now = self._services.settings.now
        title = self.ae_title.text().strip()
        if not title or not title.isascii() or "\\" in title or not title.isprintable():
            self.messages.show_message(
                Message(
                    Kind.WARN,
                    self.tr("An AE title has 1 to 16 plain letters, digits or signs, and no backslash."),
                )
            )
            self.ae_title.setText(now.serve.ae_title)
        elif self._write(replace(now, serve=replace(now.serve, ae_title=title))):
            self._offer_restart()

    def _offer_restart(self) -> None:
        if self._keeper.state is not ArchiveState.OFF:
            self.messages.show_message(
                Message(Kind.INFO, self.tr("The local archive uses this after it was started again.")),
                action=self.tr("Start again now"),
                on_action=self._restart,
            )

    def _restart(self) -> None:
        self.messages.put_away()
        self._keeper.restart()

    def _switch_archive(self, on: bool) -> None:
        self._keep(local_archive=on)
        if on:
            self._keeper.start()
        else:
            self._keeper.stop()
        self._show_state()

    def _dress(self, mode: Mode) -> None:
        self._keep(theme=mode.value)
        self._theme.set_mode(mode)

    def _show_state(self) -> None:
        words = {
            ArchiveState.OFF: self.tr("It is off."),
            ArchiveState.STARTING: self.tr("It is starting…"),
            ArchiveState.RUNNING: self.tr("It is running: {where}").format(where=self._keeper.where),
            ArchiveState.FAILED: self.tr("It does not run."),
        }
        self.archive_state.setText(words[self._keeper.state])
        on = self.archive_on.isChecked()
        for control in (self.keep_running, self.ae_title, self.port, self.internal_port, self.dicom):
            control.setEnabled(on)
