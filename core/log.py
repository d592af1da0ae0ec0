"""Log lines for whoever runs the program: to stderr and to a rotating file, never with values of patients.

Tracebacks keep their frames but lose the exception's text unless it is a KnownError, whose messages are
written without names and identifiers. Access lines carry route templates (see `server.web.middleware`).
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import traceback
import warnings
from pathlib import Path
from types import TracebackType

from core.errors import KnownError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FILE_BYTES = 4_000_000
FILES = 5

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class SafeFormatter(logging.Formatter):
    """Formats tracebacks as frames and exception types, without the exceptions' own text."""

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self._second = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Local time to the millisecond; the part that lines of one second share is made once."""
        second = int(record.created)
        if second != self._second[0]:
            self._second = (second, super().formatTime(record, "%Y-%m-%d %H:%M:%S"))
        return f"{self._second[1]},{int(record.msecs):03}"

    def format(self, record: logging.LogRecord) -> str:
        """The line; what another formatter made of the exception before is not taken over."""
        record.exc_text = None
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:
        """Frames of *ei* and of what caused it; a KnownError's message is kept."""
        return describe(ei[1]) if ei[1] is not None else ""


def describe(error: BaseException) -> str:
    """Frames and types of *error* and its causes, innermost cause first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    earlier = [describe(cause), "which led to:"] if cause is not None else []
    text = f": {error.message}" if isinstance(error, KnownError) else ""
    frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__))).rstrip()
    return "\n".join([*earlier, *([frames] if frames else []), type(error).__name__ + text])


class _File(logging.handlers.RotatingFileHandler):
    """Rotated by size alone, which is counted: the stock handler asks the disk before every line."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
        self._size = file.stat().st_size

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line at once."""
        try:
            if self._size >= self.maxBytes:
                self.doRollover()
                self._size = 0
            line = self.format(record) + self.terminator
            if self.stream is None:  # closed while somebody still logs
                return
            self.stream.write(line)
            self.stream.flush()
            self._size += len(line)
        except Exception:  # as every handler does: a line that cannot be written must not end the work
            self.handleError(record)


def start(*, verbose: bool = False, file: Path | None = None, stderr: bool = True) -> None:
    """Send log lines to stderr and, if given, to *file* (rotated); one that cannot be opened is left out."""
    stop()
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    _without_what_no_line_says()
    if stderr and sys.stderr is not None:
        _add(logging.StreamHandler(sys.stderr), logging.DEBUG if verbose else logging.WARNING)
    if file is not None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _add(_File(file), logging.DEBUG if verbose else logging.INFO)
        except OSError:
            logging.getLogger(__name__).warning("The log file in %s cannot be written.", file.parent)
    for chatty in ("httpx", "httpcore", "PIL", "asyncio", "multipart", "python_multipart"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its lines and warnings quote values
    warnings.filterwarnings("ignore", module="pydicom")


def stop() -> None:
    """Close and forget the handlers that `start` made."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler.formatter, SafeFormatter):
            root.removeHandler(handler)
            handler.close()


def _without_what_no_line_says() -> None:
    """Nobody finds out for each line from where it came: a third of what a line costs.

    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None  # the switch that the documentation names
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _add(handler: logging.Handler, level: int) -> None:
    handler.setFormatter(SafeFormatter(FORMAT))
    handler.setLevel(level)
    logging.getLogger().addHandler(handler)
