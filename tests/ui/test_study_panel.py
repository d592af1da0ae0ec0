"""The study panel: who, which images, details, attachments, skipped files; updates in place."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, QRect, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from core.dicom.refs import Skipped, SkipReason
from core.errors import Unreachable
from core.media.samples import SamplePatient, SampleStudy
from tests.ui.viewing import mixed_study, view_of
from ui.models.series_list import THUMBNAIL_ROLE
from ui.models.study_view import AttachmentView, ElementText, StudyView
from ui.tasks import Tasks
from ui.widgets.skipped_tab import WholeSentence, reason_text
from ui.widgets.study_panel import StudyPanel

NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.fixture
def view() -> StudyView:
    made = view_of(mixed_study(SampleStudy(patient=SamplePatient(NAME, "12345", "19500301", "M"))))
    return replace(
        made,
        details=lambda: (
            ElementText("Patient's Name", "(0010,0010)", NAME, "Yamada^Tarou=\\x1b$B"),
            ElementText("Patient ID", "(0010,0020)", "12345", "12345 "),
        ),
    )


@pytest.fixture
def panel(qtbot: QtBot, tasks: Tasks) -> StudyPanel:
    made = StudyPanel(tasks)
    qtbot.addWidget(made)
    made.resize(520, 640)
    made.show()
    return made


def test_the_banner_names_the_patient_with_all_groups_on_hover(panel: StudyPanel, view: StudyView) -> None:
    panel.show_study(view)
    banner = panel.banner.patient
    assert "YAMADA, Tarou" in banner.text() and "1950-03-01" in banner.text() and "12345" in banner.text()
    assert banner.toolTip().splitlines() == ["YAMADA, Tarou", "山田, 太郎", "やまだ, たろう"]
    assert "12345" in banner.accessibleName()
    assert "CT Abdomen" in panel.banner.study.text() and "A1001" in panel.banner.study.text()


def test_the_name_is_never_cut_the_description_gives_way(
    qtbot: QtBot, panel: StudyPanel, view: StudyView
) -> None:
    long = "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Theodor Maximilian"
    panel.show_study(replace(view, patient=replace(view.patient, name=long), description="word " * 60))
    panel.resize(330, 640)
    banner = panel.banner.patient
    assert banner.wordWrap()
    qtbot.waitUntil(lambda: banner.height() >= banner.heightForWidth(banner.width()))
    assert panel.banner.study.height() < 40
    assert panel.banner.study.toolTip() == panel.banner.study.text()


def test_markup_in_a_name_stays_text(panel: StudyPanel, view: StudyView) -> None:
    panel.show_study(replace(view, patient=replace(view.patient, name="<b>A</b>^<img>")))
    assert "<img" not in panel.banner.patient.text() and "&lt;IMG" not in panel.banner.patient.text()
    assert "&lt;img&gt;" in panel.banner.patient.text()


def test_thumbnails_come_in_the_background(qtbot: QtBot, panel: StudyPanel, view: StudyView) -> None:
    threads: set[str] = set()

    def watched(make):  # type: ignore[no-untyped-def]
        def made() -> bytes:
            threads.add(threading.current_thread().name)
            return make()  # type: ignore[no-any-return]

        return made

    panel.show_study(replace(view, series=[replace(s, thumbnail=watched(s.thumbnail)) for s in view.series]))
    model = panel.series

    def there() -> bool:
        return all(model.index(n).data(THUMBNAIL_ROLE) is not None for n in range(model.rowCount()))

    qtbot.waitUntil(there)
    assert threads and all(name.startswith("task") for name in threads)
    assert model.index(0).data(THUMBNAIL_ROLE).image is not None
    document = model.index(3).data(THUMBNAIL_ROLE)
    assert document.image is None and document.reason


def test_series_keep_place_and_selection_while_a_disc_is_read(
    qtbot: QtBot, panel: StudyPanel, view: StudyView
) -> None:
    ModelTester(panel.series).check(panel.series)
    panel.show_study(replace(view, series=view.series[:2]))
    panel.images.setCurrentIndex(panel.series.index(1))
    panel.tabs.setCurrentWidget(panel.details)
    panel.show_study(view)
    assert panel.images.currentIndex().row() == 1
    assert panel.series.rowCount() == len(view.series)
    assert panel.tabs.currentWidget() is panel.details
    other = replace(view, uid="1.2.3", series=view.series[2:])
    panel.show_study(other)
    assert panel.selected_series() == other.series[0].uid


def test_double_click_and_enter_open_a_series(qtbot: QtBot, panel: StudyPanel, view: StudyView) -> None:
    panel.show_study(view)
    panel.images.setCurrentIndex(panel.series.index(1))
    with qtbot.waitSignal(panel.openSeries) as entered:
        qtbot.keyClick(panel.images, Qt.Key.Key_Return)
    assert entered.args == [view.series[1].uid]
    place = panel.images.visualRect(panel.series.index(0)).center()
    qtbot.mouseClick(panel.images.viewport(), Qt.MouseButton.LeftButton, pos=place)
    with qtbot.waitSignal(panel.openSeries) as clicked:
        qtbot.mouseDClick(panel.images.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert clicked.args == [view.series[0].uid]


def test_details_are_read_when_looked_at_searched_and_copied(
    qtbot: QtBot, panel: StudyPanel, view: StudyView
) -> None:
    asked: list[int] = []

    def details() -> Sequence[ElementText]:
        asked.append(1)
        return list(view.details())  # type: ignore[arg-type]

    panel.show_study(replace(view, details=details))
    assert not asked
    panel.tabs.setCurrentWidget(panel.details)
    qtbot.waitUntil(lambda: panel.details.model.rowCount() == 2)
    ModelTester(panel.details.model).check(panel.details.model)
    panel.details.search.setText("(0010,0020)")
    assert panel.details.filter.rowCount() == 1
    panel.details.copy.click()
    assert QGuiApplication.clipboard().text() == "Patient ID\t(0010,0020)\t12345\t12345 "
    panel.details.search.setText("no such thing")
    assert panel.details.filter.rowCount() == 0


def test_details_of_another_study_are_never_shown(qtbot: QtBot, panel: StudyPanel, view: StudyView) -> None:
    gate = threading.Event()

    def slow() -> Sequence[ElementText]:
        gate.wait(10)
        return [ElementText("Patient ID", "(0010,0020)", "WRONG")]

    panel.tabs.setCurrentWidget(panel.details)
    panel.show_study(replace(view, details=slow))
    panel.details.read()
    panel.show_study(replace(view, uid="1.2.3"))
    gate.set()
    qtbot.waitUntil(lambda: panel.details.model.rowCount() == 2)
    values = [panel.details.model.index(n, 2).data() for n in range(2)]
    assert "WRONG" not in values


def test_details_that_cannot_be_read_say_so(qtbot: QtBot, panel: StudyPanel, view: StudyView) -> None:
    def broken() -> Sequence[ElementText]:
        raise Unreachable("The disc is gone.")

    panel.tabs.setCurrentWidget(panel.details)
    panel.show_study(replace(view, details=broken))
    qtbot.waitUntil(lambda: "gone" in panel.details.note.text())
    assert panel.details.note.isVisible()


def test_attachments_open_and_are_added_by_dropping(qtbot: QtBot, panel: StudyPanel, view: StudyView) -> None:
    report = AttachmentView(
        "g1", "Arztbrief.pdf", "application/pdf", 123_456, "Reception", "2024-05-01T10:00"
    )
    panel.show_study(replace(view, attachments=[report]))
    tab = panel.attachments
    assert panel.tabs.tabText(panel.tabs.indexOf(tab)) == "Attachments 1"
    assert not tab.open_button.isEnabled()
    tab.list.setCurrentRow(0)
    with qtbot.waitSignal(panel.openAttachment) as opened:
        tab.open_button.click()
    assert opened.args == ["g1"]
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile("/tmp/a.PDF"), QUrl.fromLocalFile("/tmp/run.exe")])  # noqa: S108
    added: list[str] = []
    panel.addPdf.connect(added.append)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, left, none)
    tab.dropEvent(event)
    assert [Path(p).name for p in added] == ["a.PDF"]


def test_skipped_files_are_grouped_by_reason_in_words(panel: StudyPanel, view: StudyView) -> None:
    skipped = [
        Skipped("AUTORUN.INF", SkipReason.NOT_DICOM, "Not an image."),
        Skipped("IM7", SkipReason.TRUNCATED, "The end of the image is missing."),
        Skipped("README.TXT", SkipReason.NOT_DICOM, "Not an image."),
    ]
    panel.show_study(replace(view, skipped=skipped))
    groups = panel.skipped._groups()
    assert [g.text(0) for g in groups] == [
        "1 · Cut short: the end of the image is missing",
        "2 · Other files, not images",
    ]
    assert panel.tabs.tabText(panel.tabs.indexOf(panel.skipped)) == "Skipped 3"
    panel.show_study(replace(view, uid="1.2", skipped=None))
    assert not panel.tabs.isTabVisible(panel.tabs.indexOf(panel.skipped))
    assert all(reason_text(reason) for reason in SkipReason)


def test_another_disc_with_as_many_skipped_files_shows_its_own(panel: StudyPanel, view: StudyView) -> None:
    for name in ("FIRST.TXT", "SECOND.TXT"):
        panel.show_study(replace(view, skipped=[Skipped(name, SkipReason.NOT_DICOM, "A text file.")]))
        [group] = panel.skipped._groups()
        assert group.child(0).text(0) == name


def test_a_reason_is_read_in_full_however_narrow_the_panel(
    qtbot: QtBot, panel: StudyPanel, view: StudyView
) -> None:
    sentence = "This image file is cut off: it ends before its contents do. Copy it again from its origin."
    panel.show_study(replace(view, skipped=[Skipped("IM7", SkipReason.TRUNCATED, sentence)]))
    panel.tabs.setCurrentWidget(panel.skipped)
    tree = panel.skipped.tree
    heights = []
    for width in (700, 360):
        panel.resize(width, 500)
        qtbot.waitUntil(lambda: tree.columnWidth(0) == round(tree.viewport().width() * tree.FILE_SHARE))
        item = panel.skipped._groups()[0].child(0)
        room = QRect(0, 0, tree.columnWidth(1) - WholeSentence.MARGIN, 1000)
        wanted = tree.fontMetrics().boundingRect(room, Qt.TextFlag.TextWordWrap, sentence).height()
        qtbot.waitUntil(lambda item=item, wanted=wanted: tree.visualItemRect(item).height() >= wanted)
        heights.append(tree.visualItemRect(item).height())
    assert heights[1] > heights[0]


def test_without_a_study_it_says_what_to_do(panel: StudyPanel, view: StudyView) -> None:
    panel.show_study(view)
    panel.show_study(None)
    assert panel._hint.isVisible() and not panel.banner.isVisible()
    assert panel.selected_series() == ""


def test_value_and_original_characters_are_both_seen(
    qtbot: QtBot, panel: StudyPanel, view: StudyView
) -> None:
    panel.show_study(view)
    panel.tabs.setCurrentWidget(panel.details)
    table = panel.details.table
    qtbot.waitUntil(lambda: panel.details.model.rowCount() == 2)
    for width in (500, 560, 900):
        panel.resize(width, 640)
        qtbot.waitUntil(lambda: table.horizontalScrollBar().maximum() == 0)
        assert all(table.columnWidth(column) >= 104 for column in range(4))
