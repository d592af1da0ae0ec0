"""An archive with its HTTP and DIMSE doors in this process, and a modality that asks for its worklist."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE

from app import compose
from app.dimse_door import dimse_door
from core.net.credentials import Token
from core.net.v3_client import V3Client
from core.net.worklist_client import EntryPage, EntryRow, WorklistClient
from core.settings import ServeSettings, Settings
from server.node import Listener, Node
from tests.ui import fakes
from ui.services import ArchiveState

TOKEN = "a-desktop-of-the-tests"
MWL = "1.2.840.10008.5.1.4.31"


@dataclass(frozen=True)
class Clinic:
    """A running archive; *dimse* is where a modality finds it."""

    client: V3Client
    dimse: tuple[str, int]

    @property
    def desk(self) -> WorklistClient:
        """Its worklist."""
        return WorklistClient(self.client.session)

    def entries(self) -> tuple[EntryRow, ...]:
        """Everything on it."""
        page: EntryPage | None = self.desk.entries()
        assert page is not None
        return page.entries

    def modality(self, **step: Any) -> list[Dataset]:
        """What a modality is told to do."""
        return modality_worklist(*self.dimse, **step)

    def clear(self) -> None:
        """Take every entry off."""
        for each in self.entries():
            if each.uid:
                self.desk.remove(each)


def modality_worklist(host: str, port: int, **step: Any) -> list[Dataset]:
    """The answers to a Modality Worklist C-FIND with these keys of the step."""
    ds, item = Dataset(), Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID"):
        setattr(ds, keyword, "")
    keys = {"Modality": "", "ScheduledStationAETitle": "", "ScheduledProcedureStepDescription": "", **step}
    for keyword, value in keys.items():
        setattr(item, keyword, value)
    ds.ScheduledProcedureStepSequence = [item]
    ae = AE("CT1")
    ae.add_requested_context(MWL)
    association = ae.associate(host, port, ae_title="FILMJACKET")
    assert association.is_established
    try:
        *answers, (status, _) = association.send_c_find(ds, MWL)
    finally:
        association.release()
    assert status.Status == 0
    return [found for _, found in answers]


class LocalArchive(fakes.FakeArchive):
    """The clinic as the archive of the window."""

    def __init__(self, clinic: Clinic) -> None:
        super().__init__(state=ArchiveState.RUNNING)
        self._clinic = clinic

    def client(self) -> Any:
        """It answers."""
        return self._clinic.client


@contextmanager
def clinic(data: Path) -> Iterator[Clinic]:
    """Serve *data* until the block ends."""
    data.mkdir(mode=0o700, exist_ok=True)
    ready, node = threading.Event(), Node()
    with compose.opened(data, ServeSettings(settle_after_s=60)) as archive:
        site = compose.Site("127.0.0.1", "FILMJACKET", token=TOKEN)
        with (
            compose.web(archive, site) as web,
            dimse_door(archive, site, Settings(), 0, tls=None, web=web) as where,
        ):
            public, internal = Listener("127.0.0.1", 0), Listener("127.0.0.1", 0)
            sites = [(public, web.public), (internal, web.internal)]
            thread = threading.Thread(target=node.run, args=(sites, ready.set), name="node")
            thread.start()
            try:
                assert ready.wait(20)
                host, _, port = where.partition("@")[2].rpartition(":")
                with V3Client(public.url, Token(TOKEN)) as client:
                    yield Clinic(client, (host, int(port)))
            finally:
                node.stop()
                thread.join(30)
                public.close()
                internal.close()
