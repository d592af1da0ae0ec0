"""C-FIND: every level of both models, character sets, cancelling, and identifiers that make no sense."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from core.archive.patients import patients_of
from core.media.samples import SamplePatient, SampleStudy, dataset
from core.net.dimse.command import DATA_SET, NO_DATA_SET, Element, Field
from core.net.dimse.requestor import Peer, Wish, associate
from tests.core.archive_help import send, store
from tests.dimse.gateways import AET, CT, EXPLICIT, IMPLICIT, Running, gateway

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
ANNA = SamplePatient("Müller^Anna", "M1", "19700102", "F")
ANNA_TWICE = SampleStudy("anna 2", ANNA, date="20240302", accession_number="A2", description="MR Kopf")
KIM = SampleStudy(
    "kim", SamplePatient("Kim^Min=金^敏", "K1", "", "M"), date="20230101", accession_number="A3"
)
STUDIES = (SampleStudy("anna", ANNA, date="20240101", accession_number="A1"), ANNA_TWICE, KIM)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """Three studies of two patients, two series of two images each."""
    with gateway(tmp_path_factory.mktemp("find")) as found:
        for study in STUDIES:
            for series, modality in ((1, "CT"), (2, "MR" if study is ANNA_TWICE else "SR")):
                for instance in (1, 2):
                    ds = dataset(study, series=series, instance=instance, modality=modality)
                    request = Dataset()
                    request.ScheduledProcedureStepID = f"S{series}"
                    ds.RequestAttributesSequence = [request]
                    store(found.archive, ds)
        store(found.archive, dataset(SampleStudy("other"), instance=1), namespace="elsewhere")
        yield found


def find(running: Running, model: str = STUDY_ROOT, syntax: str = IMPLICIT, **elements: Any) -> list[Dataset]:
    """What pynetdicom's client gets."""
    return asked(running, identifier(**elements), model, syntax)


