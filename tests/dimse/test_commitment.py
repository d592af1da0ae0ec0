"""Storage Commitment: yes only to what is here and whole, told on this association or on one of our own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from core.media.samples import SampleStudy, ct_slice
from core.settings import DimsePeer
from tests.core.archive_help import sop, store
from tests.dimse.gateways import AET, CT, IMPLICIT, Running, gateway

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY = SampleStudy("commit")


class Reports:
    """What was reported, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Dataset]] = []
        self.came = threading.Event()

    def handle(self, event: Any) -> int:
        """One N-EVENT-REPORT."""
        self.told.append((event.request.EventTypeID, event.event_information))
        self.came.set()
        return 0

    def only(self) -> tuple[int, Dataset]:
        """The one that comes."""
        assert self.came.wait(30)
        ((kind, information),) = self.told
        return kind, information


@contextmanager
def listening(reports: Reports, port: int = 0) -> Iterator[int]:
    """A modality that takes reports; its port."""
    ae = AE("CT1")
    ae.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, reports.handle)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def ask(
    running: Running,
    *references: tuple[str, str],
    reports: Reports | None = None,
    kind: int = 1,
    uid: str = "1.9",
) -> int:
    """The status of N-ACTION; with *reports* the association waits for one."""
    ae = AE("CT1")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    ae.add_requested_context(COMMITMENT, IMPLICIT)
    handlers = [(evt.EVT_N_EVENT_REPORT, reports.handle)] if reports else []
    roles = [build_role(COMMITMENT, scu_role=True)]
    association = ae.associate("127.0.0.1", running.port, ae_title=AET, evt_handlers=handlers, ext_neg=roles)
    assert association.is_established
    ds = Dataset()
    if uid:
        ds.TransactionUID = uid
    ds.ReferencedSOPSequence = []
    for sop_class, sop_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_uid
        ds.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(ds, kind, COMMITMENT, INSTANCE)
    if reports:
        assert reports.came.wait(30)
    association.release()
    return int(status.Status)


def test_what_is_here_and_whole_is_committed_to(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        for number in (1, 2):
            store(running.archive, ct_slice(STUDY, instance=number))
        reports = Reports()
        assert ask(running, *((CT, sop(STUDY, instance=n)) for n in (1, 2)), reports=reports) == 0
        kind, told = reports.only()
        assert kind == 1 and told.TransactionUID == "1.9" and "FailedSOPSequence" not in told
        assert len(told.ReferencedSOPSequence) == 2 and told.RetrieveAETitle == AET


def test_missing_mistaken_and_damaged_ones_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with gateway(tmp_path) as running:
        for number in (1, 2, 3):
            store(running.archive, ct_slice(STUDY, instance=number))
        damaged = running.archive.image("default", STUDY.uid, sop(STUDY, instance=2)).path
        data = bytearray(damaged.read_bytes())
        data[-5] ^= 1
        damaged.chmod(0o600)
        damaged.write_bytes(data)
        reports = Reports()
        asked = [
            (CT, sop(STUDY, instance=1)),
            (CT, sop(STUDY, instance=2)),
            (MR, sop(STUDY, instance=3)),
            (CT, "1.2.3"),
        ]
        assert ask(running, *asked, reports=reports) == 0
        kind, told = reports.only()
        assert kind == 2
        assert [each.ReferencedSOPInstanceUID for each in told.ReferencedSOPSequence] == [
            sop(STUDY, instance=1)
        ]
        failed = {each.ReferencedSOPInstanceUID: each.FailureReason for each in told.FailedSOPSequence}
        assert failed == {sop(STUDY, instance=2): 0x0110, sop(STUDY, instance=3): 0x0119, "1.2.3": 0x0112}
    assert "is not what it was" in caplog.text


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        assert ask(running, (CT, "1.2.3"), kind=7) == 0x0123
        assert ask(running, (CT, "1.2.3"), uid="") == 0x0115
        assert ask(running) == 0x0115


def test_a_known_peer_is_told_on_an_association_of_ours_after_a_restart_too(tmp_path: Path) -> None:
    reports = Reports()
    with listening(Reports()) as port:
        pass  # it is away
    peers = (DimsePeer("CT1", "127.0.0.1", port),)
    with gateway(tmp_path, peers=peers) as running:
        store(running.archive, ct_slice(STUDY))
        assert ask(running, (CT, sop(STUDY))) == 0
    with listening(reports, port), gateway(tmp_path, peers=peers) as running:
        kind, told = reports.only()
        assert kind == 1 and told.TransactionUID == "1.9"
