"""All routes of the pages over one set of grants."""

from __future__ import annotations

from server.web.pages import assets
from server.web.pages.entry import EntryRoutes
from server.web.pages.grants import Grants
from server.web.pages.viewer import ViewerRoutes
from server.web.services import Services
from server.web.streaming import Operation


def operations(services: Services) -> list[Operation]:
    """The link, the viewer and their files."""
    grants = Grants()
    return [
        *EntryRoutes(services, grants).operations(),
        *ViewerRoutes(services, grants).operations(),
        *assets.operations(),
    ]
