"""What a peer sees that calls a title with a view: C-FIND, C-GET and C-MOVE say what the overlay says."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from core.archive.overlays import Laying, Overlays
from core.media.samples import SampleStudy, ct_slice
from core.settings import DimsePeer
from tests.core.archive_help import store
from tests.dimse.gateways import AET, CT, EXPLICIT, IMPLICIT, Running, gateway
from tests.dimse.test_find import STUDY_ROOT, identifier
from tests.dimse.test_retrieve import GET, MOVE, Destination, destination
from tests.guards import CANARY

STUDY, BESIDE = SampleStudy("seen", patient=CANARY), SampleStudy("not seen", patient=CANARY)
NAME = "Overlaid^Olga"
TITLES = {"VIEW": {"namespace": "default", "phi_namespace": "research"}}


@pytest.fixture(scope="module")
def dest() -> Generator[Destination, None, None]:
    with destination((CT, EXPLICIT)) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, dest: Destination) -> Generator[Running, None, None]:
    """Two studies, one of them with an overlay."""
    peers = (DimsePeer("DEST", "127.0.0.1", dest.port),)
    with gateway(tmp_path_factory.mktemp("views"), peers=peers, ae_titles=TITLES) as found:
        for study in (STUDY, BESIDE):
            store(found.archive, ct_slice(study, size=16))
        tags = {"(0010,0010)": NAME, "(0010,0020)": "R-1"}
        laying = Laying("default", STUDY.uid, "research", tags, "tests")
        Overlays(found.archive.db, found.archive.audit).lay(laying).result(10)
        yield found


def found(running: Running, called: str, name: str) -> list[tuple[str, str]]:
    asked = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName=name, PatientID="")
    with running.associated((STUDY_ROOT, IMPLICIT), called=called) as association:
        answers = list(association.send_c_find(asked, STUDY_ROOT))
    return sorted((str(each.PatientName), each.StudyInstanceUID) for _, each in answers[:-1])


def test_find(running: Running) -> None:
    both = sorted([(CANARY.name, STUDY.uid), (CANARY.name, BESIDE.uid)])
    assert found(running, AET, "") == both == found(running, AET, "Kanarien*")
    assert found(running, "VIEW", "") == [(CANARY.name, BESIDE.uid), (NAME, STUDY.uid)]
    assert found(running, "VIEW", "Overlaid*") == [(NAME, STUDY.uid)] and found(running, AET, "Overl*") == []
    assert found(running, "VIEW", "Kanarien*") == [(CANARY.name, BESIDE.uid)]


def of_study() -> Dataset:
    return identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY.uid)


@pytest.mark.parametrize(("called", "name"), [(AET, CANARY.name), ("VIEW", NAME)])
def test_get(running: Running, called: str, name: str) -> None:
    came: list[str] = []

    def keep(event: evt.Event) -> int:
        came.append(str(event.dataset.PatientName))
        return 0

    ae = AE("CT1")
    ae.add_requested_context(GET, IMPLICIT)
    ae.add_requested_context(CT, EXPLICIT)
    association = ae.associate(
        "127.0.0.1", running.port, ae_title=called, ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )  # fmt: skip
    answers = list(association.send_c_get(of_study(), GET))
    association.release()
    assert answers[-1][0].Status == 0 and came == [name]


@pytest.mark.parametrize(("called", "name"), [(AET, CANARY.name), ("VIEW", NAME)])
def test_move(running: Running, dest: Destination, called: str, name: str) -> None:
    dest.received.clear()
    with running.associated((MOVE, IMPLICIT), called=called) as association:
        answers = list(association.send_c_move(of_study(), "DEST", MOVE))
    assert answers[-1][0].Status == 0
    ((_, data, _),) = dest.received
    assert name.encode() in data and (CANARY.name.encode() in data) == (name == CANARY.name)
