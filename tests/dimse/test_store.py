"""C-ECHO and C-STORE: what is sent is there, byte for byte, or refused with the status that says why."""

from __future__ import annotations

import errno
from collections.abc import Generator
from hashlib import sha256
from io import FileIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID

from core.archive.files import LocalFiles
from core.archive.nouns import StudyFilter
from core.media.samples import SampleStudy, ct_slice, part10
from core.net.dimse.association import Association
from core.net.dimse.command import Element, Field, Value
from core.net.dimse.faults import Refused
from core.net.dimse.requestor import Peer, Wish, associate, contexts_of
from core.settings import DimseSettings
from tests.dimse.gateways import AET, CT, EXPLICIT, IMPLICIT, VERIFICATION, Running, gateway

STUDY = SampleStudy("dimse")
NON_PATIENT = "1.2.840.10008.5.1.4.39."  # colour palettes (PS3.4 GG)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """One gateway for the tests of this module."""
    settings = DimseSettings(
        private_sop_classes=("1.2.3.4.5",), private_transfer_syntaxes=("1.2.840.113619.5.2",)
    )
    titles = {"NIGHT": "night"}
    with gateway(tmp_path_factory.mktemp("dimse"), settings=settings, ae_titles=titles) as found:
        yield found


def data_set_of(data: bytes) -> bytes:
    """What follows the file meta of a DICOM file, or all of it where there is none."""
    if data[128:132] != b"DICM":
        return data
    buffer = DicomBytesIO(data)
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    from pydicom.filereader import _read_file_meta_info

    buffer.seek(132)
    _read_file_meta_info(buffer)
    return data[buffer.tell() :]


def store_bytes(
    running: Running, named: tuple[str, str, str], data: bytes, tmp_path: Path, *, called: str = AET
) -> int:
    """Store a data set as it is, with our own client, as *named* (class, UID, syntax); the status."""
    sop_class, sop_uid, syntax = named
    file = tmp_path / "object"
    file.write_bytes(data)
    peer = Peer(called, "127.0.0.1", running.port, "CT1")
    association = associate(peer, [Wish(sop_class, (syntax,))])
    try:
        context = next(iter(contexts_of(association, sop_class)))
        with file.open("rb") as stream:
            association.send_file(context.id, store_rq(association, sop_class, sop_uid), stream, len(data))
        status = association.receive(30).command.status
        association.release()
    finally:
        association.close()
    return status


def store_rq(association: Association, sop_class: str, sop_uid: str) -> dict[Element, Value]:
    """A C-STORE-RQ."""
    return {
        Element.AFFECTED_SOP_CLASS_UID: sop_class,
        Element.COMMAND_FIELD: Field.C_STORE,
        Element.MESSAGE_ID: association.new_message_id(),
        Element.PRIORITY: 0,
        Element.DATA_SET_TYPE: 1,
        Element.AFFECTED_SOP_INSTANCE_UID: sop_uid,
    }


def test_echo(running: Running) -> None:
    with running.associated((VERIFICATION, IMPLICIT)) as association:
        assert [association.send_c_echo().Status for _ in range(3)] == [0, 0, 0]


def test_what_is_stored_is_there_with_its_routing(running: Running) -> None:
    ds = ct_slice(STUDY)
    assert running.store(ds, calling="CT7") == 0
    image = running.archive.image("default", STUDY.uid, ds.SOPInstanceUID)
    stored = image.path.read_bytes()
    assert data_set_of(stored) == data_set_of(part10(ds))
    meta = dcmread(DicomBytesIO(stored)).file_meta
    assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == (ds.SOPInstanceUID, EXPLICIT)
    with running.archive.db.read() as connection:
        row = connection.exec_driver_sql(
            "SELECT via, source_ae_title, destination_ae_title FROM studies"
        ).first()
    assert row is not None and tuple(row) == ("dimse", "CT7", AET)
    entry = running.archive.audit.entries()[0]
    assert entry.actor == "CT7" and entry.detail["via"] == "dimse"


def test_the_same_object_of_another_sender_is_the_same(running: Running) -> None:
    ds = ct_slice(SampleStudy("twice"))
    assert running.store(ds, calling="CT1") == running.store(ds, calling="CT2") == 0
    held = running.archive.held("default", ds.StudyInstanceUID)
    assert len(held) == 1
    report = running.archive.study("default", ds.StudyInstanceUID)
    assert report.row.images == 1


def test_each_title_of_ours_has_its_namespace(running: Running) -> None:
    ds = ct_slice(SampleStudy("night"))
    assert running.store(ds, called="NIGHT") == 0
    page = running.archive.studies(StudyFilter(namespaces=("night",)))
    assert [row.study_uid for row in page.rows] == [ds.StudyInstanceUID]


def test_an_object_that_is_not_the_one_named_is_refused(running: Running, tmp_path: Path) -> None:
    ds = ct_slice(SampleStudy("mixed"))
    data = data_set_of(part10(ds))
    other_class = "1.2.840.10008.5.1.4.1.1.4"
    assert store_bytes(running, (CT, "1.2.3.4", EXPLICIT), data, tmp_path) == 0xA900
    assert store_bytes(running, (other_class, ds.SOPInstanceUID, EXPLICIT), data, tmp_path) == 0xA900
    assert not running.archive.held("default", ds.StudyInstanceUID)


