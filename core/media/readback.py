"""A medium read back after it was written: every file there, every digest the one that was written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

from core.errors import StorageFault
from core.media import iso
from core.media.bundle import Written

PIECE = 1 << 20


def prove(place: Path, kind: str, written: Iterable[Written]) -> None:
    """Compare what lies at *place* ("folder", "zip" or "iso") with what was written. Raises StorageFault."""
    expected = {(one.path.upper() if kind == "iso" else one.path): one.digest for one in written}
    try:
        found = dict(READERS[kind](place))
    except (OSError, BadZipFile) as error:
        raise _fault() from error
    if found != expected:
        raise _fault()


def _folder(place: Path) -> Iterator[tuple[str, str]]:
    for path in place.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                yield path.relative_to(place).as_posix(), _digest(file)


def _zip(place: Path) -> Iterator[tuple[str, str]]:
    with ZipFile(place) as packed:
        for entry in packed.infolist():
            with packed.open(entry) as file:
                yield entry.filename, _digest(file)


def _iso(place: Path) -> Iterator[tuple[str, str]]:
    with iso.opened(place) as image:
        for name, inside in iso.names(image).items():
            yield name, iso.digest_of(image, inside)


READERS = {"folder": _folder, "zip": _zip, "iso": _iso}


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _fault() -> StorageFault:
    return StorageFault(
        "What was written does not read back as it was written.", "Check the disk, and export again."
    )
