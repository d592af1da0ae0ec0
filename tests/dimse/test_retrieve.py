"""C-GET and C-MOVE: the same bytes, counted, converted where a peer cannot take them, cancelled, failed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from core.imaging.transcode import transcode
from core.media.samples import SampleStudy, ct_slice, dataset, part10
from core.settings import DimsePeer
from tests.core.archive_help import sop, store
from tests.dimse.gateways import AET, CT, EXPLICIT, IMPLICIT, Running, gateway
from tests.dimse.test_store import data_set_of

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
MOVE, GET = STUDY_ROOT + "2", STUDY_ROOT + "3"
J2K = "1.2.840.10008.1.2.4.90"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
STUDY = SampleStudy("retrieve")


@dataclass
class Destination:
    """A storage SCP of pynetdicom; *answers* are its statuses in turn, then success."""

    port: int = 0
    received: list[tuple[str, bytes, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def handle(self, event: Any) -> int:
        """One C-STORE."""
        self.received.append((event.context.transfer_syntax, event.encoded_dataset(False), event.request))
        return self.answers.pop(0) if self.answers else 0


@contextmanager
def destination(*contexts: tuple[str, str]) -> Iterator[Destination]:
    """One that takes (abstract, transfer syntax) pairs."""
    found, ae = Destination(), AE("DEST")
    for abstract, transfer in contexts:
        ae.add_supported_context(abstract, transfer)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, found.handle)])
    found.port = server.server_address[1]
    try:
        yield found
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def dest() -> Generator[Destination, None, None]:
    """It takes uncompressed CT only."""
    with destination((CT, EXPLICIT)) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, dest: Destination) -> Generator[Running, None, None]:
    """A study of three CT slices, one of them compressed, and a report."""
    peers = (
        DimsePeer("DEST", "127.0.0.1", dest.port),
        DimsePeer("GONE", "127.0.0.1", 1),
        DimsePeer("NET", "127.0.0.0/8", 104),
    )
    with gateway(tmp_path_factory.mktemp("retrieve"), peers=peers) as found:
        for number in (1, 2):
            store(found.archive, ct_slice(STUDY, instance=number))
        store(found.archive, transcode(part10(ct_slice(STUDY, instance=3)), J2K))
        store(found.archive, dataset(STUDY, series=2, sop_class=SR, modality="SR"))
        yield found


def query(level: str = "STUDY", **elements: str) -> Dataset:
    """An identifier of the study."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in {"StudyInstanceUID": STUDY.uid, **elements}.items():
        setattr(ds, keyword, value)
    return ds


def got(
    running: Running, identifier: Dataset, *syntaxes: str, answers: list[int] | None = None, model: str = GET
) -> tuple[Dataset, Dataset | None, list[tuple[str, bytes]]]:
    """The last status and identifier, and what came with its syntax."""
    received: list[tuple[str, bytes]] = []
    left = list(answers or [])

    def handle(event: Any) -> int:
        received.append((event.context.transfer_syntax, event.encoded_dataset(False)))
        return left.pop(0) if left else 0

    ae = AE("CT1")
    ae.dimse_timeout = ae.network_timeout = ae.acse_timeout = 20
    ae.add_requested_context(model, IMPLICIT)
    for sop_class in (CT, SR):
        for syntax in syntaxes:
            ae.add_requested_context(sop_class, syntax)
    roles = [build_role(each, scp_role=True) for each in (CT, SR)]
    handlers = [(evt.EVT_C_STORE, handle)]
    association = ae.associate("127.0.0.1", running.port, ae_title=AET, ext_neg=roles, evt_handlers=handlers)
    assert association.is_established
    answered = list(association.send_c_get(identifier, model))
    association.release()
    return (*answered[-1], received)


def counts(status: Dataset) -> tuple[int, int, int, int]:
    """Status, completed, warnings, failed."""
    return (
        status.Status,
        status.NumberOfCompletedSuboperations,
        status.NumberOfWarningSuboperations,
        status.NumberOfFailedSuboperations,
    )


def test_get_gives_the_stored_bytes_and_converts_what_it_must(running: Running) -> None:
    status, _, received = got(running, query(), EXPLICIT)
    assert counts(status) == (0, 4, 0, 0)
    plain = {data_set_of(part10(ct_slice(STUDY, instance=n))) for n in (1, 2)}
    assert plain <= {data for _, data in received} and {syntax for syntax, _ in received} == {EXPLICIT}
    pixels = [pixels_of(data) for _, data in received if len(data) > 10_000]
    wanted = ct_slice(STUDY, instance=3).pixel_array
    assert any(np.array_equal(each, wanted) for each in pixels)


def pixels_of(data: bytes) -> Any:
    """The pixels of an Explicit VR Little Endian data set."""
    ds = dcmread(BytesIO(data), force=True)
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    return ds.pixel_array


@pytest.mark.parametrize(
    ("identifier", "count"),
    [
        (query("SERIES", SeriesInstanceUID=ct_slice(STUDY).SeriesInstanceUID), 3),
        (query("IMAGE", SOPInstanceUID=sop(STUDY, instance=2)), 1),
        (query("IMAGE", SOPInstanceUID=[sop(STUDY, instance=2), sop(STUDY, instance=1)]), 2),
        (query("STUDY", StudyInstanceUID="1.2.3"), 0),
    ],
)
def test_levels_and_lists(running: Running, identifier: Dataset, count: int) -> None:
    status, _, received = got(running, identifier, IMPLICIT)
    assert (status.Status, len(received)) == (0, count)


