"""Laying values over a stored object: what was asked changes, everything else is as it was, byte for byte."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from core.dicom.editable import checked, tag_of
from core.dicom.overlaying import overlaid
from core.dicom.stored_object import read_object
from core.errors import BadInput, Unsupported
from core.media.samples import SampleStudy, dataset, part10
from tests.repeats import times

STUDY = SampleStudy(seed="overlaying")
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
)
NAME, PATIENT_ID, ACCESSION, DESCRIPTION = 0x00100010, 0x00100020, 0x00080050, 0x00081030
SPONSOR, UNHEARD_OF = 0x00120010, 0x00120001
SMALL = 60_000
PIXELS = bytes(range(256)) * 16


def made(syntax: str, charset: str | list[str] | None = "ISO_IR 100", **elements: Any) -> bytes:
    """An object with pixels, a nested sequence, group lengths and private text, in a transfer syntax."""
    ds = dataset(STUDY, transfer_syntax=syntax)
    del ds.SpecificCharacterSet
    if charset is not None:
        ds.SpecificCharacterSet = charset
    inner = Dataset()
    inner.CodeMeaning = "Höhe" if charset == "ISO_IR 100" else "Hoehe"
    inner.ReferencedSOPInstanceUID = UID("1.2.3")
    own = Dataset()
    own.SpecificCharacterSet = "ISO_IR 192"
    own.CodeMeaning = "żółw"
    ds.ProcedureCodeSequence = Sequence([inner, own])
    ds.add_new(0x00090010, "LO", "OURS")
    ds.add_new(0x00091001, "LO", "private")
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 64, 64, 8, 8, 7
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    ds.PixelData = PIXELS
    if syntax == RLELossless:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(RLELossless, generate_instance_uid=False)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def laid(data: bytes, values: dict[int, str]) -> bytes:
    changed = overlaid(io.BytesIO(data), len(data), values)
    try:
        whole = b"".join(changed.chunks())
        assert len(whole) == changed.size
        return whole
    finally:
        changed.close()


def read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dcmread(io.BytesIO(data))
        ds.decode()
        return ds


def without(ds: Dataset, *tags: int) -> dict[int, Any]:
    return {int(e.tag): e.value for e in ds if int(e.tag) not in tags}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("value", ["New^Name", "Müller^Jürgen", "Łukasz^Żółw", "Odd"])
def test_only_what_was_asked_changes(syntax: str, value: str) -> None:
    data = made(syntax)
    before, after = read(data), read(laid(data, {NAME: value, SPONSOR: "trial"}))
    assert str(after.PatientName) == value and after.ClinicalTrialSponsorName == "trial"
    spared = (NAME, SPONSOR, 0x00080005)
    assert without(after, *spared) == without(before, *spared)
    assert after.file_meta == before.file_meta
    assert after.SpecificCharacterSet == ("ISO_IR 192" if "Ł" in value else "ISO_IR 100")
    assert after.ProcedureCodeSequence[0].CodeMeaning == "Höhe"
    assert after.ProcedureCodeSequence[1].CodeMeaning == "żółw"
    assert after.PixelData == before.PixelData


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_where_the_character_set_holds_the_values_all_other_bytes_stay(syntax: str) -> None:
    data = made(syntax)
    again = laid(data, {PATIENT_ID: "Ä1"})
    assert laid(again, {PATIENT_ID: STUDY.patient.patient_id}) == data
    assert laid(data, {}) == data


@pytest.mark.parametrize(
    ("charset", "value", "kept"),
    [
        (None, "Yamada^Tarou", None),
        (None, "Müller", "ISO_IR 192"),
        ("ISO_IR 144", "Люкceмбypг", "ISO_IR 144"),
        ("ISO_IR 144", "Müller", "ISO_IR 192"),
        ("ISO_IR 192", "山田^太郎", "ISO_IR 192"),
        ("GB18030", "王^小东", "GB18030"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", ["", "ISO 2022 IR 149"]),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", ["ISO 2022 IR 13", "ISO 2022 IR 87"]),
        (["", "ISO 2022 IR 100"], "Müller^Åsa", ["", "ISO 2022 IR 100"]),
    ],
)
def test_the_character_set_changes_only_if_it_must(charset: Any, value: str, kept: Any) -> None:
    after = read(laid(made(ExplicitVRLittleEndian, charset), {NAME: value}))
    assert str(after.PatientName) == value
    assert after.get("SpecificCharacterSet") == kept
    raw = laid(made(ExplicitVRLittleEndian, charset), {NAME: value})
    assert read_object(io.BytesIO(raw), len(raw)).attributes["(0010,0010)"] == value


def test_an_element_that_is_in_no_dictionary_becomes_text() -> None:
    after = laid(made(ExplicitVRLittleEndian), {UNHEARD_OF: checked(UNHEARD_OF, "value")})
    assert b"\x12\0\x01\0LO\x06\0value " in after


def test_group_lengths_follow() -> None:
    data = part10(dataset(STUDY))
    start = data.index(b"\x10\0\x10\0PN")
    end = data.index(b"\x18\0\x15\0CS")
    data = data[:start] + b"\x10\0\0\0UL\x04\0" + (end - start).to_bytes(4, "little") + data[start:]
    end += 12
    again = laid(data, {NAME: "A much longer name than it was", 0x00101040: "Street 1"})
    start = again.index(b"\x10\0\0\0UL\x04\0") + 12
    said = int.from_bytes(again[start - 4 : start], "little")
    assert again[start + said :] == data[end:]


def test_any_part_of_it_can_be_read() -> None:
    data = made(ExplicitVRLittleEndian)
    changed = overlaid(io.BytesIO(data), len(data), {NAME: "Other^Name"})
    whole = changed.read(0, changed.size)
    for start in range(0, changed.size, 37):
        assert changed.read(start, 61) == whole[start : start + 61]
    assert changed.read(changed.size, 5) == b""


@given(
    values=st.dictionaries(
        st.sampled_from([NAME, PATIENT_ID, ACCESSION, DESCRIPTION, 0x00101040, SPONSOR, 0x00204000]),
        st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\\^="), max_size=20),
        max_size=5,
    ),
    syntax=st.sampled_from(SYNTAXES),
    charset=st.sampled_from([None, "ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 87"]]),
)
@settings(max_examples=times(25, whole=60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_laws(values: dict[int, str], syntax: str, charset: Any) -> None:
    """The values are there; the rest is the stored data set; what was there laid over again gives it back."""
    data = made(syntax, charset)
    changed = laid(data, values)
    before, after = read(data), read(changed)
    for tag, value in values.items():
        assert str(after[tag].value or "") == value
    spared = (*values, 0x00080005)
    assert without(after, *spared) == without(before, *spared)
    back = {tag: str(before[tag].value) for tag in values if tag in before}
    added = [tag for tag in values if tag not in before]
    restored = read(laid(changed, back))
    assert without(restored, *added, 0x00080005) == without(before, 0x00080005)
    assert read_object(io.BytesIO(changed), len(changed)).truncated is False


@pytest.mark.parametrize("cut", [200, 400])
def test_what_makes_no_sense_is_refused(cut: int) -> None:
    data = made(ExplicitVRLittleEndian)[:cut]
    with pytest.raises(Unsupported):
        laid(data, {NAME: "x"})


def test_damaged_deflated_data_are_refused() -> None:
    data = made(DeflatedExplicitVRLittleEndian)
    for bad in (data[:-40], data[:400] + b"\xff" * 100):
        with pytest.raises(Unsupported):
            laid(bad, {NAME: "x"})


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("(0008,0018)", "1.2"),
        ("(0020,000D)", "1.2"),
        ("(0008,0005)", "ISO_IR 192"),
        ("(0028,0010)", "5"),
        ("(7FE0,0010)", "x"),
        ("(0010,0000)", "1"),
        ("(0009,1001)", "x"),
        ("(0008,1140)", "x"),
        ("(0010,0030)", "19991332"),
        ("(0010,0030)", "1999"),
        ("(0010,0040)", "female!"),
        ("(0010,0010)", "a=b=c=d"),
        ("(0010,0020)", "two\nlines"),
        ("(0010,0020)", "x" * 2000),
        ("nonsense", "x"),
    ],
)
def test_what_an_overlay_may_not_set(tag: str, value: str) -> None:
    with pytest.raises(BadInput):
        checked(tag_of(tag), value)


def test_what_an_overlay_may_set() -> None:
    assert checked(tag_of("00100030"), " 19991231 ") == "19991231"
    assert checked(tag_of("0010,1000"), "a\\b") == "a\\b"
    assert checked(tag_of("(0010,4000)"), "two\nlines") == "two\nlines"


def test_real_files_keep_everything_else(testdata: Path) -> None:
    """Small real files of every kind, with a name that most of their character sets cannot hold."""
    looked = 0
    for path in sorted(p for p in testdata.rglob("*") if p.is_file() and p.stat().st_size < SMALL):
        try:
            found = read_object(path)
            if found.truncated or not found.header.sop_instance_uid:
                continue  # no archive takes these in
        except BadInput:
            continue
        data = path.read_bytes()
        before, after = flat(data), flat(laid(data, {NAME: "Żółw^山田"}))
        spared = {NAME, 0x00080005} | {tag for tag in before if not tag & 0xFFFF}
        different = [tag for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)]
        assert set(different) <= spared and after[NAME] == "Żółw^山田", path.name
        looked += 1
    assert looked > 20


def flat(data: bytes) -> dict[int, Any]:
    """Values by tag, sequences as lists of the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _flat(dcmread(io.BytesIO(data), force=True))


def _flat(ds: Dataset) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for e in ds:
        if e.VR == "SQ":
            found[int(e.tag)] = [_flat(item) for item in e.value]
        else:
            found[int(e.tag)] = e.value if e.VR == "UN" else str(e.value)
    return found
