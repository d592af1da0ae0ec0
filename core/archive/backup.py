"""Hot backup: a copy of an archive that is itself a data folder, taken while serving goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from core.archive.blobs import LocalBlobs
from core.errors import Conflict, FilmjacketError, StorageFault

BESIDE = ("settings.toml", "initial-admin-password")
"""Files of the data folder that belong to an archive."""


def back_up(database: Path, blobs: LocalBlobs, data: Path, dest: Path) -> None:
    """Copy the database first, then every blob it knows: a blob is there before its row and never changes.

    The caller keeps the sweeper away meanwhile. *dest* appears only when it is whole. Raises StorageFault,
    Conflict if there is something at *dest*.
    """
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise Conflict(f"{dest} is not empty.", "Name a new folder for the backup.")
    partial = dest.with_name(dest.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy(database, blobs, data, partial)
        if dest.exists():
            dest.rmdir()
        partial.rename(dest)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = f"The backup could not be written ({type(error).__name__})."
        raise StorageFault(reason, "Check space and permissions there.") from error
    except FilmjacketError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _copy(database: Path, blobs: LocalBlobs, data: Path, target: Path) -> None:
    objects = target / "archive" / "objects"
    target.parent.mkdir(parents=True, exist_ok=True)
    for folder in (target, target / "archive", objects, target / "archive" / "incoming"):
        folder.mkdir(mode=0o700)
    copy = target / "archive" / database.name
    _copy_database(database, copy)
    for key in _known_keys(copy):
        _copy_blob(blobs.path(key), objects / key)
    for name in BESIDE:
        if (data / name).exists():
            shutil.copy2(data / name, target / name)
    with closing(sqlite3.connect(copy)) as connection:
        answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if answer != "ok":
        raise StorageFault("The copied database is not sound.", "Run check on the archive, then try again.")


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)  # all pages in one step: one snapshot
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
    target.chmod(0o600)
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def _known_keys(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        for statement in ("SELECT blob FROM instances", "SELECT blob FROM attachments"):
            yield from (key for (key,) in connection.execute(statement))


def _copy_blob(source: Path, target: Path) -> None:
    """A hard link where the disk is the same, else a copy; a blob missing here stays missing there."""
    target.parent.mkdir(exist_ok=True, mode=0o700)
    try:
        os.link(source, target)
    except FileNotFoundError:
        return
    except OSError:  # another disk, or a file system without hard links
        shutil.copyfile(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
