"""What a DICOMweb archive must give a desktop that looks at it: used on ours and on others'."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from core.dicom.refs import Found
from core.imaging.image import ImageObject
from core.imaging.stack import Stack
from core.media.samples import SamplePatient, SampleStudy, colour_photo, ct_slice, part10, ultrasound_cine
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_search import Wanted, search
from core.net.dicomweb_source import DicomWebSource
from core.net.dicomweb_study import DicomWebStudy

ANNE = SampleStudy("remote anne", SamplePatient("MÜLLER^Änne", "R-7"), "20240211", "CT Abdomen", "ACC-1")
BERT = SampleStudy("remote bert", SamplePatient("Braun^Bert", "R-8"), "20230105", "US Knee", "ACC-2")


def objects() -> list[Any]:
    """Slices in another order than their geometry, a loop, a photo; and another patient's loop."""
    slices = [ct_slice(ANNE, instance=number, size=64) for number in range(1, 8)]
    return [*slices, ultrasound_cine(ANNE), colour_photo(ANNE), ultrasound_cine(BERT)]


def files() -> list[bytes]:
    """The same as files."""
    return [part10(each) for each in objects()]


def check_search(client: DicomWebClient) -> None:
    """One box, dates and kinds find what they should."""
    for wanted, expected in (
        (Wanted(), {ANNE.uid, BERT.uid}),
        (Wanted("müller"), {ANNE.uid}),
        (Wanted("änne MÜLLER"), {ANNE.uid}),
        (Wanted("Müller, Änne"), {ANNE.uid}),
        (Wanted("r-8"), {BERT.uid}),
        (Wanted("R-8"), {BERT.uid}),
        (Wanted("ACC"), {ANNE.uid, BERT.uid}),
        (Wanted("ACC-1"), {ANNE.uid}),
        (Wanted("mull?x*"), set()),
        (Wanted("br*"), {BERT.uid}),
        (Wanted("nobody"), set()),
        (Wanted(date_from="20240101"), {ANNE.uid}),
        (Wanted(date_to="20231231"), {BERT.uid}),
        (Wanted(date_from="20230101", date_to="20241231"), {ANNE.uid, BERT.uid}),
        (Wanted(modalities=("CT",)), {ANNE.uid}),
        (Wanted(modalities=("US", "XA", "RF")), {ANNE.uid, BERT.uid}),
        (Wanted("braun", modalities=("CT",)), set()),
    ):
        found = search(client, wanted)
        assert {row.study_uid for row in found.rows} == expected, wanted
        assert not found.more
    rows = search(client, Wanted(), "-study_date").rows
    assert [row.study_uid for row in rows] == [ANNE.uid, BERT.uid]
    assert [row.study_uid for row in search(client, Wanted(), "patient_name").rows] == [BERT.uid, ANNE.uid]
    first = rows[0]
    assert (first.patient_name, first.patient_id, first.accession_number) == ("MÜLLER^Änne", "R-7", "ACC-1")
    assert (first.study_date, first.images, set(first.modalities)) == ("20240211", 9, {"CT", "OT", "US"})
    cut = search(client, Wanted(), most=1)
    assert cut.more and len(cut.rows) == 1


def check_pictures(client: DicomWebClient) -> None:
    """Every frame of every series is the one that was stored, in the order of the slices."""
    stored = {str(each.SOPInstanceUID): ImageObject.open(part10(each)) for each in objects()}
    study = DicomWebStudy(client, ANNE.uid)
    detail = study.detail()
    with DicomWebSource(study) as source:
        assert detail.study.patient_name == "MÜLLER^Änne" and detail.study.study_description == "CT Abdomen"
        assert {each.modality: study.count(each.series_uid) for each in detail.series} == {
            "CT": 7, "OT": 1, "US": 1,
        }  # fmt: skip
        found = [each for each in source.headers() if isinstance(each, Found)]
        assert len(found) == 9 and {each.header.patient_id for each in found} == {"R-7"}
        for series in detail.series:
            with Stack(source, study.images(series.series_uid)) as stack:
                order = stack.arrange()
                assert order.by_geometry == (series.modality == "CT")
                for index in range(len(stack)):
                    slot = stack.slot(index)
                    own = stored[slot.found.header.sop_instance_uid].frame(slot.frame0)
                    shown = stack.get(index)
                    assert np.array_equal(shown.pixels, own.pixels) and shown.photometric == own.photometric
                    assert shown.attributes.spacing == own.attributes.spacing
                    assert shown.grey.modality == own.grey.modality
        for each in found:
            with source.whole(each.ref) as file:
                data = file.read()
            assert ImageObject.open(io.BytesIO(data)).frame_count == each.header.number_of_frames
