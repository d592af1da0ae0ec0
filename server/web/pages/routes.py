"""All routes of the pages over the grants of the archive."""

from __future__ import annotations

from server.web.pages import assets
from server.web.pages.entry import EntryRoutes
from server.web.pages.viewer import ViewerRoutes
from server.web.services import Services
from server.web.streaming import Operation


def operations(services: Services) -> list[Operation]:
    """The link, the viewer and their files."""
    grants = services.grants
    return [
        *EntryRoutes(services, grants).operations(),
        *ViewerRoutes(services, grants).operations(),
        *assets.operations(),
    ]
