"""Modality Worklist: entries by the keys modalities ask with, in their items too."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from core.dicom.ports import Scheduled
from tests.dimse.gateways import IMPLICIT, Running, gateway

MWL = "1.2.840.10008.5.1.4.31"


def entry(name: str, modality: str, day: str, station: str, state: str = "SCHEDULED") -> Scheduled:
    """One entry."""
    values = {
        "PatientName": name, "PatientID": name[:3], "AccessionNumber": f"A{day}", "Modality": modality,
        "ScheduledStationAETitle": station, "ScheduledProcedureStepStartDate": day,
        "ScheduledProcedureStepStartTime": "093000", "ScheduledProcedureStepDescription": "Thorax",
        "StudyInstanceUID": f"1.2.{day}",
    }  # fmt: skip
    return Scheduled(values["StudyInstanceUID"], values, state=state)


ENTRIES = (
    entry("Müller^Anna", "CT", "20260101", "CT1"),
    entry("Meier^Max", "MR", "20260102", "MR1", "IN PROGRESS"),
    entry("Done^Dora", "CT", "20260103", "CT1", "COMPLETED"),
)


class List:
    """The worklist of one namespace."""

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """The entries."""
        return iter(ENTRIES if namespace == "default" else ())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """A gateway with that worklist."""
    with gateway(tmp_path_factory.mktemp("mwl"), worklist=List(), ae_titles={"NIGHT": "night"}) as found:
        yield found


def asked(
    running: Running, called: str = "FILMJACKET", step: dict[str, Any] | None = None, **keys: Any
) -> list[Dataset]:
    """The answers to a worklist query."""
    ds, item = Dataset(), Dataset()
    for keyword, value in {"PatientName": "", "AccessionNumber": "", "StudyInstanceUID": "", **keys}.items():
        setattr(ds, keyword, value)
    for keyword, value in {"Modality": "", "ScheduledProcedureStepStartDate": "", **(step or {})}.items():
        setattr(item, keyword, value)
    ds.ScheduledProcedureStepSequence = [item]
    with running.associated((MWL, IMPLICIT), called=called) as association:
        *answers, (status, _) = association.send_c_find(ds, MWL)
    assert status.Status == 0
    return [found for _, found in answers]


@pytest.mark.parametrize(
    ("step", "keys", "count"),
    [
        ({}, {}, 2),
        ({"Modality": "CT"}, {}, 1),
        ({"ScheduledStationAETitle": "MR1", "Modality": "CT"}, {}, 0),
        ({"ScheduledProcedureStepStartDate": "20260102-"}, {}, 1),
        ({"ScheduledProcedureStepStartDate": "20250101-20251231"}, {}, 0),
        ({}, {"PatientName": "müller*", "SpecificCharacterSet": "ISO_IR 192"}, 1),
        ({}, {"AccessionNumber": "A20260102"}, 1),
    ],
)
def test_keys(running: Running, step: dict[str, str], keys: dict[str, str], count: int) -> None:
    assert len(asked(running, step=step, **keys)) == count


def test_what_an_entry_says(running: Running) -> None:
    (found,) = asked(running, step={"Modality": "CT", "ScheduledProcedureStepStartTime": ""})
    assert (str(found.PatientName), found.StudyInstanceUID) == ("Müller^Anna", "1.2.20260101")
    (step,) = found.ScheduledProcedureStepSequence
    assert (step.Modality, step.ScheduledProcedureStepStartTime) == ("CT", "093000")
    assert "ScheduledStationAETitle" not in step, "only what was asked for"


def test_each_title_has_its_own_list(running: Running) -> None:
    assert asked(running, called="NIGHT") == []
