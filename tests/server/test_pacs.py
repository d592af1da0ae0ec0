"""The desktop's routes for PACS and for the DICOM door, over a real archive and a real PACS elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.documents.tables import DOCUMENTS, Documents
from core.errors import BadInput, Conflict, Denied, NotFound, Unreachable
from core.media.samples import SampleStudy, dataset
from core.net.credentials import Credentials
from core.net.dimse.asking import VERIFICATION, echo, wish
from core.net.dimse.requestor import Peer, associate
from core.net.pacs_client import PacsClient, PacsNode, Retrieval
from core.net.records import StudyRow
from core.net.tls import Tls
from core.net.v3_client import V3Client
from server.dimse.door import Door
from server.dimse.retrievals import TABLE, Node, Retrievals, Retrieving, State, StudyAsked
from tests.core.archive_help import store
from tests.dimse.gateways import AET, Running, gateway
from tests.server.conftest import CANARY, NAMESPACE, PASSWORDS, Served, Stored, serving

BASE = "/api/desktop/v1"
STUDY = SampleStudy("server pacs", CANARY)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """A PACS with a study of three images."""
    with gateway(tmp_path_factory.mktemp("elsewhere")) as found:
        for number in (1, 2, 3):
            store(found.archive, dataset(STUDY, instance=number))
        yield found


@pytest.fixture
def client(served: Served) -> Generator[PacsClient, None, None]:
    with V3Client(served.url, Credentials("admin", PASSWORDS["admin"])) as made:
        yield PacsClient(made)


def row(uid: str = STUDY.uid) -> StudyRow:
    return StudyRow("", uid, CANARY.name, CANARY.patient_id, study_description="CT")


def ended(client: PacsClient, one: Retrieval) -> Retrieval:
    tick = threading.Event()
    for _ in range(400):
        found = next(each for each in client.retrievals() if each.id == one.id)
        if not found.under_way:
            return found
        tick.wait(0.05)
    raise AssertionError(found)


def test_a_study_is_fetched_and_told_of(client: PacsClient, elsewhere: Running) -> None:
    node = PacsNode("Big PACS", AET, "127.0.0.1", elsewhere.port)
    assert client.here("default", [STUDY.uid]) == {}
    (begun,) = client.retrieve(node, [row()])
    assert (begun.node, begun.patient_name, begun.under_way) == ("Big PACS", CANARY.name, True)
    done = ended(client, begun)
    assert (done.state, done.here, done.total, done.method, done.why) == ("done", 3, 3, "C-GET", "")
    assert client.here("default", [STUDY.uid, "1.2.3"]) == {STUDY.uid: 3}
    arrival = client.gateway().received[0]
    assert (arrival.images, arrival.calling, arrival.patient_name) == (3, AET, CANARY.name)
    client.forget(done.id)
    assert done.id not in {each.id for each in client.retrievals()}


def test_what_cannot_be_fetched_says_why_and_is_retried(client: PacsClient, elsewhere: Running) -> None:
    (begun,) = client.retrieve(PacsNode("Gone", AET, "127.0.0.1", 1), [row("1.2.3")])
    failed = ended(client, begun)
    assert failed.state == "failed" and "refuses the connection" in failed.why and failed.remedy
    client.retry(failed.id)
    assert ended(client, failed).state == "failed"
    client.stop(failed.id)  # it is over: nothing happens
    for act in (client.stop, client.retry, client.forget):
        with pytest.raises(NotFound):
            act("nothing")


def test_how_a_pacs_is_encrypted_is_kept_with_the_retrieval(
    client: PacsClient, elsewhere: Running, tmp_path: Path
) -> None:
    tls = Tls(pin=str(tmp_path / "none.pem"))
    (begun,) = client.retrieve(PacsNode("Big PACS", AET, "127.0.0.1", elsewhere.port, tls), [row("1.2.3")])
    failed = ended(client, begun)
    assert failed.state == "failed" and failed.why == f"The certificates in {tls.pin} cannot be used."
    with closing(Archive.open(tmp_path / "data", settle_after_s=60)) as archive:
        archive.db.ensure(DOCUMENTS)
        one = Retrieving(
            "1", Node("Big PACS", AET, "h", 2762, tls), StudyAsked("1.2"), "default", "anna", 1.0
        )
        other = replace(one, id="2", node=Node("Open", AET, "h", 104))
        for each in (one, other):
            Documents(archive.db).table(TABLE).insert(asdict(replace(each, state=State.DONE)))
        with closing(Retrievals(archive, Door(AET), "default")) as again:
            assert [again.find(each.id).node for each in (one, other)] == [one.node, other.node]


def test_what_makes_no_sense_is_refused(served: Served, client: PacsClient) -> None:
    with pytest.raises(BadInput):
        client.retrieve(PacsNode("A", "TITLE\\B", "h", 1), [row()])
    good = {"ae_title": "A", "host": "h", "port": 104}
    with served.client() as plain:
        for node in (
            None,
            [],
            {**good, "host": "a b"},
            {**good, "port": 0},
            {**good, "port": True},
            {**good, "tls": True},
            {**good, "tls": {"password": "x"}},
            {**good, "tls": {"ca": 1}},
            {"host": "h"},
        ):
            body = {"node": node, "studies": [{"study_uid": "1.2"}]}
            assert plain.post(f"{BASE}/retrievals", json=body).status_code == 400, node
        for studies in (None, [], [{}], [{"study_uid": "x"}], [{"study_uid": "1.2", "patient_name": 1}]):
            body = {"node": good, "studies": studies}
            assert plain.post(f"{BASE}/retrievals", json=body).status_code == 400, studies
        for content in (b"[]", b"{", b"\xff"):
            assert plain.post(f"{BASE}/retrievals", content=content).status_code == 400
        for uids in (None, [1], ["1"] * 1001):
            here = plain.post(f"{BASE}/namespaces/default/here", json={"study_uids": uids})
            assert here.status_code == 400
        for peer in ({}, {"ae_title": "*"}, {"ae_title": "A", "host": "a b"}, []):
            assert plain.post(f"{BASE}/gateway/peers", json=peer).status_code == 400


def test_only_administrators_fetch_and_let_in(served: Served, stored: Stored) -> None:
    for login in ("staff", "viewer", "modality"):
        with V3Client(served.url, Credentials(login, PASSWORDS[login])) as made:
            nobody = PacsClient(made)
            for act in (nobody.retrievals, nobody.gateway, lambda: nobody.allow("A", "")):  # noqa: B023 # called now
                with pytest.raises(Denied):
                    act()
    with V3Client(served.url, Credentials("viewer", PASSWORDS["viewer"])) as made:
        assert PacsClient(made).here(NAMESPACE, [stored.study.uid])


def test_a_door_that_is_shut_says_so(client: PacsClient) -> None:
    found = client.gateway()
    assert (found.ae_title, found.running, found.port) == ("TESTS", False, 0)
    with pytest.raises(Conflict, match="port is off"):
        client.allow("CT1", "")


def test_an_open_door_tells_who_is_there(tmp_path: Path) -> None:
    with serving(tmp_path / "data", dimse_port=0, no_auth=True) as open_here:
        port = int(open_here.dimse.rpartition(":")[2])
        with V3Client(open_here.url) as made:
            client = PacsClient(made)
            found = client.gateway()
            assert (found.running, found.port, found.addresses) == (True, port, ("127.0.0.1",))
            line = associate(Peer("TESTS", "127.0.0.1", port, "CT1"), [wish(VERIFICATION)])
            with closing(line):
                echo(line, next(iter(line.contexts.values())))
                (visit,) = client.gateway().associations
                line.release()
            assert (visit.calling, visit.called, visit.address, visit.service) == (
                "CT1",
                "TESTS",
                "127.0.0.1",
                "C-ECHO",
            )
            with pytest.raises(Unreachable):
                associate(Peer("WRONG", "127.0.0.1", port, "CT1"), [wish(VERIFICATION)])
            after = client.gateway()
            assert [(each.calling, each.called, each.why) for each in after.refused] == [
                ("CT1", "WRONG", "called-unknown")
            ]
            assert (after.today.associations, after.today.refused) == (1, 1) and not after.known_only
            client.allow("CT9", "192.0.2.7")
