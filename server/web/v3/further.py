"""V3 storage, the routes beyond the first: one list of them for the application."""

from __future__ import annotations

from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.contents import ContentRoutes
from server.web.v3.removal import RemovalRoutes
from server.web.v3.wrap import WrapRoutes


def operations(services: Services) -> list[Operation]:
    """Every route of the files named here."""
    return [
        *ContentRoutes(services).operations(),
        *RemovalRoutes(services).operations(),
        *WrapRoutes(services).operations(),
    ]
