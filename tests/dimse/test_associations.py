"""Associations: who gets one, and what becomes of those that break, lie, stall, or are too many."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.media.samples import SampleStudy, ct_slice, part10
from core.net.dimse.command import Element, Field, decode, encode, response
from core.net.dimse.faults import LinkLost, Refused, Violation
from core.net.dimse.link import Link, Patience
from core.net.dimse.negotiation import Proposal, Proposed, Roles, accept, read_acceptance
from core.net.dimse.requestor import Peer, Wish, associate
from core.net.tls import Tls, Untrusted
from core.settings import DimsePeer, DimseSettings
from server.dimse.gateway import GatewayLimits
from server.dimse.services import supported_of
from tests.app.serving import certificate
from tests.core.archive_help import sop
from tests.dimse.gateways import (
    AET,
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Running,
    gateway,
    opened,
    pdata,
    proposal,
    read_pdu,
)
from tests.dimse.test_store import data_set_of

RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
STORE = {
    Element.AFFECTED_SOP_CLASS_UID: CT,
    Element.COMMAND_FIELD: Field.C_STORE,
    Element.MESSAGE_ID: 1,
    Element.PRIORITY: 0,
    Element.DATA_SET_TYPE: 1,
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """One gateway for the tests of this module."""
    with gateway(tmp_path_factory.mktemp("dimse")) as found:
        yield found


def echoes(running: Running) -> bool:
    """Whether it still serves others."""
    with running.associated((VERIFICATION, IMPLICIT)) as association:
        return bool(association.is_established and association.send_c_echo().Status == 0)


def test_only_known_peers_by_title_address_and_called_title(tmp_path: Path) -> None:
    peers = (
        DimsePeer("CT1", "127.0.0.0/8"),
        DimsePeer("CT2", "192.0.2.1"),
        DimsePeer("CT3", called="NIGHT"),
        DimsePeer("CT4", "localhost"),
    )
    with gateway(tmp_path, peers=peers, known_only=True, ae_titles={"NIGHT": "night"}) as running:

        def outcome(calling: str, called: str = AET) -> str:
            try:
                peer = Peer(called, "127.0.0.1", running.port, calling)
                association = associate(peer, [Wish(VERIFICATION, (IMPLICIT,))])
            except Refused as error:
                return error.message
            association.release()
            association.close()
            return "yes"

        assert [outcome("CT1"), outcome("CT4"), outcome("CT3", "NIGHT")] == ["yes"] * 3
        for calling, called in (("CT2", AET), ("CT3", AET), ("STRANGER", AET), ("ct1", AET)):
            assert "does not know our AE title" in outcome(calling, called)
        assert "called by" in outcome("CT1", "NOBODY")
        state = running.gateway.state()
        assert (state.admitted, state.rejected, state.last_calling) == (3, 5, "CT3")


def test_a_store_cut_off_keeps_nothing_of_it(running: Running) -> None:
    whole, cut = ct_slice(SampleStudy("cut"), instance=1), ct_slice(SampleStudy("cut"), instance=2)
    for ending in (b"", b"\7\0\0\0\0\4\0\0\0\0", b"\5\0\0\0\0\4\0\0\0\0", b"nonsense"):
        assert running.store(whole) == 0
        data = data_set_of(part10(cut))
        with opened(running, CT) as connection:
            command = encode({**STORE, Element.AFFECTED_SOP_INSTANCE_UID: cut.SOPInstanceUID})
            connection.sendall(pdata(command) + pdata(data[: len(data) // 2], control=0) + ending)
            connection.shutdown(1)
            while read_pdu(connection)[0]:
                pass
        held = running.archive.held("default", whole.StudyInstanceUID)
        assert list(held) == [whole.SOPInstanceUID]
    assert running.archive.check().ok and echoes(running)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"\x09\0\0\0\0\4\0\0\0\0", 1),
        (b"\4\0\0\0\0\4\0\0\0\0", 2),
        (b"\5\0\0\0\0\4\0\0\0\0", 2),
        (b"\1\0\x7f\xff\xff\xff", 6),
        (b"\1\0\0\0\0\x44" + b"\0" * 68, 6),
        (b"\1\0\0\0\0\x60" + b"\xff" * 96, 6),
    ],
)
def test_what_is_no_request_is_aborted(running: Running, sent: bytes, reason: int) -> None:
    with running.connect() as connection:
        connection.sendall(sent)
        assert read_pdu(connection) == (ABORT, bytes((0, 0, 2, reason)))
    assert echoes(running)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\4\0\0\2\0\7" + b"\0" * 100, 6),  # longer than agreed
        (pdata(encode(STORE), context=99), 6),
        (pdata(b"data first", control=2), 2),
        (pdata(b"\0" * 7), 6),
        (pdata(b"\1\2\3\4" * 4), 6),
        (b"\4\0\0\0\0\2\0\0", 6),
        (b"\4\0\0\0\0\6\xff\xff\xff\xff\1\3", 6),
        (pdata(encode({Element.MESSAGE_ID: 1})), 6),
        (pdata(encode(STORE)) + pdata(encode(STORE)), 2),
        (b"\2\0\0\0\0\4\0\0\0\0", 2),
        (pdata(b"\0\0\2\0\0\1\0\0" + b"1" * 256, control=1) * 300, 6),
    ],
)
def test_what_breaks_the_rules_is_aborted(running: Running, sent: bytes, reason: int) -> None:
    with opened(running, CT) as connection:
        connection.sendall(sent)
        kind, content = read_pdu(connection)
        assert (kind, content) == (ABORT, bytes((0, 0, 2, reason)))
    assert echoes(running)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), new=st.binary(min_size=1, max_size=8), negotiated=st.booleans())
def test_no_garbage_brings_it_down(running: Running, at: int, new: bytes, negotiated: bool) -> None:
    good = (
        pdata(encode({**STORE, Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3"})) if negotiated else proposal(CT)
    )
    at %= len(good)
    connection = opened(running, CT) if negotiated else running.connect()
    with connection:
        connection.sendall(good[:at] + new + good[at + len(new) :])
        connection.shutdown(1)
        kinds = []
        while (kind := read_pdu(connection)[0]) != 0:
            kinds.append(kind)
    assert set(kinds) <= {AC, RJ, DATA, ABORT}


def test_slow_and_silent_peers_are_left(tmp_path: Path) -> None:
    limits = GatewayLimits(patience=Patience(idle_s=1.0, stall_s=0.5))
    with gateway(tmp_path, limits=limits) as running:
        silent, stalled, drip = (opened(running, CT) for _ in range(3))
        stalled.sendall(b"\4\0\0\0\1\0" + b"x" * 10)
        drip.sendall(b"\4\0\0\0\2\0")
        began = time.monotonic()
        try:
            while time.monotonic() < began + 10:
                drip.sendall(b"x")
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - began < 9
        for connection in (silent, stalled):
            assert read_pdu(connection)[0] == ABORT
        for connection in (silent, stalled, drip):
            connection.close()
        assert echoes(running)


def test_too_many_associations_are_told_to_come_later(tmp_path: Path) -> None:
    with gateway(tmp_path, limits=GatewayLimits(associations=3)) as running:
        taken = [opened(running, CT) for _ in range(3)]
        with running.connect() as fourth:
            fourth.sendall(proposal(CT))
            assert read_pdu(fourth) == (RJ, bytes((0, 2, 3, 2)))
        for connection in taken:
            connection.sendall(b"\5\0\0\0\0\4\0\0\0\0")
            assert read_pdu(connection)[0] == RELEASE_RP
            connection.close()
        deadline = time.monotonic() + 10
        while running.gateway.state().associations and time.monotonic() < deadline:
            time.sleep(0.01)
        assert echoes(running)


def test_fifty_at_once(tmp_path: Path) -> None:
    study = SampleStudy("fifty")
    outcomes: list[int] = []
    with gateway(tmp_path) as running:

        def send(number: int) -> None:
            data = data_set_of(part10(ct_slice(study, instance=number, size=16)))
            association = associate(Peer(AET, "127.0.0.1", running.port), [Wish(CT, (EXPLICIT,))])
            all_there.wait(30)
            command = {**STORE, Element.AFFECTED_SOP_INSTANCE_UID: sop(study, instance=number)}
            association.send(1, command, data)
            outcomes.append(association.receive(30).command.status)
            association.release()
            association.close()

        all_there = threading.Barrier(50)
        threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 51)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert outcomes == [0] * 50
        assert len(running.archive.held("default", study.uid)) == 50
        assert running.archive.check().ok


def test_what_has_begun_is_answered_when_it_closes(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        idle = opened(running, CT)
        began = time.monotonic()
        running.gateway.close()
        assert time.monotonic() - began < 5
        assert read_pdu(idle)[0] in (ABORT, 0)
        idle.close()


def test_tls_and_certificates_of_peers(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    if made is None:
        pytest.skip("openssl makes no certificate here")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.path, made.key)
    server.load_verify_locations(made.path)
    server.verify_mode = ssl.CERT_REQUIRED
    stranger, client = (
        Tls(ca=str(made.path)),
        Tls(ca=str(made.path), certificate=str(made.path), key=str(made.key)),
    )
    ds = ct_slice(SampleStudy("tls"), size=700)
    with gateway(tmp_path / "data", tls=server) as running:
        with pytest.raises(Untrusted, match="wants to see a certificate of ours"):
            associate(Peer(AET, "127.0.0.1", running.port, tls=stranger), [Wish(CT, (EXPLICIT,))])
        known = associate(Peer(AET, "127.0.0.1", running.port, tls=client), [Wish(CT, (EXPLICIT,))])
        command = {**STORE, Element.AFFECTED_SOP_INSTANCE_UID: ds.SOPInstanceUID}
        known.send(1, command, data_set_of(part10(ds)))
        assert known.receive(30).command.status == 0
        known.release()
        known.close()
        with running.connect() as plain, contextlib.suppress(ConnectionError):
            plain.sendall(proposal(CT))
            assert read_pdu(plain)[0] not in (AC, RJ)
        assert list(running.archive.held("default", ds.StudyInstanceUID)) == [ds.SOPInstanceUID]


def test_a_peer_that_wants_a_certificate_is_heard_after_it_hung_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate(tmp_path)
    if made is None:
        pytest.skip("openssl makes no certificate here")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.path, made.key)
    server.verify_mode = ssl.CERT_REQUIRED
    asking, stranger = Link.send, Tls(ca=str(made.path))
    broken: list[bool] = []

    def late(link: Link, data: bytes) -> None:
        assert link.wait(20)  # what it says before it hangs up
        try:
            until = time.monotonic() + 20
            while time.monotonic() < until:  # it resets the connection when it has closed it
                asking(link, data)
                time.sleep(0.01)
        except LinkLost:
            broken.append(True)
            raise

    with gateway(tmp_path / "data", tls=server) as running:
        monkeypatch.setattr(Link, "send", late)
        with pytest.raises(Untrusted, match="wants to see a certificate of ours"):
            associate(Peer(AET, "127.0.0.1", running.port, tls=stranger), [Wish(CT, (EXPLICIT,))])
    assert broken


def test_syntaxes_keep_the_wish_of_the_proposer(running: Running) -> None:
    j2k, big = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.2"
    for proposed, taken in (
        ((IMPLICIT, EXPLICIT), EXPLICIT),
        ((big, IMPLICIT), IMPLICIT),
        ((j2k, EXPLICIT), j2k),
        (("1.2.3", IMPLICIT, j2k), IMPLICIT),
    ):
        association = associate(Peer(AET, "127.0.0.1", running.port), [Wish(CT, proposed)])
        assert [each.transfer_syntax for each in association.contexts.values()] == [taken]
        association.release()
        association.close()


def test_roles_are_granted_for_storage_alone() -> None:
    print_job = "1.2.840.10008.5.1.1.30"
    roles = {uid: Roles(False, True) for uid in (CT, print_job, VERIFICATION)}
    contexts = tuple(Proposed(2 * n + 1, uid, (IMPLICIT,)) for n, uid in enumerate(roles))
    wanted = Proposal("A", AET, contexts, 0, roles)
    answer = supported_of(DimseSettings()).answer(wanted)
    assert answer.roles == {CT: Roles(False, True)}
    assert read_acceptance(accept(wanted, answer)[6:]).roles == {CT: Roles(False, True)}


def test_commands_are_read_as_they_were_written() -> None:
    request = decode(encode({**STORE, Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3"}))
    assert request.field == Field.C_STORE and request.sop_class_uid == CT and request.has_data_set
    answer = decode(encode(response(request, 0xA700, ERROR_COMMENT="x" * 99, OFFENDING_ELEMENT=0x00080018)))
    assert (answer.status, answer.text(Element.ERROR_COMMENT)) == (0xA700, "x" * 64)
    with pytest.raises(Violation):
        decode(b"\0")


def test_settings_of_the_door_are_read(tmp_path: Path) -> None:
    from core import settings as kept
    from core.errors import BadInput

    (tmp_path / kept.FILE).write_text(
        '[dimse]\naccept = "known"\nmax_associations = 7\n[[dimse.peers]]\nae_title = "CT1"\nport = 104\n'
    )
    found = kept.load(tmp_path, {}).dimse
    assert (found.accept, found.max_associations, found.peers) == ("known", 7, (DimsePeer("CT1", port=104),))
    kept.save(tmp_path, kept.load(tmp_path, {}))
    assert kept.load(tmp_path, {}).dimse == found != DimseSettings()
    for wrong in (
        'accept = "all"',
        "pdu_bytes = 9",
        "peers = 3",
        "[[dimse.peers]]\nport = 1",
        "[[dimse.peers]]\nae_title = 1",
        "idle_s = 0",
    ):
        (tmp_path / kept.FILE).write_text(f"[dimse]\n{wrong}\n")
        with pytest.raises(BadInput):
            kept.load(tmp_path, {})
