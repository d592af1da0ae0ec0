"""What the DICOM door tells of itself: visits, arrivals, refusals with their reasons, and counts of today."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.archive.nouns import Outcome, StoreResult
from core.net.dimse.command import Field
from core.net.dimse.negotiation import (
    CALLED_UNKNOWN,
    CALLING_UNKNOWN,
    NO_REASON,
    TOO_MANY,
    Proposal,
    Rejection,
)
from core.net.own_addresses import addresses
from core.settings import DimsePeer
from server.dimse.admission import Caller
from server.dimse.door import Door, Where
from server.dimse.traffic import MOST_RECEIVED, MOST_REFUSED, Traffic
from tests.core.archive_help import tiny
from tests.dimse.gateways import CT, EXPLICIT, VERIFICATION, gateway

NOON = datetime(2026, 3, 1, 12).timestamp()


def result(study_uid: str) -> StoreResult:
    return StoreResult("default", study_uid, "1.2", "1.3", "v", Outcome.STORED)


def test_visits_come_and_go_and_name_what_they_do() -> None:
    traffic = Traffic(lambda: NOON)
    one, two = Caller("CT1", "US", "default", "192.0.2.1"), Caller("CT1", "US", "default", "192.0.2.1")
    traffic.admitted(one)
    traffic.admitted(two)
    traffic.serving(two, Field.C_STORE)
    assert sorted(each.service for each in traffic.visits()) == ["", "C-STORE"]
    traffic.serving(two, 0x7777)
    traffic.ended(one)
    assert [(each.calling, each.service, each.since) for each in traffic.visits()] == [("CT1", "", NOON)]
    traffic.ended(two)
    traffic.ended(two)
    traffic.serving(two, Field.C_ECHO)
    assert traffic.visits() == [] and traffic.last == ("CT1", NOON)


def test_arrivals_are_counted_by_study_and_sender() -> None:
    now = [NOON]
    traffic = Traffic(lambda: now[0])
    ct, mr = Caller("CT1", "US", "default", "a"), Caller("MR1", "US", "default", "b")
    for caller, study in ((ct, "1"), (ct, "1"), (mr, "2"), (ct, "1")):
        now[0] += 1
        traffic.received(caller, result(study))
    assert [(each.study_uid, each.calling, each.count) for each in traffic.arrivals()] == [
        ("1", "CT1", 3),
        ("2", "MR1", 1),
    ]
    for number in range(2 * MOST_RECEIVED):
        traffic.received(ct, result(str(number)))
    assert len(traffic.arrivals()) == MOST_RECEIVED


@pytest.mark.parametrize(
    ("rejection", "why"),
    [
        (CALLING_UNKNOWN, "calling-unknown"),
        (CALLED_UNKNOWN, "called-unknown"),
        (TOO_MANY, "too-many"),
        (NO_REASON, "other"),
    ],
)
def test_refusals_say_why(rejection: Rejection, why: str) -> None:
    traffic = Traffic(lambda: NOON)
    traffic.rejected(Proposal(" EVIL\x07\xe9 ", "US", ()), "192.0.2.9", rejection)
    (one,) = traffic.refusals()
    assert (one.calling, one.called, one.address, one.why) == ("EVIL", "US", "192.0.2.9", why)
    for _ in range(2 * MOST_REFUSED):
        traffic.rejected(Proposal("A", "B", ()), "x", TOO_MANY)
    assert len(traffic.refusals()) == MOST_REFUSED and traffic.rejections == 2 * MOST_REFUSED + 1


def test_counts_begin_anew_at_midnight() -> None:
    now = [NOON]
    traffic = Traffic(lambda: now[0])
    traffic.received(Caller("CT1", "US", "default", "a"), result("1"))
    assert (traffic.today().received, traffic.today().since) == (1, NOON)
    now[0] = (datetime.fromtimestamp(NOON) + timedelta(hours=13)).timestamp()
    assert (traffic.today().received, traffic.today().since) == (0, datetime(2026, 3, 2).timestamp())
    traffic.admitted(Caller("CT1", "US", "default", "a"))
    assert traffic.today().associations == 1


def test_a_real_gateway_tells_all_of_it(tmp_path: Path) -> None:
    with gateway(tmp_path, peers=(DimsePeer("CT1"),), known_only=True) as running:
        traffic = running.gateway.traffic
        with running.associated((VERIFICATION, EXPLICIT), (CT, EXPLICIT)) as association:
            assert association.send_c_echo().Status == 0
            assert [(each.calling, each.service) for each in traffic.visits()] == [("CT1", "C-ECHO")]
        with running.associated((VERIFICATION, EXPLICIT), calling="MR1") as association:
            assert association.is_rejected
        study = tiny_study()
        assert running.store(study) == 0
        assert traffic.arrivals()[0].study_uid == str(study.StudyInstanceUID)
        assert [(each.calling, each.why) for each in traffic.refusals()] == [("MR1", "calling-unknown")]
        assert (traffic.today().associations, traffic.today().refused, traffic.today().received) == (2, 1, 1)
        door = Door("FILMJACKET")
        assert not door.allow(DimsePeer("MR1")) and door.port == 0 and not door.reachable_from("127.0.0.1")
        door.open(Where("127.0.0.1", running.port, tls=False, known_only=True), running.admission)
        assert door.allow(DimsePeer("MR1", "127.0.0.1")) and door.port == running.port
        with running.associated((VERIFICATION, EXPLICIT), calling="MR1") as association:
            assert association.send_c_echo().Status == 0
        assert door.reachable_from("127.0.0.1") and not door.reachable_from("192.0.2.1")


def tiny_study():  # type: ignore[no-untyped-def]  # a pydicom data set
    from core.media.samples import SampleStudy

    return tiny(SampleStudy("door"))


def test_addresses_are_those_others_can_use() -> None:
    assert addresses("192.0.2.5") == ["192.0.2.5"]
    everywhere = addresses("0.0.0.0")  # noqa: S104  not bound to
    assert everywhere and all(each != "0.0.0.0" for each in everywhere)  # noqa: S104  as above
