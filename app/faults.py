"""What the command line says of a fault of the system, and keeps of a fault of its own."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from pathlib import Path

_REMEDIES = {
    errno.EACCES: "Ask for permission to it, or choose another place.",
    errno.EPERM: "Ask for permission to it, or choose another place.",
    errno.ENOSPC: "Make room on the disk, then try again.",
    errno.EROFS: "This place is only readable: choose another one.",
    errno.ENOENT: "Check the path, and that the disc is inserted.",
}


def remedy(error: OSError) -> str:
    """What a person can do about what the operating system refused, in a sentence."""
    return _REMEDIES.get(error.errno or 0, "Check the path and the drive.")


def record(error: Exception, arguments: Sequence[str]) -> str:
    """Write the frames of *error* to the log file; returns its name and where that is."""
    from app import paths
    from core import log

    name = type(error).__name__
    try:
        given = [Path(after) for before, after in itertools.pairwise(arguments) if before == "--data"]
        folder = paths.log_folder(paths.data_folder(given[0] if given else None))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "errors.log").open("a", encoding="utf-8") as out:
            out.write(log.describe(error) + "\n")
    except OSError:
        return f"{name}. (The log folder cannot be written.)"
    return f"{name}. Details are in {folder / 'errors.log'}."
