"""Who calls the internal listener: this machine, which is trusted while the listener is bound to loopback."""

from __future__ import annotations

from server.web.auth import EVERYTHING, Caller
from server.web.call import Call

SYSTEM = Caller("system", "admin", EVERYTHING, name="This machine")


class Loopback:
    """Lets everyone in who reaches a listener on loopback; the gate has checked Host and Origin."""

    async def identify(self, call: Call, path: str) -> None:
        """Set `call.caller`."""
        call.caller = SYSTEM
