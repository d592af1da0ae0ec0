"""The header walker against pydicom: on made-up objects of every shape, and on every real file there is."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from core.dicom import file_format, lenient
from core.dicom.header import DamagedObject, TruncatedObject, read_header, read_object
from core.dicom.reader import HeaderReader
from core.dicom.refs import Header
from core.dicom.view import View, of_bytes
from core.errors import BadInput, NotDicom
from core.media.samples import SampleStudy, ct_slice, dataset, part10, with_pixels
from tests.repeats import times

PYDICOM_FILES = Path(pydicom.__file__).parent / "data"

SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
# Character sets and what to write in each.
ALPHABETS: dict[str | tuple[str, ...], str] = {
    "ISO_IR 6": "ABCxyz ^-.",
    "ISO_IR 100": "Äéß ^abc=",
    "ISO_IR 192": "山Жé ^=abc",
    "ISO_IR 144": "ЛюбaB ^",
    "GB18030": "王小东 ^=ab",
    ("", "ISO 2022 IR 87"): "山田太郎 ^=ab",
    ("", "ISO 2022 IR 149"): "김희중 ^=ab",
    ("ISO 2022 IR 100", "ISO 2022 IR 144"): "ÄéЖЛ ^ab",
}
_scratch = HeaderReader()  # kept over all examples, so that it meets headers again


def read(data: bytes, reader: HeaderReader | None = None) -> Header:
    return (reader or HeaderReader()).read(of_bytes(data))


def by_pydicom(data: bytes) -> Header:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lenient.header_of(dcmread(io.BytesIO(data), force=True, stop_before_pixels=True))


def elements(draw: st.DrawFn, depth: int) -> Dataset:
    """A few elements of any VR, sequences of either length among them."""
    item = Dataset()
    for number in draw(st.lists(st.integers(0x10, 0xFF), max_size=5, unique=True)):
        tag = Tag(draw(st.sampled_from((0x0009, 0x0011, 0x0019, 0x0029, 0x0071))), 0x1000 | number)
        vr, value = draw(
            st.sampled_from(
                (
                    ("LO", "text"),
                    ("DS", "1.5"),
                    ("OB", b"\xfe\xff\xdd\xe0\0\0\0\0"),
                    ("OW", b"\xe0\x7f\x10\x00OW"),
                    ("UN", b"\0" * 40),
                    ("US", [1, 2, 3]),
                    ("UT", "long " * 40),
                    ("FD", 1.25),
                    ("AT", 0x7FE00010),
                    ("SQ", None),
                )
            )
        )
        if vr != "SQ":
            item.add(DataElement(tag, vr, value))
        elif depth:
            inner = [elements(draw, depth - 1) for _ in range(draw(st.integers(0, 2)))]
            for one in inner:
                one.is_undefined_length_sequence_item = draw(st.booleans())
            element = DataElement(tag, "SQ", Sequence(inner))
            element.is_undefined_length = draw(st.booleans())
            item.add(element)
    return item


@st.composite
def objects(draw: st.DrawFn) -> Dataset:
    """An object with some of the header's elements, and any others before, between and after them."""
    charset = draw(st.sampled_from(list(ALPHABETS)))
    words = st.text(ALPHABETS[charset], max_size=12).map(str.strip)
    syntax = draw(st.sampled_from(SYNTAXES))
    ds = dataset(SampleStudy(seed=str(draw(st.integers(0, 9)))), transfer_syntax=syntax)
    ds.update(elements(draw, 3))
    ds.SpecificCharacterSet = list(charset) if isinstance(charset, tuple) else charset
    ds.PatientName = draw(words)
    ds.StudyDescription = draw(words)
    ds.PatientID = draw(st.text("ABC123 -", max_size=9))
    ds.InstanceNumber = draw(st.sampled_from((1, 7, 4711, -3, None)))
    if draw(st.booleans()):
        ds.NumberOfFrames = draw(st.integers(1, 300))
        ds.IssuerOfPatientID = "CLINIC"
        ds.BodyPartExamined = "HEAD"
    for keyword in draw(st.lists(st.sampled_from(("Modality", "StudyTime", "SeriesInstanceUID", "StudyID")))):
        if keyword in ds:
            delattr(ds, keyword)
    if draw(st.booleans()):
        with_pixels(ds, np.zeros((4, 4), np.uint16))
    return ds


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, about odd names
@settings(max_examples=times(60, whole=150), deadline=None, suppress_health_check=list(HealthCheck))
@given(objects())
def test_made_up_objects_read_as_pydicom_reads_them(ds: Dataset) -> None:
    data = part10(ds)
    expected = by_pydicom(data)
    assert read(data) == expected
    for _ in range(3):  # the third time the reader knows the run of headers
        assert read(data, _scratch) == expected
    assert read_object(io.BytesIO(data)).header == expected


def small_first_read(data: bytes) -> View:
    """A view that has read 200 bytes and must go back for each more."""
    return View(data[:200], len(data), lambda position, count: data[position : position + count])


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(objects())
def test_headers_longer_than_the_first_read(ds: Dataset) -> None:
    data = part10(ds)
    assert HeaderReader().read(small_first_read(data)) == by_pydicom(data)
    assert _scratch.read(small_first_read(data)) == by_pydicom(data)


def real_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".json")
    )


def differences(files: list[Path]) -> list[str]:
    """Where the walker, twice over all files with one reader, and pydicom disagree."""
    reader, found = HeaderReader(), []
    for path in files * 3:
        data = path.read_bytes()
        try:
            header = read(data, reader)
        except TruncatedObject as cut:
            assert cut.header is not None
            header = cut.header
        except BadInput:
            continue
        if header != by_pydicom(data):
            found.append(f"{path.name}: {header}")
    return found


