"""The study tree: sorted where rows stay, ticks that add up, and every rule of Qt's model tester."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication, QStyleOptionViewItem, QTreeView
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from core.dicom.refs import FileRef, Found, Header
from ui.importing.row_painter import RowPainter
from ui.importing.tree_view import DiscTree
from ui.models.study_tree import Column, StudyTree
from ui.theme import Mode, Theme, tokens

CHECK = Qt.ItemDataRole.CheckStateRole


@dataclass(frozen=True)
class Who:
    """A made-up patient."""

    name: str = "Probe^Paula"
    patient_id: str = "P1"
    birth_date: str = "19700101"


ANNA = Who("Müller^Anna", "12345", "19500301")
BERT = Who("Brandt^Bert", "777", "19600101")


def found(n: int, who: Who = ANNA, study: str = "1.1", series: str = "1.1.1", **fields: object) -> Found:
    """One instance of a made-up disc."""
    header = Header(
        "1.2",
        f"{series}.{n}",
        study,
        series,
        "1.2.840.10008.1.2.1",
        patient_name=who.name,
        patient_id=who.patient_id,
        patient_birth_date=who.birth_date,
        patient_sex="F",
        study_date="20240211",
        study_description="CT Abdomen",
        modality="CT",
        series_number=2,
        series_description="axial",
    )
    return Found(FileRef(f"{who.patient_id}/{series}/{n}"), header._replace(**fields), 500_000)  # type: ignore[arg-type]


def feed(qtbot: QtBot, model: StudyTree, *batch: Found) -> None:
    """Hand over a batch and wait until it is in."""
    model.feed(batch)
    qtbot.waitUntil(lambda: model.settled, timeout=2000)


@pytest.fixture
def model(qtbot: QtBot, qtmodeltester: ModelTester) -> StudyTree:
    """An empty tree under the eyes of Qt's model tester."""
    made = StudyTree()
    qtmodeltester.check(made)
    return made


def texts(model: StudyTree, parent: QModelIndex | None = None) -> list[str]:
    """First column of the rows below *parent*."""
    above = parent or QModelIndex()
    return [model.index(row, 0, above).data() for row in range(model.rowCount(above))]


def test_a_disc_reads_as_the_clerk_would_write_it(qtbot: QtBot, model: StudyTree) -> None:
    feed(qtbot, model, *(found(n) for n in range(1, 5)))
    patient = model.index(0, 0)
    study = model.index(0, 0, patient)
    series = model.index(0, 0, study)
    assert patient.data() == "MÜLLER, Anna"
    assert study.data() == "2024-02-11  CT Abdomen"
    assert series.data() == "2  axial"
    assert series.siblingAtColumn(Column.TYPE).data() == "CT"
    assert study.siblingAtColumn(Column.IMAGES).data() == "4"
    assert patient.siblingAtColumn(Column.SIZE).data() == "2 MB"
    spoken = patient.data(Qt.ItemDataRole.AccessibleTextRole)
    assert "12345" in spoken
    assert "1950-03-01" in spoken


def test_rows_are_sorted_and_what_was_selected_stays_selected(qtbot: QtBot, model: StudyTree) -> None:
    feed(qtbot, model, found(1), found(1, study="1.2", series="1.2.1", study_date="20190702"))
    held = QPersistentModelIndex(model.index(1, 0, model.index(0, 0)))
    assert held.data().startswith("2019-07-02")
    feed(qtbot, model, found(1, BERT, study="2.1", series="2.1.1"))
    feed(qtbot, model, found(1, study="1.3", series="1.3.1", study_date="20211231"))
    feed(qtbot, model, found(1, study="1.4", series="1.4.1", study_date=""))
    assert texts(model) == ["BRANDT, Bert", "MÜLLER, Anna"]
    dates = [text[:10] for text in texts(model, model.index(1, 0))]
    assert dates == ["2024-02-11", "2021-12-31", "2019-07-02", "CT Abdomen"]
    assert held.data().startswith("2019-07-02")
    assert held.row() == 2


