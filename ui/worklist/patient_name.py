"""The patient's name in an entry's form: family and given name, and the same in other scripts."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QToolButton, QWidget

from ui.worklist.entry_fields import Field


class PatientNameField(Field):
    """Three component groups (PS3.5 6.2.1.2): alphabetic, ideographic, phonetic.

    Components that have no line of their own (titles) stay as they were.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        box = QWidget()
        self.lines: list[list[QLineEdit]] = []
        self._rest: list[list[str]] = [[], [], []]
        self._grid = QGridLayout(box)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self.more = QToolButton(box)
        self._others: list[QWidget] = []
        super().__init__("PatientName", self.tr("Patient's &name *"), box, parent)
        characters = self.tr("Family name in characters"), self.tr("Given name in characters")
        sound = self.tr("Family name as it sounds"), self.tr("Given name as it sounds")
        groups: tuple[tuple[str, tuple[str, ...]], ...] = (
            ("", (self.tr("Family name"), self.tr("Given name"), self.tr("Middle name"))),
            (self.tr("Characters"), characters),
            (self.tr("Sound"), sound),
        )
        for row, (title, names) in enumerate(groups):
            self._add_group(row, title, names)
        self.more.setText(self.tr("Other scripts"))
        self.more.setCheckable(True)
        self.more.setProperty("role", "quiet")
        self.more.setToolTip(self.tr("The name in characters (ideographic) and as it sounds (phonetic)"))
        self.more.toggled.connect(self.show_others)
        self._grid.addWidget(self.more, 0, 4)
        self.show_others(False)
        box.setFocusProxy(self.lines[0][0])
        self.label.setBuddy(self.lines[0][0])

    def _add_group(self, row: int, title: str, names: tuple[str, ...]) -> None:
        lines = []
        if title:
            label = QLabel(title)
            label.setProperty("role", "muted")
            self._grid.addWidget(label, row, 0)
            self._others.append(label)
        for column, name in enumerate(names, 1):
            line = QLineEdit()
            line.setAccessibleName(name)
            line.setPlaceholderText(name)
            line.textChanged.connect(lambda _text: self._changed())
            self._grid.addWidget(line, row, column)
            self._grid.setColumnStretch(column, 1)
            lines.append(line)
            if title:
                self._others.append(line)
        self.lines.append(lines)

    def show_others(self, shown: bool) -> None:
        """Show the lines for other scripts, or not."""
        for widget in self._others:
            widget.setVisible(shown)

    def value(self) -> str:
        groups = []
        for lines, rest in zip(self.lines, self._rest, strict=True):
            parts = [line.text().strip() for line in lines]
            whole = "^".join([*parts, *rest]) if any(parts) else ""
            groups.append(whole.rstrip("^"))
        return "=".join(groups).rstrip("=")

    def show_value(self, value: str) -> None:
        groups = [*value.split("="), "", ""][:3]
        for number, (group, lines) in enumerate(zip(groups, self.lines, strict=True)):
            parts = group.split("^")
            for place, line in enumerate(lines):
                line.setText(parts[place] if place < len(parts) else "")
            self._rest[number] = parts[len(lines) :]
        if any(groups[1:]):
            self.more.setChecked(True)

    def problem(self) -> str:
        written = [line.text() for lines in self.lines for line in lines]
        if any(sign in text for text in written for sign in "^=\\"):
            return self.tr("The signs ^ = \\ cannot be used in a name.")
        if self.value() and not self.lines[0][0].text().strip():
            return self.tr("The family name must be filled in.")
        return super().problem()
