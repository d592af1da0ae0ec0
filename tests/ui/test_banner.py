"""How people, dates and sizes are written."""

from __future__ import annotations

from datetime import date

import pytest
from pytestqt.qtbot import QtBot

from ui.models.people import (
    age_in_years,
    all_groups,
    banner_text,
    birth_text,
    iso_date,
    person_name,
    size_text,
    study_text,
)
from ui.models.study_view import PatientText, SeriesView
from ui.widgets.banner import PatientBanner


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Müller^Anna", "MÜLLER, Anna"),
        ("Müller^Anna^Maria^Dr.^MD", "MÜLLER, Dr. Anna Maria, MD"),
        ("ANONYMOUS", "ANONYMOUS"),
        ("Weiß^Uwe", "WEIẞ, Uwe"),
        ("^Anna", "Anna"),
        ("=山田^太郎", "山田, 太郎"),
        ("Yamada^Tarou=山田^太郎", "YAMADA, Tarou"),
        ("", "(no name)"),
        ("^^^^", "(no name)"),
        ("  ", "(no name)"),
    ],
)
def test_names(written: str, shown: str) -> None:
    assert person_name(written) == shown


def test_all_groups_one_a_line() -> None:
    assert all_groups("Hong^Gildong=洪^吉洞=홍^길동") == "HONG, Gildong\n洪, 吉洞\n홍, 길동"


def test_dates_and_ages() -> None:
    today = date(2026, 2, 28)
    assert iso_date("20240211") == "2024-02-11" and iso_date("2024.02.11") == "2024-02-11"
    assert iso_date("about 1950") == "about 1950" and iso_date("") == ""
    assert age_in_years("19500301", today) == 75 and age_in_years("19500228", today) == 76
    assert age_in_years("19501332", today) is None and age_in_years("20990101", today) is None
    assert birth_text("19500301", today) == "1950-03-01 (75)"
    assert birth_text("1950", today) == "1950" and birth_text("", today) == "no birth date"


def test_a_banner_says_what_is_missing() -> None:
    assert banner_text("A^B", "F", "", "") == "A, B · F · no birth date · no ID"
    assert banner_text("A^B", "", "", "7").endswith("ID 7")


def test_sizes() -> None:
    assert [size_text(n) for n in (0, 1, 999, 525_000, 214_000_000, 1_200_000_000)] == [
        "0 kB", "1 kB", "1 kB", "525 kB", "214 MB", "1.2 GB",
    ]  # fmt: skip


def test_a_name_from_right_to_left_keeps_its_direction_to_itself(qtbot: QtBot) -> None:
    line = banner_text("قباني^لنزار", "M", "", "7")
    assert line.startswith("\u2068") and line.endswith("\u2069 · M · no birth date · ID 7")
    assert not line.isascii() and "\u2068" not in banner_text("Müller^Anna", "F", "", "7")
    banner = PatientBanner()
    qtbot.addWidget(banner)
    banner.resize(600, 40)
    banner.show_patient(PatientText("قباني^لنزار", "7"))
    banner.show()
    picture = banner.grab().toImage()
    used = [
        x
        for x in range(picture.width())
        if any(picture.pixelColor(x, y) != picture.pixelColor(599, 0) for y in range(picture.height()))
    ]
    assert used[0] < 20 and used[-1] < 400  # at the left, like every other patient


def test_a_film_counts_its_frames() -> None:
    def series(count: int, frames: int) -> str:
        return SeriesView("1", 1, "XA", "", count, lambda: b"", frames=frames).size

    assert series(1, 96) == "96 frames" and series(1, 1) == "1 image"
    assert series(3, 288) == "3 images" and series(2, 0) == "2 images"


def test_one_study_is_one_line_whatever_its_images_say() -> None:
    assert study_text("CT Abdomen", "20240211") == "CT Abdomen 2024-02-11"
    assert study_text("", "20240211") == "Study without a title 2024-02-11" and study_text("", "")
