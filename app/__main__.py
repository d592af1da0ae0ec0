"""`python -m app` and the installed commands: what every start of the program passes through first."""

from __future__ import annotations

import multiprocessing
import sys


def main() -> int:
    """The `filmjacket` command."""
    multiprocessing.freeze_support()  # a worker process of the frozen program ends here
    from app import cli

    return cli.main(sys.argv[1:])


def stowrs() -> int:
    """The `stowrs` command: `filmjacket stow` under the name other archives' tools have."""
    multiprocessing.freeze_support()
    from app import cli

    return cli.main(["stow", *sys.argv[1:]])


def desktop() -> int:
    """The window executable: the same commands, and the desktop if there is none."""
    return main()


if __name__ == "__main__":
    sys.exit(main())
