"""ISO 9660 level 1 images (ECMA-119): written from a folder, and read back file by file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pycdlib import PyCdlib
from pycdlib.pycdlibexception import PyCdlibException

from core.errors import BadInput, StorageFault, TooLarge

LARGEST_FILE = (1 << 32) - 2049
NAME = re.compile(r"[A-Z0-9_]{1,8}(\.[A-Z0-9_]{1,3})?")


def check_size(size: int) -> None:
    """Raises TooLarge for what one extent cannot hold."""
    if size > LARGEST_FILE:
        raise TooLarge("The file is larger than 4 GB, more than a disc image takes.", "Ask for a ZIP file.")


def write_iso(folder: Path, label: str, out: Path) -> Iterator[bytes]:
    """Write the files of *folder* as the image *out*; yields nothing but turns. Raises StorageFault."""
    iso = PyCdlib()
    try:
        iso.new(interchange_level=1, vol_ident=label, app_ident_str="FILMJACKET")
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if not all(NAME.fullmatch(part) for part in parts):
                raise BadInput("A file has a name a disc image cannot have.")
            if path.is_dir():
                iso.add_directory("/" + "/".join(parts))
            else:
                iso.add_file(str(path), "/" + "/".join(parts) + ("" if "." in path.name else ".") + ";1")
            yield b""
        iso.write(str(out))
        yield b""
    except (OSError, PyCdlibException) as error:
        raise StorageFault(
            "The disc image cannot be written.", "Make room, or ask for a ZIP file."
        ) from error
    finally:
        if iso._initialized:
            iso.close()


@contextmanager
def opened(path: Path) -> Iterator[PyCdlib]:
    """The image at *path*. Raises StorageFault."""
    iso = PyCdlib()
    try:
        iso.open(str(path))
    except (OSError, PyCdlibException) as error:
        raise StorageFault("The disc image cannot be read back.") from error
    try:
        yield iso
    finally:
        iso.close()


def names(iso: PyCdlib) -> dict[str, str]:
    """ISO path of each file by its plain path."""
    found = {}
    for root, _, files in iso.walk(iso_path="/"):
        for name in files:
            inside = f"{root.rstrip('/')}/{name}"
            found[inside.lstrip("/").split(";")[0].removesuffix(".")] = inside
    return found


class _Hashing:
    """A file that keeps nothing but the digest of what is written to it."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return len(data)


def digest_of(iso: PyCdlib, iso_path: str) -> str:
    """SHA-256 of one file's bytes, in hexadecimal."""
    out = _Hashing()
    iso.get_file_from_iso_fp(cast(BinaryIO, out), iso_path=iso_path)
    return out.digest.hexdigest()
