"""Uploads to DICOM nodes: our own gateway, and peers of pynetdicom that can do less or refuse."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from core.dicom.ports import Outcome, Sent
from core.dicom.refs import Header
from core.dicom.stored_object import read_object
from core.errors import BadInput, KnownError, SourceFault, StorageFault, Unreachable, Unsupported
from core.imaging.recoder import Recoder
from core.imaging.transcode import transcode
from core.media.attached import encapsulate
from core.media.samples import SampleStudy, ct_slice, part10, pdf_report
from core.net.dimse import asking
from core.net.dimse.asking import COMMITMENT, STUDY_ROOT_FIND, VERIFICATION
from core.net.dimse.link import Patience
from core.net.dimse.requestor import Peer
from core.upload.dimse import DimseDestination
from server.dimse.gateway import GatewayLimits
from tests.dimse.gateways import AET, CT, EXPLICIT, IMPLICIT, Running, gateway

JPEG_2000 = "1.2.840.10008.1.2.4.90"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
STUDY = SampleStudy("sent")
Handlers = list[tuple[Any, Callable[..., Any]]]


@contextmanager
def destination(port: int, called: str = AET, wait_s: float = 2.0) -> Iterator[DimseDestination]:
    peer = Peer(called, "127.0.0.1", port)
    with closing(DimseDestination(peer, encapsulate, Recoder(), wait_s=wait_s)) as found:
        yield found


@contextmanager
def other(contexts: list[tuple[str, list[str]]], handlers: Handlers) -> Iterator[int]:
    """A peer of pynetdicom that takes *contexts*; its port."""
    ae = AE("OTHER")
    ae.add_supported_context(VERIFICATION, [IMPLICIT])
    for abstract, syntaxes in contexts:
        ae.add_supported_context(abstract, syntaxes)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with gateway(tmp_path / "data") as found:
        yield found


def files(count: int) -> list[tuple[Header, bytes]]:
    found = [part10(ct_slice(STUDY, instance=n)) for n in range(1, count + 1)]
    return [(read_object(io.BytesIO(data), len(data)).header, data) for data in found]


def send(to: DimseDestination, header: Header, data: bytes) -> Sent:
    return to.send(header, io.BytesIO(data), len(data))


def data_set_of(data: bytes) -> bytes:
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def test_what_is_sent_is_stored_as_it_lay_and_held_after(running: Running) -> None:
    some = files(3)
    with destination(running.port) as to:
        uids = [header.sop_instance_uid for header, _ in some]
        assert to.held(STUDY.uid, uids) == {}
        assert [send(to, *each).outcome for each in some] == [Outcome.STORED] * 3
        assert to.held(STUDY.uid, [*uids, "1.2.3"]) == dict.fromkeys(uids, "")
        assert to.attachments_held(STUDY.uid) == set(uids)
        assert "answers C-ECHO" in to.test()
    image = running.archive.image("default", STUDY.uid, uids[0])
    assert data_set_of(image.path.read_bytes()) == data_set_of(some[0][1])


def test_several_threads_use_associations_that_are_kept(running: Running) -> None:
    some = files(12)
    with destination(running.port) as to:
        threads = [
            threading.Thread(target=lambda part=some[n::3]: [send(to, *each) for each in part])
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(to.held(STUDY.uid, [header.sop_instance_uid for header, _ in some])) == 12
    assert running.gateway.state().admitted <= 3 + 1


def test_a_peer_that_serves_one_association_at_a_time_gets_all(tmp_path: Path) -> None:
    """Whether it says so or leaves others waiting: threads wait for each other then."""
    some = files(9)
    limits = GatewayLimits(associations=1, patience=Patience(10, 10))
    with gateway(tmp_path / "data", limits=limits) as found, destination(found.port) as to:
        failed: list[Exception] = []

        def work(part: list[tuple[Header, bytes]]) -> None:
            try:
                for each in part:
                    send(to, *each)
            except Exception as error:  # shown by the assertion
                failed.append(error)

        threads = [threading.Thread(target=work, args=(some[n::3],)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert len(to.held(STUDY.uid, [header.sop_instance_uid for header, _ in some])) == 9


def test_a_document_becomes_an_object_of_the_study(running: Running, tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(pdf_report(["Findings"]))
    with destination(running.port) as to:
        send(to, *files(1)[0])
        uid = to.attach(STUDY.uid, pdf, "report.pdf", "application/pdf")
        assert uid in to.attachments_held(STUDY.uid)
        assert to.attach(STUDY.uid, pdf, "report.pdf", "application/pdf") == uid
    ds = dcmread(running.archive.image("default", STUDY.uid, uid).path)
    assert (str(ds.PatientName), ds.PatientID) == (STUDY.patient.name, STUDY.patient.patient_id)


def test_a_peer_that_only_stores_is_believed_and_says_so(tmp_path: Path) -> None:
    got: list[Dataset] = []

    def store(event: Any) -> int:
        got.append(event.dataset)
        return 0xB007 if len(got) == 1 else 0

    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(pdf_report(["Findings"]))
    with (
        other([(CT, [IMPLICIT]), (PDF, [EXPLICIT])], [(evt.EVT_C_STORE, store)]) as port,
        destination(port, "OTHER") as to,
    ):
        assert "cannot be asked" in to.test()
        header, data = files(1)[0]
        assert to.held(STUDY.uid, [header.sop_instance_uid]) == {}
        send(to, header, data)
        assert to.held(STUDY.uid, [header.sop_instance_uid]) == {header.sop_instance_uid: ""}
        to.attach(STUDY.uid, pdf, "report.pdf", "application/pdf")
    sent = dcmread(io.BytesIO(data))
    assert got[0].PixelData == sent.PixelData  # written anew in Implicit VR
    assert got[1].PatientID == STUDY.patient.patient_id


def test_what_a_peer_does_not_take_compressed_is_sent_uncompressed() -> None:
    got: list[Dataset] = []

    def store(event: Any) -> int:
        got.append(event.dataset)
        return 0

    header, data = files(1)[0]
    packed = transcode(data, JPEG_2000)
    header = header._replace(transfer_syntax_uid=JPEG_2000)
    with (
        other([(CT, [EXPLICIT])], [(evt.EVT_C_STORE, store)]) as port,
        destination(port, "OTHER") as to,
    ):
        send(to, header, packed)
        with pytest.raises(Unsupported, match="does not take"):
            send(to, header._replace(sop_class_uid="1.2.840.10008.5.1.4.1.1.4"), data)
    assert got[0].PixelData == dcmread(io.BytesIO(data)).PixelData


@pytest.mark.parametrize(
    ("status", "error"),
    [(0xA700, StorageFault), (0xC000, BadInput), (0x0122, Unsupported), (0x0124, BadInput)],
)
def test_a_refusal_is_said_as_what_it_is(status: int, error: type[Exception]) -> None:
    with (
        other([(CT, [EXPLICIT])], [(evt.EVT_C_STORE, lambda _event: status)]) as port,
        destination(port, "OTHER") as to,
    ):
        header, data = files(1)[0]
        if status == 0xC000:  # it may come alone, then
            with pytest.raises(KnownError, match="at first"):
                send(to, header, data)
        with pytest.raises(error, match=f"{status:04X}"):
            send(to, header, data)
        assert to.held(STUDY.uid, [header.sop_instance_uid]) == {}


def test_an_object_that_is_there_already_is_no_failure() -> None:
    with (
        other([(CT, [EXPLICIT])], [(evt.EVT_C_STORE, lambda _event: 0x0111)]) as port,
        destination(port, "OTHER") as to,
    ):
        assert send(to, *files(1)[0]).outcome is Outcome.ALREADY_THERE


def test_a_peer_that_goes_away_is_unreachable_and_a_kept_association_is_not_relied_on() -> None:
    handlers: Handlers = [(evt.EVT_C_STORE, lambda _event: 0)]
    some = files(3)
    with destination_after_restart(handlers) as (to, restart):
        send(to, *some[0])
        restart()
        send(to, *some[1])
    with other([(CT, [EXPLICIT])], handlers) as port, destination(port, "OTHER") as to:
        send(to, *some[0])
        gone = port
    with destination(gone, "OTHER") as to, pytest.raises(Unreachable):
        send(to, *some[2])


@contextmanager
def destination_after_restart(handlers: Handlers) -> Iterator[tuple[DimseDestination, Callable[[], None]]]:
    """A destination whose peer can be stopped and started on the same port."""
    ae = AE("OTHER")
    ae.add_supported_context(CT, [EXPLICIT])
    servers = [ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)]
    port = servers[0].server_address[1]

    def restart() -> None:
        for association in ae.active_associations:
            association.abort()
        servers[0].shutdown()
        servers.append(ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers))

    try:
        with destination(port, "OTHER") as to:
            yield to, restart
    finally:
        servers[-1].shutdown()


def test_a_peer_of_another_title_rejects(tmp_path: Path) -> None:
    with (
        gateway(tmp_path / "data") as found,
        destination(found.port, "SOMEONE") as to,
        pytest.raises(Unreachable, match="does not know the AE title"),
    ):
        to.reachable()


@pytest.mark.parametrize("keeps", [0, 1, 2])
def test_commitment_is_asked_where_it_is_offered(keeps: int) -> None:
    """The peer commits itself to *keeps* of two objects; what it does not keep is not held."""

    def act(event: Any) -> tuple[int, None]:
        asked = event.action_information
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        report.ReferencedSOPSequence = asked.ReferencedSOPSequence[:keeps]
        if keeps < 2:
            failed = asked.ReferencedSOPSequence[keeps:]
            for item in failed:
                item.FailureReason = 0x0112
            report.FailedSOPSequence = failed

        def tell() -> None:
            event.assoc.send_n_event_report(
                report, 1 if keeps == 2 else 2, COMMITMENT, "1.2.840.10008.1.20.1.1"
            )

        threading.Timer(0.05, tell).start()
        return 0x0000, None

    handlers: Handlers = [(evt.EVT_C_STORE, lambda _event: 0), (evt.EVT_N_ACTION, act)]
    with (
        other([(CT, [EXPLICIT]), (COMMITMENT, [IMPLICIT])], handlers) as port,
        destination(port, "OTHER", wait_s=10) as to,
    ):
        some = files(2)
        for each in some:
            send(to, *each)
        uids = [header.sop_instance_uid for header, _ in some]
        assert len(to.held(STUDY.uid, uids)) == keeps


def test_a_peer_that_reports_commitment_elsewhere_is_asked_by_c_find() -> None:
    header, data = files(1)[0]

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        answer = Dataset()
        answer.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
        answer.StudyInstanceUID = STUDY.uid
        answer.SeriesInstanceUID = header.series_instance_uid
        if event.identifier.QueryRetrieveLevel == "IMAGE":
            answer.SOPInstanceUID = header.sop_instance_uid
        yield 0xFF00, answer

    handlers: Handlers = [
        (evt.EVT_C_STORE, lambda _event: 0),
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_ACTION, lambda _event: (0x0000, None)),
    ]
    contexts = [(CT, [EXPLICIT]), (COMMITMENT, [IMPLICIT]), (STUDY_ROOT_FIND, [IMPLICIT])]
    with other(contexts, handlers) as port, destination(port, "OTHER", wait_s=0.2) as to:
        send(to, header, data)
        assert to.held(STUDY.uid, [header.sop_instance_uid, "1.2"]) == {header.sop_instance_uid: ""}


def test_reports_of_others_do_not_hold_up_a_commitment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer says yes, and then only reports what was asked before; C-STORE's answers must do."""
    monkeypatch.setattr(asking, "MOST_REPORTS", 20)
    told: list[int] = []

    def act(event: Any) -> tuple[int, None]:
        report = Dataset()
        report.TransactionUID = "1.2.3"
        report.ReferencedSOPSequence = []

        def tell() -> None:
            while event.assoc.is_established and len(told) < 500:
                event.assoc.send_n_event_report(report, 1, COMMITMENT, "1.2.840.10008.1.20.1.1")
                told.append(1)

        threading.Timer(0.05, tell).start()
        return 0x0000, None

    handlers: Handlers = [(evt.EVT_C_STORE, lambda _event: 0), (evt.EVT_N_ACTION, act)]
    with (
        other([(CT, [EXPLICIT]), (COMMITMENT, [IMPLICIT])], handlers) as port,
        destination(port, "OTHER", wait_s=30) as to,
    ):
        header, data = files(1)[0]
        send(to, header, data)
        assert to.held(STUDY.uid, [header.sop_instance_uid]) == {header.sop_instance_uid: ""}
        assert 19 <= len(told) < 50


