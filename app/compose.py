"""Wires the archive and its doors together: the one place that chooses which implementation is used."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from app import __version__, paths
from core.archive.archive import Archive
from core.errors import NotFound, StorageFault

if TYPE_CHECKING:
    from argon2 import PasswordHasher

    from core.access.accounts import Accounts
    from core.access.changes import Changes
    from core.archive.ae_titles import Meaning
    from core.archive.operations import Operations
    from core.archive.removals import Removals
    from core.dicom import ports
    from core.imaging.workers import RenderPool
    from core.settings import ServeSettings
    from core.worklist.worklist import Worklist
    from server.dimse.door import Door
    from server.dimse.suboperations import Converter, Sight
    from server.notify import Notifying
    from server.web.call import App
    from server.web.metrics import Metrics

HEAVY_LIMIT_S = 120.0
"""How long a worker may take over an object as a whole."""
WEB_THREADS = 24
"""Blocking work of requests: catalog reads, file reads, writing what arrives."""


@dataclass(frozen=True, slots=True)
class Site:
    """How the archive is reached; *token* lets the desktop in, *no_auth* everyone."""

    host: str
    ae_title: str
    allowed_hosts: frozenset[str] = frozenset()
    secure: bool = False
    behind_proxy: bool = False
    no_auth: bool = False
    token: str = ""
    own_ports: frozenset[int] = frozenset()
    notify_hosts: frozenset[str] = frozenset()
    ae_titles: Mapping[str, Meaning] = field(default_factory=dict)
    cors_origins: tuple[str, ...] = ()
    strict_queries: bool = False
    uid_root: str = ""
    callback_urls: tuple[str, ...] = ()
    viewer_token_s: float = 300.0
    viewer_token_once: bool = True
    hasher: PasswordHasher | None = None
    """What passwords cost to prove; None is what is wise today."""


@dataclass(frozen=True, slots=True)
class Open:
    """The archive of a data folder, opened for serving."""

    data: Path
    archive: Archive
    pool: RenderPool
    heavy: RenderPool
    trash_days: float


@dataclass(frozen=True, slots=True)
class Web:
    """The applications of the two listeners, and what makes objects into others for other doors, too."""

    public: App
    internal: App
    convert: Converter
    see: Sight
    worklist: ports.Worklist
    workitems: Worklist
    metrics: Metrics
    door: Door


@contextmanager
def opened(data: Path, chosen: ServeSettings) -> Generator[Open, None, None]:
    """The archive in *data* for the one process that serves it. Raises Busy, StorageFault."""
    from core.imaging.workers import RenderPool

    with RenderPool() as pool, RenderPool(1, time_limit_s=HEAVY_LIMIT_S) as heavy:
        archive = Archive.open(
            data,
            settle_after_s=chosen.settle_after_s,
            thumbnailer=pool,
            modeller=pool,
            trash_days=chosen.trash_days,
        )
        try:
            yield Open(data, archive, pool, heavy, chosen.trash_days)
        finally:
            archive.close()


@contextmanager
def web(open_archive: Open, site: Site) -> Generator[Web, None, None]:
    """The web applications over an open archive."""
    from core.access.sessions import Sessions
    from core.archive.ae_titles import AeTitles
    from core.archive.blobs import LocalBlobs
    from core.archive.filing import Filing
    from core.archive.overlays import Overlays
    from core.archive.parts import Parts
    from core.archive.pseudonyms import Pseudonyms
    from core.archive.removals import Removals
    from core.archive.returned import Searcher
    from core.archive.scheduled_orders import ScheduledOrders
    from core.archive.thumbnails import Thumbnails
    from core.dicom.uids import UidMaker
    from core.imaging.workers import RenderPool
    from core.worklist.desk import Desk
    from core.worklist.joined import Joined
    from core.worklist.overview import Overview
    from core.worklist.steps import Steps
    from core.worklist.watching import Watching
    from core.worklist.worklist import Worklist
    from server.dimse.door import Door
    from server.dimse.retrievals import Retrievals
    from server.web.app import build, build_internal
    from server.web.auth import Authenticator
    from server.web.cors import Cors
    from server.web.frames import Frames
    from server.web.guard import Guard
    from server.web.pictures import Pictures
    from server.web.services import About, Services
    from server.web.transcoding import Transcoder
    from server.web.views import Views
    from server.web.wrapping import Wrapper

    data, archive = open_archive.data, open_archive.archive
    accounts = accounts_of(open_archive.archive, data, site.hasher)
    accounts.ensure_admin()
    uids = UidMaker(site.uid_root)
    worklist, orders = Worklist(archive.db, archive.audit, uids), ScheduledOrders(archive.db)
    overview = Overview(worklist, orders, archive.db)
    scheduled = Joined(worklist, orders, finished=worklist.study_uids)
    filing = Filing(Overlays(archive.db, archive.audit))
    ae_titles = AeTitles(site.ae_title, site.ae_titles)
    door = Door(site.ae_title)
    with (
        ThreadPoolExecutor(WEB_THREADS, thread_name_prefix="web") as workers,
        closing(Thumbnails(data / "archive" / "thumbnails.db")) as thumbnails,
        closing(
            Pictures(archive, open_archive.pool, thumbnails, data / "archive" / "pictures", workers)
        ) as pictures,
        RenderPool() as viewing,
        notifying(archive, site) as told,
        closing(Retrievals(archive, door, ae_titles.namespace(site.ae_title))) as retrievals,
    ):
        authenticator = Authenticator(
            accounts,
            Sessions(archive.db, accounts),
            workers,
            token=site.token,
            open_door=site.no_auth,
            changes=changes_of(data),
        )
        removals = Removals(archive.db, archive.audit, days=open_archive.trash_days, changed=archive.changed)
        services = Services(
            archive=archive,
            authenticator=authenticator,
            pictures=pictures,
            transcoder=Transcoder(open_archive.heavy, pictures),
            wrapper=Wrapper(archive, open_archive.heavy, workers),
            parts=Parts(data / "archive" / "parts"),
            removals=removals,
            operations=operations_of(open_archive, removals),
            frames=Frames(viewing),
            workers=workers,
            about=About(
                __version__,
                site.ae_title,
                site.secure,
                site.strict_queries,
                site.viewer_token_s,
                site.viewer_token_once,
            ),
            ae_titles=ae_titles,
            searcher=Searcher(archive.db, LocalBlobs(data / "archive")),
            views=Views(archive, pictures),
            pseudonyms=Pseudonyms(data / "archive" / "pseudonyms.secret"),
            worklist=worklist,
            steps=Steps(worklist, archive.db, uids),
            watching=Watching(archive.db),
            overview=overview,
            scheduled=scheduled,
            desk=Desk(worklist, overview, filing, uids, site.ae_title),
            uids=uids,
            notifying=told,
            door=door,
            retrievals=retrievals,
        )
        guard = Guard(site.host, site.allowed_hosts, site.behind_proxy)
        yield Web(
            build(services, guard, Cors.of(site.cors_origins)),
            build_internal(services, Guard("127.0.0.1")),
            services.transcoder.image_here,
            services.views.images,
            services.scheduled,
            services.worklist,
            services.metrics,
            door,
        )


def operations_of(open_archive: Open, removals: Removals) -> Operations:
    """What makes studies out of studies; pixels are decoded in worker processes."""
    from core.archive.blobs import LocalBlobs
    from core.archive.derive import Maker
    from core.archive.operations import Operations
    from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
    from core.imaging.repainting import Repainter
    from core.imaging.worker import TRANSCODE

    heavy, archive = open_archive.heavy, open_archive.archive
    repainter = Repainter(lambda data: heavy.render(data, 0, TRANSCODE + EXPLICIT_LITTLE_UID).result())
    maker = Maker(archive, LocalBlobs(open_archive.data / "archive"), repainter)
    return Operations(archive, maker, removals)


@contextmanager
def notifying(archive: Archive, site: Site) -> Generator[Notifying, None, None]:
    """The courier at work."""
    from core.archive.announcing import Announcer
    from core.net.pinned import Policy
    from core.outbox.callbacks import Callbacks
    from core.outbox.queue import Outbox
    from server.notify import Courier, Notifying

    outbox = Outbox(archive.db)
    callbacks = Callbacks(archive.db, outbox, site.callback_urls)
    announcer = Announcer(archive.db, outbox, callbacks, source_id=site.ae_title)
    policy = Policy(site.own_ports, site.notify_hosts | callbacks.hosts)
    with closing(Courier(archive.db, announcer, outbox, policy)) as courier:
        courier.start()
        yield Notifying(outbox, announcer, callbacks, courier.wake)


def accounts_of(archive: Archive, data: Path, hasher: PasswordHasher | None = None) -> Accounts:
    """The accounts of an archive; what happens to them goes into its audit log."""
    from core.access.accounts import Accounts

    return Accounts(
        archive.db,
        recorder=archive.audit.access,
        password_file=paths.admin_password_file(data),
        hasher=hasher,
        changes=changes_of(data),
    )


def changes_of(data: Path) -> Changes:
    """Where every process of a data folder sees that accounts were changed."""
    from core.access.changes import Changes

    return Changes(data / "archive" / "accounts.changed")


def existing(data: Path) -> Path:
    """*data* if it holds an archive. Raises NotFound."""
    try:
        there = (data / "archive").is_dir()
    except OSError as error:
        raise StorageFault(f"{data} cannot be read.", "Check its permission.") from error
    if not there:
        raise NotFound("archive", f"There is no archive in {data}.", "Name the data folder with --data.")
    return data


@contextmanager
def reading(data: Path, *, exclusive: bool = False) -> Generator[Archive, None, None]:
    """The archive in *data* beside a process that may serve it. Raises Busy if *exclusive* and it does."""
    archive = Archive.open(data, exclusive=exclusive)
    try:
        yield archive
    finally:
        archive.close()
