"""Studies fetched from a PACS: whole, only what is missing, by another way, and whatever can go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.errors import KnownError, NotFound
from core.media.samples import SampleStudy, dataset, part10
from core.net.dimse import retrieving
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Element, Field, response
from core.net.dimse.requestor import Peer
from core.net.dimse.store_scu import Outgoing, context_for
from core.net.dimse.store_scu import store as send
from core.settings import DimsePeer
from server.dimse.admission import Caller
from server.dimse.contexts import VERIFICATION
from server.dimse.door import Door, Where
from server.dimse.fetching import Fetch, Outcome, Progress
from server.dimse.retrievals import Node, Retrievals, Retrieving, State, StudyAsked
from server.dimse.session import Service
from tests.core.archive_help import sop, store
from tests.dimse.gateways import AET, Running, gateway
from tests.dimse.test_store import data_set_of

OURS = "DESK"
FIND, GET, MOVE = (f"1.2.840.10008.5.1.4.1.2.2.{each}" for each in (1, 3, 2))
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


@dataclass
class World:
    """A PACS, and the archive that fetches from it, with a DICOM door of its own."""

    there: Running
    here: Running
    door: Door
    heard: list[Progress] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def fetch(self, study: SampleStudy) -> Outcome:
        """One try."""
        peer = Peer(AET, "127.0.0.1", self.there.port, OURS)
        fetch = Fetch(
            self.here.archive, self.door, peer, "default", heard=self.heard.append, stopped=self.stop.is_set
        )
        return fetch.run(study.uid)

    def held(self, study: SampleStudy) -> set[str]:
        """What the archive has of it."""
        return set(self.here.archive.held("default", study.uid))

    def came(self, study: SampleStudy) -> int:
        """How many objects of it came over the network."""
        return sum(each.count for each in self.door.traffic.arrivals() if each.study_uid == study.uid)

    @contextmanager
    def known(self) -> Iterator[None]:
        """The PACS knows where to send to."""
        before = self.there.admission._peers
        self.there.admission.allow(DimsePeer(OURS, "127.0.0.1", self.here.port))
        yield
        self.there.admission._peers = before


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Running, Running], None, None]:
    folder = tmp_path_factory.mktemp("fetching")
    with gateway(folder / "there") as there, gateway(folder / "here", ae_titles={OURS: "default"}) as here:
        yield there, here


@pytest.fixture
def world(both: tuple[Running, Running]) -> World:
    there, here = both
    door = Door(OURS)
    door.traffic = here.gateway.traffic
    door.open(Where("127.0.0.1", here.port, tls=False, known_only=False), here.admission)
    return World(there, here, door)


@pytest.fixture
def study(world: World, request: pytest.FixtureRequest) -> SampleStudy:
    """One the PACS has: two series of three objects."""
    made = SampleStudy(request.node.name)
    for data in objects(made).values():
        store(world.there.archive, data)
    return made


def objects(study: SampleStudy) -> dict[str, bytes]:
    """The files of a study by SOP Instance UID."""
    return {
        sop(study, series, number): part10(dataset(study, series=series, instance=number))
        for series in (1, 2)
        for number in (1, 2, 3)
    }


def test_a_study_comes_as_it_is_stored_there(world: World, study: SampleStudy) -> None:
    assert world.fetch(study) == Outcome(Progress(6, 6, method="C-GET"))
    for uid, data in objects(study).items():
        with world.here.archive.image("default", study.uid, uid).open() as file:
            assert data_set_of(file.read()) == data_set_of(data)
    assert world.heard[0].here == 0 and world.heard[-1].here == 6
    arrived = world.door.traffic.arrivals()[0]
    assert (arrived.calling, arrived.study_uid, arrived.count) == (AET, study.uid, 6)
    assert world.fetch(study).progress == Progress(6, 6)  # nothing was asked for again


def test_only_what_is_missing_is_asked_for(world: World, study: SampleStudy) -> None:
    for number in (1, 2):
        store(world.here.archive, objects(study)[sop(study, 1, number)])
    assert world.fetch(study).progress.here == 6
    assert world.came(study) == 4


def test_move_serves_where_get_does_not(world: World, study: SampleStudy) -> None:
    with world.known(), world.there.answering({}, VERIFICATION, FIND, MOVE):
        assert world.fetch(study) == Outcome(Progress(6, 6, method="C-MOVE"))
    assert world.held(study) == set(objects(study)) and world.came(study) == 6


def refusing(status: int) -> Service:
    """Answers whatever is asked with *status*."""

    def service(association: Association, message: Message, _caller: Caller) -> None:
        association.whole_data_set(message, 1 << 20)
        association.send(message.context.id, response(message.command, status))

    return service


def test_move_serves_where_get_fails(world: World, study: SampleStudy) -> None:
    with world.known(), world.there.answering({Field.C_GET: refusing(0xA702)}):
        assert world.fetch(study) == Outcome(Progress(6, 6, method="C-MOVE"))


def test_what_the_administrator_must_enter_is_said(world: World, study: SampleStudy) -> None:
    with world.there.answering({}, VERIFICATION, FIND, MOVE):
        outcome = world.fetch(study)
        assert outcome.progress.here == 0 and "does not know where to send" in outcome.why
        for needed in (OURS, "127.0.0.1", str(world.here.port)):
            assert needed in outcome.remedy
        world.door.shut()
        off = world.fetch(study)
    assert "does not offer C-GET" in off.why and "port of this archive is off" in off.why


def test_our_own_door_may_not_know_the_pacs(
    world: World, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.here.admission, "_known_only", True)
    with world.known(), world.there.answering({}, VERIFICATION, FIND, MOVE):
        outcome = world.fetch(study)
        assert "turned FILMJACKET away" in outcome.why and not world.held(study)
        monkeypatch.setattr(world.here.admission, "_peers", world.here.admission._peers)
        assert world.door.allow(DimsePeer(AET))
        assert world.fetch(study).progress == Progress(6, 6, method="C-MOVE")


def sending(
    study: SampleStudy, folder: Path, count: int, then: Callable[[Association, Message], None]
) -> Mapping[int, Service]:
    """A C-GET that sends *count* objects, and then does something."""

    def service(association: Association, message: Message, _caller: Caller) -> None:
        association.whole_data_set(message, 1 << 20)
        for uid, data in list(objects(study).items())[:count]:
            path = folder / uid
            path.write_bytes(data)
            what = Outgoing(CT, uid, EXPLICIT, path)
            context = context_for(association, what)
            assert context is not None
            send(association, context, what)
        then(association, message)

    return {Field.C_GET: service}


def cut(association: Association, _message: Message) -> None:
    """The cable is pulled."""
    association._link.close()


def abort(association: Association, _message: Message) -> None:
    """A-ABORT."""
    association.abort()


def garbage(association: Association, _message: Message) -> None:
    """No PDU."""
    association._link.send(b"\xff" * 64)
    association._link.linger(2)


def release(association: Association, _message: Message) -> None:
    """A-RELEASE-RQ where an answer is due."""
    association._link.send(b"\x05\0\0\0\0\x04\0\0\0\0")
    association._link.linger(2)


@pytest.mark.parametrize("end", [cut, abort, garbage, release])
def test_what_came_before_a_break_stays_and_the_rest_follows(
    end: Callable[[Association, Message], None], world: World, study: SampleStudy, tmp_path: Path
) -> None:
    with world.there.answering(sending(study, tmp_path, 2, end)):
        broken = world.fetch(study)
    assert (broken.progress.here, broken.progress.total) == (2, 6)
    assert broken.why.startswith("4 of 6 images did not come.") and broken.remedy
    assert world.fetch(study).progress == Progress(6, 6, method="C-GET")
    assert world.came(study) == 6  # none came twice


def test_a_peer_that_says_success_is_not_believed(world: World, study: SampleStudy, tmp_path: Path) -> None:
    def lie(association: Association, message: Message) -> None:
        association.send(message.context.id, response(message.command, 0) | {Element.COMPLETED: 6})

    with world.there.answering(sending(study, tmp_path, 5, lie)):
        outcome = world.fetch(study)
    assert outcome.progress.here == 5 and outcome.why.startswith("1 of 6 images did not come.")


def test_objects_of_a_study_nobody_asked_for_are_refused(
    world: World, study: SampleStudy, tmp_path: Path
) -> None:
    other = SampleStudy("of somebody else")

    def done(association: Association, message: Message) -> None:
        association.send(message.context.id, response(message.command, 0))

    with world.there.answering(sending(other, tmp_path, 3, done)):
        outcome = world.fetch(study)
    assert outcome.progress.here == 0 and outcome.progress.failed == 3 and outcome.why
    assert world.held(other) == set()


def test_failures_the_peer_tells_of_are_told(world: World, study: SampleStudy, tmp_path: Path) -> None:
    def some(association: Association, message: Message) -> None:
        counts = {Element.COMPLETED: 4, Element.FAILED: 2}
        association.send(message.context.id, response(message.command, 0xB000) | counts)

    world.door.shut()
    with world.there.answering(sending(study, tmp_path, 4, some)):
        outcome = world.fetch(study)
    assert "2 of 6 images did not come." in outcome.why and "(2 failed)" in outcome.why


def test_it_can_be_stopped(
    world: World, study: SampleStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieving, "CANCEL_S", 0.3)
    got: list[int] = []

    def wait(association: Association, _message: Message) -> None:
        world.stop.set()
        got.append(association.receive().command.field)

    with world.there.answering(sending(study, tmp_path, 1, wait)):
        outcome = world.fetch(study)
    assert outcome.stopped and outcome.progress.here == 1 and got == [Field.C_CANCEL]


def test_a_silent_peer_is_given_up(world: World, study: SampleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = threading.Event()

    def silent(association: Association, message: Message, _caller: Caller) -> None:
        association.whole_data_set(message, 1 << 20)
        quiet.wait(10)

    monkeypatch.setattr("server.dimse.fetching.SILENCE_S", 0.3)
    world.door.shut()
    with world.there.answering({Field.C_GET: silent}):
        outcome = world.fetch(study)
        quiet.set()
    assert "sends nothing any more" in outcome.why and outcome.progress == Progress(6, 0, method="C-GET")


def test_a_study_that_is_gone_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.fetch(SampleStudy("never stored"))


# Retrievals: the list of them


def until(retrievals: Retrievals, one: Retrieving) -> Retrieving:
    """How it ended."""
    tick = threading.Event()
    for _ in range(600):
        found = retrievals.find(one.id)
        if found.state not in (State.WAITING, State.RUNNING):
            return found
        tick.wait(0.05)
    raise AssertionError(found)


def listed(world: World) -> closing[Retrievals]:
    return closing(Retrievals(world.here.archive, world.door, "default"))


def asked(study: SampleStudy) -> StudyAsked:
    return StudyAsked(study.uid, "DOE^JOHN", "P1", "19500301", "M", "20240211", "CT")


def test_the_list_outlives_the_archive(world: World, study: SampleStudy) -> None:
    node = Node("PACS", AET, "127.0.0.1", world.there.port)
    with listed(world) as first:
        done = until(first, first.begin(node, asked(study), "rita"))
        assert (done.state, done.progress.here, done.why) == (State.DONE, 6, "")
        gone = until(first, first.begin(node, StudyAsked("1.2.3"), "rita"))
        assert gone.state is State.FAILED and "does not have this study" in gone.why
        half = Progress(9, 2)
        first._keep(Retrieving("cut", node, asked(study), "default", "rita", 1.0, State.RUNNING, half))
    with listed(world) as second:
        assert [each.id for each in second.all()] == [gone.id, done.id, "cut"]
        cut = second.find("cut")
        assert cut.state is State.PARTIAL and "interrupted" in cut.why
        assert (cut.progress.here, cut.progress.total) == (6, 9)  # as the archive has it
        assert until(second, second.retry("cut")).state is State.DONE
        second.forget("cut")
        with pytest.raises(NotFound):
            second.find("cut")
    entries = world.here.archive.audit.entries(study_uid=study.uid)
    entry = next(each for each in entries if each.action == "retrieved")
    assert entry.actor == "rita" and entry.detail == {"from": AET, "images": 6, "of": 6}


def test_the_same_study_is_not_fetched_twice_at_once_and_stops(world: World, study: SampleStudy) -> None:
    hold = threading.Event()

    def slow(association: Association, message: Message, _caller: Caller) -> None:
        association.whole_data_set(message, 1 << 20)
        hold.set()
        association.receive()  # the cancellation
        association.send(message.context.id, response(message.command, 0xFE00))

    node = Node("PACS", AET, "127.0.0.1", world.there.port)
    with world.there.answering({Field.C_GET: slow}), listed(world) as retrievals:
        one = retrievals.begin(node, asked(study), "rita")
        assert hold.wait(10) and retrievals.begin(node, asked(study), "rita").id == one.id
        with pytest.raises(KnownError):
            retrievals.forget(one.id)
        retrievals.stop(one.id)
        assert until(retrievals, one).state is State.STOPPED
