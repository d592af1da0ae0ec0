"""Text in every character set of PS3.5: the standard's own examples, real files, and pydicom's reading."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import charset as pydicom_charset
from pydicom.valuerep import TEXT_VR_DELIMS

from core.dicom import charset
from core.dicom.header import read_header

# Specific Character Set, the name as written, and what it says: PS3.5 Annexes H to K.
EXAMPLES = (
    (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (b"ISO_IR 144", b"\xbb\xee\xda63\xd1yp\xd3", "Люк63бypг"),
    (b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (b"ISO_IR 192", "Wang^XiaoDong=王^小东=".encode(), "Wang^XiaoDong=王^小东"),
    (b"GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    (
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东",
    ),
)


@pytest.mark.parametrize(("terms", "written", "said"), EXAMPLES, ids=[e[0].decode() for e in EXAMPLES])
def test_the_standards_examples(terms: bytes, written: bytes, said: str) -> None:
    assert charset.person_name(written, charset.codecs_of(terms)) == said


def test_every_term_gives_the_codec_pydicom_gives() -> None:
    for term in charset.CODECS:
        if "203" in term:
            continue  # Latin alphabet No. 9 is newer than pydicom's table
        ours = charset.codecs_of(term.encode())
        assert ours == tuple(pydicom_charset.convert_encodings(term)), term


@pytest.mark.parametrize(
    "terms",
    [
        "ISO IR 100",
        "ISO-IR 144",
        "ISO 2022_IR 87",
        "ISO_IR 999",
        "nonsense",
        "latin2",
        "ISO_IR 192\\ISO 2022 IR 87",
    ],
)
def test_misspelled_terms_are_understood_as_pydicom_does(terms: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom_charset.convert_encodings(terms.split("\\"))
    ours = charset.codecs_of(terms.encode())
    assert "é山".encode().decode(ours[0], "replace") == "é山".encode().decode(expected[0], "replace")
    assert len(ours) == len(expected)


PARTS = st.sampled_from(
    (
        *(b"abc", b"^", b"=", b"\\", b"\xe9\n", b"\x1b", b"\x1b(B", b"\x1b(J", b"\r\x1b-L\xbb"),
        *(b"\x1b$B;3ED", b"\x1b$)C\xfb\xf3", b"\x1b-F\xc4\xe9", b"\x1b$(D0!"),
    )
)
SETS = st.sampled_from(
    (
        *("", "ISO_IR 100", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 87", "ISO 2022 IR 100\\ISO 2022 IR 144"),
        *("\\ISO 2022 IR 149\\ISO 2022 IR 126", "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159"),
    )
)


@given(SETS, st.lists(PARTS, max_size=8).map(b"".join))
def test_any_mixture_decodes_as_pydicom_decodes_it(terms: str, value: bytes) -> None:
    encodings = charset.codecs_of(terms.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom_charset.decode_bytes(value, list(encodings), TEXT_VR_DELIMS)
    assert charset.decode(value, encodings) == expected


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (b"12", 12),
        (b" 12 ", 12),
        (b"+7", 7),
        (b"-3", -3),
        (b"12\\13", 12),
        (b"12\0", 12),
        (b"4.0", 4),
        (b"", None),
        (b"1A", None),
        (b"1.5", None),
        (b"1_0", None),
        (b"inf", None),
        (b"\xb2", None),
        (b"2147483648", 2147483648),
        (b"9" * 18, 10**18 - 1),
        (b"9" * 30, None),
        (b"-" + b"9" * 30, None),
        (b"1e300", None),
        (b"9" * 6000, None),
    ],
)
def test_integer_strings(written: bytes, number: int | None) -> None:
    assert charset.integer(written) == number


def test_the_names_of_the_charset_disc(testdata: Path) -> None:
    names = {
        path.name: read_header(path).patient_name
        for path in (testdata / "cd-dicomdir-charsets").iterdir()
        if path.name != "DICOMDIR"
    }
    assert names == {
        "SCSARAB": "قباني^لنزار",
        "SCSFREN": "Buc^Jérôme",
        "SCSGERM": "Äneas^Rüdiger",
        "SCSGREEK": "Διονυσιος",
        "SCSH31": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "SCSH32": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        "SCSHBRW": "שרון^דבורה",
        "SCSI2": "Hong^Gildong=洪^吉洞=홍^길동",
        "SCSRUSS": "Люкceмбypг",
        "SCSX1": "Wang^XiaoDong=王^小東",
        "SCSX2": "Wang^XiaoDong=王^小东",
    }
