"""Peers that leave in the middle of what they asked for or were asked, and the ends of associations."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, build_role, evt

from core.dicom.identifier import read_items
from core.dicom.json_model import Model
from core.dicom.ports import Scheduled
from core.errors import StorageFault
from core.media.samples import SampleStudy, ct_slice
from core.net.dimse.association import Association, Context, Message
from core.net.dimse.command import Element, Field, decode, encode
from core.net.dimse.link import Link, Patience
from core.net.dimse.negotiation import accept, read_proposal
from core.net.dimse.requestor import Peer, Wish, associate
from core.settings import DimsePeer, DimseSettings
from server.dimse import finding
from server.dimse.commitment import Asked, Prover
from server.dimse.services import supported_of
from server.dimse.suboperations import Suboperations
from server.dimse.worklist import MODALITY_WORKLIST
from tests.app.serving import certificate
from tests.core.archive_help import store
from tests.dimse.gateways import (
    AET,
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    gateway,
    opened,
    pdata,
    proposal,
    read_pdu,
)
from tests.dimse.test_commitment import Reports, ask, listening
from tests.dimse.test_find import find_rq
from tests.dimse.test_retrieve import GET, counts, move, query

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(4, 8)
RELEASE = b"\5\0\0\0\0\4\0\0\0\0"
STUDY = SampleStudy("leaving")


class Leaver:
    """An SCP that takes an association, reads the first PDU of a message, and releases at once."""

    def __init__(self) -> None:
        self.left = threading.Semaphore(0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                asked = read_proposal(read_pdu(connection)[1])
                connection.sendall(accept(asked, supported_of(DimseSettings()).answer(asked)))
                read_pdu(connection)
                connection.sendall(RELEASE)
                while read_pdu(connection)[0] not in (0, RELEASE_RP, ABORT):
                    pass
                self.left.release()

    def close(self) -> None:
        self._listening.close()


def test_a_release_in_the_middle_of_a_query_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with gateway(tmp_path) as running:
        for number in range(1, 41):
            store(running.archive, ct_slice(STUDY, instance=number, size=16))
        with opened(running, STUDY_ROOT_FIND) as connection:
            connection.sendall(pdata(encode(find_rq(1))) + pdata(IMAGES_EXPLICIT, control=2) + RELEASE)
            kinds = []
            while (kind := read_pdu(connection)[0]) in (DATA, RELEASE_RP):
                kinds.append(kind)
                if kind == RELEASE_RP:
                    break
        assert kinds[-1] == RELEASE_RP
    assert "unforeseen" not in caplog.text


IMAGES_EXPLICIT = b"\x08\0\x18\0UI\0\0" + b"\x08\0\x52\0CS\6\0IMAGE "


def test_a_destination_that_releases_instead_of_answering(tmp_path: Path) -> None:
    leaver = Leaver()
    with gateway(tmp_path, peers=(DimsePeer("DEST", "127.0.0.1", leaver.port),)) as running:
        store(running.archive, ct_slice(STUDY))
        status, failed = move(running, "DEST", query(StudyInstanceUID=STUDY.uid))
        assert counts(status) == (0xA702, 0, 0, 1) and failed is not None
    leaver.close()


def test_a_peer_that_releases_instead_of_taking_a_report_does_not_hold_up_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leaver = Leaver()
    with gateway(tmp_path, peers=(DimsePeer("CT1", "127.0.0.1", leaver.port),)) as running:
        for transaction in ("1.91", "1.92"):
            assert ask(running, (CT, "1.2.3"), uid=transaction) == 0
        assert leaver.left.acquire(timeout=10) and leaver.left.acquire(timeout=4)
    leaver.close()
    assert "unforeseen" not in caplog.text


def test_a_report_that_cannot_be_made_does_not_hold_up_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Prover.report

    def failing(self: Prover, asked: Asked) -> Model:
        if asked.transaction_uid == "1.91":
            raise StorageFault("The index cannot be read.")
        return made(self, asked)

    monkeypatch.setattr(Prover, "report", failing)
    with listening(Reports()) as port:
        pass  # it is away
    peers, reports = (DimsePeer("CT1", "127.0.0.1", port),), Reports()
    with gateway(tmp_path, peers=peers) as running:
        for transaction in ("1.91", "1.92"):
            assert ask(running, (CT, "1.2.3"), uid=transaction) == 0
    with listening(reports, port), gateway(tmp_path, peers=peers):
        _, told = reports.only()
        assert told.TransactionUID == "1.92"


def test_what_is_sent_is_written_down_though_the_peer_leaves_with_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        store(running.archive, ct_slice(STUDY))
        ae = AE("THIEF")
        ae.dimse_timeout = 1
        ae.add_requested_context(GET, IMPLICIT)
        ae.add_requested_context(CT, EXPLICIT)
        taken = ae.associate(
            "127.0.0.1", running.port, ae_title=AET, ext_neg=[build_role(CT, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, lambda event: event.assoc.abort() or 0)],
        )  # fmt: skip
        list(taken.send_c_get(query(StudyInstanceUID=STUDY.uid), GET))
        deadline = time.monotonic() + 10
        while running.gateway.state().associations and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [each.actor for each in running.archive.audit.entries() if each.action == "sent"] == ["THIEF"]


def test_thousands_of_failures_are_named_as_far_as_there_is_room() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        asking = Association(
            Link(ours, Patience(5, 5), pdu_bytes=1 << 17), {}, calling="A", called="B", peer_pdu_bytes=1 << 17
        )
        command = decode(encode({Element.COMMAND_FIELD: Field.C_GET, Element.MESSAGE_ID: 1}))
        work = Suboperations(
            asking, Message(Context(1, GET, EXPLICIT), command), 3000, lambda image, _: image
        )
        work.tally.failed = [f"1.2.840.113619.2.5.1762583153.215519.{number:024}" for number in range(3000)]
        sender = threading.Thread(target=work.finish)
        sender.start()
        theirs.settimeout(10)
        answer, data = read_pdu(theirs)[1], read_pdu(theirs)[1]
        sender.join(10)
        assert decode(answer[6:]).number(Element.FAILED) == 3000
        texts, _ = read_items(data[6:], EXPLICIT, 0x00081199)
        assert 1000 <= len(texts[0x00080058].split("\\")) < 3000


def test_a_context_with_an_even_number_is_aborted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = proposal(VERIFICATION)
    at = good.index(VERIFICATION.encode()) - 8
    with gateway(tmp_path) as running, running.connect() as connection:
        connection.sendall(good[:at] + b"\2" + good[at + 1 :])
        assert read_pdu(connection) == (ABORT, bytes((0, 0, 2, 6)))
    assert "unforeseen" not in caplog.text


def test_what_is_sent_after_the_gateway_began_to_stop_is_still_encrypted(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    if made is None:
        pytest.skip("openssl makes no certificate here")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.path, made.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    secured: list[ssl.SSLSocket] = []
    shake = threading.Thread(target=lambda: secured.append(server.wrap_socket(ours, server_side=True)))
    shake.start()
    with client.wrap_socket(theirs) as peer:
        peer.settimeout(10)
        shake.join(10)
        link = Link(secured[0], Patience(5, 5), pdu_bytes=1 << 17)
        link.shut()
        link.send(b"Probe^Paula")
        assert peer.recv(64) == b"Probe^Paula"
        link.close()


class Slow:
    """A worklist that is read when it may be."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """Nothing, after a while."""
        self.begun.set()
        assert self.may.wait(20)
        return iter(())


def test_searches_that_go_on_do_not_take_the_whole_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AT_ONCE", 1)
    monkeypatch.setattr(finding, "WAIT_S", 0.2)
    slow = Slow()
    with gateway(tmp_path, worklist=slow) as running:
        peer = Peer(AET, "127.0.0.1", running.port)
        first, second = (associate(peer, [Wish(MODALITY_WORKLIST, (IMPLICIT,))]) for _ in range(2))
        ask_for = find_rq(1) | {Element.AFFECTED_SOP_CLASS_UID: MODALITY_WORKLIST}
        first.send(1, ask_for, b"\x10\0\x20\0\0\0\0\0")
        assert slow.begun.wait(10)
        second.send(1, ask_for, b"\x10\0\x20\0\0\0\0\0")
        assert second.receive(10).command.status == 0xA700
        slow.may.set()
        assert first.receive(10).command.status == 0
        second.send(1, ask_for, b"\x10\0\x20\0\0\0\0\0")
        assert second.receive(10).command.status == 0
        for association in (first, second):
            association.release()
            association.close()
