"""De-identifying by the table: every row of it does what it says, nested too, and the rest stays."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag

from core.dicom import editing
from core.dicom.confidentiality import Action, profile
from core.dicom.deidentify import DUMMY_TEXT, Deidentifier
from core.dicom.regions import BadRegions, Box, read_colour, read_regions
from core.errors import Unsupported
from core.media.samples import SampleStudy, ct_slice, part10

STUDY = SampleStudy(seed="deidentified")
SECRET = {
    **dict.fromkeys(("DA",), "19711231"),
    **dict.fromkeys(("TM",), "112233"),
    **dict.fromkeys(("DT",), "19711231112233"),
    **dict.fromkeys(("IS", "DS"), "4711"),
    "UI": "1.2.826.4711",
    "AS": "047Y",
    **dict.fromkeys(("US", "UL", "SS", "SL"), 4711),
    **dict.fromkeys(("FL", "FD"), 4711.0),
    **dict.fromkeys(("OB", "OW", "UN", "OL", "OF", "OD"), b"SECRET47"),
}
ROWS = sorted(tag for tag in profile() if dictionary_has_tag(tag) and tag >> 16 > 2)


def cleaned(ds: Dataset, **options: Any) -> Dataset:
    Deidentifier(editing.NewUids(), "ANON1", **options).apply(ds)
    return ds


def value_for(tag: int) -> tuple[str, Any]:
    vr = dictionary_VR(tag).split(" ")[0]
    if vr != "SQ":
        return vr, SECRET.get(vr, "SECRET")
    item = Dataset()
    item.PatientName = "SECRET"
    item.ReferencedSOPInstanceUID = "1.2.826.4711"
    return vr, [item]


@pytest.mark.parametrize("nested", [False, True])
def test_every_row_of_the_table(nested: bool) -> None:
    ds = Dataset()
    for tag in ROWS:
        vr, value = value_for(tag)
        ds.add_new(tag, vr, value)
    assert len(ds) == len(ROWS)
    if nested:
        outer = Dataset()
        outer.DerivationCodeSequence = [ds]
        cleaned(outer)
        ds = outer.DerivationCodeSequence[0]
    else:
        cleaned(ds)
    for tag in ROWS:
        if not nested and tag in (0x00100010, 0x00100020):
            continue
        action, name = profile()[tag], keyword_for_tag(tag)
        if action is Action.X:
            assert tag not in ds, name
        elif action in (Action.Z, Action.XZ):
            assert ds[tag].is_empty, name
        elif action is Action.U:
            assert ds[tag].VR != "UI" or str(ds[tag].value).startswith("2.25."), name
        elif tag in ds and not (action is Action.XZD and ds[tag].VR == "SQ"):
            assert not ds[tag].is_empty, name
    assert not any("SECRET" in str(value) or "4711" in str(value) for value in _values(ds))


def _values(ds: Dataset) -> list[Any]:
    found: list[Any] = []
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                found += _values(item)
        elif element.tag != 0x00080058:  # a list of UIDs, replaced as a whole
            found.append(element.value)
    return found


def test_the_table_is_that_of_the_standard() -> None:
    table = profile()
    assert len(table) > 640
    for keyword, action in {
        "PatientName": Action.Z,
        "PatientID": Action.ZD,
        "PatientAge": Action.X,
        "StudyDate": Action.Z,
        "SeriesDate": Action.XD,
        "AcquisitionDate": Action.XZ,
        "DeviceSerialNumber": Action.XZD,
        "SOPInstanceUID": Action.U,
        "SourceImageSequence": Action.XZU,
        "PersonName": Action.D,
    }.items():
        assert next(found for tag, found in table.items() if keyword_for_tag(tag) == keyword) is action


def test_what_no_table_lists() -> None:
    ds = ct_slice(STUDY, size=16)
    ds.add_new(0x00091001, "LO", "private SECRET")
    ds.add_new(0x60003000, "OW", b"\1\1")
    ds.add_new(0x60000010, "US", 4)
    ds.add_new(0x50003000, "OW", b"\1\1")
    ds.add_new(0x00181FFE, "LO", "SECRET of an element nobody knows")
    ds.ScheduledPerformingPhysicianName = "SECRET"
    pixels = ds.PixelData
    cleaned(ds)
    assert "SECRET" not in str(ds) and not any(int(e.tag) >> 16 in (9, 0x5000, 0x6000) for e in ds)
    assert ds.PixelData == pixels and ds.Rows == 16 and ds.Modality == "CT"
    assert ds.PatientName == DUMMY_TEXT and ds.LongitudinalTemporalInformationModified == "REMOVED"


def test_image_uids_are_kept_if_wished_and_it_is_said() -> None:
    ds = ct_slice(STUDY, size=16)
    old, series = ds.SOPInstanceUID, ds.SeriesInstanceUID
    cleaned(ds, keep_instance_uids=True)
    assert ds.SOPInstanceUID == old and ds.SeriesInstanceUID != series
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == ["113100", "113110"]


def test_uids_are_the_same_for_the_same_in_one_operation_alone() -> None:
    first, second = editing.NewUids(), editing.NewUids()
    assert first("1.2.3") == first("1.2.3") != second("1.2.3") and first("1.2.4") != first("1.2.3")
    assert len(first("1.2.3")) <= 64


def test_copying_keeps_what_is_not_changed() -> None:
    data = part10(ct_slice(STUDY, size=16))
    again = editing.written(editing.read(data))
    before, after = dcmread(io.BytesIO(data)), dcmread(io.BytesIO(again))
    assert list(before) == list(after)
    assert after.file_meta.ImplementationVersionName == "FILMJACKET"
    with pytest.raises(Unsupported):
        editing.written(editing.read(b"\0" * 300))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"series": []},
        {"regions": {}},
        {"regions": [{"x": 1, "y": 1, "width": 1}]},
        {"regions": [{"x": 1, "y": 1, "width": 1, "height": True}]},
        {"regions": [{"x": -1, "y": 1, "width": 1, "height": 1}]},
        {"series": {"1": {"instances": {"2": {"instances": {}}}}}},
        {"nonsense": 1},
    ],
)
def test_regions_that_are_none(document: Any) -> None:
    with pytest.raises(BadRegions):
        read_regions(document, several=True)


def test_the_highest_level_with_regions_holds() -> None:
    def box(n: int) -> dict[str, int]:
        return {"x": n, "y": 0, "width": 5, "height": 5}

    inner = {"regions": [box(2)], "instances": {"1.1": {"regions": [box(3)]}}}
    series = {"1": inner, "2": {"instances": {"2.1": {"regions": [box(4)]}}}}
    found = read_regions({"series": series}, several=True)
    assert found.of("1", "1.1") == (Box(2, 0, 5, 5),) and found.of("2", "2.1") == (Box(4, 0, 5, 5),)
    assert found.of("2", "2.2") == () and found.named() == ({"1", "2"}, {"1.1", "2.1"})
    over_all = read_regions({"regions": [box(1)], "series": series}, several=True)
    assert over_all.of("1", "1.1") == (Box(1, 0, 5, 5),)
    assert Box(3, 3, 9, 9).within(5, 4) == Box(3, 3, 2, 1) and Box(5, 0, 1, 1).within(5, 5) is None
    assert read_colour("#0a0B0c") == (10, 11, 12) and read_colour("") is None
