"""Storing: identity rules, versions, conflicts, what is refused, attachments, failures of the disk."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from sqlalchemy import event

from core.archive.archive import Archive
from core.archive.nouns import Outcome, Routing, State, StudyFilter
from core.errors import BadInput, Busy, NotDicom, NotFound, StorageFault, TooLarge
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, uid
from tests.core.archive_help import NS, Failing, files_in, send, sop, store, tiny


@pytest.fixture
def files() -> Failing:
    """The file system under the archive."""
    return Failing()


@pytest.fixture
def archive(tmp_path: Path, files: Failing) -> Iterator[Archive]:
    """An empty archive."""
    archive = Archive.open(tmp_path, files=files, settle_after_s=60)
    yield archive
    archive.close()


def test_the_bytes_come_back_as_they_came(archive: Archive, study: SampleStudy) -> None:
    data = part10(ct_slice(study))
    result = store(archive, data)
    assert result.outcome is Outcome.STORED
    expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:20]).rstrip(b"=").decode()
    assert result.version == expected
    assert (result.study_uid, result.sop_uid) == (study.uid, sop(study))
    assert result.attributes["(0010,0010)"] == "Probe^Paula"
    for version in ("*", result.version):
        image = archive.image(NS, study.uid, sop(study), version)
        with image.open() as file:
            assert file.read() == data
        assert (image.rows, image.columns, image.frame_count, image.bytes) == (128, 128, 1, len(data))


def test_nothing_a_peer_says_is_part_of_a_path(archive: Archive, tmp_path: Path) -> None:
    study = SampleStudy("uid", SamplePatient(name="../../../etc/passwd", patient_id="../x"))
    result = store(archive, tiny(study, SeriesDescription="../../y"))
    image = archive.image(NS, study.uid, result.sop_uid)
    assert image.path.is_relative_to(tmp_path / "archive" / "objects")
    assert study.uid not in str(image.path)
    for bad in ("../..", "a/b", ".hidden", "", "x" * 65, "ä", "a\n"):
        with pytest.raises(BadInput):
            archive.incoming(bad)
    for odd in ("_-.a", "0785926b-9a28-4fcc-b0d9-e57488647403", "x" * 64):
        assert store(archive, tiny(study), odd).outcome is Outcome.STORED
    assert archive.namespaces() == sorted(
        ["default", "_-.a", "x" * 64, "0785926b-9a28-4fcc-b0d9-e57488647403"]
    )


def test_the_same_bytes_again_write_nothing(archive: Archive, files: Failing, study: SampleStudy) -> None:
    first = store(archive, tiny(study))
    before = (files_in(archive.db.path.parents[1]), archive.audit.entries(), archive.status())
    files.calls.clear()
    again = store(archive, tiny(study))
    assert (again.outcome, again.version) == (Outcome.SAME, first.version)
    assert "rename" not in files.calls
    assert "sync" not in files.calls
    after = (files_in(archive.db.path.parents[1]), archive.audit.entries(), archive.status())
    assert after[:2] == before[:2]
    assert after[2].images == before[2].images == 1


def test_other_bytes_become_the_current_version(archive: Archive, study: SampleStudy) -> None:
    first = store(archive, tiny(study))
    second = store(archive, tiny(study, ImageComments="better"))
    assert second.outcome is Outcome.NEW_VERSION
    assert archive.image(NS, study.uid, sop(study)).version == second.version
    for version in (first.version, second.version):
        assert archive.image(NS, study.uid, sop(study), version).version == version
    assert archive.held(NS, study.uid) == {sop(study): second.version}
    row = archive.studies(StudyFilter()).rows[0]
    assert (row.images, row.bytes) == (1, archive.image(NS, study.uid, sop(study)).bytes)
    entry = archive.audit.entries(limit=1)[0]
    assert entry.action == "new-version"
    assert entry.detail["earlier_version"] == first.version

    back = store(archive, tiny(study))
    assert (back.outcome, back.version) == (Outcome.NEW_VERSION, first.version)
    assert archive.held(NS, study.uid) == {sop(study): first.version}
    assert len(files_in(archive.db.path.parents[1])) == 2
    assert archive.check().ok


def test_an_object_is_known_until_anything_is_committed(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study))
    place = NS, study.uid, sop(study)
    assert archive.known_image(*place) is None
    found = archive.image(*place)
    assert archive.known_image(*place) is found and archive.known_image("other", *place[1:]) is None
    newer = store(archive, tiny(study, ImageComments="better"))
    assert archive.known_image(*place) is None
    assert archive.image(*place).version == newer.version
    archive.delete_study(NS, study.uid, "tester").result()
    assert archive.known_image(*place) is None


def test_a_uid_of_another_series_is_kept_apart(archive: Archive, study: SampleStudy) -> None:
    first = store(archive, tiny(study))
    other = store(archive, tiny(study, SeriesInstanceUID=uid("other series")))
    assert other.outcome is Outcome.CONFLICT
    assert archive.image(NS, study.uid, sop(study)).version == first.version
    assert archive.image(NS, study.uid, sop(study), other.version).version == other.version
    assert archive.held(NS, study.uid) == {sop(study): first.version}
    assert [len(one.images) for one in archive.schema(NS, study.uid).series] == [1]
    detail = archive.study(NS, study.uid)
    assert detail.row.state is State.CONFLICT
    assert [image.conflict for one in detail.series for image in one.images] == [False, True]
    assert archive.audit.entries(limit=1)[0].detail["reason"] == "uid"
    assert store(archive, tiny(study, SeriesInstanceUID=uid("other series"))).outcome is Outcome.SAME


def test_a_uid_of_another_study_is_kept_apart(archive: Archive, study: SampleStudy) -> None:
    other = SampleStudy("other")
    first = store(archive, tiny(study))
    second = store(archive, tiny(other, SOPInstanceUID=sop(study)))
    assert second.outcome is Outcome.CONFLICT
    assert archive.image(NS, study.uid, sop(study)).version == first.version
    assert archive.image(NS, other.uid, sop(study)).version == second.version
    assert archive.study(NS, study.uid).row.state is State.RECEIVING
    assert archive.study(NS, other.uid).row.state is State.CONFLICT
    assert store(archive, tiny(other, SOPInstanceUID=sop(study)), "elsewhere").outcome is Outcome.STORED
    archive.delete_study(NS, study.uid, "tester").result()
    assert archive.study(NS, other.uid).row.state is State.RECEIVING


def test_another_patient_replaces_nothing(archive: Archive, study: SampleStudy) -> None:
    first = store(archive, tiny(study))
    wrong = store(archive, tiny(study, PatientID="SOMEBODY", PatientName="Else^Someone"))
    assert wrong.outcome is Outcome.CONFLICT
    assert archive.held(NS, study.uid) == {sop(study): first.version}
    assert archive.image(NS, study.uid, sop(study), wrong.version).version == wrong.version
    assert (
        store(archive, tiny(study, PatientID="SOMEBODY", PatientName="Else^Someone")).outcome is Outcome.SAME
    )
    assert archive.held(NS, study.uid) == {sop(study): first.version}
    new = store(archive, tiny(study, instance=2, PatientID="SOMEBODY", PatientName="Else^Someone"))
    assert new.outcome is Outcome.CONFLICT
    assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "Probe^Paula"
    assert archive.study(NS, study.uid).row.patient_id == "SAMPLE-1"
    assert archive.check().ok


def test_an_absent_patient_id_differs_from_none(archive: Archive, study: SampleStudy) -> None:
    assert store(archive, tiny(study, PatientID="")).outcome is Outcome.STORED
    assert store(archive, tiny(study, instance=2)).outcome is Outcome.STORED
    assert store(archive, tiny(study, instance=3, PatientID="")).outcome is Outcome.STORED
    assert store(archive, tiny(study, instance=4, PatientID="OTHER")).outcome is Outcome.CONFLICT
    row = archive.studies(StudyFilter(patient_id="sample")).rows[0]
    assert row.patient_id == "SAMPLE-1"
    assert archive.studies(StudyFilter(text="SAMPLE-1")).total == 1


def _dicomdir() -> bytes:
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = UID(uid("directory"))
    directory.FileSetID = "DISC"
    return part10(directory)


@pytest.mark.parametrize(
    ("make", "kind", "word"),
    [
        (lambda s: b"", BadInput, "Nothing"),
        (lambda s: b"not a DICOM object at all" * 40, NotDicom, "DICOM"),
        (lambda s: part10(ct_slice(s))[:-500], BadInput, "ends before"),
        (lambda s: part10(tiny(s))[:400], BadInput, ""),
        (lambda s: part10(tiny(s, StudyInstanceUID="")), BadInput, "UID"),
        (lambda s: part10(tiny(s, SeriesInstanceUID="")), BadInput, "UID"),
        (lambda s: _dicomdir(), BadInput, "DICOMDIR"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(
    archive: Archive, tmp_path: Path, *, study: SampleStudy, make: Any, kind: type[Exception], word: str
) -> None:
    error = send(archive, make(study)).exception(30)
    assert isinstance(error, kind)
    assert word in str(error)
    assert str(error).endswith(".")
    assert files_in(tmp_path) == []
    assert archive.status().images == 0
    with pytest.raises(NotFound):
        archive.study(NS, study.uid)


def _with_study_uid(data: bytes, value: str) -> bytes:
    """The object under another Study Instance UID, valid or not (explicit VR little endian)."""
    start = data.index(b"\x20\x00\x0d\x00UI")
    end = start + 8 + int.from_bytes(data[start + 6 : start + 8], "little")
    raw = value.encode() + b"\0" * (len(value) % 2)
    return data[: start + 6] + len(raw).to_bytes(2, "little") + raw + data[end:]


@pytest.mark.parametrize(
    ("value", "taken"),
    [("1.2." + "3" * 70, True), ("1.2.x-y_z", True), ("1.2/../3", False), ("..", False), ("1" * 200, False)],
)
def test_odd_uids_are_taken_while_they_fit_into_a_url(
    archive: Archive, study: SampleStudy, value: str, taken: bool
) -> None:
    future = send(archive, _with_study_uid(part10(tiny(study)), value))
    if taken:
        assert future.result(30).study_uid == value
        assert archive.image(NS, value, sop(study)).study_uid == value
    else:
        assert isinstance(future.exception(30), BadInput)
        assert archive.status().images == 0


STEPS = ["create", "write", "sync", "make_folder", "rename", "sync_folder", "free_bytes"]


@pytest.mark.parametrize("code", [28, 5])
@pytest.mark.parametrize("step", STEPS)
def test_a_failing_disk_keeps_nothing(
    archive: Archive, files: Failing, *, tmp_path: Path, study: SampleStudy, step: str, code: int
) -> None:
    files.fail = step
    files.error = lambda: OSError(code, "made up")
    with pytest.raises(StorageFault) as fault:
        store(archive, tiny(study))
    assert fault.value.remedy
    assert files_in(tmp_path) == []
    files.fail = ""
    assert archive.status().images == 0
    assert archive.check().ok
    assert store(archive, tiny(study)).outcome is Outcome.STORED


def test_a_failing_commit_keeps_nothing(archive: Archive, tmp_path: Path, study: SampleStudy) -> None:
    def fail(connection: object) -> None:
        raise OSError(5, "Input/output error")

    event.listen(archive.db.engine, "commit", fail)
    assert isinstance(send(archive, tiny(study)).exception(30), StorageFault)
    event.remove(archive.db.engine, "commit", fail)
    assert files_in(tmp_path) == []
    assert archive.check().ok
    assert archive.status().images == 0
    assert store(archive, tiny(study)).outcome is Outcome.STORED


def test_a_database_without_room_keeps_nothing(archive: Archive, tmp_path: Path, study: SampleStudy) -> None:
    limit = "PRAGMA max_page_count=1"  # means: no more than there are
    archive.db.write(lambda connection: connection.exec_driver_sql(limit).scalar()).result()
    errors = [send(archive, tiny(study, instance=n, series=n)).exception(30) for n in range(1, 40)]
    faults = [error for error in errors if error is not None]
    assert all(isinstance(error, StorageFault) for error in faults)
    assert len(files_in(tmp_path)) == archive.status().images == errors.count(None)
    assert archive.check().ok


def test_a_real_dicomdir_is_no_image(archive: Archive, testdata: Path) -> None:
    for path in sorted(testdata.rglob("DICOMDIR")):
        error = send(archive, path.read_bytes()).exception(30)
        assert isinstance(error, BadInput), path
        assert "DICOMDIR" in error.message


def test_a_limit_on_size_gives_up_early(archive: Archive, tmp_path: Path) -> None:
    with archive.incoming(NS, limit=10) as incoming:
        incoming.write(b"12345")
        with pytest.raises(TooLarge):
            incoming.write(b"678901")
        with pytest.raises(StorageFault):
            incoming.write(b"6")
    assert files_in(tmp_path) == []


def test_what_is_not_handed_over_is_given_up(archive: Archive, tmp_path: Path) -> None:
    with archive.incoming(NS) as incoming:
        incoming.write(b"half a request")
        assert incoming.size == 14
    with pytest.raises(RuntimeError), archive.incoming(NS) as incoming:
        incoming.write(b"half")
        raise RuntimeError("the peer went away")
    assert files_in(tmp_path) == []


def test_many_at_once_store_one(archive: Archive, tmp_path: Path, study: SampleStudy) -> None:
    data, start, outcomes = part10(tiny(study)), threading.Barrier(8), []

    def work() -> None:
        start.wait()
        for _ in range(5):
            outcomes.append(send(archive, data).result(30).outcome)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.SAME] * 39 + [Outcome.STORED]
    assert len(files_in(tmp_path)) == 1
    assert archive.check().ok


def test_a_lost_blob_comes_back_with_the_object(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study))
    archive.image(NS, study.uid, sop(study)).path.unlink()
    assert len(archive.check().missing) == 1
    assert store(archive, tiny(study)).outcome is Outcome.SAME
    assert archive.check().ok


def test_routing_and_door_are_written_down(archive: Archive, study: SampleStudy) -> None:
    with archive.incoming(NS) as incoming:
        incoming.write(part10(tiny(study)))
        archive.store(incoming, actor="CTSCAN", via="dimse", routing=Routing("CT1", "PACS")).result(30)
    with archive.db.read() as connection:
        row = connection.exec_driver_sql(
            "SELECT via, source_ae_title, destination_ae_title FROM studies"
        ).one()
    assert tuple(row) == ("dimse", "CT1", "PACS")
    assert archive.audit.entries()[0].actor == "CTSCAN"


def test_unknown_names_say_what_is_unknown(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study))
    kinds = []
    for args in (("nowhere", study.uid, sop(study)), (NS, "1.2.3", sop(study)), (NS, study.uid, "1.2.3")):
        with pytest.raises(NotFound) as missing:
            archive.image(*args)
        kinds.append(missing.value.kind)
    assert kinds == ["namespace", "study", "image"]
    with pytest.raises(NotFound):
        archive.image(NS, study.uid, sop(study), "no such version")
    assert archive.held("nowhere", study.uid) == {}
    assert archive.held(NS, study.uid, ["1.2.3"]) == {}


def test_a_closed_archive_refuses_cleanly(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path / "closing")
    incoming = archive.incoming(NS)
    incoming.write(part10(tiny(study)))
    archive.close()
    archive.close()
    assert isinstance(archive.store(incoming, actor="x").exception(30), StorageFault)
    assert files_in(tmp_path / "closing") == []


def test_an_archive_opened_for_reading_does_not_store(
    archive: Archive, tmp_path: Path, study: SampleStudy
) -> None:
    store(archive, tiny(study))
    reader = Archive.open(tmp_path, exclusive=False)
    try:
        assert reader.study(NS, study.uid).row.images == 1
        for act in (
            lambda: reader.incoming(NS),
            lambda: reader.delete_study(NS, study.uid, "x"),
            lambda: reader.check(repair=True),
        ):
            with pytest.raises(Busy):
                act()
    finally:
        reader.close()
