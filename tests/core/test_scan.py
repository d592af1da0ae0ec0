"""Scanning folders and files: what is found, what is skipped and why, and what the receipt says."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from core.dicom.refs import FileRef, Found, Skipped
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, write, write_ct_series
from core.scan import reading, walking
from core.scan.result import PathSource
from core.scan.scanner import PathUnavailable, Scanner, scan
from tests.core.scanning import reasons, scanned, taken


def test_a_folder_becomes_a_tree(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path / "A", 3, size=16)
    write_ct_series(study, tmp_path / "B", 2, series=2, size=16)
    other = SampleStudy(seed="other", patient=SamplePatient("Zweite^Zoe", "SAMPLE-2"))
    write_ct_series(other, tmp_path / "C", 1, size=16)
    result = scanned(tmp_path)
    patients = list(result.tree.patients.values())
    assert [patient.header.patient_id for patient in patients] == ["SAMPLE-1", "SAMPLE-2"]
    series = patients[0].studies[study.uid].series.values()
    assert [len(one.instances) for one in series] == [3, 2]
    receipt = result.receipt
    assert (receipt.files, receipt.instances, receipt.complete) == (6, 6, True)
    assert receipt.bytes == sum(path.stat().st_size for path in tmp_path.rglob("IM*"))
    assert (receipt.listed_but_missing, receipt.not_listed, receipt.duplicates, receipt.damaged) == (
        0,
        0,
        0,
        0,
    )


def test_junk_gets_a_reason_and_does_not_spoil_the_receipt(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 1, size=16)
    junk = {
        "AUTORUN.INF": b"[autorun]",
        "report.pdf": b"%PDF-1.4 ...",
        "photo.jpg": b"\xff\xd8\xff\xe0 and so on",
        "viewer.exe": b"MZ\x90",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "empty": b"",
        "page.dcm": b"<html>not found</html>",
        "letter.docx": b"PK\x03\x04" + b"\0" * 40,
        "video.mp4": b"\0\0\0\x18ftypmp42",
    }
    for name, data in junk.items():
        (tmp_path / name).write_bytes(data)
    result = scanned(tmp_path)
    assert reasons(result) == dict.fromkeys(junk, "not-dicom")
    details = {skipped.path: skipped.detail for skipped in result.skipped}
    assert "PDF" in details["report.pdf"]
    assert "empty" in details["empty"]
    assert "named like a DICOM file" in details["page.dcm"]
    assert result.receipt.complete
    assert result.receipt.files == 10


def test_damage_is_told_and_makes_the_receipt_incomplete(tmp_path: Path, study: SampleStudy) -> None:
    whole = part10(ct_slice(study, size=16))
    lone = ct_slice(study, instance=2, size=16)
    del lone.StudyInstanceUID
    (tmp_path / "cut").write_bytes(whole[:-1])
    (tmp_path / "noise").write_bytes(b"\0" * 128 + b"DICM" + bytes(range(256)))
    write(lone, tmp_path / "lone")
    result = scanned(tmp_path)
    assert reasons(result) == {"cut": "truncated", "noise": "unreadable", "lone": "no-uid"}
    assert (result.receipt.damaged, result.receipt.instances, result.receipt.complete) == (2, 0, False)


def test_the_same_file_twice_is_a_duplicate(tmp_path: Path, study: SampleStudy) -> None:
    data = part10(ct_slice(study, size=16))
    for name in ("a", "b", "sub/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    result = scanned(tmp_path)
    assert reasons(result) == {"b": "duplicate", "sub/c": "duplicate"}
    assert (result.receipt.duplicates, result.receipt.instances, result.receipt.complete) == (2, 1, True)
    assert "copy of a" in result.skipped[0].detail


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"PatientID": "SOMEONE"}, "another patient"),
        ({"StudyInstanceUID": "1.2.3.4"}, "another study"),
        ({"SeriesInstanceUID": "1.2.3.5"}, "another series"),
        ({"WindowWidth": 399}, "contents differ"),
        ({"ImageComments": "longer"}, "contents differ"),
    ],
)
def test_another_file_under_the_same_uid_is_a_conflict(
    tmp_path: Path, study: SampleStudy, change: dict[str, object], told: str
) -> None:
    write(ct_slice(study, size=16), tmp_path / "a")
    write(ct_slice(study, size=16, **change), tmp_path / "b")
    result = scanned(tmp_path)
    assert taken(result) == ["a"]
    assert reasons(result) == {"b": "conflict"}
    assert told in result.skipped[0].detail
    assert not result.receipt.complete


def test_one_file_and_several_paths(tmp_path: Path, study: SampleStudy) -> None:
    one, two = tmp_path / "x" / "disc", tmp_path / "y" / "disc"
    write_ct_series(study, one, 2, size=16)
    write_ct_series(study, two, 1, series=2, size=16)
    single = write(ct_slice(study, series=3, size=16), tmp_path / "single.dcm")
    assert taken(scanned(single)) == ["single.dcm"]
    result = scanned(one, two, single, one)
    assert taken(result) == ["disc (2)/IM000001", "disc/IM000001", "disc/IM000002", "single.dcm"]
    for ref in result.tree.refs():
        path = result.local_path(ref)
        assert path is not None
        with result.open(ref) as stream:
            assert stream.read() == path.read_bytes()


def test_names_of_every_kind(tmp_path: Path, study: SampleStudy) -> None:
    names = [
        "Ä ö/Überweisung – Müller 2024.DCM",
        "blank name ",
        "山田",
        "UPPER.DCM",
        "lower.dcm",
        "new\nline",
    ]
    for number, name in enumerate(names, 1):
        write(ct_slice(study, instance=number, size=16), tmp_path / name)
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.dcm"
    with open(odd, "wb") as stream:
        stream.write(part10(ct_slice(study, instance=99, size=16)))
    result = scanned(tmp_path)
    assert result.receipt.instances == len(names) + 1
    for ref in result.tree.refs():
        with result.open(ref) as stream:
            assert stream.read(132)[-4:] == b"DICM"


def test_a_skipped_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.txt", "wb") as stream:
        stream.write(b"note")
    (skipped,) = scanned(tmp_path).skipped
    assert skipped.path.encode("utf-8").endswith(b".txt")


def test_links_are_followed_once(tmp_path: Path, study: SampleStudy) -> None:
    outside = tmp_path / "outside"
    disc = tmp_path / "disc"
    write_ct_series(study, outside, 1, size=16)
    write_ct_series(study, disc / "A", 2, series=2, size=16)
    (disc / "A" / "up").symlink_to(disc)
    (disc / "A" / "again").symlink_to(disc / "A")
    (disc / "loop").symlink_to(disc / "loop")
    (disc / "nowhere").symlink_to(tmp_path / "nothing")
    (disc / "alias").symlink_to(disc / "A" / "IM000001")
    (disc / "elsewhere").symlink_to(outside)
    result = scanned(disc)
    assert taken(result) == ["A/IM000001", "A/IM000002", "elsewhere/IM000001"]
    assert reasons(result) == {"loop": "unreadable", "nowhere": "unreadable"}


def test_devices_and_channels_do_not_hang(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 1, size=16)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(os.path.relpath(tmp_path / "socket"))
        result = scanned(tmp_path)
    assert reasons(result) == dict.fromkeys(("fifo", "null", "socket"), "not-dicom")
    assert result.receipt.complete


def test_deep_folders(tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_FOLDERS_DEEP", 30)
    write(ct_slice(study, size=16), tmp_path.joinpath(*["d"] * 30) / "deep")
    assert taken(scanned(tmp_path)) == ["d/" * 30 + "deep"]
    write(ct_slice(study, instance=2, size=16), tmp_path.joinpath(*["d"] * 31) / "deeper")
    result = scanned(tmp_path)
    assert set(reasons(result).values()) == {"too-deep"}
    assert not result.receipt.complete


def test_a_scratched_file_is_tried_twice_and_blocks_nothing(
    tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ct_series(study, tmp_path, 4, size=16)
    honest, tries = os.open, {"IM000001": 0, "IM000002": 0, "IM000003": 0}

    def scratched(path: str, flags: int, *rest: int) -> int:
        name = os.path.basename(path)
        if name in tries:
            tries[name] += 1
            if name == "IM000003":
                raise PermissionError(13, "denied")
            if name == "IM000001" or tries[name] == 1:
                raise OSError(5, "Input/output error")
        return honest(path, flags, *rest)

    monkeypatch.setattr(reading.os, "open", scratched)
    result = scanned(tmp_path, workers=0)
    assert taken(result) == ["IM000002", "IM000004"]
    assert reasons(result) == {"IM000001": "unreadable", "IM000003": "unreadable"}
    assert tries == {"IM000001": 2, "IM000002": 2, "IM000003": 1}
    details = {skipped.path: skipped.detail for skipped in result.skipped}
    assert "scratched" in details["IM000001"]
    assert "permission" in details["IM000003"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOTCONN])
def test_a_drive_that_went_away_costs_images_whatever_it_says(
    tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write_ct_series(study, tmp_path, 3, size=16)
    honest = os.open

    def gone(path: str, flags: int, *rest: int) -> int:
        if os.path.basename(path) == "IM000002":
            raise OSError(code, os.strerror(code))
        return honest(path, flags, *rest)

    monkeypatch.setattr(reading.os, "open", gone)
    result = scanned(tmp_path, workers=0)
    assert reasons(result) == {"IM000002": "unreadable"}
    assert not result.receipt.complete


def test_a_folder_that_cannot_be_opened_is_told(
    tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ct_series(study, tmp_path / "good", 1, size=16)
    (tmp_path / "locked").mkdir()
    honest = os.scandir

    def guarded(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "denied")
        return honest(path)

    monkeypatch.setattr(walking.os, "scandir", guarded)
    result = scanned(tmp_path)
    assert reasons(result) == {"locked": "unreadable"}
    assert not result.receipt.complete
    assert result.receipt.instances == 1


@pytest.mark.parametrize("path", ["nothing/here", "fifo"])
def test_a_path_that_is_no_place_is_the_environments_fault(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(PathUnavailable) as fault:
        scanned(tmp_path / path)
    assert fault.value.remedy


def test_an_empty_folder(tmp_path: Path) -> None:
    receipt = scanned(tmp_path).receipt
    assert (receipt.files, receipt.instances, receipt.complete) == (0, 0, True)


def test_progress_brings_everything_once_and_closing_stops(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 30, size=16)
    (tmp_path / "note.txt").write_text("note")
    scanner = Scanner([tmp_path])
    found: list[Found] = []
    skipped: list[Skipped] = []
    for progress in scanner.run():
        found.extend(progress.found)
        skipped.extend(progress.skipped)
        last = progress
    assert (last.files_read, last.files_total, last.patients, last.seconds_left) == (31, 31, 1, 0.0)
    assert {one.ref for one in found} == set(scanner.result.tree.refs())
    assert len(found) == 30
    assert skipped == scanner.result.skipped

    stopped = Scanner([tmp_path])
    run = stopped.run()
    assert next(run).found
    run.close()
    assert not stopped.result.receipt.complete


def test_the_receipt_is_live_and_complete_only_at_the_end(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 3, size=16)
    scanner = Scanner([tmp_path])
    run = scanner.run()
    next(run)
    assert scanner.result.receipt.files > 0
    assert not scanner.result.receipt.complete
    for _ in run:
        pass
    assert scanner.result.receipt.complete
    assert scanner.result.seconds > 0


def test_scan_returns_its_result(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 1, size=16)
    run = scan([tmp_path])
    with pytest.raises(StopIteration) as end:
        while True:
            next(run)
    assert end.value.value.receipt.instances == 1


def test_a_path_is_a_source(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 2, size=16)
    source = PathSource(tmp_path)
    found = [one for one in source.headers() if isinstance(one, Found)]
    assert [one.ref for one in found] == [FileRef("IM000001"), FileRef("IM000002")]
    assert source.name == tmp_path.name
    with source.open(found[0].ref) as stream:
        assert len(stream.read()) == found[0].size


def test_patients_who_look_alike_are_pointed_out(tmp_path: Path) -> None:
    for number, name in enumerate(("Müller^Anna", "MULLER^ANNA", "Schmidt^Otto")):
        one = SampleStudy(seed=str(number), patient=SamplePatient(name, f"ID{min(number, 1)}"))
        write(ct_slice(one, size=16), tmp_path / str(number))
    warnings = [patient.warning for patient in scanned(tmp_path).tree.patients.values()]
    assert warnings[2].startswith("Two names share one patient ID")
    assert all(warnings[:2])
