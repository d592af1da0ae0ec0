"""What the archive and the Details tab read of an object: attributes as text, and identifying elements."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.dicom.details import identifying_elements
from core.dicom.header import DamagedObject, read_object
from core.dicom.stored_object import read_head
from core.errors import BadInput, NotDicom
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_attributes_are_the_same_in_every_syntax(syntax: str) -> None:
    ds = ct_slice(SampleStudy(patient=SamplePatient("Müller^Anna=山田")), size=8)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.FrameIncrementPointer = 0x00181063
    ds.SmallestImagePixelValue = -5
    ds["SmallestImagePixelValue"].VR = "SS"
    ds.PixelRepresentation = 1
    ds.PatientComments = "x" * 2000
    ds.ReferencedStudySequence = [Dataset()]
    result = read_object(io.BytesIO(part10(ds)))
    attributes = result.attributes
    assert not result.truncated
    assert result.file_meta["(0002,0010)"] == syntax
    assert result.media_storage_sop_class_uid == ds.SOPClassUID
    assert attributes["(0010,0010)"] == "Müller^Anna=山田"
    assert attributes["(0028,0030)"] == "50.0\\50.0"
    assert attributes["(0028,0010)"] == "8"
    assert attributes["(0028,0009)"] == "(0018,1063)"
    assert attributes["(0028,0106)"] == "-5"
    assert attributes["(0008,0008)"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert len(attributes["(0010,4000)"]) == 1024
    assert "(0008,1110)" not in attributes
    assert not any(tag.startswith("(7FE0") for tag in attributes)


def test_a_cut_object_says_so_and_gives_what_it_has() -> None:
    data = part10(ct_slice(SampleStudy(), size=8))
    result = read_object(io.BytesIO(data[:-1]))
    assert result.truncated
    assert result.header.rows == 8
    early = read_object(io.BytesIO(data[:500]))
    assert early.truncated
    assert early.header.rows == 0
    assert "(0008,0016)" in early.attributes


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", NotDicom), (b"text " * 99, NotDicom), (b"\0" * 128 + b"DICM" + bytes(range(256)), DamagedObject)],
)
def test_what_is_no_object_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_object(io.BytesIO(data))


def test_every_real_file_is_read_or_refused(testdata: Path) -> None:
    read = refused = 0
    for path in testdata.rglob("*"):
        if path.is_file():
            try:
                assert read_object(path).file_meta is not None
                assert identifying_elements(path)
                read += 1
            except BadInput:
                refused += 1
    assert read > 320
    assert refused > 10


def _as_a_whole(data: bytes) -> tuple[object, str]:
    try:
        return read_object(io.BytesIO(data)), ""
    except BadInput as error:
        return type(error), error.message


def _in_two(data: bytes, first: int) -> tuple[object, str]:
    """The same, but its first bytes were read while the rest was still to come."""
    try:
        return read_object(io.BytesIO(data), len(data), read_head(data[:first])), ""
    except BadInput as error:
        return type(error), error.message


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_head_read_early_changes_nothing(syntax: str) -> None:
    ds = ct_slice(SampleStudy(), size=8)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.ReferencedStudySequence = [Dataset()]
    whole = part10(ds)
    ahead = 0
    for data in (whole, whole[:-1], whole + bytes(8), whole[:-1] + b"\xff" * 30):
        expected = _as_a_whole(data)
        for first in range(0, len(data) + 1, 3):
            ahead += read_head(data[:first]) is not None
            assert _in_two(data, first) == expected, first
    assert ahead > 40


def test_a_head_read_early_changes_nothing_in_real_files(testdata: Path) -> None:
    ahead = 0
    for path in sorted(testdata.rglob("*")):
        if path.is_file() and path.stat().st_size < 3 << 20:
            data = path.read_bytes()
            head = read_head(data[: 64 << 10])
            ahead += head is not None
            if head is not None:
                assert _in_two(data, 64 << 10) == _as_a_whole(data), path
                assert _in_two(data[:-3], 64 << 10) == _as_a_whole(data[:-3]), path
    assert ahead > 200


def test_identifying_elements_with_the_bytes_they_were_written_as() -> None:
    ds = ct_slice(SampleStudy(patient=SamplePatient("Müller^Anna")), size=8)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.OtherPatientIDsSequence = [Dataset()]
    ds.OtherPatientIDsSequence[0].PatientID = "OTHER 7"
    ds.OperatorsName = ["Eins^E", "Zwei^Z"]
    ds.add_new(0x00091001, "LO", "private")
    found = {element.name: element for element in identifying_elements(io.BytesIO(part10(ds)))}
    name = found["Patient's Name"]
    assert (name.tag, name.value, name.raw) == ("(0010,0010)", "Müller^Anna", "M\\xfcller^Anna")
    assert found["Other Patient IDs Sequence › Patient ID"].value == "OTHER 7"
    assert found["Operators' Name"].value == "Eins^E\\Zwei^Z"
    assert found["Specific Character Set"].raw == "ISO_IR 100"
    assert "Rows" not in found
    with pytest.raises(NotDicom):
        identifying_elements(io.BytesIO(b"not DICOM at all, just a text that is long enough" * 9))
