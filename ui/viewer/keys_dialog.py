"""The list of keys and mouse moves of the viewer."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ui.viewer.commands import COMMANDS


class KeysDialog(QDialog):
    """Two columns: what is done, and with what."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keys and mouse"))
        self.resize(640, 620)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        mouse = (
            (self.tr("Scroll through images"), self.tr("Wheel; with Ctrl ten at a time")),
            (self.tr("Brightness and contrast"), self.tr("Drag with the left button")),
            (self.tr("Move"), self.tr("Drag with the middle button")),
            (self.tr("Zoom"), self.tr("Drag with the right button")),
            (self.tr("Menu"), self.tr("Click with the right button")),
            (self.tr("Full screen, or enlarge one of several"), self.tr("Double click")),
            (self.tr("Faster"), self.tr("Hold Ctrl while dragging")),
        )
        native = QKeySequence.SequenceFormat.NativeText
        keys = tuple(
            (command.title, ", ".join(QKeySequence(key).toString(native) for key in command.keys))
            for command in COMMANDS
        )
        self.table = QTableWidget(len(mouse) + len(keys), 2, self)
        self.table.setAccessibleName(self.tr("Keys and mouse"))
        self.table.setHorizontalHeaderLabels([self.tr("What"), self.tr("How")])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        self.table.horizontalHeader().setDefaultAlignment(left)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        for row, (what, how) in enumerate((*mouse, *keys)):
            self.table.setItem(row, 0, QTableWidgetItem(what))
            self.table.setItem(row, 1, QTableWidgetItem(how))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.button(QDialogButtonBox.StandardButton.Close).setIcon(QIcon())  # the style's own is dark
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addWidget(buttons)
