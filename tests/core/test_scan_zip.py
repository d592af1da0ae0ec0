"""ZIP files as sources: read in place, nested ones too, and refused where they are an attack."""

from __future__ import annotations

import os
import threading
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest
from pydicom.uid import JPEG2000Lossless

from core.dicom.refs import FileRef
from core.errors import BadInput, NotFound
from core.media.samples import SampleStudy, ct_slice, part10, write_ct_series
from core.scan import zip_files, zips
from tests.core.scanning import packed, reasons, scanned, slices, taken, write_disc


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_members_are_read_and_opened(tmp_path: Path, study: SampleStudy, method: int) -> None:
    members = slices(study, 3)
    path = tmp_path / "study.ZIP"
    path.write_bytes(packed({**members, "empty/": b"", "note.txt": b"note"}, method))
    result = scanned(path)
    assert taken(result) == [f"study.ZIP!/S1/IM{n}" for n in (1, 2, 3)]
    assert reasons(result) == {"study.ZIP!/note.txt": "not-dicom"}
    assert (result.receipt.files, result.receipt.complete) == (4, True)
    for ref in result.tree.refs():
        assert result.local_path(ref) is None
        with result.open(ref) as stream:
            assert stream.read() == members[ref.member]
            assert stream.seek(128) == 128
            assert stream.read(4) == b"DICM"


def test_archives_in_folders_and_in_archives(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path / "disc", 1, size=16)
    inner = packed(slices(study, 1, series=2))
    outer = packed({"deep/inner.zip": inner, **slices(study, 1, series=3)})
    (tmp_path / "disc" / "more.zip").write_bytes(outer)
    result = scanned(tmp_path / "disc")
    assert taken(result) == ["IM000001", "more.zip!/S3/IM1", "more.zip!/deep/inner.zip!/S2/IM1"]
    with result.open(FileRef("more.zip", "deep/inner.zip!/S2/IM1")) as stream:
        assert stream.read() == slices(study, 1, series=2)["S2/IM1"]
    assert result.receipt.files == 3


