"""The outbox: templates, who may be called, order, back-off, dead letters; and what the audit log tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from core.archive.announcing import MOST_WAITING_OF_A_SCAN, Announcer, Span
from core.archive.archive import Archive
from core.archive.overlays import Laying, Overlays
from core.archive.schema import namespaces, studies
from core.errors import BadInput, NotFound, Unreachable
from core.media.samples import SampleStudy, part10
from core.net.pinned import NotAllowed, Policy, send
from core.outbox import queue
from core.outbox.queue import Delivery, Outbox, outbox, wait_s
from core.outbox.templates import Event, Happening, Request, parsed
from tests.core.archive_help import NS, attach, store, tiny
from tests.sink import Sink

HAPPENING = Happening(Event.PHI, "ns 1", "1.2.3", 'p"n', "rita&co")
RULE = Request("GET", "http://127.0.0.1:1/x?u={studyUid}")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(tmp_path, settle_after_s=0.01)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def box(archive: Archive) -> Outbox:
    return Outbox(archive.db)


def rows(archive: Archive) -> list[Any]:
    with archive.db.read() as connection:
        return list(connection.execute(select(outbox).order_by(outbox.c.id)))


def happened(archive: Archive) -> list[tuple[str, str, str, str]]:
    return [(row.event, row.study_uid, row.phi_namespace, row.actor) for row in rows(archive)]


def due(archive: Archive, box: Outbox, target: str = "a") -> list[Delivery]:
    with archive.db.read() as connection:
        return box.due(connection, target, (), 100)


def test_a_template_is_filled_in() -> None:
    url = "http://host:1/n?ns={namespace}&s={storage_namespace}&u={studyUid}&p={phiNamespace}&a={event_type}"
    request = Request("POST", url + "&w={actor}", '{"who": "{actor}", "p": "{phi_namespace}", "x": {}}')
    filled = request.filled(HAPPENING)
    assert filled.url == "http://host:1/n?ns=ns%201&s=ns%201&u=1.2.3&p=p%22n&a=PHI&w=rita%26co"
    assert filled.body == '{"who": "rita&co", "p": "p\\"n", "x": {}}'
    assert Request("PUT", url, "plain {actor}").filled(HAPPENING).body == "plain rita&co"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"request_url": "ftp://host/x"},
        {"request_url": "http://"},
        {"request_url": "http://{actor}/x"},
        {"request_url": "http://user:secret@host/x"},
        {"request_url": "http://host/{what}"},
        {"request_url": "http://host/a b"},
        {"request_url": "http://host/\nx"},
        {"request_url": "http://host:99999/"},
        {"request_url": "http://host:0/"},
        {"request_url": "http://[::1/"},
        {"request_url": 5},
        {"request_url": "http://host/", "request_method": "DELETE"},
        {"request_url": "http://host/", "request_body": {}},
        {"request_url": "http://host/", "request_body": "\ud800"},
        {"request_url": "http://host/" + "x" * 9000},
    ],
)
def test_a_bad_template_is_refused(document: Any) -> None:
    with pytest.raises(BadInput):
        parsed(document)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("192.168.1.1", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("169.254.169.254", False),
        ("::ffff:169.254.169.254", False),
        ("2002:a9fe:a9fe::", False),
        ("fe80::1", False),
        ("fd00:ec2::254", False),
        ("0.0.0.0", False),  # noqa: S104 # nothing is bound
        ("0.1.2.3", False),
        ("::", False),
        ("224.0.0.1", False),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("100.64.0.1", False),
        ("2001:db8::1", False),
    ],
)
def test_who_may_be_called(address: str, allowed: bool) -> None:
    if allowed:
        Policy().check("host", 80, address)
    else:
        with pytest.raises(NotAllowed):
            Policy().check("host", 80, address)


def test_a_listed_host_may_be_anywhere_but_never_link_local() -> None:
    policy = Policy(hosts=frozenset({"pacs.example.org"}))
    policy.check("PACS.example.org", 443, "203.0.113.5")
    for host, address in (("other.example.org", "203.0.113.5"), ("pacs.example.org", "169.254.1.1")):
        with pytest.raises(NotAllowed):
            policy.check(host, 443, address)


def test_sending() -> None:
    with Sink(lambda told: 302 if told.path == "/moved" else 200) as sink:
        assert send("GET", f"{sink.url}/a?b=%20c", "ignored", Policy()) == 200
        assert send("POST", f"{sink.url}/a", "täxt", Policy()) == 200
        assert send("PUT", f"{sink.url}/moved", "", Policy()) == 302
        assert [(t.method, t.path, t.query, t.body) for t in sink.told] == [
            ("GET", "/a", {"b": " c"}, ""),
            ("POST", "/a", {}, "täxt"),
            ("PUT", "/moved", {}, ""),
        ]
        port = int(sink.url.rsplit(":", 1)[1])
        with pytest.raises(NotAllowed):
            send("GET", f"http://localhost:{port}/", "", Policy(own_ports=frozenset({port})))
    with pytest.raises(Unreachable):
        send("GET", sink.url, "", Policy())


def test_order_in_a_lane_back_off_and_dead_letters(archive: Archive, box: Outbox) -> None:
    one = [Happening(event, NS, "1.1", NS, "r") for event in (Event.UPLOAD, Event.PHI)]
    other = Happening(Event.UPLOAD, NS, "1.2", NS, "r")
    archive.db.write(lambda connection: box.add(connection, ["a", "b"], [*one, other])).result(9)
    first, second = due(archive, box)
    assert (first.happening, second.happening) == (one[0], other)
    archive.db.write(lambda connection: box.failed(connection, first, "HTTP 500")).result(9)
    assert [each.happening for each in due(archive, box)] == [other], "what is behind waits as well"
    assert len(due(archive, box, "b")) == 2, "another receiver is not held up"
    overdue = update(outbox).where(outbox.c.target == "a").values(next_try=0.0, expires=1.0)
    archive.db.write(lambda connection: connection.execute(overdue) and None).result(9)
    again = due(archive, box)[0]
    assert again.attempts == 1
    archive.db.write(lambda connection: box.failed(connection, again, "HTTP 500")).result(9)
    assert [each.happening for each in due(archive, box)] == [one[1], other], "a dead letter holds up nobody"
    (dead,) = box.dead_letters()
    assert dead.happening == one[0] and dead.attempts == 2 and dead.last_error == "HTTP 500"
    archive.db.write(lambda connection: box.resend(connection, dead.id)).result(9)
    assert not box.dead_letters()
    assert [each.happening for each in due(archive, box)] == [other, one[0]], "it has its old place again"
    with pytest.raises(NotFound):
        archive.db.write(lambda connection: box.resend(connection, dead.id)).result(9)
    assert box.figures() == {"waiting": 6, "dead": 0}


def test_waiting_doubles_and_is_scattered() -> None:
    for attempt in range(1, 40):
        longest = min(queue.LONGEST_WAIT_S, 2.0**attempt)
        assert all(longest / 2 <= wait_s(attempt) <= longest for _ in range(5))
    assert len({wait_s(9) for _ in range(9)}) > 1


def test_what_the_audit_log_tells(archive: Archive, box: Outbox) -> None:
    study = SampleStudy(seed="told")
    store(archive, tiny(study))
    announcer = Announcer(archive.db, box)
    archive.db.write(lambda connection: announcer.set_rule(connection, "a", RULE)).result(9)
    settle(archive)
    drain(announcer)
    assert happened(archive) == [], "what happened before the first rule is not told"
    store(archive, tiny(study, instance=2))
    store(archive, tiny(study, instance=3))
    settle(archive)
    drain(announcer)
    assert happened(archive) == [("UPLOAD", study.uid, NS, "tester")], "once a study, not once an image"
    attach(archive, study.uid, b"%PDF").result(9)
    overlays = Overlays(archive.db, archive.audit)
    tags = {"(0010,0020)": "1"}
    layer = overlays.lay(Laying(NS, study.uid, "his", tags, "rita")).result(9)
    overlays.lay(Laying(NS, study.uid, "his", tags, "rita", silent=True)).result(9)
    overlays.lift(NS, study.uid, "his", layer.guid, actor="bob").result(9)
    archive.delete_study(NS, study.uid, "root").result(9)
    drain(announcer)
    assert happened(archive)[1:] == [
        ("ATTACHMENT", study.uid, NS, "tester"),
        ("PHI", study.uid, "his", "rita"),
        ("PHI", study.uid, "his", "bob"),
        ("STUDY_DELETE", study.uid, NS, "root"),
    ]
    settle(archive)
    drain(Announcer(archive.db, box))
    assert len(rows(archive)) == 5, "nothing is told twice"
    archive.db.write(lambda connection: box.remove_rule(connection, "a")).result(9)
    assert not rows(archive)


def test_what_came_by_dimse_is_a_harvest(archive: Archive, box: Outbox) -> None:
    announcer = Announcer(archive.db, box)
    archive.db.write(lambda connection: announcer.set_rule(connection, "a", RULE)).result(9)
    study = SampleStudy(seed="harvested")
    with archive.incoming(NS) as incoming:
        incoming.write(part10(tiny(study)))
        archive.store(incoming, actor="CT1", via="dimse").result(9)
    settle(archive)
    drain(announcer)
    assert happened(archive) == [("HARVEST", study.uid, NS, "CT1")]


def test_a_scan_announces_its_span_with_bounded_backlog(archive: Archive, box: Outbox) -> None:
    total = MOST_WAITING_OF_A_SCAN + 1500
    archive.db.write(lambda connection: many_studies(connection, total)).result(20)
    announcer = Announcer(archive.db, box)
    span, narrow = Span(100.0, 1e12, None), Span(100.0, 110.0, ["many"])
    empty = [Span(5.0, 4.0, None), Span(100.0, 110.0, ["other"]), Span(100.0, 110.0, [])]
    for each in (span, narrow, *empty):
        archive.db.write(partial(announcer.begin_scan, span=each, request=RULE)).result(9)
    drain(announcer)
    counts = {target: sum(row.target == target for row in rows(archive)) for target in ("scan:1", "scan:2")}
    assert counts == {"scan:1": MOST_WAITING_OF_A_SCAN, "scan:2": 10}, (
        "the second does not wait for the first"
    )
    archive.db.write(lambda connection: connection.execute(outbox.delete()) and None).result(9)
    drain(announcer)
    assert announcer.scan_figures() == {
        1: (total, True),
        2: (10, True),
        3: (0, True),
        4: (0, True),
        5: (0, True),
    }
    assert {row.event for row in rows(archive)} == {"NONE"}


def many_studies(connection: Connection, count: int) -> None:
    """As many settled studies without images."""
    connection.execute(namespaces.insert().values(name="many", created=0))
    empty = dict.fromkeys(
        (column.name for column in studies.c if str(column.type) == "VARCHAR"), ""
    )  # every text of the row
    rows = [
        {
            **empty,
            "namespace": "many",
            "study_uid": f"1.{n}",
            "created": 100.0 + n,
            "changed": 0.0,
            "settled": True,
        }
        for n in range(count)
    ]
    connection.execute(studies.insert(), rows)


def settle(archive: Archive) -> None:
    """Wait until every study is settled."""
    until = time.monotonic() + 20
    while archive.unsettled():
        assert time.monotonic() < until
        time.sleep(0.01)


def drain(announcer: Announcer) -> None:
    while announcer.turn():
        pass