def test_pydicoms_own_files_read_as_pydicom_reads_them() -> None:
    files = real_files(PYDICOM_FILES)
    assert len(files) > 50
    assert differences(files) == []


def test_real_files_read_as_pydicom_reads_them(testdata: Path) -> None:
    files = real_files(testdata)
    assert len(files) > 300
    assert differences(files) == []


def encapsulated(frames: list[bytes]) -> Dataset:
    ds = dataset(SampleStudy(), transfer_syntax=JPEG2000Lossless)
    ds.Rows = ds.Columns = 8
    ds.NumberOfFrames = len(frames)
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].is_undefined_length = True
    return ds


NATIVE = part10(ct_slice(SampleStudy(), size=16))
PACKED = part10(encapsulated([b"\xff\x4f" + b"x" * 30, b"\xfe\xff\xdd\xe0\0\0\0\0" * 3, b"y" * 8]))


@pytest.mark.parametrize("data", [NATIVE, PACKED], ids=["native", "encapsulated"])
def test_a_file_cut_anywhere_in_its_pixels_is_found_out(data: bytes) -> None:
    reader = HeaderReader()
    whole = read(data, reader)
    assert whole.rows in (8, 16)
    start = data.rindex(b"\xe0\x7f\x10\x00")
    for length in range(start + 1, len(data)):
        with pytest.raises(TruncatedObject) as cut:
            read(data[:length], reader)
        assert cut.value.header == whole
        assert read_object(io.BytesIO(data[:length])).truncated


def test_a_delimiter_inside_a_fragment_is_no_delimiter() -> None:
    assert read(PACKED).number_of_frames == 3


def test_padding_after_the_pixels_is_no_fault() -> None:
    for padding in (b"\0" * 3, b"\0" * 500, b" " * 64, b"\xff" * 99, b"garbage that goes on and on"):
        assert read(NATIVE + padding) == read(NATIVE)
        assert read(PACKED + padding) == read(PACKED)


def test_what_follows_the_pixels_is_checked_too() -> None:
    trailing = b"\xfc\xff\xfc\xffOB\0\0" + (200).to_bytes(4, "little") + b"\0" * 200
    assert read(NATIVE + trailing) == read(NATIVE)
    with pytest.raises(TruncatedObject):
        read(NATIVE + trailing[:-1])


def test_a_deflated_file_cut_off_is_found_out() -> None:
    ds = ct_slice(SampleStudy(), size=16)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = part10(ds)
    assert read(data).rows == 16
    with pytest.raises(TruncatedObject):
        read(data[: len(data) * 2 // 3])


def test_a_deflated_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_format, "MAX_INFLATED", 1 << 20)
    monkeypatch.setattr(lenient, "read", lambda view: pytest.fail("pydicom would unpack it all"))
    head = part10(dataset(SampleStudy(), transfer_syntax=DeflatedExplicitVRLittleEndian))
    start = 132 + 12 + int.from_bytes(head[140:144], "little")
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = engine.compress(b"\0" * (1 << 22)) + engine.flush()
    with pytest.raises(DamagedObject):
        read(head[:start] + packed)


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_without_preamble_and_meta(syntax: Any) -> None:
    ds = ct_slice(SampleStudy(), size=8)
    out = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    if not little:
        ds["PixelData"].VR = "OW"
    pydicom.dcmwrite(
        out, Dataset(dict(ds.items())), implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little
    )
    header = read(out.getvalue())
    assert header == by_pydicom(out.getvalue())
    assert header.patient_name == "Probe^Paula"


def test_implicit_where_the_meta_say_explicit_and_the_other_way_round() -> None:
    for said, meant in ((ExplicitVRLittleEndian, True), (ImplicitVRLittleEndian, False)):
        ds = ct_slice(SampleStudy(), size=8)
        meta = io.BytesIO()
        ds.file_meta.TransferSyntaxUID = said
        head = part10(ds)
        start = 132 + 12 + int.from_bytes(head[140:144], "little")
        pydicom.dcmwrite(meta, Dataset(dict(ds.items())), implicit_vr=meant, little_endian=True)
        data = head[:start] + meta.getvalue()
        assert read(data) == by_pydicom(data)
        assert read(data).rows == 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 4096,
        b"this is no DICOM file, but it goes on for a while" * 20,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
        bytes(range(256)) * 16,
        b"\x08\x00\x05\x00" + b"\xff" * 500,
    ],
)
def test_other_files_are_no_dicom(data: bytes) -> None:
    with pytest.raises(NotDicom):
        read(data)


def test_nonsense_after_the_preamble_is_damage() -> None:
    noise = bytes((n * 89 + 7) % 256 for n in range(2000))
    with pytest.raises(DamagedObject):
        read(b"\0" * 128 + b"DICM" + noise)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(NATIVE) - 1), st.binary(min_size=1, max_size=8))
def test_a_few_wrong_bytes_raise_nothing_unknown(position: int, noise: bytes) -> None:
    data = NATIVE[:position] + noise + NATIVE[position + len(noise) :]
    try:
        header = read(data, _scratch)
    except BadInput:
        return
    assert isinstance(header, Header)


def test_sequences_nested_without_end_do_not_exhaust_the_stack() -> None:
    start = NATIVE[: 132 + 12 + int.from_bytes(NATIVE[140:144], "little")]
    nest = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000
    with pytest.raises(BadInput):
        read(start + nest)


def test_a_path_is_opened_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    path.write_bytes(NATIVE)
    assert read_header(path) == read(NATIVE)
    with path.open("rb") as stream:
        assert read_header(stream) == read(NATIVE)
        assert not stream.closed
