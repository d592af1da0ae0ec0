"""One process holds an archive's folder: who holds it, who lets go, and folders that cannot be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.audit.log import AuditLog
from core.db.database import Database
from core.errors import Busy, KnownError, StorageFault
from core.media.samples import SampleStudy
from tests.core.archive_help import files_in, store, tiny

HOLDER = """
import sys
from pathlib import Path
from core.archive.archive import Archive
archive = Archive.open(Path(sys.argv[1]))
print("holding", flush=True)
sys.stdin.readline()
archive.close()
"""
ROOT = Path(__file__).resolve().parents[2]


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_is_told_who_holds_the_archive(tmp_path: Path, study: SampleStudy) -> None:
    with _start(HOLDER, str(tmp_path)) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "holding\n"
            with pytest.raises(Busy, match=str(holder.pid)):
                Archive.open(tmp_path)
            with closing(Archive.open(tmp_path, exclusive=False)) as reader:
                assert reader.check().ok
                assert reader.backup(tmp_path / "copy").ok
            with closing(Database.open(tmp_path / "archive" / "archive.db")) as database:
                log = AuditLog(database)  # what a `users` command does meanwhile
                database.write(lambda connection: log.access(connection, "account added", actor="x")).result()
        finally:
            holder.stdin.write("\n")
            holder.stdin.close()
            holder.wait(30)
    with closing(Archive.open(tmp_path)) as archive:
        assert archive.check().ok
        store(archive, tiny(study))


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    with _start(HOLDER, str(tmp_path)) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    with closing(Archive.open(tmp_path)) as archive:
        assert archive.check().ok


def test_half_arrived_files_are_swept_at_start(tmp_path: Path) -> None:
    with closing(Archive.open(tmp_path)):
        (tmp_path / "archive" / "incoming" / "left.part").write_bytes(b"half")
    with closing(Archive.open(tmp_path, exclusive=False)):
        assert len(files_in(tmp_path)) == 1
    with closing(Archive.open(tmp_path)):
        assert files_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_known_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(KnownError):
        Archive.open(tmp_path / "data")


def test_a_file_in_place_of_the_folder_is_a_known_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageFault):
        Archive.open(tmp_path / "data")
