"""A PACS elsewhere is searched: what is typed, character sets, limits, stopping, and what goes wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.dicom.identifier import read_identifier
from core.errors import KnownError, Unreachable
from core.media.samples import SamplePatient, SampleStudy, dataset
from core.net.dimse import asking
from core.net.dimse.asking import Stopped
from core.net.dimse.association import Association, Message
from core.net.dimse.command import DATA_SET, Element, Field, response
from core.net.dimse.pacs import EntriesWanted, Pacs, charsets_for
from core.net.dimse.requestor import Peer
from core.net.study_search import Wanted
from server.dimse.admission import Caller
from tests.core.archive_help import sop, store
from tests.dimse.gateways import AET, Running, gateway
from tests.dimse.test_worklist import List

ANNA = SamplePatient("Müller^Anna", "M1", "19700102", "F")
KIM = SamplePatient("Kim^Min=金^敏", "K1", "", "M")
STUDIES = (
    SampleStudy("anna", ANNA, date="20240101", accession_number="A1"),
    SampleStudy("anna 2", ANNA, date="20240302", accession_number="A2", description="MR Kopf"),
    SampleStudy("kim", KIM, date="20230101", accession_number="A3"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """Three studies of two patients, each with a CT and an SR series of two objects."""
    with gateway(tmp_path_factory.mktemp("pacs"), worklist=List()) as found:
        for study in STUDIES:
            for series, modality in ((1, "CT"), (2, "SR")):
                for instance in (1, 2):
                    store(found.archive, dataset(study, series=series, instance=instance, modality=modality))
        yield found


def peer(port: int, called: str = AET) -> Peer:
    return Peer(called, "127.0.0.1", port, "DESK")


def found(running: Running, text: str = "", *more: str, modalities: Sequence[str] = ()) -> list[str]:
    """Accession numbers of what is found."""
    wanted = Wanted(text, *more, modalities=tuple(modalities))
    return [row.accession_number for row in Pacs(peer(running.port)).studies(wanted).rows]


def test_one_box_finds_names_ids_and_accession_numbers(running: Running) -> None:
    assert found(running) == ["A2", "A1", "A3"]
    assert found(running, "müller") == found(running, "anna, muller") == ["A2", "A1"]
    assert found(running, "金") == ["A3"]
    assert found(running, "k1") == ["A3"] and found(running, "a2") == ["A2"]
    assert found(running, "nobody") == []


def test_dates_and_modalities_narrow_it(running: Running) -> None:
    assert found(running, "", "20240101", "20240131") == ["A1"]
    assert found(running, "", "20240201") == ["A2"]
    assert (
        found(running, modalities=["SR", "MR"]) == ["A2", "A1", "A3"]
        and found(running, modalities=["MR"]) == []
    )


def test_a_row_says_whose_study_it_is(running: Running) -> None:
    row = Pacs(peer(running.port)).studies(Wanted("A3")).rows[0]
    assert (row.patient_name, row.patient_id, row.patient_sex) == ("Kim^Min=金^敏", "K1", "M")
    assert set(row.modalities) == {"CT", "SR"} and (row.series, row.images) == (2, 4)


def test_series_and_images_are_listed(running: Running) -> None:
    study = STUDIES[0]
    series = Pacs(peer(running.port)).series(study.uid)
    assert [(each.number, each.modality, each.images) for each in series] == [(1, "CT", 2), (2, "SR", 2)]
    images = Pacs(peer(running.port)).images(study.uid)
    assert {each.sop_instance_uid for each in images[series[1].uid]} == {sop(study, 2, 1), sop(study, 2, 2)}
    assert all(each.sop_class_uid for some in images.values() for each in some)
    assert Pacs(peer(running.port)).images("1.2.3") == {}


def test_too_many_are_cut_and_cancelled(running: Running) -> None:
    matches = Pacs(peer(running.port)).studies(Wanted(), most=2)
    assert len(matches.rows) == 2 and matches.more
    assert not Pacs(peer(running.port)).studies(Wanted(), most=3).more


def test_the_worklist_is_asked(running: Running) -> None:
    asked = Pacs(peer(running.port))
    entries = asked.worklist(EntriesWanted()).rows
    assert [each["PatientName"] for each in entries] == ["Müller^Anna", "Meier^Max"]
    assert entries[0]["Modality"] == "CT" and entries[0]["ScheduledStationAETitle"] == "CT1"
    day = asked.worklist(EntriesWanted("20260102", "20260102")).rows
    assert [each["PatientName"] for each in day] == ["Meier^Max"]
    assert [e["PatientID"] for e in asked.worklist(EntriesWanted(text="müller")).rows] == ["Mül"]
    assert asked.worklist(EntriesWanted(modality="US")).rows == ()
    assert asked.worklist(EntriesWanted(), most=1).more


def test_characters_are_asked_in_both_sets() -> None:
    assert len(charsets_for({"PatientName": "Mueller", "Items": [{"A": "b"}]})) == 1
    assert charsets_for({"PatientName": "Müller"}) == ("ISO_IR 100", "ISO_IR 192")
    assert charsets_for({"Items": [{"PatientName": "金"}]}) == ("ISO_IR 192",)


def read(association: Association, message: Message) -> bytes:
    return association.whole_data_set(message, 1 << 20)


def test_a_query_in_latin_1_reaches_a_peer_that_knows_no_other(running: Running) -> None:
    asked: list[tuple[str, str]] = []

    def answer(association: Association, message: Message, _caller: Caller) -> None:
        identifier = read_identifier(read(association, message), message.context.transfer_syntax)
        asked.append((identifier.charset, identifier.text(0x00100010)))
        association.send(message.context.id, response(message.command, 0))

    with running.answering({Field.C_FIND: answer}):
        Pacs(peer(running.port)).studies(Wanted("éü"))
    assert ("ISO_IR 100", "*éü*") in asked and ("ISO_IR 192", "*éü*") in asked


@pytest.mark.parametrize(
    ("status", "words"),
    [(0xA700, "out of resources"), (0xA900, "does not fit"), (0xC001, "cannot process"), (0x0124, "allow")],
)
def test_what_it_could_not_do_is_said_in_words(status: int, words: str, running: Running) -> None:
    def answer(association: Association, message: Message, _caller: Caller) -> None:
        read(association, message)
        association.send(message.context.id, response(message.command, status, ERROR_COMMENT="Doe^John"))

    with (
        running.answering({Field.C_FIND: answer}),
        pytest.raises(KnownError, match=words) as caught,
    ):
        Pacs(peer(running.port)).studies(Wanted("x"))
    assert f"0x{status:04X}" in caught.value.message and "Doe" not in caught.value.message


def test_an_answer_that_is_none_is_refused(running: Running) -> None:
    def answer(association: Association, message: Message, _caller: Caller) -> None:
        read(association, message)
        pending = response(message.command, 0xFF00) | {Element.DATA_SET_TYPE: DATA_SET}
        association.send(message.context.id, pending, b"\x08\0\x52\0CS\xff\xffgarbage")
        association.send(message.context.id, pending, b"\xff" * 7)
        association.send(message.context.id, response(message.command, 0))

    with running.answering({Field.C_FIND: answer}), pytest.raises(KnownError):
        Pacs(peer(running.port)).studies(Wanted("x"))


def test_a_search_can_be_stopped_while_the_peer_thinks(running: Running) -> None:
    hold, stop = threading.Event(), threading.Event()
    cancelled: list[int] = []

    def answer(association: Association, message: Message, _caller: Caller) -> None:
        read(association, message)
        stop.set()
        cancelled.append(association.receive().command.field)
        hold.wait(10)

    with running.answering({Field.C_FIND: answer}):
        began = time.monotonic()
        with pytest.raises(Stopped):
            Pacs(peer(running.port), stop.is_set).studies(Wanted("x"))
        assert time.monotonic() - began < 5
        hold.set()
    assert cancelled == [Field.C_CANCEL]


def test_a_peer_that_does_not_end_its_answers_is_left(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_ANSWERS", 20)

    def answer(association: Association, message: Message, _caller: Caller) -> None:
        read(association, message)
        pending = response(message.command, 0xFF00) | {Element.DATA_SET_TYPE: DATA_SET}
        for _ in range(60):
            association.send(message.context.id, pending, b"")
        read(association, association.receive())

    with (
        running.answering({Field.C_FIND: answer}),
        pytest.raises(KnownError, match="more answers than can be"),
    ):
        Pacs(peer(running.port)).studies(Wanted("x"), most=5)


@contextmanager
def listener() -> Iterator[int]:
    """A web server, as far as its first answer goes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    taken.append(connection)
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for each in taken:
                each.close()


