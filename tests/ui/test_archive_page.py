"""The Archive page over a made-up archive: search, pages, opening, attaching, deleting with a way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QDate, Qt, QUrl
from PySide6.QtWidgets import QDialog
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from core.media.samples import SampleStudy, pdf_report
from tests.ui.viewing import FakeClient, mixed_study, row, services_of
from ui.archive.page import ArchivePage
from ui.archive.search_line import Range, dates_of
from ui.dialogs.decision import Decision
from ui.models.archive_table import PAGE, ArchiveTable, Column, local_time
from ui.services import Archived
from ui.tasks import Tasks
from ui.widgets.opening import Opener, kind_of, safe_name


@pytest.fixture
def client() -> FakeClient:
    return FakeClient([row(n) for n in range(6)])


@pytest.fixture
def page(qtbot: QtBot, tasks: Tasks, client: FakeClient) -> ArchivePage:
    made = ArchivePage(services_of(client, tasks))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    qtbot.waitUntil(lambda: made.model.rowCount() == len(client.rows) and made.panel.study is not None)
    return made


def cell(page: ArchivePage, row_number: int, column: int) -> str:
    return str(page.model.index(row_number, column).data())


def choose(qtbot: QtBot, page: ArchivePage, row_number: int) -> None:
    """Choose a row and wait for its study."""
    page.list.choose(row_number)
    uid = page.model.row(row_number).study_uid
    qtbot.waitUntil(lambda: page.panel.study is not None and page.panel.study.uid == uid)


def test_shows_the_newest_first_with_every_column(page: ArchivePage, client: FakeClient) -> None:
    newest = max(client.rows, key=lambda r: r.received)
    assert page.model.row(0) == newest
    assert cell(page, 0, Column.PATIENT).startswith("MÜLLER005, Anna")
    assert cell(page, 0, Column.BORN) == "1950-03-01"
    assert cell(page, 0, Column.RECEIVED) == local_time(newest.received)[:10]
    assert cell(page, 0, Column.STATE) == "Stored" and cell(page, 0, Column.IMAGES) == "17"
    assert page.count.text() == "6 studies"
    assert page.panel.study is not None and page.panel.study.uid == newest.study_uid


def test_every_column_is_seen_in_a_window_of_the_first_size(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    client.rows += [row(n) for n in range(6, 60)]  # so many that it scrolls downwards
    page.refresh()
    page.resize(1280 - 96, 760)  # the window without its rail
    qtbot.waitUntil(lambda: page.model.rowCount() == 60)
    table = page.list.table
    qtbot.waitUntil(lambda: table.verticalScrollBar().maximum() > 0)
    assert table.horizontalScrollBar().maximum() == 0
    length = table.fontMetrics().horizontalAdvance
    known = (Column.BORN, Column.DATE, Column.MODALITY, Column.IMAGES, Column.RECEIVED, Column.STATE)
    cut = [column for column in known if table.columnWidth(column) < length(cell(page, 0, column)) + 8]
    assert cut == []
    page.resize(860, 600)
    qtbot.waitUntil(lambda: table.columnWidth(Column.PATIENT) == 120)


def test_the_archive_is_never_asked_on_the_qt_thread(page: ArchivePage, client: FakeClient) -> None:
    assert client.threads and all(name.startswith("task") for name in client.threads)


def test_searching_by_text_date_and_modality(qtbot: QtBot, page: ArchivePage, client: FakeClient) -> None:
    qtbot.keyClicks(page.search.text, "ID003")
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)
    assert cell(page, 0, Column.ID) == "ID003"
    assert sum("search ID" in call for call in client.calls) == 1  # one question for five keys
    page.search.clear()
    qtbot.waitUntil(lambda: page.model.rowCount() == 6)
    page.search.chips[1].setChecked(True)
    qtbot.waitUntil(lambda: page.model.rowCount() == 3)
    assert {cell(page, n, Column.MODALITY) for n in range(3)} == {"MR"}
    page.search.clear()
    page.search.range.setCurrentIndex(page.search.range.findData(Range.BETWEEN))
    page.search.between.first.setDate(QDate(2024, 2, 1))
    page.search.between.last.setDate(QDate(2024, 2, 28))
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)
    assert cell(page, 0, Column.DATE) == "2024-02-11"
    assert page.search.search.date_from == "20240201"


def test_ranges_of_dates() -> None:
    from datetime import date

    today = date(2024, 3, 10)
    assert dates_of(Range.TODAY, today) == ("20240310", "20240310")
    assert dates_of(Range.WEEK, today) == ("20240304", "20240310")
    assert dates_of(Range.MONTH, today) == ("20240209", "20240310")
    assert dates_of(Range.ANY, today) == ("", "")


def test_no_match_and_nothing_at_all_say_different_things(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    page.search.text.setText("nobody")
    qtbot.waitUntil(lambda: "No study matches" in page.list.sentence.text())
    assert page.list.button.isVisible() and not page.open_button.isEnabled()
    client.rows.clear()
    page.list.button.click()
    qtbot.waitUntil(lambda: "Nothing here yet" in page.list.sentence.text())
    assert not page.list.button.isVisible()


def test_long_lists_come_page_by_page(qtbot: QtBot, tasks: Tasks) -> None:
    client = FakeClient([row(n) for n in range(PAGE * 2 + 30)])
    page = ArchivePage(services_of(client, tasks))
    qtbot.addWidget(page)
    page.show()
    qtbot.waitUntil(lambda: page.model.rowCount() == PAGE)
    assert page.count.text() == "230 studies"
    page.list.table.scrollToBottom()
    qtbot.waitUntil(lambda: page.model.rowCount() == PAGE * 2)
    page.list.table.scrollToBottom()
    qtbot.waitUntil(lambda: page.model.rowCount() == PAGE * 2 + 30)
    page.list.table.scrollToBottom()
    seen = {page.model.row(n).study_uid for n in range(page.model.rowCount())}
    assert len(seen) == PAGE * 2 + 30
    assert not page.model.canFetchMore(page.model.index(-1, -1))


def test_the_model_holds_to_the_rules_of_qt(qtbot: QtBot) -> None:
    model = ArchiveTable()
    tester = ModelTester(model)
    tester.check(model)
    model.show_first([row(n) for n in range(5)], 7)
    model.append(5, [row(5), row(6)], 7)
    model.append(3, [row(9)], 7)  # of an older search
    assert model.rowCount() == 7 and model.row_of("default", "1.2.6") == 6
    model.remove(0)
    assert model.rowCount() == 6 and model.total == 6
    model.show_first([], 0)
    assert model.rowCount() == 0


def test_sorting_is_the_archives_and_only_by_what_it_knows(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    page.list.table.sortByColumn(Column.PATIENT, Qt.SortOrder.AscendingOrder)
    qtbot.waitUntil(lambda: cell(page, 0, Column.PATIENT).startswith("MÜLLER000"))
    assert page.model.order == "patient_name"
    asked = len(client.calls)
    page.list.table.sortByColumn(Column.IMAGES, Qt.SortOrder.AscendingOrder)
    assert page.model.order == "patient_name" and len(client.calls) == asked
    assert page.list.table.horizontalHeader().sortIndicatorSection() == Column.PATIENT


def test_enter_opens_the_first_series(qtbot: QtBot, page: ArchivePage) -> None:
    with qtbot.waitSignal(page.openViewer) as opened:
        qtbot.keyClick(page.list.table, Qt.Key.Key_Return)
    view, uid = opened.args
    assert view.uid == page.model.row(0).study_uid and uid == view.series[0].uid


def test_opening_waits_for_a_study_that_is_still_read(qtbot: QtBot, page: ArchivePage) -> None:
    page.list.choose(3)
    with qtbot.waitSignal(page.openViewer) as opened:
        page.open()
    assert opened.args[0].uid == page.model.row(3).study_uid


def test_opening_from_the_archive_shows_its_pictures(
    qtbot: QtBot, tasks: Tasks, page: ArchivePage, client: FakeClient
) -> None:
    import threading

    from ui.viewer.viewers import Viewers

    client.source = mixed_study(SampleStudy(), slices=4, size=32)
    page.panel.show_study(None)
    page._read_detail()
    qtbot.waitUntil(lambda: page.panel.study is not None)
    viewers = Viewers(tasks)
    page.openViewer.connect(viewers.open)
    page.open()
    window = next(iter(viewers.windows.values()))
    qtbot.waitUntil(lambda: window.active.picture is not None)
    assert window.active.picture is not None and window.active.picture.source is not None
    assert window.active.total == 4 and "payload" in client.calls
    assert viewers.open(page.panel.study, window.active.series_uid) is window  # type: ignore[arg-type]
    viewers.close_all()
    assert not viewers.windows
    names = ("pictures", "pictures-order", "viewer-close", "read-ahead")
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name in names])


def test_attaching_a_pdf_and_opening_it(
    qtbot: QtBot, page: ArchivePage, client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "Überweisung – Müller.pdf"
    report.write_bytes(pdf_report(["Report"]))
    page.attach(report)
    qtbot.waitUntil(lambda: page.panel.attachments.list.count() == 1)
    assert "Überweisung" in page.messages.text.text() and "Anna" in page.messages.text.text()
    assert page.panel.tabs.currentWidget() is page.panel.attachments
    opened: list[Path] = []

    def open_url(url: QUrl) -> bool:
        opened.append(Path(url.toLocalFile()))
        return True

    monkeypatch.setattr("ui.widgets.opening.QDesktopServices.openUrl", open_url)
    page.panel.attachments.list.setCurrentRow(0)
    page.panel.attachments.open_button.click()
    qtbot.waitUntil(lambda: bool(opened))
    assert opened[0].suffix == ".pdf" and opened[0].read_bytes() == report.read_bytes()


def test_a_file_that_is_no_pdf_is_refused(
    qtbot: QtBot, page: ArchivePage, client: FakeClient, tmp_path: Path
) -> None:
    fake = tmp_path / "a.pdf"
    fake.write_bytes(b"MZ not a pdf")
    page.attach(fake)
    qtbot.waitUntil(page.messages.isVisible)
    assert "no PDF" in page.messages.text.text()
    assert not client.attachments


def test_deleting_asks_names_the_patient_and_enter_keeps(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    chosen = page.model.row(0)
    qtbot.keyClick(page.list.table, Qt.Key.Key_Delete)
    question = page.findChild(Decision)
    assert isinstance(question, QDialog)
    from PySide6.QtWidgets import QLabel

    words = " ".join(label.text() for label in question.findChildren(QLabel))
    assert "MÜLLER005, Anna" in words and "17 images" in words and "7 days" in words
    qtbot.keyClick(question, Qt.Key.Key_Return)
    assert chosen in client.rows and not any(call.startswith("delete") for call in client.calls)


def test_deleting_and_restoring(qtbot: QtBot, page: ArchivePage, client: FakeClient) -> None:
    chosen = page.model.row(0)
    page.delete_button.click()
    question = page.findChild(Decision)
    assert question is not None
    question.yes_button.click()
    qtbot.waitUntil(lambda: page.model.row_of("default", chosen.study_uid) < 0)
    assert (
        page.count.text() == "5 studies" or qtbot.waitUntil(lambda: page.count.text() == "5 studies") is None
    )
    assert page.messages.action_button.text() == "Restore"
    page.messages.action_button.click()
    qtbot.waitUntil(lambda: page.model.row_of("default", chosen.study_uid) >= 0)
    assert chosen in client.rows and "is back" in page.messages.text.text()


def test_an_archive_that_is_down_says_so_once_and_comes_back(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    client.down = True
    page.refresh()
    qtbot.waitUntil(page.messages.isVisible)
    assert "does not answer" in page.messages.text.text()
    page.messages.put_away()
    page._look_again()
    qtbot.waitUntil(lambda: len([c for c in client.calls if c.startswith("search")]) >= 3)
    assert not page.messages.isVisible()
    client.down = False
    page.refresh()
    qtbot.waitUntil(lambda: not page._down)
    assert page.model.rowCount() == 6


def test_refreshing_keeps_the_chosen_study_and_shows_new_ones(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    choose(qtbot, page, 2)
    chosen = page.model.row(2).study_uid
    client.rows.append(row(50, received="2030-01-01T00:00:00+00:00"))
    page.refresh()
    qtbot.waitUntil(lambda: page.model.rowCount() == 7)
    assert page.model.row(page.list.row).study_uid == chosen
    assert page.panel.study is not None and page.panel.study.uid == chosen


def test_the_chosen_study_is_offered_for_sending_with_all_it_has(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    choose(qtbot, page, 1)
    row = page.model.row(1)
    with qtbot.waitSignal(page.sendOrder) as sent:
        page.send_button.click()
    order = sent.args[0]
    assert order.scan == Archived(row.namespace, row.study_uid) and order.archived
    (picked,) = order.picked
    assert picked.patient.header.patient_id == row.patient_id
    detail = client.study_detail(row.namespace, row.study_uid)
    assert picked.images == sum(len(series.images) for series in detail.series)
    assert [path.name for path in order.attachments[row.study_uid]] == [a.name for a in detail.attachments]


@pytest.mark.parametrize(
    ("content_type", "data", "suffix"),
    [
        ("application/pdf", b"%PDF-1.4", ".pdf"),
        ("application/pdf; x=y", b"\n\n%PDF-1.4", ".pdf"),
        ("application/pdf", b"<html>", None),
        ("image/png", b"\x89PNG\r\n\x1a\n", ".png"),
        ("image/jpeg", b"\xff\xd8\xff\xe0", ".jpg"),
        ("text/plain", b"hello", ".txt"),
        ("text/plain", b"MZ\0\0", None),
        ("text/html", b"<html>", None),
        ("application/x-msdownload", b"MZ", None),
        ("", b"%PDF-1.4", None),
    ],
)
def test_only_harmless_kinds_are_opened(content_type: str, data: bytes, suffix: str | None) -> None:
    kind = kind_of(content_type, data)
    assert (kind.suffix if kind else None) == suffix


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\Windows\\evil.exe", "evil.pdf"),
        ("a.pdf.exe", "a.pdf.pdf"),
        ("Überweisung – Müller 2024.pdf", "Überweisung _ Müller 2024.pdf"),
        ("x\u202efdp.exe", "x_fdp.pdf"),
        ("...", "document.pdf"),
        ("", "document.pdf"),
        ("a" * 300 + ".pdf", "a" * 80 + ".pdf"),
    ],
)
def test_names_of_temporary_files_are_harmless(name: str, safe: str) -> None:
    assert safe_name(name, ".pdf") == safe


def test_other_kinds_are_saved_where_the_person_says(
    qtbot: QtBot, page: ArchivePage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "kept.html"
    monkeypatch.setattr("ui.widgets.opening.QFileDialog.getSaveFileName", lambda *_args: (str(target), ""))
    monkeypatch.setattr("ui.widgets.opening.QDesktopServices.openUrl", lambda _url: pytest.fail("opened"))
    assert Opener().open(page, "a.html", "text/html", b"<script>") == target
    assert target.read_bytes() == b"<script>"
    monkeypatch.setattr("ui.widgets.opening.QFileDialog.getSaveFileName", lambda *_args: ("", ""))
    assert Opener().open(page, "a.html", "text/html", b"<script>") is None
