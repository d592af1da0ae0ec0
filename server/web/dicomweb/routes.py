"""DICOMweb: one list of its routes for the application, and their description among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from server.web.dicomweb.all_bulk import AllBulkRoutes
from server.web.dicomweb.attach import AttachRoutes
from server.web.dicomweb.bulk import BulkRoutes
from server.web.dicomweb.capabilities import CapabilityRoutes
from server.web.dicomweb.frames import FrameRoutes
from server.web.dicomweb.metadata import MetadataRoutes
from server.web.dicomweb.patients import PatientRoutes
from server.web.dicomweb.remove import RemoveRoutes
from server.web.dicomweb.rendered import RenderedRoutes
from server.web.dicomweb.retrieve import RetrieveRoutes
from server.web.dicomweb.scheduled import ScheduledRoutes
from server.web.dicomweb.search import SearchRoutes
from server.web.dicomweb.store import StoreRoutes
from server.web.dicomweb.subscribers import SubscriptionRoutes
from server.web.dicomweb.uri import UriRoutes
from server.web.dicomweb.workitems import WorkitemRoutes
from server.web.services import Services
from server.web.streaming import Operation

VIEW = {"phi_namespace": "Show the PHI overlays of this namespace, else those of the storage namespace."}


def operations(services: Services) -> list[Operation]:
    """Every route of the files named here."""
    found = [
        *StoreRoutes(services).operations(),
        *AttachRoutes(services).operations(),
        *_viewed(SearchRoutes(services).operations()),
        *_viewed(PatientRoutes(services).operations()),
        *_viewed(RetrieveRoutes(services).operations()),
        *_viewed(MetadataRoutes(services).operations()),
        *FrameRoutes(services).operations(),
        *BulkRoutes(services).operations(),
        *AllBulkRoutes(services).operations(),
        *RenderedRoutes(services).operations(),
        *_viewed(UriRoutes(services).operations()),
        *RemoveRoutes(services).operations(),
        *WorkitemRoutes(services).operations(),
        *ScheduledRoutes(services).operations(),
        *SubscriptionRoutes(services).operations(),
    ]
    return [*found, *CapabilityRoutes(services, found).operations()]


def _viewed(found: Iterable[Operation]) -> Iterator[Operation]:
    """*found* as those that heed the view that is asked for."""
    return (replace(each, query={**each.query, **VIEW}) for each in found)