def test_where_nothing_listens_or_something_else_does_is_told_apart() -> None:
    with listener() as port:
        pass
    with pytest.raises(Unreachable, match="refuses the connection"):
        Pacs(peer(port)).studies(Wanted("x"))
    with pytest.raises(Unreachable, match="does not know the name"):
        Pacs(Peer(AET, "no-such-host.invalid", 104)).studies(Wanted("x"))
    with listener() as port, pytest.raises(KnownError):
        Pacs(peer(port)).studies(Wanted("x"))


def test_a_wrong_title_is_told_apart_from_ours_being_unknown(tmp_path: Path) -> None:
    with gateway(tmp_path, known_only=True) as running:
        with pytest.raises(Unreachable, match="called by") as wrong:
            Pacs(peer(running.port, "NOBODY")).studies(Wanted("x"))
        with pytest.raises(Unreachable, match="our AE title") as unknown:
            Pacs(peer(running.port)).studies(Wanted("x"))
    assert "NOBODY is wrong" in wrong.value.remedy and "DESK" in unknown.value.remedy


@pytest.mark.parametrize(
    ("term", "value", "name"),
    [
        (b"", "Müller".encode(), "Müller"),
        (b"", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 101", "Łódź".encode("iso8859-2"), "Łódź"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"GB18030", "王".encode("gb18030"), "王"),
    ],
)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_answers_are_read_in_their_characters(term: bytes, value: bytes, name: str, syntax: str) -> None:
    def element(tag: bytes, vr: bytes, data: bytes) -> bytes:
        data += b" " * (len(data) % 2)
        short = len(data).to_bytes(2, "little")
        return tag + (short + b"\0\0" if syntax == "1.2.840.10008.1.2" else vr + short) + data

    data = element(b"\x08\0\x05\0", b"CS", term) if term else b""
    data += element(b"\x10\0\x10\0", b"PN", value)
    found = read_identifier(data, syntax, lenient=True)
    assert found.text(0x00100010).strip() == name
