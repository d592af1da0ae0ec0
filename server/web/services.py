"""What the routes work with: the archive, the accounts, the renderer, and threads for blocking work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from core.archive.ae_titles import AeTitles
from core.archive.archive import Archive
from core.archive.operations import Operations
from core.archive.parts import Parts
from core.archive.pseudonyms import Pseudonyms
from core.archive.removals import Removals
from core.archive.returned import Searcher
from core.dicom import ports
from core.dicom.uids import UidMaker
from core.worklist.desk import Desk
from core.worklist.overview import Overview
from core.worklist.steps import Steps
from core.worklist.watching import Watching
from core.worklist.worklist import Worklist
from server.dimse.door import Door
from server.dimse.retrievals import Retrievals
from server.notify import Notifying
from server.web.auth import Authenticator
from server.web.body import Limits
from server.web.frames import Frames
from server.web.grants import Grants
from server.web.jobs import Jobs
from server.web.metrics import Metrics
from server.web.pictures import Pictures
from server.web.transcoding import Transcoder
from server.web.views import Views
from server.web.waiting import outcome
from server.web.wrapping import Wrapper

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class About:
    """What the archive says of itself."""

    version: str
    ae_title: str = "FILMJACKET"
    secure: bool = False
    """Whether callers reach it over TLS: then the session cookie says so."""
    strict: bool = False
    """Whether a search that has a key which is not supported is refused, unless the query says otherwise."""
    viewer_token_s: float = 300.0
    viewer_token_once: bool = True
    """How long a token of the DICOM Service opens the viewer, and whether once only."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may use; made once, by whoever composes the server."""

    archive: Archive
    authenticator: Authenticator
    pictures: Pictures
    removals: Removals
    transcoder: Transcoder
    wrapper: Wrapper
    parts: Parts
    operations: Operations
    frames: Frames
    workers: ThreadPoolExecutor
    about: About
    ae_titles: AeTitles
    searcher: Searcher
    pseudonyms: Pseudonyms
    views: Views
    worklist: Worklist
    steps: Steps
    watching: Watching
    overview: Overview
    scheduled: ports.Worklist
    """What a modality is shown: workitems, and orders that are none yet."""
    desk: Desk
    uids: UidMaker
    grants: Grants = field(default_factory=Grants)
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    jobs: Jobs = field(default_factory=Jobs)
    notifying: Notifying | None = None
    """Whoever tells others of changes, if anybody does."""
    door: Door = field(default_factory=lambda: Door("FILMJACKET"))
    """The DICOM network door, which may be shut."""
    retrievals: Retrievals | None = None
    """Whoever fetches studies from elsewhere, if anybody does."""

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work on a worker thread."""
        return await outcome(self.workers.submit(work))

    async def durable(self, work: Callable[[], Future[T]]) -> T:
        """Start writing work on a worker thread and wait until it is on disk."""
        return await outcome(await self.run(work))
