"""Where things lie on this machine: the data folder, its files, and the log folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from core.errors import StorageFault

OURS = frozenset({"archive", "client.db", "settings.toml", "serve.json", "logs", "initial-admin-password"})


def data_folder(option: Path | None = None) -> Path:
    """The data folder: the option, else FILMJACKET_DATA, else the platform's user data folder."""
    chosen = option or os.environ.get("FILMJACKET_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("filmjacket", appauthor=False)


def prepare(data: Path) -> Path:
    """Make *data* exist, private to this user (0700) where it is ours to close. Raises StorageFault."""
    try:
        created = not data.exists()
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        entries = {entry.name for entry in os.scandir(data)}
        foreign = bool(entries) and not entries & OURS
        shared = bool(data.stat().st_mode & stat.S_ISVTX)
        if os.name == "posix" and (created or not foreign) and not shared:
            data.chmod(0o700)
        if not os.access(data, os.W_OK | os.X_OK):
            raise PermissionError
    except OSError as error:
        raise StorageFault(
            f"The data folder {data} cannot be used: {reason_of(error)}.",
            "Give its owner write permission, or choose another folder with --data or FILMJACKET_DATA.",
        ) from error
    return data


def log_folder(data: Path) -> Path:
    """Where log files go."""
    return data / "logs"


def serve_file(data: Path) -> Path:
    """What a kept-running local archive says of itself: pid, ports and token (0600)."""
    return data / "serve.json"


def admin_password_file(data: Path) -> Path:
    """The random first password of `admin` (0600), until it is changed."""
    return data / "initial-admin-password"


def reason_of(error: OSError) -> str:
    """The operating system's reason in words, without the path (it is named already)."""
    return (error.strerror or "permission denied").lower()


def write_private(path: Path, text: str) -> None:
    """Write *text* so that only this user can read it (0600), in one step. Raises StorageFault."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageFault(
            f"{path} could not be written.", "Check the folder's permission and space."
        ) from error