def test_ticks_go_down_and_up_and_are_three_valued(qtbot: QtBot, model: StudyTree) -> None:
    feed(
        qtbot,
        model,
        found(1),
        found(1, series="1.1.2", series_number=3),
        found(1, study="1.2", series="1.2.1", study_date="20190702"),
    )
    patient = model.index(0, 0)
    study = model.index(0, 0, patient)
    assert model.setData(model.index(1, 0, study), Qt.CheckState.Checked, CHECK)
    assert Qt.CheckState(study.data(CHECK)) is Qt.CheckState.PartiallyChecked
    assert Qt.CheckState(patient.data(CHECK)) is Qt.CheckState.PartiallyChecked
    [picked] = model.picked()
    assert picked.series_uids == {"1.1.2"}
    assert picked.images == 1
    model.setData(patient, Qt.CheckState.Checked.value, CHECK)
    assert [p.series_uids for p in model.picked()] == [None, None]
    model.tick_all(False)
    assert model.picked() == []


def test_a_series_that_comes_late_joins_a_study_that_is_ticked_as_a_whole(
    qtbot: QtBot, model: StudyTree
) -> None:
    feed(qtbot, model, found(1), found(1, study="1.2", series="1.2.1"))
    study = model.index(0, 0, model.index(0, 0))
    model.setData(study, Qt.CheckState.Checked, CHECK)
    feed(qtbot, model, found(1, series="1.1.9"), found(1, study="1.2", series="1.2.9"))
    [picked] = model.picked()
    assert picked.images == 2
    assert picked.series_uids is None


def test_two_spellings_of_one_patient_carry_a_sentence(qtbot: QtBot, model: StudyTree) -> None:
    other = Who("Mueller^A", "12345", "19500103")
    feed(qtbot, model, found(1), found(1, other, study="3.1", series="3.1.1"))
    for row in range(2):
        assert "Check whose images" in model.index(row, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_counts_that_changed_are_told_once_for_each_row_above(qtbot: QtBot, model: StudyTree) -> None:
    places = [(study, series) for study in ("1.1", "1.2") for series in ("a", "b", "c")]
    feed(qtbot, model, *(found(0, study=s, series=f"{s}.{e}") for s, e in places))
    told: list[tuple[int, int, int]] = []
    model.dataChanged.connect(lambda a, b: told.append((a.row(), b.row(), b.column())))
    feed(qtbot, model, *(found(1, study=s, series=f"{s}.{e}") for s, e in places))
    assert sorted(told) == [(0, 0, 3), (0, 1, 3), (0, 2, 3), (0, 2, 3)]  # patient, studies, series of each
    patient = model.index(0, 0)
    assert patient.siblingAtColumn(Column.IMAGES).data() == "12"


def test_twenty_thousand_files_go_in_by_small_helpings(qtbot: QtBot) -> None:
    model = StudyTree()
    helpings: list[float] = []
    help_once = model._helping

    def timed() -> None:
        before = time.thread_time()
        help_once()
        helpings.append(time.thread_time() - before)

    model._timer.timeout.disconnect()
    model._timer.timeout.connect(timed)
    batch = [found(n, series=f"1.1.{n % 200}", series_number=n % 200) for n in range(20_000)]
    model.feed(batch)
    qtbot.waitUntil(lambda: model.settled, timeout=10_000)
    assert model.index(0, 0).siblingAtColumn(Column.IMAGES).data().replace(",", "") == "20000"
    assert len(helpings) >= 2
    assert sorted(helpings)[-2] < 0.05  # one may meet a collection of everything the tests before left
    model.clear()
    assert model.rowCount() == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), max_size=40), st.randoms()
)
def test_the_order_of_arrival_changes_nothing(
    where: list[tuple[int, int, int]], chance: random.Random
) -> None:
    batch = [
        found(
            n,
            Who(f"Name{p}^X", f"id{p}"),
            study=f"{p}.{s}",
            series=f"{p}.{s}.{r}",
            study_date=f"2020010{s + 1}",
            series_number=r,
        )
        for n, (p, s, r) in enumerate(where)
    ]
    shuffled = list(batch)
    chance.shuffle(shuffled)
    assert _outline(batch) == _outline(shuffled)


