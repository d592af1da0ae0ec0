"""Thumbnails: newest wish first, kept while there is room, failures become sentences."""

from __future__ import annotations

import threading

import numpy as np
from PySide6.QtWidgets import QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from core.errors import NotRenderable, Unreachable
from core.imaging.render import jpeg
from ui.models.study_view import SeriesView
from ui.tasks import Tasks
from ui.widgets.thumbnails import Thumbnails, load

PICTURE = jpeg(np.full((32, 32), 200, np.uint8), 80)


def series(uid: str, make: object = None) -> SeriesView:
    return SeriesView(uid, 1, "CT", "axial", 3, make or (lambda: PICTURE))  # type: ignore[arg-type]


def test_what_is_wished_last_comes_first(qtbot: QtBot, tasks: Tasks) -> None:
    order: list[str] = []
    gate, begun = threading.Event(), threading.Event()

    def made(uid: str):  # type: ignore[no-untyped-def]
        def make() -> bytes:
            begun.set()
            gate.wait(10)
            order.append(uid)
            return PICTURE

        return make

    thumbnails = Thumbnails(tasks)
    thumbnails.get(series("first", made("first")))
    assert begun.wait(10)
    for uid in ("a", "b", "c"):
        thumbnails.get(series(uid, made(uid)))
    gate.set()
    qtbot.waitUntil(lambda: len(order) == 4)
    assert order == ["first", "c", "b", "a"]


def test_the_longest_unused_is_dropped(qtbot: QtBot, tasks: Tasks) -> None:
    thumbnails = Thumbnails(tasks, kept=2)
    for uid in ("a", "b"):
        thumbnails.get(series(uid))
        qtbot.waitUntil(lambda uid=uid: thumbnails.get(series(uid)) is not None)
    thumbnails.get(series("a"))
    thumbnails.get(series("c"))
    qtbot.waitUntil(lambda: thumbnails.get(series("c")) is not None)
    assert thumbnails.get(series("a")) is not None
    assert set(thumbnails._have) == {"a", "c"}


def test_a_failure_is_a_sentence_and_does_not_stop_the_others(qtbot: QtBot, tasks: Tasks) -> None:
    def broken() -> bytes:
        raise NotRenderable("This is a structured report.")

    def bug() -> bytes:
        raise ZeroDivisionError

    thumbnails = Thumbnails(tasks)
    thumbnails.get(series("ok"))
    thumbnails.get(series("bug", bug))
    thumbnails.get(series("broken", broken))
    qtbot.waitUntil(lambda: len(thumbnails._have) == 3)
    found = thumbnails.get(series("broken", broken))
    assert found is not None and found.image is None and "structured report" in found.reason
    other, good = thumbnails.get(series("bug", bug)), thumbnails.get(series("ok"))
    assert other is not None and other.image is None
    assert good is not None and good.image is not None


def test_what_could_not_be_reached_is_tried_again_with_the_next_study(qtbot: QtBot, tasks: Tasks) -> None:
    def away() -> bytes:
        raise Unreachable("Nobody is there.")

    def broken() -> bytes:
        raise NotRenderable("This is a structured report.")

    thumbnails = Thumbnails(tasks)
    thumbnails.get(series("away", away))
    thumbnails.get(series("broken", broken))
    qtbot.waitUntil(lambda: len(thumbnails._have) == 2)
    thumbnails.forget()
    assert set(thumbnails._have) == {"broken"}


def test_bytes_that_are_no_picture_are_no_picture() -> None:
    assert load(lambda: b"nonsense").image is None
    assert load(lambda: PICTURE).image is not None


def test_a_card_paints_picture_type_and_count(qtbot: QtBot, tasks: Tasks) -> None:
    from PySide6.QtCore import QRect
    from PySide6.QtGui import QImage, QPainter

    from ui.models.series_list import SeriesList
    from ui.widgets.series_card import SeriesCard

    thumbnails = Thumbnails(tasks)
    model = SeriesList(thumbnails)
    model.show_series([series("a")])
    qtbot.waitUntil(lambda: thumbnails.get(series("a")) is not None)
    card = SeriesCard()
    option = QStyleOptionViewItem()
    option.rect = QRect(0, 0, 160, 200)  # type: ignore[attr-defined]
    image = QImage(160, 200, QImage.Format.Format_RGB32)
    image.fill(0)
    with QPainter(image) as painter:
        card.paint(painter, option, model.index(0))
    assert abs(image.pixelColor(80, 72).red() - 200) < 6
    assert card.sizeHint(option, model.index(0)).width() == 144


def test_a_window_that_went_meanwhile_is_left_alone(qtbot: QtBot, tasks: Tasks) -> None:
    from PySide6.QtWidgets import QWidget
    from shiboken6 import delete, isValid

    gate, begun = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        gate.wait(10)
        return PICTURE

    window = QWidget()
    thumbnails = Thumbnails(tasks, window)
    thumbnails.get(series("a", slow))
    assert begun.wait(10)
    delete(window)
    assert not isValid(thumbnails)
    gate.set()
    qtbot.waitUntil(lambda: tasks.busy == 0)  # and no exception reached the event loop
