"""The list of saved destinations with Add, Edit, Remove and Test."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ui.dialogs.decision import Decision
from ui.dialogs.destination import DestinationDialog
from ui.icons import icon
from ui.messages import of_error
from ui.services import DestinationText, Services


class DestinationList(QWidget):
    """Signals: `changed()` after the list changed; `failed(object)` with an exception."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.list = QListWidget(self)
        self.list.setAccessibleName(self.tr("Saved destinations"))
        self.empty = QLabel(
            self.tr("Only the local archive so far. Add the archives studies are to be sent to."), self
        )
        self.empty.setProperty("role", "muted")
        self.empty.setWordWrap(True)
        self.answer = QLabel(self)
        self.answer.setWordWrap(True)
        self.add_button = QPushButton(icon("ph.plus", before_text=True), self.tr("Add…"), self)
        self.edit_button = QPushButton(icon("ph.pencil-simple", before_text=True), self.tr("Edit…"), self)
        self.test_button = QPushButton(icon("ph.activity", before_text=True), self.tr("Test"), self)
        self.remove_button = QPushButton(icon("ph.trash", before_text=True), self.tr("Remove…"), self)
        self._build()
        self.refresh()

    def _build(self) -> None:
        self.list.currentItemChanged.connect(lambda *_: self._enable())
        self.list.itemActivated.connect(lambda _item: self.edit())
        self.add_button.clicked.connect(lambda: self._open(None))
        self.edit_button.clicked.connect(lambda: self.edit())
        self.test_button.clicked.connect(lambda: self.test())
        self.remove_button.clicked.connect(lambda: self.remove())
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.add_button, self.edit_button, self.test_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self.empty, self.list, self.answer):
            layout.addWidget(widget)
        layout.addLayout(buttons)

    def refresh(self) -> None:
        """Show what is saved now."""
        chosen = self.chosen()
        self.list.clear()
        for each in self._services.destinations.all():
            login = self.tr("as {login}").format(login=each.login) if each.login else ""
            where, _, encrypted = each.spec.partition("?")
            words = (where, self.tr("over TLS") if encrypted and "://" not in where else "", login)
            item = QListWidgetItem("\n".join((each.name, " ".join(p for p in words if p))))
            item.setData(Qt.ItemDataRole.UserRole, each)
            self.list.addItem(item)
            if chosen is not None and each.name == chosen.name:
                self.list.setCurrentItem(item)
        self.list.setVisible(self.list.count() > 0)
        rows = sum(self.list.sizeHintForRow(row) for row in range(min(self.list.count(), 4)))
        self.list.setFixedHeight(rows + 8)
        self.empty.setVisible(self.list.count() == 0)
        self.answer.hide()
        self._enable()

    def chosen(self) -> DestinationText | None:
        """The one that is selected."""
        item = self.list.currentItem()
        found = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        return found if isinstance(found, DestinationText) else None

    def _enable(self) -> None:
        has = self.chosen() is not None
        for button in (self.edit_button, self.test_button, self.remove_button):
            button.setEnabled(has)

    def _open(self, old: DestinationText | None) -> None:
        dialog = DestinationDialog(self._services, old, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.saved.connect(self._saved)
        dialog.open()

    def _saved(self, name: str) -> None:
        self.refresh()
        for row in range(self.list.count()):
            each = self.list.item(row).data(Qt.ItemDataRole.UserRole)
            if isinstance(each, DestinationText) and each.name == name:
                self.list.setCurrentRow(row)
        self.changed.emit()

    def edit(self) -> None:
        """Change the selected one."""
        if self.chosen() is not None:
            self._open(self.chosen())

    def test(self) -> None:
        """Call the selected one and say what answered."""
        subject = self.chosen()
        if subject is None:
            return
        self.test_button.setEnabled(False)
        self._say(self.tr("Asking {name}…").format(name=subject.name), "muted")
        self._services.jobs.call(
            lambda: self._services.destinations.test(subject, None),
            done=lambda words: self._tested(words, "good"),
            failed=self._not_tested,
        )

    def _tested(self, words: str, role: str) -> None:
        self._enable()
        self._say(words, role)

    def _not_tested(self, error: Exception) -> None:
        self._tested(of_error(error).words, "bad")

    def _say(self, words: str, role: str) -> None:
        self.answer.setProperty("role", role)
        self.answer.style().unpolish(self.answer)
        self.answer.style().polish(self.answer)
        self.answer.setText(words)
        self.answer.show()

    def remove(self) -> None:
        """Ask, and forget the selected one with its secret."""
        subject = self.chosen()
        if subject is None:
            return
        dialog = Decision(
            self.tr("Remove this destination?"),
            who=subject.name,
            detail=self.tr("Its password is taken out of the keyring. Nothing at the destination changes."),
            yes=self.tr("Remove"),
            no=self.tr("Keep"),
            parent=self,
        )
        dialog.decided.connect(lambda: self._remove(subject.name))
        dialog.open()

    def _remove(self, name: str) -> None:
        def removed(_none: None) -> None:
            self.refresh()
            self.changed.emit()

        self._services.tasks.call(
            lambda: self._services.destinations.remove(name), done=removed, failed=self.failed.emit
        )
