"""Text as DICOM encodes it: Specific Character Set with ISO 2022 code extensions (PS3.5 6.1)."""

from __future__ import annotations

import codecs
import re

DEFAULT = "iso8859"

# Defined terms of PS3.3 C.12-2 to C.12-5 and the Python codec of each.
CODECS = {
    "": DEFAULT,
    "ISO_IR 6": DEFAULT,
    "ISO_IR 13": "shift_jis",
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso_ir_126",
    "ISO_IR 127": "iso_ir_127",
    "ISO_IR 138": "iso_ir_138",
    "ISO_IR 144": "iso_ir_144",
    "ISO_IR 148": "iso_ir_148",
    "ISO_IR 166": "iso_ir_166",
    "ISO_IR 192": "UTF8",
    "ISO_IR 203": "iso8859_15",
    "GB18030": "GB18030",
    "GBK": "GBK",
    "ISO 2022 IR 6": DEFAULT,
    "ISO 2022 IR 13": "shift_jis",
    "ISO 2022 IR 58": "iso_ir_58",
    "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 100": "latin_1",
    "ISO 2022 IR 101": "iso8859_2",
    "ISO 2022 IR 109": "iso8859_3",
    "ISO 2022 IR 110": "iso8859_4",
    "ISO 2022 IR 126": "iso_ir_126",
    "ISO 2022 IR 127": "iso_ir_127",
    "ISO 2022 IR 138": "iso_ir_138",
    "ISO 2022 IR 144": "iso_ir_144",
    "ISO 2022 IR 148": "iso_ir_148",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "ISO 2022 IR 166": "iso_ir_166",
    "ISO 2022 IR 203": "iso8859_15",
    "ISO 2022 GBK": "GBK",
    "ISO 2022 58": "GB2312",
}
STAND_ALONE = frozenset({"ISO_IR 192", "GBK", "GB18030"})  # no code extensions (PS3.3 C.12-5)

# Escape sequences of PS3.3 C.12-3 and C.12-4 and the codec each switches to.
ESCAPES = {
    b"\x1b(B": DEFAULT,
    b"\x1b-A": "latin_1",
    b"\x1b)I": "shift_jis",
    b"\x1b(J": "shift_jis",
    b"\x1b$B": "iso2022_jp",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso_ir_126",
    b"\x1b-G": "iso_ir_127",
    b"\x1b-H": "iso_ir_138",
    b"\x1b-L": "iso_ir_144",
    b"\x1b-M": "iso_ir_148",
    b"\x1b-T": "iso_ir_166",
    b"\x1b-b": "iso8859_15",
    b"\x1b$)C": "euc_kr",
    b"\x1b$(D": "iso2022_jp_2",
    b"\x1b$)A": "iso_ir_58",
}
# Codecs that take the escapes themselves; pydicom counts iso_ir_58 too, and leaves escapes in its text.
SELF_ESCAPED = frozenset({"iso2022_jp", "iso2022_jp_2"})

LARGEST = 2**63 - 1
SHORT_ENOUGH = 18  # digits; every number of so many is below LARGEST

_DELIMITER = re.compile(rb"[\t\n\f\r]")  # each ends a code extension (PS3.5 6.1.2.5.3)
_PART = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")


def codecs_of(terms: bytes) -> tuple[str, ...]:
    """The Python codecs of a raw Specific Character Set value; misspelled terms are understood."""
    values = terms.decode(DEFAULT).rstrip(" \0").split("\\")
    found = [_codec(value) for value in values]
    if len(values) > 1:
        if values[0] in STAND_ALONE:
            return (found[0],)
        rest = [codec for value, codec in zip(values[1:], found[1:], strict=True) if value not in STAND_ALONE]
        return (found[0], *rest)
    return tuple(found)


def _codec(term: str) -> str:
    known = CODECS.get(term)
    if known is not None:
        return known
    if re.match("ISO[^_]IR", term):
        return CODECS.get("ISO_IR" + term[6:], DEFAULT)
    if re.match("ISO.2022.IR.", term):
        return CODECS.get("ISO 2022 IR " + term[12:], DEFAULT)
    try:
        return codecs.lookup(term).name if term.isascii() else DEFAULT
    except (LookupError, ValueError):  # ValueError: a zero byte in the term
        return DEFAULT


def decode(value: bytes, encodings: tuple[str, ...]) -> str:
    """Text of a raw value; what cannot be decoded becomes replacement characters, never an error."""
    if b"\x1b" not in value:
        return _decode(value, encodings[0], encodings[0])
    return "".join(_part(part, encodings) for part in _PART.findall(value))


def _part(part: bytes, encodings: tuple[str, ...]) -> str:
    if not part.startswith(b"\x1b"):
        return _decode(part, encodings[0], encodings[0])
    length = 4 if part.startswith((b"\x1b$(", b"\x1b$)")) else 3
    codec = ESCAPES.get(part[:length], "")
    if codec not in encodings and codec != DEFAULT:
        return _decode(part, encodings[0], encodings[0])
    if codec in SELF_ESCAPED:
        return _decode(part, codec, encodings[0])
    body = part[length:]
    delimiter = _DELIMITER.search(body)
    if delimiter is None:
        return _decode(body, codec, encodings[0], part)
    head, tail = body[: delimiter.start()], body[delimiter.start() :]
    try:
        return head.decode(codec) + tail.decode(encodings[0])
    except UnicodeError:
        return part.decode(encodings[0], "replace")


def _decode(value: bytes, codec: str, first: str, whole: bytes | None = None) -> str:
    try:
        return value.decode(codec)
    except (UnicodeError, LookupError):
        return (value if whole is None else whole).decode(first, "replace")


def text(value: bytes, encodings: tuple[str, ...]) -> str:
    """A text value (LO, SH, ...) without padding; several values stay joined by a backslash."""
    decoded = decode(value, encodings)
    if "\\" not in decoded:
        return decoded.rstrip("\0 ")
    return "\\".join(one.rstrip("\0 ") for one in decoded.split("\\"))


def person_name(value: bytes, encodings: tuple[str, ...]) -> str:
    """A PN value with its component groups; empty groups at its end are dropped (PS3.5 6.2.1)."""
    decoded = decode(value.rstrip(b"\0 "), encodings)
    return "\\".join(one.rstrip("=") for one in decoded.split("\\"))


def plain(value: bytes) -> str:
    """A value of the default repertoire (UI, CS, DA, ...) without padding."""
    return value.decode("latin-1").rstrip("\0 ")  # by this name the codec is not looked up


def integer(value: bytes) -> int | None:
    """The first value of an IS element; None if it holds no whole number that a database can hold."""
    if len(value) <= SHORT_ENOUGH and value.isdigit():
        return int(value)
    written = plain(value).split("\\", 1)[0].strip()
    if not written.isascii() or "_" in written:
        return None
    try:
        return held(int(written))
    except ValueError:
        pass
    try:
        number = float(written)
    except ValueError:
        return None
    return held(int(number)) if number.is_integer() else None


def held(number: int) -> int | None:
    """*number*, or None if 64 bits do not hold it; PS3.5 6.2 allows 32, but longer ones are in use."""
    return number if -LARGEST <= number <= LARGEST else None
