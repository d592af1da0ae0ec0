"""Associations kept to one peer: fewer where it takes fewer, and more again when it does."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest
from pynetdicom import evt

from core.dicom.ports import Outcome
from core.dicom.refs import Header
from core.errors import KnownError, SourceFault
from core.net.dimse.lines import Kind, Lines
from core.net.dimse.link import Patience
from core.net.dimse.requestor import Peer
from core.upload.dimse import DimseDestination
from server.dimse.gateway import GatewayLimits
from tests.dimse.gateways import AET, CT, EXPLICIT, VERIFICATION, gateway, opened
from tests.dimse.test_destination import Handlers, destination, files, other, send


def test_a_peer_that_took_no_more_associations_is_asked_again_later(tmp_path: Path) -> None:
    limits = GatewayLimits(associations=2, patience=Patience(10, 10))
    kind = Kind(CT, EXPLICIT)
    with gateway(tmp_path / "data", limits=limits) as found:
        lines = Lines(Peer(AET, "127.0.0.1", found.port), Patience(10, 10), grow_s=0.2)
        second = threading.Event()

        def take() -> None:
            with lines.taken(kind, [kind]):
                second.set()

        thread = threading.Thread(target=take)
        with closing(opened(found, VERIFICATION)) as other_peer, lines.taken(kind, [kind]):
            thread.start()
            until = monotonic() + 10
            while not found.gateway.state().rejected and monotonic() < until:
                sleep(0.01)
            assert found.gateway.state().rejected and not second.is_set()
            other_peer.close()
            assert second.wait(10), "one more is asked for, while the first is in use"
        thread.join()
        lines.close()


def test_what_waits_for_an_association_is_read_meanwhile(tmp_path: Path) -> None:
    kind = Kind(CT, EXPLICIT)
    with gateway(tmp_path / "data") as found:
        lines = Lines(Peer(AET, "127.0.0.1", found.port), Patience(10, 10), most=1)
        read, second = threading.Event(), threading.Event()

        def take() -> None:
            with lines.taken(kind, [kind], read.set):
                second.set()

        thread = threading.Thread(target=take)
        with lines.taken(kind, [kind], lambda: pytest.fail("nothing is waited for")):
            thread.start()
            assert read.wait(10) and not second.is_set()
        assert second.wait(10)
        thread.join()
        with lines.taken(kind, [kind]) as one, pytest.raises(SourceFault), lines.taken(kind, [kind], broken):
            pytest.fail("what cannot be read is not sent")
        with lines.taken(kind, [kind]) as same:
            assert same is one, "the fault of what waited took nothing from what was sent"
        lines.close()


def broken() -> None:
    """A disc with a scratch."""
    raise SourceFault("It cannot be read.")


def test_what_a_peer_mixed_up_is_sent_again_one_by_one() -> None:
    meet = threading.Barrier(2)

    def store(_event: object) -> int:
        try:
            meet.wait(0.5)
        except threading.BrokenBarrierError:
            meet.reset()
            return 0x0000
        return 0xC000  # two came at once

    def try_all(to: DimseDestination, some: list[tuple[Header, bytes]]) -> list[object]:
        found: list[object] = []

        def one(header: Header, data: bytes) -> None:
            try:
                found.append(send(to, header, data).outcome)
            except KnownError as error:
                found.append(type(error))

        threads = [threading.Thread(target=one, args=each) for each in some]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    handlers: Handlers = [(evt.EVT_C_STORE, store)]
    with other([(CT, [EXPLICIT])], handlers) as port, destination(port, "OTHER") as to:
        assert try_all(to, files(2)) == [KnownError, KnownError], "worth another try"
        assert try_all(to, files(2)) == [Outcome.STORED, Outcome.STORED]
