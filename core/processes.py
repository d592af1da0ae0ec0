"""Worker processes, as those see them who start them."""

from __future__ import annotations

import contextlib
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess


def end(process: BaseProcess, patience_s: float) -> None:
    """End a started process and reap it: asked to, and after so long made to. Any thread may, once.

    Its sentinel says when it has ended, not its exit code: a thread that starts another process reaps the
    ended ones of all threads first, and what it has just reaped looks alive here until it has noted that.
    """
    process.terminate()
    if not wait([process.sentinel], patience_s):
        process.kill()
        wait([process.sentinel])
    process.join()
    with contextlib.suppress(ValueError):  # being noted as reaped, see above; it is closed when forgotten
        process.close()
