"""Questions to an archive that is silent hold nobody up: the next one cuts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from core.errors import Unreachable
from tests.core.stub_v3 import Handler, Stub, serving
from tests.ui import fakes
from ui.archive.line import Line
from ui.archive.remote_study import RemoteStudy
from ui.services import DestinationText


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving(Stub()) as made:
        made.fault = lambda handler: handler.answer(200, []) is None
        yield made


@pytest.fixture
def destinations(stub: Stub) -> Iterator[fakes.FakeDestinations]:
    made = fakes.FakeDestinations({"A": DestinationText("A", f"stow:{stub.url}")})
    yield made
    made.hang_up()


def test_the_next_question_cuts_the_one_that_still_waits(
    stub: Stub, destinations: fakes.FakeDestinations
) -> None:
    waiting, release = threading.Event(), threading.Event()

    def silent(_handler: Handler) -> bool:
        waiting.set()
        release.wait(20)
        return True

    line, heard = Line(destinations), list[Exception]()

    def ask(turn: int) -> None:
        try:
            with line.client("A", turn) as client:
                client.search("/studies", [])
        except Unreachable as error:
            heard.append(error)

    stub.fault = silent
    first = threading.Thread(target=ask, args=(line.take_turn(),))
    first.start()
    assert waiting.wait(10)
    late, turn = line.take_turn(), line.take_turn()
    first.join(10)
    assert not first.is_alive() and len(heard) == 1
    ask(late)
    assert len(heard) == 2  # it is not even asked
    stub.fault = lambda handler: handler.answer(200, []) is None
    release.set()
    ask(turn)
    assert len(heard) == 2


def test_connections_are_kept_from_question_to_question(
    stub: Stub, destinations: fakes.FakeDestinations
) -> None:
    line = Line(destinations)
    for _ in range(3):
        with line.client("A", line.take_turn()) as client:
            client.search("/studies", [])
    assert stub.connections == 1
    destinations.remote("A").close()
    destinations.clients.clear()  # its login was changed in the settings
    with line.client("A", line.take_turn()) as client:
        client.search("/studies", [])
    assert stub.connections == 2


def test_a_viewer_that_is_opened_again_does_not_get_what_the_one_before_lets_go_of(
    destinations: fakes.FakeDestinations,
) -> None:
    study = RemoteStudy(destinations.remote("A"), "1.2", "A")
    before = study._opened()
    study.hang_up()
    after = study._opened()
    study.release()  # the viewer before has ended
    assert after is not before and study._opened() is after
    with closing(after):
        assert after.name == "A"
