"""A command line that makes no sense."""

from __future__ import annotations

from core.errors import BadInput


class Usage(BadInput):
    """The command line does not fit together."""

    exit_code = 2