def test_all_answers_are_read_before_the_association_is_released(tmp_path: Path) -> None:
    """A peer that heeds no key gives every study; the right one is not the last."""
    ended: list[int] = []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(5):
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", f"1.2.{number}"
            if number == 1:
                answer.StudyInstanceUID, answer.PatientID = STUDY.uid, STUDY.patient.patient_id
            yield 0xFF00, answer
        ended.append(1)

    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(pdf_report(["Findings"]))
    got: list[Dataset] = []

    def store(event: Any) -> int:
        got.append(event.dataset)
        return 0

    handlers: Handlers = [(evt.EVT_C_STORE, store), (evt.EVT_C_FIND, find)]
    with other([(PDF, [EXPLICIT]), (STUDY_ROOT_FIND, [IMPLICIT])], handlers) as port:
        with destination(port, "OTHER") as to:
            to.attach(STUDY.uid, pdf, "report.pdf", "application/pdf")
        assert ended == [1] and got[0].PatientID == STUDY.patient.patient_id


def test_a_file_that_is_not_what_it_was_is_said_to_be(running: Running) -> None:
    header, data = files(1)[0]
    with destination(running.port) as to:
        with pytest.raises(SourceFault, match="shorter"):
            to.send(header, io.BytesIO(data[:-100]), len(data))
        assert send(to, header, data).outcome is Outcome.STORED


def test_threads_that_share_one_association_send_what_they_read(running: Running) -> None:
    some = files(8)
    peer = Peer(AET, "127.0.0.1", running.port)
    with (
        closing(DimseDestination(peer, encapsulate, Recoder(), associations=1)) as to,
        ThreadPoolExecutor(3) as threads,
    ):
        sent = list(threads.map(lambda each: send(to, *each).outcome, some))
    assert sent == [Outcome.STORED] * 8 and running.gateway.state().admitted == 1
    for header, data in some:
        image = running.archive.image("default", STUDY.uid, header.sop_instance_uid)
        assert data_set_of(image.path.read_bytes()) == data_set_of(data)
