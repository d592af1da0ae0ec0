"""The Native DICOM Model: what is written is read back the same, and what is hostile is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dicom.json_model import metadata
from core.dicom.native_reader import read_xml
from core.dicom.native_xml import NAMESPACE, as_xml
from core.errors import BadInput
from core.media.samples import SampleStudy, ct_slice, part10
from tests.repeats import times

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
).filter(lambda text: not any(char in text for char in "\\^=\ufffe\uffff"))
NAMES = st.dictionaries(
    st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]),
    st.lists(WORDS, min_size=1, max_size=5).map("^".join),
    min_size=1,
)
PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "00081030": WORDS.map(lambda text: {"vr": "LO", "Value": [text]}),
        "00080060": st.just({"vr": "CS"}),
        "00080008": st.lists(WORDS, min_size=1, max_size=3).map(lambda v: {"vr": "CS", "Value": v}),
        "00100010": NAMES.map(lambda name: {"vr": "PN", "Value": [name]}),
        "00200013": st.integers(-99, 10**9).map(lambda n: {"vr": "IS", "Value": [n]}),
        "00280030": st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=3).map(
            lambda v: {"vr": "DS", "Value": [int(n) if n.is_integer() else n for n in v]}
        ),
        "00420011": st.just({"vr": "OB", "BulkDataURI": "a/b?c=d&e"}),
        "00189073": st.just({"vr": "FD", "InlineBinary": "AAECAw=="}),
    },
)
MODELS = st.recursive(
    PLAIN,
    lambda inner: st.tuples(PLAIN, st.lists(inner, min_size=1, max_size=3)).map(
        lambda both: dict(sorted({**both[0], "00400275": {"vr": "SQ", "Value": both[1]}}.items()))
    ),
    max_leaves=6,
)


def ordered(model: Any) -> Any:
    if isinstance(model, dict):
        return {key: ordered(model[key]) for key in sorted(model)}
    return [ordered(each) for each in model] if isinstance(model, list) else model


@settings(max_examples=times(40, whole=100), deadline=None)
@given(MODELS)
def test_what_is_written_is_read_back(model: dict[str, Any]) -> None:
    document = as_xml(dict(sorted(model.items())))
    again = read_xml(document)
    assert ordered(again) == ordered(model)
    assert as_xml(again) == as_xml(read_xml(as_xml(again)))


def test_an_object_says_the_same_in_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(part10(ct_slice(SampleStudy(seed="xml"), size=16)))
    model = metadata(path, bulk=lambda way: f"bulk/{way}")
    document = as_xml(model)
    assert read_xml(document) == model
    assert f'xmlns="{NAMESPACE}"'.encode() in document and b'keyword="PatientName"' in document


def test_every_real_file_says_the_same_in_both_forms(testdata: Path) -> None:
    seen = 0
    for path in sorted(testdata.rglob("*"))[::5]:
        if not path.is_file():
            continue
        try:
            model = metadata(path, bulk=lambda way: f"bulk/{way}")
        except Exception:  # noqa: S112 # broken on purpose
            continue
        again = read_xml(as_xml(model))
        assert list(again) == list(model), path
        seen += 1
    assert seen > 30


def test_older_spellings_are_understood() -> None:
    model = read_xml(
        b'<NativeDicomModel><DicomAttribute Tag="00100010" VR="CS" Keyword="PatientName">'
        b'<PersonName number="1">'
        b"<SingleByte><FamilyName>SMITH</FamilyName> <GivenName>KAREN</GivenName></SingleByte></PersonName>"
        b'</DicomAttribute><DicomAttribute tag="7fe00010" vr="OB"><Value number="1">329800735</Value>'
        b"</DicomAttribute></NativeDicomModel>"
    )
    assert model == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "SMITH^KAREN"}]},
        "7FE00010": {"vr": "OB", "BulkDataURI": "329800735"},
    }


ONE = b'<DicomAttribute tag="00100020" vr="LO">%b</DicomAttribute>'


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (b'<Value number="1">x</value>', "line 2"),
        (b'<Value number="1"ONLINE</Value>', "line 2"),
        (b'<Value number="0">x</Value>', "line 2"),
        (b'<Value number="1">x</Value><Value number="1">y</Value>', "twice"),
        (b'<Value number="65000">x</Value>', "one by one"),
        (b"<script/>", "no place"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(inner: bytes, reason: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_xml(b"<NativeDicomModel>\n" + ONE % inner + b"</NativeDicomModel>")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><NativeDicomModel/>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        b"",
        b"<html/>",
        b"<NativeDicomModel>",
        b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>',
        b"<NativeDicomModel>" + b'<DicomAttribute tag="00400275" vr="SQ"><Item number="1">' * 200,
        b"\xff\xfe\x00",
    ],
)
def test_hostile_documents_are_refused(document: bytes) -> None:
    with pytest.raises(BadInput):
        read_xml(document)


def test_empty_values_between_items_are_nothing() -> None:
    item = b'<Item number="%d">' + ONE % b'<Value number="1">x</Value>' + b'</Item><Value number="%d"/>'
    inner = b'<DicomAttribute tag="00400275" vr="SQ">' + item % (1, 1) + item % (2, 2) + b"</DicomAttribute>"
    model = read_xml(b"<NativeDicomModel>" + inner + b"</NativeDicomModel>")
    assert [each["00100020"]["Value"] for each in model["00400275"]["Value"]] == [["x"], ["x"]]
    with pytest.raises(BadInput):
        read_xml(b"<NativeDicomModel>" + inner.replace(b'<Value number="2"/>', b"<Value>x</Value>"))


def test_white_space_before_a_document_counts_as_lines_only() -> None:
    document = b"\r\n\r\n" + as_xml({"00100020": {"vr": "LO", "Value": ["1"]}})
    assert read_xml(document)["00100020"]["Value"] == ["1"]
    with pytest.raises(BadInput, match="at line 4"):
        read_xml(document.replace(b"</NativeDicomModel>", b"</Value>"))
