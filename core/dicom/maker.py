"""Who wrote a file, as group 2 says it (PS3.10 7.1): this program, in every version."""

from __future__ import annotations

IMPLEMENTATION_CLASS_UID = "2.25.190146991836459203482934763948106514571"
IMPLEMENTATION_VERSION_NAME = "FILMJACKET"
