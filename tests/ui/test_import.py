"""The Import page: open, watch, tick, attach, look; and what it says of a disc."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from pytestqt.qtbot import QtBot

from core.dicom.refs import Skipped, SkipReason
from core.errors import Unreachable
from core.media import samples
from core.scan.scanner import Scanner
from tests.ui import fakes
from ui.importing.page import ImportPage
from ui.importing.session import Stage
from ui.importing.words import completeness, progress_text, sum_text, time_text
from ui.messages import Kind
from ui.tasks import Tasks

CHECK = Qt.ItemDataRole.CheckStateRole


@pytest.fixture
def make(qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path) -> Any:
    """Builds a page over made-up services."""

    def build(**changes: Any) -> ImportPage:
        page = ImportPage(fakes.services(tmp_path, tasks, jobs, **changes))
        qtbot.addWidget(page)
        page.resize(1100, 700)
        page.show()
        return page

    return build


def read(qtbot: QtBot, page: ImportPage, path: Path) -> None:
    """Open *path* and wait for the end."""
    page.open([path])
    qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=10_000)


def rows(page: ImportPage) -> list[str]:
    """The patients shown."""
    model = page.session.model
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_at_first_there_is_a_drop_area_with_drives_and_last_sources(
    qtbot: QtBot, make: Any, tmp_path: Path
) -> None:
    page = make(drives=lambda: [fakes.FakeDrive(tmp_path, "RAD_CD 2024")])
    page._services.state.opened([tmp_path / "older"])
    page.start.show_recent(page._services.state.recent)
    assert page.stack.currentWidget() is page.start
    names = lambda: [b.text() for b in page.start.findChildren(type(page.start.folder_button))]  # noqa: E731
    qtbot.waitUntil(lambda: "RAD_CD 2024" in names(), timeout=3000)
    assert "older" in names()


def test_rows_fill_while_reading_and_a_second_patient_is_never_ticked_for_you(
    qtbot: QtBot, make: Any, tmp_path: Path
) -> None:
    hold = threading.Event()
    files = fakes.disc()
    page = make(scanner=lambda _paths: fakes.FakeScanner(files, hold=hold))
    page.open([tmp_path])
    qtbot.waitUntil(lambda: len(rows(page)) == 3, timeout=3000)
    assert page.session.stage is Stage.READING
    qtbot.waitUntil(lambda: "files read" in page.scan.source.progress.text(), timeout=3000)
    assert not page.scan.footer.send_button.isEnabled()
    hold.set()
    qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=3000)
    assert rows(page) == ["MUELLER, A", "MÜLLER, Anna", "YAMADA, Tarou"]
    assert page.session.model.picked() == []
    assert "23 of 23 files indexed" in page.scan.footer.complete.text()


def test_the_only_patient_of_a_disc_is_ticked(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    files = {ref: data for ref, data in fakes.disc().items() if "/S0/" in ref.path}
    page = make(scanner=lambda _paths: fakes.FakeScanner(files))
    read(qtbot, page, tmp_path)
    assert sum(p.images for p in page.session.model.picked()) == 13
    assert page.scan.footer.send_button.isEnabled()
    assert "13 images" in page.scan.footer.sum.text()


def test_a_real_disc_is_read_and_shown(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    study = samples.SampleStudy("real", fakes.ANNA)
    samples.write_ct_series(study, disc / "DICOM", 4, size=32)
    (disc / "README.TXT").write_text("no image")
    page = make(scanner=Scanner)
    read(qtbot, page, disc)
    assert rows(page) == ["MÜLLER, Anna"]
    assert page.scan.panel.study is not None
    assert page.scan.panel.study.images == 4
    qtbot.waitUntil(lambda: page.scan.panel.thumbnails._have != {}, timeout=8000)
    assert "5 of 5 files indexed" in page.scan.footer.complete.text()
    assert "1 skipped, none of them images" in page.scan.footer.complete.text()


def test_stop_keeps_what_was_found_and_says_that_it_is_not_all(
    qtbot: QtBot, make: Any, tmp_path: Path
) -> None:
    files = fakes.disc()
    page = make(scanner=lambda _paths: fakes.FakeScanner(files, hold=threading.Event()))
    page.open([tmp_path])
    qtbot.waitUntil(lambda: len(rows(page)) == 3, timeout=3000)
    qtbot.mouseClick(page.scan.source.stop_button, Qt.MouseButton.LeftButton)
    assert page.session.stage is Stage.STOPPED
    assert len(rows(page)) == 3
    assert "Not everything was read" in page.scan.footer.complete.text()
    assert page.scan.source.again_button.isVisible()


def test_a_scan_that_breaks_is_said_in_place(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    class Broken(fakes.FakeScanner):
        def run(self) -> Any:
            yield from ()
            raise Unreachable("The disc went away.", "Insert it again.")

    page = make(scanner=lambda _paths: Broken({}))
    page.open([tmp_path])
    qtbot.waitUntil(page.messages.isVisible, timeout=3000)
    assert page.messages.text.text() == "The disc went away. Insert it again."
    assert page.messages.details_button.isVisible()
    assert page.stack.currentWidget() is page.start


def test_space_ticks_and_enter_opens_the_viewer(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    page = make()
    read(qtbot, page, tmp_path)
    model, tree = page.session.model, page.scan.tree
    study = model.index(0, 0, model.index(1, 0))
    tree.setCurrentIndex(study.siblingAtColumn(2))
    qtbot.keyClick(tree, Qt.Key.Key_Space)
    assert Qt.CheckState(study.data(CHECK)) is Qt.CheckState.Checked
    qtbot.keyClick(tree, Qt.Key.Key_Space)
    assert Qt.CheckState(study.data(CHECK)) is Qt.CheckState.Unchecked
    tree.setCurrentIndex(model.index(1, 0, study))
    with qtbot.waitSignal(page.openViewer, timeout=1000) as opened:
        qtbot.keyClick(tree, Qt.Key.Key_Return)
    view, series = opened.args
    assert view.patient.shown_name == "MÜLLER, Anna"
    assert view.find(series).modality == "US"


def test_a_pdf_goes_along_and_anything_else_is_refused(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    page = make()
    read(qtbot, page, tmp_path)
    model = page.session.model
    study = model.index(0, 0, model.index(1, 0))
    page.scan.tree.setCurrentIndex(study)
    model.setData(study, Qt.CheckState.Checked, CHECK)
    report, picture = tmp_path / "Befund.pdf", tmp_path / "not.pdf"
    report.write_bytes(samples.pdf_report(["Befund"]))
    picture.write_bytes(b"GIF89a")
    page.attach(report)
    page.attach(picture)
    assert "not.pdf is not a PDF" in page.messages.text.text()
    order = page.session.order("archive")
    assert order is not None
    assert list(order.attachments.values()) == [(report,)]
    assert [a.name for a in page.scan.panel.study.attachments] == ["Befund.pdf"]
    assert "1 PDF" in page.scan.footer.sum.text()


def test_dropping_a_folder_reads_it(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    page = make()
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    page.dropEvent(
        QDropEvent(
            QPointF(9, 9),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=3000)
    assert page.stack.currentWidget() is page.scan
    page.leave()
    assert page.stack.currentWidget() is page.start
    assert page.session.stage is Stage.IDLE


def test_opening_another_source_lets_go_of_the_first(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    holds = [threading.Event(), threading.Event()]
    discs = [fakes.disc(), {r: d for r, d in fakes.disc().items() if "/S3/" in r.path}]
    page = make(scanner=lambda _paths: fakes.FakeScanner(discs.pop(0), hold=holds.pop(0)))
    first = holds[0]
    second = holds[1]
    page.open([tmp_path])
    qtbot.waitUntil(lambda: len(rows(page)) == 3, timeout=3000)
    page.open([tmp_path])
    first.set()
    second.set()
    qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=3000)
    assert rows(page) == ["YAMADA, Tarou"]


def test_the_completeness_line_names_what_is_lost() -> None:
    skipped = [
        Skipped("a", SkipReason.TRUNCATED, ""),
        Skipped("b", SkipReason.TRUNCATED, ""),
        Skipped("c", SkipReason.ENCRYPTED, ""),
        Skipped("d", SkipReason.NOT_DICOM, ""),
    ]
    receipt = fakes.FakeReceipt(files=10, instances=6, listed_but_missing=3, complete=False)
    kind, words = completeness(receipt, skipped)  # type: ignore[arg-type]
    assert kind is Kind.WARN
    assert words == (
        "7 of 10 files indexed · 2 are cut short · 1 is locked with a password"
        " · 3 listed images are not on the disc · 1 skipped, none of them images"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (18, "18 s"), (89.4, "89 s"), (240, "4 min"), (7200, "2 h")]
)
def test_time_left_is_said_roughly(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_progress_and_sum_have_words_for_nothing() -> None:
    assert progress_text(None) == "Looking for images…"
    assert sum_text([]) == "Tick what is to be sent"
    step = fakes.FakeProgress(1, None, 1, None)
    assert progress_text(step) == "1 file read · 1 patient"  # type: ignore[arg-type]


def test_a_long_name_wraps_and_is_never_cut(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    long = samples.SamplePatient("Wolfeschlegelsteinhausenberger-Sesquipedalian^Hubert Ignatius", "L-1")
    ds = samples.ct_slice(samples.SampleStudy("long", long), size=16)
    disc = {r: d for r, d in fakes.disc().items() if "/S3/" in r.path}
    disc[fakes.FileRef("LONG")] = samples.part10(ds)
    page = make(scanner=lambda _paths: fakes.FakeScanner(disc))
    page.resize(860, 600)
    read(qtbot, page, tmp_path)
    model, tree = page.session.model, page.scan.tree
    names = rows(page)
    tall = tree.visualRect(model.index(0, 0)).height()
    assert names[0] == "WOLFESCHLEGELSTEINHAUSENBERGER-SESQUIPEDALIAN, Hubert Ignatius"
    assert tall > tree.visualRect(model.index(1, 0)).height()
    assert page.scan.panel.banner.patient.wordWrap()


@pytest.mark.parametrize("disc", ["cd-dicomdir-charsets", "cd-no-dicomdir", "broken", "nonimage"])
def test_real_discs_are_shown_without_a_hitch(qtbot: QtBot, make: Any, testdata: Path, disc: str) -> None:
    page = make(scanner=Scanner)
    read(qtbot, page, testdata / disc)
    assert page.session.scan is not None
    receipt = page.session.scan.receipt
    shown = sum(
        page.session.model.node(page.session.model.index(r, 0)).images for r in range(len(rows(page)))
    )
    assert shown == receipt.instances
    assert len(page.session.skipped) == len(page.session.scan.skipped)
    assert f"of {receipt.files}" in page.scan.footer.complete.text()
    if disc == "cd-dicomdir-charsets":
        names = "\n".join(rows(page))
        assert "ΔΙΟΝΥΣΙΟΣ" in names
        assert "ЛЮК" in names
