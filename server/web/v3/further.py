"""V3 storage, the routes beyond the first: one list of them for the application."""

from __future__ import annotations

from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.contents import ContentRoutes
from server.web.v3.download import DownloadRoutes
from server.web.v3.metadata import MetadataRoutes
from server.web.v3.parts import PartRoutes
from server.web.v3.removal import RemovalRoutes
from server.web.v3.restructuring import RestructuringRoutes
from server.web.v3.wrap import WrapRoutes


def operations(services: Services) -> list[Operation]:
    """Every route of the files named here."""
    return [
        *ContentRoutes(services).operations(),
        *MetadataRoutes(services).operations(),
        *RemovalRoutes(services).operations(),
        *WrapRoutes(services).operations(),
        *RestructuringRoutes(services, services.operations).operations(),
        *PartRoutes(services).operations(),
        *DownloadRoutes(services).operations(),
    ]
