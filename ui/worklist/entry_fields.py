"""The fields of an entry's form: an editor each, with a label that leads to it and room for what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QDate, QTime, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDateEdit,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QTimeEdit,
    QVBoxLayout,
    QWidget,
)

from ui.models.people import birth_text
from ui.worklist.checking import long_years, name_of, name_text, problem, read_day, write_day


class Field(QWidget):
    """One attribute by *keyword*; subclasses say how it is edited.

    Signals: `changed()` by a person or by `show`.
    """

    changed = Signal()

    def __init__(self, keyword: str, label: str, editor: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.keyword = keyword
        self.editor = editor
        self.label = QLabel(label, self)
        self.label.setBuddy(editor)
        self.error = QLabel(self)
        self.error.setProperty("role", "bad")
        self.error.setWordWrap(True)
        self.error.hide()
        self.name = label.replace("&", "")
        editor.setAccessibleName(self.name.removesuffix(" *"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(4)
        layout.addWidget(self.label)
        layout.addWidget(editor)
        layout.addWidget(self.error)
        layout.addStretch(1)

    def value(self) -> str:
        """What it says, as DICOM writes it."""
        raise NotImplementedError

    def show_value(self, value: str) -> None:
        """Show a value as DICOM writes it."""
        raise NotImplementedError

    def problem(self) -> str:
        """What is wrong, in a sentence; "" if nothing is."""
        return problem(self.keyword, self.value())

    def check(self) -> bool:
        """Whether it is well; what is wrong is written below it."""
        words = self.problem()
        self.error.setText(words)
        self.error.setVisible(bool(words))
        self.editor.setAccessibleDescription(words)
        return not words

    def _changed(self) -> None:
        if self.error.isVisible():
            self.check()
        self.changed.emit()


class TextField(Field):
    """A line of text."""

    def __init__(self, keyword: str, label: str, parent: QWidget | None = None, *, hint: str = "") -> None:
        self.line = QLineEdit()
        super().__init__(keyword, label, self.line, parent)
        self.line.setPlaceholderText(hint)
        self.line.textChanged.connect(lambda _text: self._changed())

    def value(self) -> str:
        return self.line.text().strip()

    def show_value(self, value: str) -> None:
        self.line.setText(value)


class NameField(TextField):
    """A person who is no patient, as `Family, Given`; a middle name and titles that were there stay."""

    def __init__(self, keyword: str, label: str, parent: QWidget | None = None) -> None:
        super().__init__(keyword, label, parent, hint="Family, Given")
        self.line.setPlaceholderText(self.tr("Family, Given"))
        self._before = ""

    def value(self) -> str:
        text = super().value()
        if text == name_text(self._before):
            return self._before
        return name_of(text, self._before if text else "")

    def show_value(self, value: str) -> None:
        self._before = value
        super().show_value(name_text(value))


class BirthField(Field):
    """A date that may be missing, as the locale writes it; what was understood is said beside it."""

    def __init__(self, keyword: str, label: str, parent: QWidget | None = None) -> None:
        box = QWidget()
        self.line = QLineEdit(box)
        self.read = QLabel(box)
        self.read.setProperty("role", "muted")
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.line)
        row.addWidget(self.read, 1)
        super().__init__(keyword, label, box, parent)
        box.setFocusProxy(self.line)
        self.label.setBuddy(self.line)
        self.line.setAccessibleName(self.name)
        self.line.setMaximumWidth(140)
        self.line.setPlaceholderText(write_day("19500301"))
        self.line.textChanged.connect(lambda _text: self._understood())

    def _understood(self) -> None:
        self.read.setText(birth_text(self.value()) if read_day(self.line.text()) else "")
        self._changed()

    def value(self) -> str:
        return read_day(self.line.text()) or ""

    def show_value(self, value: str) -> None:
        self.line.setText(write_day(value))

    def problem(self) -> str:
        day = read_day(self.line.text())
        example = write_day("19500301")
        if day is None:
            return self.tr("Write the date with four digits for the year, like {example}.").format(
                example=example
            )
        if day > QDate.currentDate().toString("yyyyMMdd"):
            return self.tr("This day has not come yet.")
        return super().problem()


class ChoiceField(Field):
    """One of several words, or, where *free*, another one."""

    def __init__(
        self,
        keyword: str,
        label: str,
        choices: Sequence[tuple[str, str]],
        parent: QWidget | None = None,
        *,
        free: bool = False,
    ) -> None:
        self.box = QComboBox()
        self.box.setEditable(free)
        for word, value in choices:
            self.box.addItem(word, value)
        super().__init__(keyword, label, self.box, parent)
        line = self.box.lineEdit()
        if line is not None:
            line.setAccessibleName(self.name.removesuffix(" *"))
        self.box.setCurrentIndex(-1 if free else 0)
        self.box.currentTextChanged.connect(lambda _text: self._changed())

    def value(self) -> str:
        text = self.box.currentText().strip()
        found = self.box.findText(text)
        if found >= 0 and (not self.box.isEditable() or self.box.itemText(found) == text):
            return str(self.box.itemData(found))
        return text.upper() if self.keyword == "Modality" else text

    def show_value(self, value: str) -> None:
        found = self.box.findData(value)
        if found >= 0:
            self.box.setCurrentIndex(found)
        elif self.box.isEditable():
            self.box.setEditText(value)
        elif value:  # one that is not among our words is kept
            self.box.addItem(value, value)
            self.box.setCurrentIndex(self.box.count() - 1)
        else:
            self.box.setCurrentIndex(0)


class DayField(Field):
    """A day that must be there."""

    def __init__(self, keyword: str, label: str, parent: QWidget | None = None) -> None:
        self.edit = QDateEdit()
        self.edit.setCalendarPopup(True)
        self.edit.setDisplayFormat(long_years(self.edit.displayFormat()))
        self.edit.setDate(QDate.currentDate())
        super().__init__(keyword, label, self.edit, parent)
        self.edit.dateChanged.connect(lambda _day: self._changed())

    def value(self) -> str:
        return self.edit.date().toString("yyyyMMdd")

    def show_value(self, value: str) -> None:
        day = QDate.fromString(value, "yyyyMMdd")
        if day.isValid():
            self.edit.setDate(day)


class TimeField(Field):
    """A time of day that must be there; seconds that were there stay while it is not changed."""

    def __init__(self, keyword: str, label: str, parent: QWidget | None = None) -> None:
        self.edit = QTimeEdit()
        now = QTime.currentTime()
        self.edit.setTime(QTime(now.hour(), now.minute() // 5 * 5))
        super().__init__(keyword, label, self.edit, parent)
        self._before = ""
        self.edit.timeChanged.connect(lambda _time: self._changed())

    def value(self) -> str:
        shown = self.edit.time().toString("HHmm")
        return self._before if self._before[:4] == shown else shown

    def show_value(self, value: str) -> None:
        self._before = value
        time = QTime.fromString(value[:4].ljust(4, "0"), "HHmm")
        if time.isValid():
            self.edit.setTime(time)
