"""Data sets of messages: identifiers of queries read as text, answers written from models (PS3.4 C.4)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from core.dicom import charset
from core.dicom.elements import BINARY_VRS, LONG_VRS, TEXT_VRS
from core.dicom.json_model import CHARSET, GROUPS, Model
from core.dicom.recoding import dictionary_vr, encoded
from core.dicom.syntaxes import IMPLICIT_LITTLE_UID
from core.errors import BadInput

Path = tuple[int, ...]
DEEPEST = 4
LATIN, UTF_8 = "ISO_IR 100", "ISO_IR 192"
NUMBER_FORMS = {vr.decode(): code for vr, code in BINARY_VRS.items()}
UNSENT = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a query says: *texts* of its attributes by their way through sequences, several values joined by
    a backslash, "" where it has none; *charset* is its Specific Character Set."""

    texts: Mapping[Path, str]
    charset: str = ""
    asked: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Top-level attributes; of sequences those of their items, none = all."""

    def text(self, tag: int) -> str:
        """Of a top-level attribute."""
        return self.texts.get((tag,), "")


def read_identifier(data: bytes, transfer_syntax_uid: str, *, lenient: bool = False) -> Identifier:
    """An uncompressed little endian data set. Raises BadInput.

    *lenient*: text of which no character set is named is UTF-8 if it can be.
    """
    from pydicom.filereader import read_dataset

    try:
        ds = read_dataset(io.BytesIO(data), transfer_syntax_uid == IMPLICIT_LITTLE_UID, True)
        raw = bytes(ds.get_item(CHARSET).value or b"") if CHARSET in ds else b""
        if lenient and not raw.strip() and _looks_like_utf_8(ds):
            raw = UTF_8.encode()
        texts: dict[Path, str] = {}
        _collect(ds, charset.codecs_of(raw), (), texts)
    except Exception as error:  # whatever the library makes of what is none
        raise BadInput("The identifier of the query makes no sense.") from error
    asked: dict[int, set[int]] = {}
    for path in texts:
        asked.setdefault(path[0], set()).update(path[1:2])
    return Identifier(texts, charset.plain(raw), {tag: frozenset(inner) for tag, inner in asked.items()})


def _looks_like_utf_8(ds: Any) -> bool:
    """Whether there is text beyond ASCII, and all of it is UTF-8: that of another set hardly ever is."""
    values = [
        bytes(raw.value or b"")
        for raw in map(ds.get_item, ds.keys())
        if isinstance(raw.value, bytes) and dictionary_vr(int(raw.tag)) in TEXT_VRS
    ]
    texts = [value for value in values if not value.isascii()]
    try:
        return bool([value.decode("utf-8") for value in texts])
    except UnicodeDecodeError:
        return False


def _collect(ds: Any, encodings: tuple[str, ...], way: Path, texts: dict[Path, str]) -> None:
    for tag in ds.keys():  # noqa: SIM118 # iterating gives elements
        raw = ds.get_item(tag)
        vr = (raw.VR or "UN") if raw.VR != "UN" else "UN"
        vr = dictionary_vr(int(tag)).decode() if vr == "UN" else vr
        path = (*way, int(tag))
        if not int(tag) & 0xFFFF:
            continue
        if vr == "SQ":
            texts[path] = ""
            items = ds[tag].value or ()
            if items and len(path) < DEEPEST:
                del texts[path]
                _collect(items[0], encodings, path, texts)
        else:
            texts[path] = _text(vr, bytes(raw.value or b""), encodings)


def _text(vr: str, value: bytes, encodings: tuple[str, ...]) -> str:
    if vr == "PN":
        return charset.person_name(value, encodings)
    if vr.encode() in TEXT_VRS:
        return charset.text(value, encodings)
    if vr in NUMBER_FORMS:
        width = struct.calcsize("=" + NUMBER_FORMS[vr])
        numbers = struct.unpack(
            f"<{len(value) // width}{NUMBER_FORMS[vr]}", value[: len(value) // width * width]
        )
        return "\\".join(map(str, numbers))
    return charset.plain(value)


class Answering:
    """Writes models as data sets: the attributes that were asked for, in the caller's character set if it can
    hold them, else in Latin-1 or UTF-8."""

    def __init__(
        self, identifier: Identifier, transfer_syntax_uid: str, *, explicit_tags: Iterable[int] = ()
    ) -> None:
        """*explicit_tags* are written beside those asked for."""
        self.explicit = transfer_syntax_uid != IMPLICIT_LITTLE_UID
        self._asked = {tag: inner for tag, inner in identifier.asked.items() if tag != CHARSET}
        self.tags = sorted({*self._asked, *explicit_tags})
        wanted = [identifier.charset] if identifier.charset else []
        self._charsets = [*wanted, *(each for each in (LATIN, UTF_8) if each not in wanted)]

    def data_set(self, model: Model) -> bytes:
        """The attributes of *model* that were asked for; those it lacks are empty."""
        for terms in ("", *self._charsets):
            encodings = charset.codecs_of(terms.encode())
            try:
                body = [(tag, self._element(tag, model.get(f"{tag:08X}"), encodings)) for tag in self.tags]
            except _Unfit:
                continue
            if terms:
                body.append((CHARSET, self._put(CHARSET, "CS", terms.encode())))
            return b"".join(part for _, part in sorted(body))
        raise BadInput("An answer cannot be written in any character set.")

    def element(self, tag: int, element: Mapping[str, Any] | None) -> bytes:
        """One element in ASCII, empty for None. Raises BadInput for other characters."""
        try:
            return self._element(tag, element, charset.codecs_of(b""))
        except _Unfit as error:
            raise BadInput("An element cannot be written in ASCII.") from error

    def head(self, tag: int, vr: str) -> bytes:
        """Of an element, what comes before its length; *vr* is one with a length of 16 bits."""
        name = vr.encode() if self.explicit else b""
        return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + name

    def _element(self, tag: int, element: Mapping[str, Any] | None, encodings: tuple[str, ...]) -> bytes:
        vr = str(element["vr"]) if element else vr_of(tag)
        values = element.get("Value", ()) if element else ()
        if vr == "SQ":
            items = [self._item(tag, item, encodings) for item in values]
            return self._put(tag, vr, b"".join(items))
        if vr in UNSENT:
            return self._put(tag, vr, b"")
        return self._put(tag, vr, _bytes(vr, values, encodings))

    def _item(self, tag: int, item: Model, encodings: tuple[str, ...]) -> bytes:
        wanted = self._asked.get(tag) or frozenset(int(name, 16) for name in item)
        body = b"".join(self._element(each, item.get(f"{each:08X}"), encodings) for each in sorted(wanted))
        return struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body

    def _put(self, tag: int, vr: str, value: bytes) -> bytes:
        if len(value) % 2:
            value += b"\0" if vr == "UI" else b" "
        group, element = tag >> 16, tag & 0xFFFF
        if not self.explicit:
            return struct.pack("<HHL", group, element, len(value)) + value
        name = vr.encode()
        if name in LONG_VRS:
            return struct.pack("<HH2sHL", group, element, name, 0, len(value)) + value
        if len(value) > 0xFFFF:
            value = b""
        return struct.pack("<HH2sH", group, element, name, len(value)) + value


class _Unfit(Exception):
    """A value does not fit into a character set."""


@lru_cache(maxsize=1024)
def vr_of(tag: int) -> str:
    """The VR PS3.6 gives an element."""
    return dictionary_vr(tag).decode()


def _bytes(vr: str, values: Iterable[Any], encodings: tuple[str, ...]) -> bytes:
    shown = list(values)
    if not shown:
        return b""
    if vr in NUMBER_FORMS:
        numbers = [float(each) if vr in ("FL", "FD") else int(each) for each in shown if each is not None]
        return struct.pack(f"<{len(numbers)}{NUMBER_FORMS[vr]}", *numbers)
    if vr == "AT":
        tags = [int(str(each), 16) for each in shown if each is not None]
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    text = "\\".join(
        _name(each) if isinstance(each, dict) else "" if each is None else str(each) for each in shown
    )
    if text.isascii():
        return text.encode("ascii")
    value = encoded(text, vr.encode(), encodings)
    if value is None and vr.encode() not in TEXT_VRS:
        return text.encode("ascii", "replace")
    if value is None:
        raise _Unfit
    return value


def _name(value: Mapping[str, str]) -> str:
    return "=".join(value.get(group, "") for group in GROUPS).rstrip("=")


def read_items(
    data: bytes, transfer_syntax_uid: str, sequence: int
) -> tuple[Mapping[int, str], list[Mapping[int, str]]]:
    """Top-level texts by tag, and those of each item of *sequence*. Raises BadInput."""
    from pydicom.filereader import read_dataset

    try:
        ds = read_dataset(io.BytesIO(data), transfer_syntax_uid == IMPLICIT_LITTLE_UID, True)
        raw = bytes(ds.get_item(CHARSET).value or b"") if CHARSET in ds else b""
        encodings = charset.codecs_of(raw)
        items = [_flat(item, encodings) for item in (ds[sequence].value or ())] if sequence in ds else []
        return _flat(ds, encodings), items
    except Exception as error:  # as above
        raise BadInput("The data set makes no sense.") from error


def _flat(ds: Any, encodings: tuple[str, ...]) -> Mapping[int, str]:
    texts: dict[Path, str] = {}
    _collect(ds, encodings, (), texts)
    return {path[0]: text for path, text in texts.items() if len(path) == 1}
