"""Thumbnails kept: found again after a restart, gone with their study, bounded, in nobody's way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.archive.thumbnails import Thumbnails


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "kept" / "thumbnails.db"


def kept(file: Path) -> int:
    """How many thumbnails lie in the file."""
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM thumbnails").fetchone()[0])


def fill(thumbnails: Thumbnails, study: str, count: int, size: int = 100) -> None:
    for n in range(count):
        thumbnails.put(study, f"{study}-{n}", bytes([n % 256]) * size, thumbnails.era)


def test_they_are_there_at_once_and_after_a_restart(file: Path) -> None:
    with closing(Thumbnails(file)) as thumbnails:
        assert thumbnails.get("ns/1", "a") == b""
        thumbnails.put("ns/1", "a", b"picture", thumbnails.era)
        assert thumbnails.get("ns/1", "a") == b"picture"
    with closing(Thumbnails(file)) as thumbnails:
        assert thumbnails.get("ns/1", "a") == b"picture"
        assert thumbnails.get("ns/2", "b") == b""


def test_what_memory_has_no_room_for_comes_from_the_disk(file: Path) -> None:
    with closing(Thumbnails(file, in_memory=250)) as thumbnails:
        fill(thumbnails, "ns/1", 20)
    with closing(Thumbnails(file, in_memory=250)) as thumbnails:
        for _ in range(2):
            assert [thumbnails.get("ns/1", f"ns/1-{n}") for n in range(20)] == [
                bytes([n]) * 100 for n in range(20)
            ]


def test_a_forgotten_study_is_gone_from_the_disk_when_forget_returns(file: Path) -> None:
    with closing(Thumbnails(file)) as thumbnails:
        fill(thumbnails, "ns/1", 5)
        fill(thumbnails, "ns/2", 3)
        thumbnails.forget("ns/1")
        assert kept(file) == 3
        assert thumbnails.get("ns/2", "ns/2-0")


def test_what_was_being_made_when_a_study_was_forgotten_is_not_kept(file: Path) -> None:
    with closing(Thumbnails(file)) as thumbnails:
        era = thumbnails.era
        thumbnails.forget("ns/1")
        thumbnails.put("ns/1", "late", b"picture", era)
        assert thumbnails.get("ns/1", "late") == b""
    assert kept(file) == 0


def test_the_oldest_go_when_the_disk_has_been_given_enough(file: Path) -> None:
    with closing(Thumbnails(file, on_disk=1 << 20, in_memory=1)) as thumbnails:
        fill(thumbnails, "ns/1", 2000, 2000)
    with closing(Thumbnails(file, on_disk=1 << 20, in_memory=1)) as thumbnails:
        assert thumbnails.get("ns/1", "ns/1-0") == b""
        assert thumbnails.get("ns/1", "ns/1-1999")
    assert 0 < kept(file) < 600


def test_a_damaged_file_is_begun_anew(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is no database" * 1000)
    with closing(Thumbnails(file)) as thumbnails:
        assert thumbnails.get("ns/1", "a") == b""
        thumbnails.put("ns/1", "a", b"lost with the file", thumbnails.era)
        thumbnails.forget("ns/2")
        thumbnails.put("ns/1", "b", b"picture", thumbnails.era)
    with closing(Thumbnails(file)) as thumbnails:
        assert thumbnails.get("ns/1", "b") == b"picture"


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"a file where the folder should be")
    with closing(Thumbnails(tmp_path / "kept" / "thumbnails.db")) as thumbnails:
        thumbnails.put("ns/1", "a", b"picture", thumbnails.era)
        thumbnails.forget("ns/2")
        assert thumbnails.get("ns/1", "other") == b""
