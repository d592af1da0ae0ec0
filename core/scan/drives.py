"""Discs and sticks in the machine: which there are, and putting them out again."""

from __future__ import annotations

import ctypes
import os
import shutil
import string
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import KnownError

Kind = Literal["optical", "removable", "folder"]

OPTICAL_FILE_SYSTEMS = frozenset(("iso9660", "udf", "cd9660", "cdfs"))
_TIMEOUT_S = 20
_MOUNTS = Path("/proc/mounts")
_BLOCK = Path("/sys/class/block")
_LABELS = Path("/dev/disk/by-label")


@dataclass(frozen=True, slots=True)
class Drive:
    """A disc or stick that is there now; *device* is "" where the system needs none."""

    path: Path
    label: str
    kind: Kind
    device: str = ""


class EjectRefused(KnownError):
    """The system would not put a disc out."""


def drives() -> list[Drive]:
    """Discs and sticks that can be read now; an empty list where the system does not say."""
    try:
        if sys.platform == "win32":
            return _windows()
        if sys.platform == "darwin":
            return _mac()
        return _linux()
    except OSError:
        return []


def is_optical(path: Path) -> bool:
    """Whether a path lies on a disc; False where the system does not say."""
    try:
        if sys.platform == "win32":
            return _windows_kind(path.anchor) == "optical"
        where = os.path.realpath(path)
        inside = [m for m in _mounts() if where == m.point or where.startswith(m.point.rstrip("/") + "/")]
        return bool(inside) and max(inside, key=lambda m: len(m.point)).file_system in OPTICAL_FILE_SYSTEMS
    except OSError:
        return False


def eject(drive: Drive) -> None:
    """Put a disc or stick out. Raises EjectRefused."""
    if drive.kind == "folder":
        raise EjectRefused("A folder cannot be ejected.")
    if sys.platform == "win32":
        _windows_eject(drive)
        return
    target = drive.device or str(drive.path)
    commands = [["diskutil", "eject", str(drive.path)]] if sys.platform == "darwin" else []
    commands += [["eject", target], ["udisksctl", "unmount", "-b", target]]
    for command in commands:
        program = shutil.which(command[0])
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program, *command[1:]],
                check=False,
                capture_output=True,
                timeout=_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return
    raise EjectRefused(
        f"{drive.label} could not be ejected.",
        "Close the programs that use it, or press the button of the drive.",
    )


@dataclass(frozen=True, slots=True)
class _Mount:
    device: str
    point: str
    file_system: str


def _mounts(table: Path = _MOUNTS) -> list[_Mount]:
    """What is mounted where (proc(5)); blanks in paths are written as octal escapes."""
    if not table.exists():
        return []
    found = []
    for line in table.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(" ")
        if len(fields) >= 3:
            found.append(_Mount(_unescaped(fields[0]), _unescaped(fields[1]), fields[2]))
    return found


def _unescaped(field: str) -> str:
    for octal, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(octal, plain)
    return field


def _linux(table: Path = _MOUNTS, block: Path = _BLOCK, labels: Path = _LABELS) -> list[Drive]:
    found: dict[str, Drive] = {}
    for mount in _mounts(table):
        if not mount.device.startswith("/dev/") or mount.device in found:
            continue
        kind = _linux_kind(mount, block)
        if kind is not None:
            label = _linux_label(mount, labels)
            found[mount.device] = Drive(Path(mount.point), label, kind, mount.device)
    return list(found.values())


def _linux_kind(mount: _Mount, block: Path) -> Kind | None:
    name = os.path.basename(os.path.realpath(mount.device))
    if mount.file_system in OPTICAL_FILE_SYSTEMS or name.startswith("sr"):
        return "optical"
    node = block / name
    disk = Path(os.path.realpath(node)).parent if (node / "partition").exists() else node
    flag = disk / "removable"
    return "removable" if flag.exists() and flag.read_text().strip() == "1" else None


def _linux_label(mount: _Mount, labels: Path) -> str:
    device = os.path.realpath(mount.device)
    if labels.is_dir():
        for link in labels.iterdir():
            if os.path.realpath(link) == device:
                return link.name.replace("\\x20", " ")
    return os.path.basename(mount.point) or mount.point


def _mac(volumes: Path = Path("/Volumes")) -> list[Drive]:
    """Every volume but the system's own: a link to "/"."""
    if not volumes.is_dir():
        return []
    return [
        Drive(volume, volume.name, "optical" if is_optical(volume) else "removable")
        for volume in sorted(volumes.iterdir())
        if not volume.is_symlink() and os.path.ismount(volume)
    ]


_DRIVE_REMOVABLE, _DRIVE_CDROM = 2, 5  # GetDriveTypeW


def _windows_kind(anchor: str) -> Kind | None:
    if sys.platform != "win32" or not anchor:
        return None
    kind = ctypes.windll.kernel32.GetDriveTypeW(anchor)
    return {_DRIVE_REMOVABLE: "removable", _DRIVE_CDROM: "optical"}.get(kind)


def _windows() -> list[Drive]:
    if sys.platform != "win32":
        return []
    found = []
    mask = ctypes.windll.kernel32.GetLogicalDrives()
    for number, letter in enumerate(string.ascii_uppercase):
        anchor = f"{letter}:\\"
        kind = _windows_kind(anchor) if mask >> number & 1 else None
        if kind is None:
            continue
        name = ctypes.create_unicode_buffer(261)
        there = ctypes.windll.kernel32.GetVolumeInformationW(anchor, name, 261, None, None, None, None, 0)
        if there:  # an empty drive has no volume
            found.append(Drive(Path(anchor), name.value or anchor, kind, f"{letter}:"))
    return found


def _windows_eject(drive: Drive) -> None:
    """By the media control interface, which every Windows has."""
    if sys.platform == "win32":
        send = ctypes.windll.winmm.mciSendStringW
        failed = send(f"open {drive.device} type cdaudio alias filmjacket", None, 0, None)
        failed = failed or send("set filmjacket door open", None, 0, None)
        send("close filmjacket", None, 0, None)
        if not failed:
            return
    raise EjectRefused(f"{drive.label} could not be ejected.", "Eject it in the Explorer.")