def test_the_patient_level(running: Running) -> None:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientID = "PATIENT", STUDY.patient.patient_id
    status, _, received = got(running, identifier, EXPLICIT, model=PATIENT_ROOT + "3")
    assert (status.Status, len(received)) == (0, 4)
    assert got(running, identifier, EXPLICIT)[0].Status == 0xA900


@pytest.mark.parametrize("elements", [{"StudyInstanceUID": ""}, {"level": "HALL"}])
def test_without_its_unique_key_nothing_is_retrieved(running: Running, elements: dict[str, str]) -> None:
    status, _, received = got(running, query(**elements), EXPLICIT)
    assert status.Status == 0xA900 and not received


def test_failures_and_warnings_are_counted_and_named(running: Running) -> None:
    status, failed, _ = got(
        running,
        query("SERIES", SeriesInstanceUID=ct_slice(STUDY).SeriesInstanceUID),
        EXPLICIT,
        answers=[0xB000, 0xA700],
    )
    assert counts(status) == (0xB000, 1, 1, 1)
    assert failed is not None and failed.FailedSOPInstanceUIDList == sop(STUDY, instance=2)
    status, failed, _ = got(running, query(), EXPLICIT, answers=[0xC000] * 4)
    assert counts(status) == (0xA702, 0, 0, 4) and failed is not None
    assert len(failed.FailedSOPInstanceUIDList) == 4


def move(running: Running, to: str, identifier: Dataset | None = None) -> tuple[Dataset, Dataset | None]:
    """The last status and identifier of a C-MOVE."""
    with running.associated((MOVE, IMPLICIT), calling="WORKSTATION") as association:
        answers = list(association.send_c_move(identifier or query(), to, MOVE, msg_id=5))
    return answers[-1]


def test_move_to_a_peer(running: Running, dest: Destination) -> None:
    dest.received.clear()
    status, failed = move(running, "DEST")
    assert counts(status) == (0xB000, 3, 0, 1)
    assert failed is not None and failed.FailedSOPInstanceUIDList == sop(STUDY, series=2)
    plain = {data_set_of(part10(ct_slice(STUDY, instance=n))) for n in (1, 2)}
    assert plain <= {data for _, data, _ in dest.received} and len(dest.received) == 3
    request = dest.received[0][2]
    assert (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID) == (
        "WORKSTATION",
        5,
    )
    entry = next(each for each in running.archive.audit.entries() if each.action == "sent")
    assert (entry.actor, entry.study_uid, entry.detail["to"]) == ("WORKSTATION", STUDY.uid, "DEST")


def test_move_to_nowhere(running: Running) -> None:
    assert move(running, "NOBODY")[0].Status == move(running, "NET")[0].Status == 0xA801
    status, failed = move(running, "GONE")
    assert counts(status) == (0xA702, 0, 0, 4)
    assert failed is not None and len(failed.FailedSOPInstanceUIDList) == 4
    assert "refuses the connection" in status.ErrorComment


def test_a_destination_that_hangs_up_half_way(tmp_path: Path) -> None:
    study = SampleStudy("half")
    with destination((CT, EXPLICIT)) as dest:

        def hang_up(event: Any) -> int:
            if dest.received:
                event.assoc.abort()
            return Destination.handle(dest, event)

        dest.handle = hang_up  # type: ignore[method-assign]
        ae = AE("DEST")
        ae.add_supported_context(CT, EXPLICIT)
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, hang_up)])
        peers = (DimsePeer("DEST", "127.0.0.1", server.server_address[1]),)
        with gateway(tmp_path, peers=peers) as running:
            for number in (1, 2, 3):
                store(running.archive, ct_slice(study, instance=number))
            status, failed = move(running, "DEST", query(StudyInstanceUID=study.uid))
            assert counts(status) == (0xB000, 1, 0, 2)
            assert failed is not None and len(failed.FailedSOPInstanceUIDList) == 2
        server.shutdown()


def test_a_lost_file_fails_alone(tmp_path: Path) -> None:
    study = SampleStudy("lost")
    with gateway(tmp_path) as running:
        for number in (1, 2):
            store(running.archive, ct_slice(study, instance=number))
        running.archive.image("default", study.uid, sop(study, instance=1)).path.unlink()
        status, failed, received = got(running, query(StudyInstanceUID=study.uid), EXPLICIT)
        assert counts(status) == (0xB000, 1, 0, 1) and len(received) == 1
        assert failed is not None and failed.FailedSOPInstanceUIDList == sop(study, instance=1)


def test_a_get_can_be_cancelled(tmp_path: Path) -> None:
    study = SampleStudy("cancel")
    with gateway(tmp_path) as running:
        for number in range(1, 41):
            store(running.archive, ct_slice(study, instance=number, size=16))
        count = 0

        def handle(event: Any) -> int:
            nonlocal count
            count += 1
            if count == 3:
                event.assoc.send_c_cancel(9, query_model=GET)
            return 0

        ae = AE("CT1")
        ae.dimse_timeout = ae.network_timeout = 20
        ae.add_requested_context(GET, IMPLICIT)
        ae.add_requested_context(CT, EXPLICIT)
        association = ae.associate(
            "127.0.0.1", running.port, ae_title=AET, ext_neg=[build_role(CT, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, handle)],
        )  # fmt: skip
        *_, (status, _) = association.send_c_get(query(StudyInstanceUID=study.uid), GET, msg_id=9)
        association.release()
        assert status.Status == 0xFE00 and 3 <= count < 40
        assert status.NumberOfRemainingSuboperations == 40 - count
