"""What holds for every page and dialog: names for readers, keys reach all, words can be translated."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QPoint, Qt, QTranslator
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QScrollBar,
    QTabBar,
    QTableView,
    QTabWidget,
    QTreeView,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.ui.screens import NAMES, Screens, screens, theme
from ui import messages

__all__ = ["screens", "theme"]

CONTROLS = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit,
    QPlainTextEdit, QProgressBar, QTabBar,
)  # fmt: skip


def controls(top: QWidget) -> list[QWidget]:
    """What can be seen and used, without the parts a control is made of."""
    return [
        each
        for each in top.findChildren(QWidget)
        if isinstance(each, CONTROLS)
        and not isinstance(each, QScrollBar)
        and each.isVisible()
        and each.window() is top
        and not _is_part(each)
    ]


def _is_part(widget: QWidget) -> bool:
    above = widget.parentWidget()
    inside = (QAbstractSpinBox, QComboBox, QLineEdit, QTabBar)
    return (
        isinstance(above, inside)
        or widget.objectName().startswith("qt_")
        or (above is not None and isinstance(above.parentWidget(), QAbstractItemView))
        or type(widget).__name__ in ("QHeaderView", "QTableCornerButton")
        or isinstance(above, QAbstractItemView)
    )


def called(widget: QWidget) -> str:
    """For messages of this test."""
    words = widget.text() if isinstance(widget, QAbstractButton) else widget.accessibleName()
    return f"{type(widget).__name__} {words!r} in {type(widget.parent()).__name__}"


@pytest.mark.parametrize("name", NAMES)
def test_a_screen_reader_has_a_name_for_every_control(screens: Screens, name: str) -> None:
    screen = screens.show(name)
    found = controls(screen)
    assert found
    nameless = []
    for each in found:
        interface = QAccessible.queryAccessibleInterface(each)
        words = interface.text(QAccessible.Text.Name) if interface is not None else ""
        if not (words or each.accessibleName()).strip():
            nameless.append(called(each))
    assert nameless == []


def reachable(widget: QWidget) -> bool:
    """Whether the keyboard is expected to come to *widget* by Tab."""
    if not widget.isEnabled() or isinstance(widget, QProgressBar):
        return False
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    if isinstance(widget, QAbstractButton) and (group is not None or widget.autoExclusive()):
        return not widget.isCheckable() or widget.isChecked()  # the others by arrow keys
    return True


@pytest.mark.parametrize("name", NAMES)
def test_tab_comes_to_every_control_and_round_again(qtbot: QtBot, screens: Screens, name: str) -> None:
    screen = screens.show(name)
    wanted = [each for each in controls(screen) if reachable(each)]
    qtbot.waitUntil(screen.isActiveWindow, timeout=5000)
    visited: list[QWidget] = []
    for _ in range(300):
        now = QApplication.focusWidget()
        if now is None:
            screen.setFocus()
        elif now in visited and visited.index(now) == 0 and len(visited) > 1:
            break
        elif now not in visited:
            visited.append(now)
        qtbot.keyClick(QApplication.focusWidget() or screen, Qt.Key.Key_Tab)
    proxies = {each.focusProxy() for each in visited if each.focusProxy() is not None}
    missed = [
        called(each)
        for each in wanted
        if each not in visited and each.focusProxy() not in visited and each not in proxies
        and not any(isinstance(v, QTabWidget | QAbstractScrollArea) and v.isAncestorOf(each) for v in visited)
    ]  # fmt: skip
    assert missed == []
    for parent in {each.parentWidget() for each in visited}:
        mine = [each for each in visited if each.parentWidget() is parent]
        back = [
            f"{called(first)} before {called(second)}"
            for first, second in itertools.pairwise([*mine, mine[0]])
            if _after(first, second)
        ]
        assert len(back) <= 1, back  # once round, from the last to the first


def _after(first: QWidget, second: QWidget) -> bool:
    """Whether *first* is read after *second*: below it, or right of it on the same line."""
    one, two = (w.mapTo(w.window(), QPoint(0, 0)) for w in (first, second))
    if abs(one.y() - two.y()) > min(first.height(), second.height()) // 2:
        return one.y() > two.y()
    return one.x() > two.x()


class Marked(QTranslator):
    """Translates every sentence into itself between brackets."""

    def translate(self, _context: str, text: str, _disambiguation: str | None = None, _n: int = -1) -> str:
        return f"⟦{text}⟧"

    def isEmpty(self) -> bool:
        return False


@pytest.fixture
def marked(qapp: QApplication) -> Iterator[None]:
    """A language in which every sentence of ours is seen to be translated."""
    translator = Marked()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


DATA = re.compile(
    r"M(Ü|UE?)LLER|Mueller|ÄNDERUNG|ACC-77|ECG\b|YAMADA|山田|Anna|Tarou|12345|JP-77|RAD_CD|older\.zip|Befund|Clinic|joan|FILMJACKET|Filmjacket"
    r"|CT\b|MR\b|US\b|CR\b|Abdomen|Knee|Thorax|Schädel|axial|desk|ID00|AUTORUN|DICOMDIR|127\.0\.0\.1|archive\.example"
    r"|v3:|MESSAGE|REMEDY|REASON|IM7|application/pdf|\bkB\b|\bMB\b|GB\b|OT\b|SR\b|PDF$|pytest"
)
"""What is on the disc, in the settings or in the locale, and not ours to translate."""
KEYS = re.compile(r"\b(Ctrl|Shift|Alt|Space|Enter|Return|Home|End|PgUp|PgDown|Tab|Esc|Del|F\d+)\b(\+\S+)?")


def words_of(screen: QWidget) -> Iterator[tuple[str, str]]:
    """Every text on a screen, with where it stands."""
    for each in (screen, *screen.findChildren(QWidget)):
        if each.window() is not screen or (each is not screen and not each.isVisible()):
            continue
        where = f"{type(each).__name__} in {type(each.parent()).__name__}"
        texts = [each.toolTip(), each.accessibleName(), each.windowTitle() if each.isWindow() else ""]
        if isinstance(each, QLabel | QAbstractButton):
            texts.append(each.text())
        if isinstance(each, QLineEdit):
            texts.append(each.placeholderText())
        if isinstance(each, QComboBox):
            texts += [each.itemText(n) for n in range(each.count())]
        if isinstance(each, QTabWidget):
            texts += [each.tabText(n) for n in range(each.count())]
        if isinstance(each, QTableView | QTreeView):
            model = each.model()
            across = Qt.Orientation.Horizontal
            texts += [str(model.headerData(n, across) or "") for n in range(model.columnCount())]
        for text in texts:
            yield where, text
    for action in screen.findChildren(QAction):
        yield "QAction", action.text()


def untranslated(text: str) -> str:
    """The part of *text* that is neither translated nor data; "" if there is none."""
    plain = KEYS.sub(" ", re.sub(r"<[^>]*>", " ", text))
    while "⟦" in plain:  # from within: translated parts stand in translated sentences
        shorter = re.sub(r"⟦[^⟦⟧]*⟧", " ", plain)
        if shorter == plain:
            break
        plain = shorter
    return "" if DATA.search(plain) else " ".join(re.findall(r"[A-Za-z]{3,}", plain))


@pytest.mark.parametrize("name", NAMES)
def test_every_word_on_a_screen_can_be_translated(marked: None, screens: Screens, name: str) -> None:
    screen = screens.show(name)
    found = {f"{where}: {text!r}" for where, text in words_of(screen) if untranslated(text)}
    assert found == set()


def test_the_check_sees_a_word_that_cannot_be_translated(marked: None) -> None:
    assert untranslated("Hello") == "Hello"
    assert untranslated("⟦{n} files⟧ read") == "read"
    assert untranslated("⟦⟦{n} files⟧ read⟧ · MÜLLER, Anna") == ""


def test_what_happens_to_a_sending_is_announced(
    qtbot: QtBot, screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def hear(event: object) -> None:
        if isinstance(event, QAccessibleAnnouncementEvent):
            said.append(event.message())

    monkeypatch.setattr(messages.QAccessible, "updateAccessibility", hear)
    screens.show("scanned")
    assert any("of" in words and "indexed" in words for words in said)
    said.clear()
    screens.show("sent_here")
    qtbot.waitUntil(lambda: any("all checked by content" in words for words in said), timeout=5000)
    assert any(words.endswith(": Sending") for words in said)