def test_objects_that_make_no_sense_are_refused(running: Running, tmp_path: Path) -> None:
    ds = ct_slice(SampleStudy("broken"))
    data, sop_uid = data_set_of(part10(ds)), ds.SOPInstanceUID
    without = ct_slice(SampleStudy("without"))
    del without.StudyInstanceUID
    assert store_bytes(running, (CT, sop_uid, EXPLICIT), data[:-100], tmp_path) == 0xC000
    assert store_bytes(running, (CT, sop_uid, EXPLICIT), b"", tmp_path) in (0xC000, 0xA900)
    assert store_bytes(running, (CT, sop_uid, EXPLICIT), b"\xff" * 999, tmp_path) in (0xC000, 0xA900)
    nameless = data_set_of(part10(without))
    assert store_bytes(running, (CT, without.SOPInstanceUID, EXPLICIT), nameless, tmp_path) == 0xA900
    assert not running.archive.held("default", ds.StudyInstanceUID)


def test_private_classes_and_syntaxes_only_as_set(running: Running, tmp_path: Path) -> None:
    ds = ct_slice(SampleStudy("private"))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID("1.2.3.4.5")
    data = data_set_of(part10(ds))
    assert store_bytes(running, ("1.2.3.4.5", ds.SOPInstanceUID, "1.2.840.113619.5.2"), data, tmp_path) == 0
    image = running.archive.image("default", ds.StudyInstanceUID, ds.SOPInstanceUID)
    assert image.transfer_syntax_uid == "1.2.840.113619.5.2"
    for wish in (Wish("1.2.3.4.6", (EXPLICIT,)), Wish(CT, ("1.2.3.4",))):
        with pytest.raises(Refused):
            associate(Peer(AET, "127.0.0.1", running.port), [wish])


def test_a_store_where_there_is_nothing_to_store(running: Running) -> None:
    association = associate(Peer(AET, "127.0.0.1", running.port), [Wish(VERIFICATION, (IMPLICIT,))])
    command = store_rq(association, CT, "1.2.3")
    association.send(1, command, b"\0" * 300_000)
    assert association.receive(30).command.status == 0x0122
    association.send(1, {**command, Element.COMMAND_FIELD: Field.N_DELETE}, b"x" * 10)
    assert association.receive(30).command.status == 0x0211
    association.release()
    association.close()


class FullDisk(LocalFiles):
    """A disk that fills up while something arrives."""

    def __init__(self) -> None:
        self.full = False

    def write(self, file: FileIO, data: bytes | bytearray | memoryview) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "full")
        super().write(file, data)

    def free_bytes(self, path: Path) -> int:
        return 1 if self.full else super().free_bytes(path)


def test_a_full_disk_is_said_before_anything_breaks(tmp_path: Path) -> None:
    files = FullDisk()
    with gateway(tmp_path / "data", files=files) as running:
        first, second = ct_slice(STUDY, instance=1), ct_slice(STUDY, instance=2, size=1100)
        with running.associated((CT, EXPLICIT)) as association:
            assert association.send_c_store(first).Status == 0
            files.full = True
            answer = association.send_c_store(second)
            assert answer.Status == 0xA700 and "full" in answer.ErrorComment
            files.full = False
            assert association.send_c_store(second).Status == 0
        assert len(running.archive.held("default", STUDY.uid)) == 2
        assert running.archive.check().ok


def test_every_real_file_comes_back_with_its_data_set(testdata: Path, tmp_path: Path) -> None:
    """Big ones, broken ones, every transfer syntax: kept as the data set came, or refused with a reason."""
    expected: dict[str, bytes] = {}  # by file: the same SOP Instance UID is in several
    refused: list[str] = []
    homeless: list[str] = []  # they belong to no study, and so have no place here
    with gateway(tmp_path / "data") as running:
        for path in sorted(testdata.rglob("*")):
            named = _named(path) if path.is_file() else None
            if named is None:
                continue
            sop_class, sop_uid, syntax, data, study_uid = named
            try:
                status = store_bytes(running, (sop_class, sop_uid, syntax), data, tmp_path)
            except Refused:
                homeless.append(sop_class)
                continue
            if not study_uid:
                assert status in (0xA900, 0xC000)
            elif status == 0:
                expected[path.relative_to(testdata).as_posix()] = sha256(data).digest()
            else:
                refused.append(f"{path.relative_to(testdata).as_posix()} {status:04X}")
        with running.archive.db.read() as connection:
            keys = connection.exec_driver_sql("SELECT blob FROM instances").scalars().all()
        objects = tmp_path / "data/archive/objects"
        there = {sha256(data_set_of((objects / key).read_bytes())).digest() for key in keys}
        assert running.archive.check().ok
    assert not [name for name, digest in expected.items() if digest not in there]
    assert len(expected) > 200 and all(each.startswith("broken/") for each in refused), "\n".join(refused)
    assert all(each.startswith(NON_PATIENT) for each in homeless)


def _named(path: Path) -> tuple[str, str, str, bytes, str] | None:
    """What a sender would say of a file, None for one that no sender could send."""
    data = path.read_bytes()
    try:
        ds = dcmread(DicomBytesIO(data), force=True, stop_before_pixels=True)
        meta: Dataset = ds.file_meta
        syntax = str(meta.TransferSyntaxUID)
        if not (ds.SOPClassUID.startswith("1.2.840.10008.5.1.4.") and ds.SOPInstanceUID):
            return None
        study_uid = str(ds.get("StudyInstanceUID", ""))
        return str(ds.SOPClassUID), str(ds.SOPInstanceUID), syntax, data_set_of(data), study_uid
    except Exception:
        return None
