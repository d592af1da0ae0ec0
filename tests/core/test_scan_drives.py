"""Which discs and sticks there are, read from tables of a made-up machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.scan import drives
from core.scan.drives import Drive, EjectRefused, eject, is_optical

MOUNTS = """\
proc /proc proc rw 0 0
/dev/sda2 / ext4 rw 0 0
/dev/sr0 /media/user/CT\\040DISC\\0401 iso9660 ro 0 0
/dev/sdb1 /media/user/STICK vfat rw 0 0
/dev/sdb1 /mnt/again vfat rw 0 0
/dev/sdc1 /mnt/usbhd ext4 rw 0 0
/dev/loop0 /mnt/image udf ro 0 0
broken line
"""


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """Its mount table, and its block devices: sda and sdc stay, sdb can be taken out."""
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    block = tmp_path / "block"
    for disk, removable in (("sda", "0"), ("sdb", "1"), ("sdc", "0")):
        real = tmp_path / "devices" / disk
        real.mkdir(parents=True)
        (real / "removable").write_text(removable + "\n")
        for number in ("1", "2"):
            part = real / f"{disk}{number}"
            part.mkdir()
            (part / "partition").write_text(number)
            block.mkdir(exist_ok=True)
            (block / part.name).symlink_to(part)
    return mounts, block


def test_discs_and_sticks_are_found(machine: tuple[Path, Path], tmp_path: Path) -> None:
    found = drives._linux(*machine, labels=tmp_path / "none")
    assert found == [
        Drive(Path("/media/user/CT DISC 1"), "CT DISC 1", "optical", "/dev/sr0"),
        Drive(Path("/media/user/STICK"), "STICK", "removable", "/dev/sdb1"),
        Drive(Path("/mnt/image"), "image", "optical", "/dev/loop0"),
    ]


def test_a_machine_without_tables_has_no_drives(tmp_path: Path) -> None:
    assert drives._linux(tmp_path / "no", tmp_path / "no", tmp_path / "no") == []
    assert drives._mac(tmp_path / "no") == []


def test_this_machine_can_be_asked() -> None:
    assert all(isinstance(drive, Drive) for drive in drives.drives())


def test_what_lies_on_a_disc(machine: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    known = drives._mounts(machine[0])
    monkeypatch.setattr(drives, "_mounts", lambda: known)
    assert is_optical(Path("/media/user/CT DISC 1/DICOM/IM1"))
    assert not is_optical(Path("/media/user/CT DISC 10"))
    assert not is_optical(Path("/media/user/STICK/x"))
    assert not is_optical(Path("/home"))


def test_ejecting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EjectRefused):
        eject(Drive(tmp_path, "folder", "folder"))
    disc = Drive(tmp_path, "disc", "optical", "/dev/sr0")
    monkeypatch.setattr(drives.shutil, "which", lambda name: None)
    with pytest.raises(EjectRefused) as refused:
        eject(disc)
    assert refused.value.remedy
    note = tmp_path / "called"
    program = tmp_path / "eject"
    program.write_text(f'#!/bin/sh\necho "$@" > "{note}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(drives.shutil, "which", lambda name: str(program) if name == "eject" else None)
    eject(disc)
    assert note.read_text() == "/dev/sr0\n"
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(EjectRefused):
        eject(disc)
