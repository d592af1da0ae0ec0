"""All routes of the DICOM Service: one list of them for the application."""

from __future__ import annotations

from server.web.service.callback import CallbackRoutes
from server.web.service.exams import ExamRoutes
from server.web.service.token import TokenRoutes
from server.web.service.workitems import WorkitemRoutes
from server.web.services import Services
from server.web.streaming import Operation


def operations(services: Services) -> list[Operation]:
    """Every route of the files named here."""
    found = [
        *WorkitemRoutes(services).operations(),
        *ExamRoutes(services).operations(),
        *TokenRoutes(services).operations(),
    ]
    if services.notifying is not None:
        found += CallbackRoutes(services, services.notifying).operations()
    return found
