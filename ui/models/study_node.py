"""One row of the study tree: a patient, a study or a series, its counts and its words."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt

from core.dicom.tree import Patient, Series, Study
from ui.models.people import all_groups, birth_text, images_text, iso_date, person_name, said, size_text


def _tr(text: str) -> str:
    return QCoreApplication.translate("StudyTree", text)


class Node:
    """One row. *leaves* and *ticked* count the series below (a series counts itself)."""

    __slots__ = ("_title", "children", "images", "item", "key", "keys", "leaves", "parent", "size", "ticked")

    def __init__(self, item: Patient | Study | Series | None, key: tuple[Any, ...], parent: Node | None):
        self.item = item
        self.key = key
        self.parent = parent
        self.children: list[Node] = []
        self.keys: list[tuple[Any, ...]] = []
        self.leaves = self.ticked = self.images = self.size = 0
        self._title: str | None = None

    @property
    def title(self) -> str:
        """The first column; put together once, for it is painted at every change of a count."""
        if self._title is None:
            self._title = title(self)
        return self._title

    def row(self) -> int:
        """Where it stands among its siblings."""
        return bisect_left(self.parent.keys, self.key) if self.parent is not None else 0

    def check_state(self) -> Qt.CheckState:
        """Ticked, not, or in part."""
        if not self.ticked:
            return Qt.CheckState.Unchecked
        return Qt.CheckState.Checked if self.ticked == self.leaves else Qt.CheckState.PartiallyChecked

    def series(self) -> Iterator[Node]:
        """The series rows at and below this one."""
        if isinstance(self.item, Series):
            yield self
        for child in self.children:
            yield from child.series()

    def up(self) -> Iterator[Node]:
        """This row and those above it, without the root."""
        node: Node | None = self
        while node is not None and node.parent is not None:
            yield node
            node = node.parent


def child_of(parent: Node, key: tuple[Any, ...]) -> Node | None:
    """The row below *parent* with this sort key."""
    row = bisect_left(parent.keys, key)
    return parent.children[row] if row < len(parent.keys) and parent.keys[row] == key else None


def latest_first(date: str) -> tuple[bool, int]:
    """A sort key that puts the latest date first and what is no date last."""
    digits = date.replace(".", "").replace("-", "").strip()
    return (False, -int(digits)) if digits.isascii() and digits.isdigit() else (True, 0)


def title(node: Node) -> str:
    """The first column: a patient's name, a study's date and title, a series' number and title."""
    match node.item:
        case Patient(header=header):
            return person_name(header.patient_name)
        case Study(header=header):
            what = header.study_description or _tr("Study without a title")
            return "  ".join(part for part in (iso_date(header.study_date), what) if part)
        case Series(header=header):
            what = header.series_description or _tr("Series without a title")
            return what if header.series_number is None else f"{header.series_number}  {what}"
    return ""


def type_text(node: Node) -> str:
    """Modalities of a study or series."""
    match node.item:
        case Study():
            return ", ".join(node.item.modalities)
        case Series(header=header):
            return header.modality
    return ""


def identity(patient: Patient) -> str:
    """`F · 1950-03-01 (76) · ID 12345`: what stands under a patient's name."""
    header = patient.header
    number = _tr("ID {id}").format(id=header.patient_id) if header.patient_id else _tr("no ID")
    return " · ".join(p for p in (header.patient_sex, birth_text(header.patient_birth_date), number) if p)


def tip(node: Node) -> str:
    """The tooltip: all spellings of a name, or the whole title."""
    if isinstance(node.item, Patient):
        lines = [all_groups(node.item.header.patient_name), identity(node.item), said(node.item.warning)]
        return "\n".join(line for line in lines if line)
    return "\n".join((title(node), f"{images_text(node.images)} · {size_text(node.size)}"))


def spoken(node: Node) -> str:
    """The row as a screen reader says it."""
    parts = [title(node)]
    if isinstance(node.item, Patient):
        parts += [identity(node.item), said(node.item.warning)]
    else:
        parts.append(type_text(node))
    return ", ".join(part for part in (*parts, images_text(node.images)) if part)