def test_members_of_nested_archives_are_opened_without_unpacking_them_again(
    tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, again = slices(study, 8), slices(study, 8, series=2)
    (tmp_path / "outer.zip").write_bytes(packed({"inner.zip": packed(inner), **again}))
    result = scanned(tmp_path / "outer.zip")
    unpacked: list[str] = []
    plain = zip_files.unpacked

    def counted(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
        unpacked.append(entry.filename)
        return plain(packed, entry)

    monkeypatch.setattr(zip_files, "unpacked", counted)
    read: dict[str, bytes] = {}

    def read_half(refs: list[FileRef]) -> None:
        for ref in refs:
            with result.open(ref) as stream:
                read[ref.member] = stream.read()

    refs = list(result.tree.refs())
    threads = [threading.Thread(target=read_half, args=(refs[half::2],)) for half in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == {**{f"inner.zip!/{name}": data for name, data in inner.items()}, **again}
    assert unpacked.count("inner.zip") == 1 and len(unpacked) == 17


def test_an_archive_put_in_the_place_of_another_is_read_anew(tmp_path: Path, study: SampleStudy) -> None:
    path, files = tmp_path / "a.zip", zip_files.ZipFiles()
    path.write_bytes(packed({"in.zip": packed({"one": b"first"})}))
    with files.open(path, "in.zip!/one") as stream:
        assert stream.read() == b"first"
    path.write_bytes(packed({"in.zip": packed({"one": b"another"})}))
    with files.open(path, "in.zip!/one") as stream:
        assert stream.read() == b"another"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        files.open(path, "in.zip!/one")
    files.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
def test_no_archive_stays_open_so_that_the_disc_can_be_ejected(tmp_path: Path, study: SampleStudy) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(packed({"in.zip": packed(slices(study, 2)), **slices(study, 2, series=2)}))
    result = scanned(path)
    for ref in result.tree.refs():
        result.open(ref).close()
    targets = [Path(f"/proc/self/fd/{fd}").resolve() for fd in os.listdir("/proc/self/fd")]
    assert path not in targets


def test_of_two_members_of_one_name_only_the_one_that_can_be_opened_is_taken(
    tmp_path: Path, study: SampleStudy
) -> None:
    first, second = slices(study, 2).values()
    with (
        zipfile.ZipFile(tmp_path / "two.zip", "w") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("IM", first)
        archive.writestr("IM", second)
    result = scanned(tmp_path / "two.zip")
    assert taken(result) == ["two.zip!/IM"] and list(reasons(result).values()) == ["unreadable"]
    assert not result.receipt.complete
    (ref,) = result.tree.refs()
    with result.open(ref) as stream:
        assert stream.read() == second


def test_archives_in_too_many_archives(tmp_path: Path, study: SampleStudy) -> None:
    data = packed(slices(study, 1))
    for _ in range(zips.MAX_NESTED):
        data = packed({"in.zip": data})
    (tmp_path / "russian.zip").write_bytes(data)
    result = scanned(tmp_path)
    assert reasons(result) == {"russian.zip!/in.zip!/in.zip!/in.zip": "too-deep"}
    assert not result.receipt.complete


def test_a_disc_image_in_an_archive_has_its_dicomdir_used(tmp_path: Path, study: SampleStudy) -> None:
    write_disc(study, tmp_path / "disc", 2)
    members = {
        "CD/" + path.relative_to(tmp_path / "disc").as_posix(): path.read_bytes()
        for path in sorted((tmp_path / "disc").rglob("*"))
        if path.is_file()
    }
    lost = next(name for name in members if not name.endswith("DICOMDIR"))
    del members[lost]
    (tmp_path / "cd.zip").write_bytes(packed(members))
    result = scanned(tmp_path / "cd.zip")
    assert result.missing == [f"cd.zip!/{lost}"]
    assert result.receipt.instances == 1


def test_names_that_lead_out_are_refused(tmp_path: Path, study: SampleStudy) -> None:
    data = part10(ct_slice(study, size=16))
    names = ["../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "C:\\evil.dcm", "..\\evil.dcm"]
    (tmp_path / "slip.zip").write_bytes(packed(dict.fromkeys(names, data)))
    result = scanned(tmp_path)
    assert result.receipt.instances == 0
    assert set(reasons(result).values()) == {"unreadable"}
    assert len(result.skipped) == len(names)
    assert all("attack" in skipped.detail for skipped in result.skipped)
    assert [path.name for path in tmp_path.iterdir()] == ["slip.zip"]


def test_bombs_are_refused(tmp_path: Path, study: SampleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "BIG_MEMBER", 1 << 20)
    good = slices(study, 1)
    (tmp_path / "one.zip").write_bytes(packed({"bomb.zip": b"\0" * (8 << 20), **good}))
    result = scanned(tmp_path / "one.zip")
    assert reasons(result) == {"one.zip!/bomb.zip": "unreadable"}
    assert "absurd" in result.skipped[0].detail
    assert result.receipt.instances == 1
    with pytest.raises(BadInput):
        result.open(FileRef("one.zip", "bomb.zip"))

    monkeypatch.setattr(zips, "BIG_ARCHIVE", 4 << 20)
    many = {f"{n}": b"\0" * (1 << 20) for n in range(8)}
    (tmp_path / "many.zip").write_bytes(packed({**many, **good}))
    assert reasons(scanned(tmp_path / "many.zip")) == {"many.zip": "unreadable"}


def test_a_black_image_is_no_bomb(tmp_path: Path, study: SampleStudy) -> None:
    ds = ct_slice(study, size=16)
    ds.Rows = ds.Columns = 1024
    ds.PixelData = b"\0" * (1024 * 1024 * 2)
    (tmp_path / "black.zip").write_bytes(packed({"black": part10(ds)}))
    assert taken(scanned(tmp_path)) == ["black.zip!/black"]


def test_locked_members_are_told_from_damaged_ones(tmp_path: Path, study: SampleStudy) -> None:
    data = bytearray(packed({"locked": b"x" * 500, **slices(study, 1)}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1  # general purpose flag, bit 0
    (tmp_path / "locked.zip").write_bytes(data)
    result = scanned(tmp_path)
    assert reasons(result) == {"locked.zip!/locked": "encrypted"}
    assert result.receipt.instances == 1
    assert not result.receipt.complete
    with pytest.raises(BadInput):
        result.open(FileRef("locked.zip", "locked"))


def test_an_unknown_method_is_told(tmp_path: Path) -> None:
    data = bytearray(packed({"odd": b"x" * 500}))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + at] = 99
    (tmp_path / "odd.zip").write_bytes(data)
    assert reasons(scanned(tmp_path)) == {"odd.zip!/odd": "unreadable"}


@pytest.mark.parametrize("kept", [30, 400, 0.5, 0.9])
def test_a_zip_file_cut_off(tmp_path: Path, study: SampleStudy, kept: float) -> None:
    data = packed(slices(study, 3))
    (tmp_path / "cut.zip").write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    result = scanned(tmp_path)
    assert reasons(result) == {"cut.zip": "unreadable"}
    assert not result.receipt.complete
    assert result.receipt.files == 1


def test_what_only_starts_like_a_zip_file_is_junk(tmp_path: Path) -> None:
    (tmp_path / "VIEWER.DAT").write_bytes(b"PK\x03\x04" + bytes(range(200)))
    result = scanned(tmp_path)
    assert reasons(result) == {"VIEWER.DAT": "not-dicom"}
    assert result.receipt.complete


def test_a_member_whose_bytes_are_damaged(tmp_path: Path, study: SampleStudy) -> None:
    data = bytearray(packed(slices(study, 2)))
    at = data.index(b"S1/IM1") + 20
    data[at : at + 300] = b"\xff" * 300
    (tmp_path / "bad.zip").write_bytes(data)
    result = scanned(tmp_path)
    assert reasons(result) == {"bad.zip!/S1/IM1": "unreadable"}
    assert taken(result) == ["bad.zip!/S1/IM2"]
    with pytest.raises(BadInput):
        result.open(FileRef("bad.zip", "S1/IM1"))
    with pytest.raises(NotFound):
        result.open(FileRef("bad.zip", "S1/IM9"))


def test_a_member_cut_off_before_it_was_packed(tmp_path: Path, study: SampleStudy) -> None:
    native = part10(ct_slice(study, size=16))
    ds = ct_slice(study, instance=2, size=16)
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x08\0\0\0abcdefgh\xfe\xff\xdd\xe0\0\0\0\0"
    ds["PixelData"].is_undefined_length = True
    compressed = part10(ds)
    (tmp_path / "cut.zip").write_bytes(packed({"a": native[:-1], "b": compressed[:-9], "c": compressed}))
    result = scanned(tmp_path)
    assert reasons(result) == {"cut.zip!/a": "truncated", "cut.zip!/b": "truncated"}
    assert taken(result) == ["cut.zip!/c"]


def test_equal_members_are_duplicates(tmp_path: Path, study: SampleStudy) -> None:
    write_ct_series(study, tmp_path, 1, size=16)
    data = (tmp_path / "IM000001").read_bytes()
    (tmp_path / "copy.zip").write_bytes(packed({"again": data}))
    result = scanned(tmp_path)
    assert reasons(result) == {"copy.zip!/again": "duplicate"}
    assert result.receipt.complete