def identifier(**elements: Any) -> Dataset:
    """A query by keyword."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def asked(running: Running, ds: Dataset, model: str = STUDY_ROOT, syntax: str = IMPLICIT) -> list[Dataset]:
    """The answers to an identifier."""
    with running.associated((model, syntax)) as association:
        answers = list(association.send_c_find(ds, model))
    assert answers[-1][0].Status == 0, hex(answers[-1][0].Status)
    assert all(status.Status == 0xFF00 for status, _ in answers[:-1])
    return [found for _, found in answers[:-1]]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_studies(running: Running, syntax: str) -> None:
    found = find(
        running, syntax=syntax, QueryRetrieveLevel="STUDY", StudyInstanceUID="", StudyDate="20240101-",
        ModalitiesInStudy="", PatientName="", NumberOfStudyRelatedInstances="", StationName="",
    )  # fmt: skip
    assert [each.StudyInstanceUID for each in found] == [ANNA_TWICE.uid, STUDIES[0].uid]
    first = found[0]
    assert list(first.ModalitiesInStudy) == ["CT", "MR"] and first.NumberOfStudyRelatedInstances == 4
    assert (first.QueryRetrieveLevel, first.RetrieveAETitle) == ("STUDY", AET)
    assert first.StationName in ("", None)
    assert "AccessionNumber" not in first, "only what was asked for"


def test_every_level_of_the_patient_root(running: Running) -> None:
    patients = find(
        running, PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="", PatientName="",
        NumberOfPatientRelatedStudies="", NumberOfPatientRelatedInstances="",
    )  # fmt: skip
    counted = {
        each.PatientID: (each.NumberOfPatientRelatedStudies, each.NumberOfPatientRelatedInstances)
        for each in patients
    }
    assert counted == {"M1": (2, 8), "K1": (1, 4)}
    studies = find(running, PATIENT_ROOT, QueryRetrieveLevel="STUDY", PatientID="M1", StudyInstanceUID="")
    assert len(studies) == 2
    series = find(
        running, PATIENT_ROOT, QueryRetrieveLevel="SERIES", PatientID="M1", StudyInstanceUID=ANNA_TWICE.uid,
        SeriesInstanceUID="", Modality="",
    )  # fmt: skip
    assert sorted(each.Modality for each in series) == ["CT", "MR"]
    images = find(
        running, PATIENT_ROOT, QueryRetrieveLevel="IMAGE", PatientID="M1", StudyInstanceUID=ANNA_TWICE.uid,
        SeriesInstanceUID=series[0].SeriesInstanceUID, SOPInstanceUID="", InstanceNumber="", SOPClassUID="",
    )  # fmt: skip
    assert [(each.InstanceNumber, each.SOPClassUID) for each in images] == [(1, CT), (2, CT)]


def test_patients_are_counted_beside_what_their_studies_say() -> None:
    """Models of studies are kept for the next question."""
    model = {"00100020": {"vr": "LO", "Value": ["P1"]}, "00201206": {"vr": "IS", "Value": [2]}}
    before = json.dumps(model)
    (patient,) = patients_of(iter([model, model]))
    assert patient["00201200"] == {"vr": "IS", "Value": [2]} and json.dumps(model) == before


def test_relational_queries_and_lists(running: Running) -> None:
    series = find(
        running, QueryRetrieveLevel="SERIES", Modality="MR", PatientName="mueller*", SeriesInstanceUID=""
    )
    assert series == []
    series = find(running, QueryRetrieveLevel="SERIES", Modality="MR", AccessionNumber="", PatientID="M*")
    assert [each.AccessionNumber for each in series] == ["A2"]
    images = find(
        running,
        QueryRetrieveLevel="IMAGE",
        SOPInstanceUID="",
        StudyDate="2023-20230601".replace("2023-", "20230101-"),
    )
    assert len(images) == 4
    uids = "\\".join(each.uid for each in STUDIES[:2])
    assert len(find(running, QueryRetrieveLevel="STUDY", StudyInstanceUID=uids)) == 2
    assert len(find(running, QueryRetrieveLevel="IMAGE", StudyInstanceUID=uids)) == 8


def test_names_in_another_character_set_than_the_data(running: Running) -> None:
    for terms, raw in (("ISO_IR 100", "Müller*"), ("ISO_IR 192", "müller^a*"), ("ISO_IR 192", "MULLER^ANNA")):
        query = identifier(SpecificCharacterSet=terms, QueryRetrieveLevel="STUDY", PatientName=raw)
        found = asked(running, query)
        assert {str(each.PatientName) for each in found} == {"Müller^Anna"}
        assert found[0].SpecificCharacterSet == terms
    (plain,) = find(running, QueryRetrieveLevel="STUDY", PatientID="K1", PatientName="")
    assert str(plain.PatientName) == "Kim^Min=金^敏" and plain.SpecificCharacterSet == "ISO_IR 192"
    (latin,) = find(running, QueryRetrieveLevel="STUDY", StudyInstanceUID=ANNA_TWICE.uid, PatientName="")
    assert latin.SpecificCharacterSet == "ISO_IR 100"
    japanese = identifier(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], QueryRetrieveLevel="STUDY", PatientName="*=金*"
    )
    (found,) = asked(running, japanese)
    assert str(found.PatientName) == "Kim^Min=金^敏"


def test_items_of_sequences(running: Running) -> None:
    item = Dataset()
    item.ScheduledProcedureStepID = "S2"
    query = identifier(QueryRetrieveLevel="SERIES", SeriesNumber="", RequestAttributesSequence=[item])
    found = asked(running, query)
    assert {each.SeriesNumber for each in found} == {2} and len(found) == 3
    assert found[0].RequestAttributesSequence[0].ScheduledProcedureStepID == "S2"


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientID": "1"},
        {"QueryRetrieveLevel": "FRAME"},
        {"QueryRetrieveLevel": "PATIENT", "PatientID": "1"},
        {"QueryRetrieveLevel": "STUDY", "StudyDate": "yesterday"},
        {"QueryRetrieveLevel": "SERIES", "SeriesNumber": "one"},
    ],
)
def test_identifiers_that_make_no_sense(running: Running, elements: dict[str, str]) -> None:
    query = Dataset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pydicom.config.settings._reading_validation_mode", 0)
        patch.setattr("pydicom.config.settings._writing_validation_mode", 0)
        for keyword, value in elements.items():
            if keyword == "SeriesNumber":
                query.add_new(0x00200011, "LO", value)
            else:
                setattr(query, keyword, value)
        with running.associated((STUDY_ROOT, EXPLICIT)) as association:
            answers = list(association.send_c_find(query, STUDY_ROOT))
    assert [status.Status for status, _ in answers] == [0xA900]


def test_garbage_for_an_identifier_and_a_wrong_context(running: Running) -> None:
    association = associate(
        Peer(AET, "127.0.0.1", running.port), [Wish(STUDY_ROOT, (IMPLICIT,)), Wish(CT, (EXPLICIT,))]
    )
    for context, status in ((1, 0xA900), (3, 0x0122)):
        command = find_rq(association.new_message_id())
        association.send(context, command, b"\x08\0\x52\0\xff\0\0\0AB")
        assert association.receive(30).command.status == status
    association.release()
    association.close()


def find_rq(message_id: int) -> dict[Element, int | str]:
    """A C-FIND-RQ."""
    return {
        Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT,
        Element.COMMAND_FIELD: Field.C_FIND,
        Element.MESSAGE_ID: message_id,
        Element.PRIORITY: 0,
        Element.DATA_SET_TYPE: DATA_SET,
    }


def test_a_query_can_be_cancelled(tmp_path: Path) -> None:
    study = SampleStudy("many")
    with gateway(tmp_path) as running:
        stored = [send(running.archive, dataset(study, instance=number)) for number in range(1, 1001)]
        assert all(future.result(30).study_uid for future in stored)
        association = associate(Peer(AET, "127.0.0.1", running.port), [Wish(STUDY_ROOT, (IMPLICIT,))])
        association.repeating(1, find_rq(7))(IMAGES)  # waits, so that the cancel goes with it
        association.send(1, cancel_rq(7))
        statuses = []
        while not statuses or statuses[-1] == 0xFF00:
            message = association.receive(30)
            association.whole_data_set(message, 1 << 20)
            statuses.append(message.command.status)
        assert statuses[-1] == 0xFE00 and len(statuses) < 200
        association.send(1, cancel_rq(7))  # too late: nothing to cancel, nothing to answer
        association.send(1, find_rq(8), IMAGES)
        assert association.receive(30).command.status == 0xFF00
        association.close()


IMAGES = b"".join(
    (b"\x08\0\x18\0\0\0\0\0", b"\x08\0\x52\0\6\0\0\0IMAGE ")  # SOP Instance UID, level
)


def cancel_rq(message_id: int) -> dict[Element, int | str]:
    """A C-CANCEL-RQ."""
    return {
        Element.COMMAND_FIELD: Field.C_CANCEL,
        Element.MESSAGE_ID_RESPONDED_TO: message_id,
        Element.DATA_SET_TYPE: NO_DATA_SET,
    }