def _outline(batch: list[Found]) -> list[tuple[str, str]]:
    model = StudyTree()
    model.feed(batch)
    while not model.settled:
        model._helping()
    model._timer.stop()
    lines: list[tuple[str, str]] = []

    def walk(parent: QModelIndex) -> None:
        for row in range(model.rowCount(parent)):
            index = model.index(row, 0, parent)
            lines.append((index.data(), index.siblingAtColumn(Column.IMAGES).data()))
            walk(index)

    walk(QModelIndex())
    return lines


class TreeByQt(DiscTree):
    """Paints every row as Qt would."""

    def drawRow(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        QTreeView.drawRow(self, painter, option, index)


def _apart(one: QImage, other: QImage) -> int:
    """The greatest difference of a colour between two pictures of one size."""
    assert one.size() == other.size()
    a, b = (image.convertToFormat(QImage.Format.Format_RGB32) for image in (one, other))
    values = [np.frombuffer(image.constBits(), np.uint8).astype(int) for image in (a, b)]
    return int(np.abs(values[0] - values[1]).max())


@pytest.mark.parametrize("direction", [Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft])
@pytest.mark.parametrize("mode", [Mode.LIGHT, Mode.DARK])
@pytest.mark.parametrize("wide", [420, 700])
def test_a_row_looks_as_qt_would_paint_it(
    qtbot: QtBot, qapp: QApplication, mode: Mode, direction: Qt.LayoutDirection, wide: int
) -> None:
    Theme(qapp, mode)
    model = StudyTree()
    ours, by_qt = DiscTree(model), TreeByQt(model)
    by_qt.setSelectionModel(ours.selectionModel())
    for tree in (ours, by_qt):
        qtbot.addWidget(tree)
        tree.setLayoutDirection(direction)
        tree.resize(wide, 400)
        tree.show()
    feed(
        qtbot,
        model,
        found(1, study_description="A title that is far too long for its column, however wide that may be"),
        found(2, series="1.1.2", series_number=3),
        found(3, BERT, "2.1", "2.1.1"),
    )
    for tree in (ours, by_qt):
        tree.expandAll()
    ours.setCurrentIndex(model.index(0, 0, model.index(0, 0)))
    by_qt.collapse(model.index(0, 0, model.index(1, 0)))
    ours.collapse(model.index(0, 0, model.index(1, 0)))
    model.tick(model.node(model.index(0, 0, model.index(0, 0, model.index(0, 0)))), True)
    before = ours.viewport().grab().toImage()
    assert _apart(before, by_qt.viewport().grab().toImage()) <= 2  # the edge of a check box rounds by one
    model.tick_all(True)
    assert _apart(before, ours.viewport().grab().toImage()) > 50


def test_a_row_under_the_mouse_is_lit(qtbot: QtBot, qapp: QApplication) -> None:
    Theme(qapp, Mode.LIGHT)
    model = StudyTree()
    tree = DiscTree(model)
    qtbot.addWidget(tree)
    tree.resize(700, 400)
    tree.show()
    feed(qtbot, model, found(1))
    option = QStyleOptionViewItem()
    option.initFrom(tree)
    option.rect = QRect(0, 0, 700, 28)
    colours = []
    for selected, hovered in ((False, False), (False, True), (True, True)):
        image = QImage(700, 28, QImage.Format.Format_RGB32)
        image.fill(QColor("#ffffff"))
        painter = QPainter(image)
        index = model.index(0, 0, model.index(0, 0))
        RowPainter(tree, model).paint(painter, option, index, selected, hovered)
        painter.end()
        colours.append(image.pixelColor(698, 2).name())
    assert colours == ["#ffffff", tokens().hover.lower(), tokens().selection.lower()]


def test_rows_follow_the_colours(qtbot: QtBot, qapp: QApplication) -> None:
    theme = Theme(qapp, Mode.LIGHT)
    model = StudyTree()
    ours, by_qt = DiscTree(model), TreeByQt(model)
    for tree in (ours, by_qt):
        qtbot.addWidget(tree)
        tree.resize(700, 400)
        tree.show()
    feed(qtbot, model, found(1))
    for tree in (ours, by_qt):
        tree.expandAll()
    ours.viewport().grab()
    theme.set_mode(Mode.DARK)
    assert _apart(ours.viewport().grab().toImage(), by_qt.viewport().grab().toImage()) <= 2
