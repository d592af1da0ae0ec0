"""The tab of files that were not taken, grouped by reason in words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QHeaderView,
    QLabel,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.dicom.refs import Skipped, SkipReason
from ui.models.people import said

SHOWN = 500  # files a reason; the rest is a count


def reason_text(reason: SkipReason) -> str:
    """The heading of one group."""
    words = {
        SkipReason.NOT_DICOM: "Other files, not images",
        SkipReason.DICOMDIR: "Tables of contents of the disc",
        SkipReason.TRUNCATED: "Cut short: the end of the image is missing",
        SkipReason.NO_UID: "Images without an identity",
        SkipReason.UNREADABLE: "Could not be read",
        SkipReason.DUPLICATE: "Second copies of images that were taken",
        SkipReason.CONFLICT: "Images that claim the identity of another one",
        SkipReason.ENCRYPTED: "Locked with a password",
        SkipReason.TOO_DEEP: "In folders or archives nested too deep",
    }
    return QCoreApplication.translate("Skipped", words[reason])


class WholeSentence(QStyledItemDelegate):
    """A row as high as its sentence is long, at the width its column has now."""

    MARGIN = 20  # what the style sheet pads an item with, which the style leaves out of its reckoning

    def __init__(self, tree: QTreeWidget) -> None:
        super().__init__(tree)
        self._tree = tree

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        narrow = QStyleOptionViewItem(option)
        narrow.rect = QRect(0, 0, self._tree.columnWidth(index.column()) - self.MARGIN, 10_000)
        return super().sizeHint(narrow, index)


class SkippedTree(QTreeWidget):
    """File and reason: the file takes its share of the width, the reason the rest."""

    FILE_SHARE = 0.42

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderLabels([self.tr("File"), self.tr("Why")])
        self.setAccessibleName(self.tr("Skipped files by reason"))
        self.setWordWrap(True)
        self.setIndentation(12)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setItemDelegateForColumn(1, WholeSentence(self))
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.header().sectionResized.connect(lambda *_: self.scheduleDelayedItemsLayout())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.setColumnWidth(0, round(event.size().width() * self.FILE_SHARE))


class SkippedTab(QWidget):
    """What was left out and why; the worst reasons stand first."""

    _ORDER = (
        SkipReason.TRUNCATED,
        SkipReason.UNREADABLE,
        SkipReason.CONFLICT,
        SkipReason.NO_UID,
        SkipReason.ENCRYPTED,
        SkipReason.TOO_DEEP,
        SkipReason.DUPLICATE,
        SkipReason.NOT_DICOM,
        SkipReason.DICOMDIR,
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Sequence[Skipped] = ()
        self.tree = SkippedTree(self)
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.tree)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self._copy)
        self.empty = QLabel(self.tr("Nothing was skipped."), self)
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 12, 4, 4)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.empty, 1)
        self.show_skipped(())

    def show_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Show these, unless they are the ones shown already."""
        wanted = tuple(skipped)
        if wanted and wanted == self._shown:
            return
        open_groups = {item.data(0, Qt.ItemDataRole.UserRole) for item in self._groups() if item.isExpanded()}
        self._shown = wanted
        self.tree.clear()
        for reason in self._ORDER:
            files = [s for s in self._shown if s.reason == reason]
            if files:
                group = self._group(reason, files)
                group.setExpanded(reason in open_groups or len(files) <= 20)
        self.tree.setVisible(bool(self._shown))
        self.empty.setVisible(not self._shown)

    def _groups(self) -> list[QTreeWidgetItem]:
        items = [self.tree.topLevelItem(n) for n in range(self.tree.topLevelItemCount())]
        return [item for item in items if item is not None]

    def _group(self, reason: SkipReason, files: Sequence[Skipped]) -> QTreeWidgetItem:
        group = QTreeWidgetItem(self.tree, [f"{len(files)} · {reason_text(reason)}"])
        group.setData(0, Qt.ItemDataRole.UserRole, reason)
        group.setFirstColumnSpanned(True)
        font = group.font(0)
        font.setBold(True)
        group.setFont(0, font)
        for skipped in files[:SHOWN]:
            why = said(skipped.detail)
            item = QTreeWidgetItem(group, [skipped.path, why])
            item.setToolTip(0, skipped.path)
            item.setToolTip(1, why)
        if len(files) > SHOWN:
            QTreeWidgetItem(group, [self.tr("and {n} more").format(n=len(files) - SHOWN)])
        return group

    def _copy(self) -> None:
        item = self.tree.currentItem()
        if item is not None:
            QGuiApplication.clipboard().setText("\t".join(filter(None, (item.text(0), item.text(1)))))
