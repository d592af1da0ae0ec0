"""A structured report for people to read, as HTML or plain text (PS3.3 C.17.3): whose, then the content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from core.dicom.json_model import DEEPEST, Model

REPORTS = "1.2.840.10008.5.1.4.1.1.88."
"""SOP classes of structured reports and key object selections begin so."""
CONCEPT_NAME, CONTENT, VALUE_TYPE, VALUE_CODE = "0040A043", "0040A730", "0040A040", "0040A168"
HEAD = (
    ("Patient", "00100010"),
    ("Patient ID", "00100020"),
    ("Birth date", "00100030"),
    ("Sex", "00100040"),
    ("Study date", "00080020"),
    ("Accession number", "00080050"),
    ("Study", "00081030"),
    ("Report of", "00080023"),
    ("Completion", "0040A491"),
    ("Verification", "0040A493"),
)
IDENTIFYING = frozenset(("Patient", "Patient ID", "Birth date"))
STYLE = "body{font:16px/1.4 sans-serif;max-width:50em;margin:2em auto}p{margin:.3em 0;white-space:pre-wrap}"


class Line(NamedTuple):
    """One item of the content tree, *depth* levels below its root."""

    depth: int
    heading: str
    text: str


def as_html(model: Model) -> bytes:
    """The report as a page without scripts, UTF-8."""
    title = escape(_title(model))
    body = [f"<h1>{title}</h1>"]
    body += [f"<p><b>{escape(name)}:</b> {escape(value)}</p>" for name, value in _head(model)]
    body.append("<hr>")
    for depth, heading, text in _items(model, 0):
        name = f"<b>{escape(heading)}{':' if text else ''}</b> " if heading else ""
        body.append(f'<p style="margin-left:{2 * depth}em">{name}{escape(text)}</p>')
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(body)}</body></html>\n".encode()


def as_text(model: Model) -> bytes:
    """The same as plain text, UTF-8."""
    lines = [_title(model), "", *(f"{name}: {value}" for name, value in _head(model)), ""]
    for depth, heading, text in _items(model, 0):
        lines.append("  " * depth + ": ".join(part for part in (heading, text) if part))
    return ("\n".join(lines) + "\n").encode()


def _title(model: Model) -> str:
    return _code(_first(model, CONCEPT_NAME)) or "Structured report"


def _head(model: Model) -> Iterator[tuple[str, str]]:
    for name, tag in HEAD:
        value = _text(model, tag)
        if value or name in IDENTIFYING:
            yield name, value or "not given"
    for observer in _all(model, "0040A073"):
        parts = (_text(observer, tag) for tag in ("0040A075", "0040A027", "0040A030"))
        yield "Verified by", ", ".join(part for part in parts if part)


def _items(level: Model, depth: int) -> Iterator[Line]:
    if depth > DEEPEST:
        return
    for item in _all(level, CONTENT):
        yield Line(depth, _code(_first(item, CONCEPT_NAME)), _value(item))
        yield from _items(item, depth + 1)


def _value(item: Model) -> str:
    if "0040DB73" in item:  # Referenced Content Item Identifier
        return "see item " + ".".join(map(str, _values(item, "0040DB73")))
    read = VALUES.get(_text(item, VALUE_TYPE))
    return read(item) if read else ""


def _code(code: Model) -> str:
    """What a code means; where it does not say, the code itself."""
    return _text(code, "00080104") or next(
        (text for tag in ("00080100", "00080119", "00080120") if (text := _text(code, tag))), ""
    )


def _number(item: Model) -> str:
    measured = _first(item, "0040A300")
    unit = _first(measured, "004008EA")
    name = _text(unit, "00080100") or _code(unit)
    value = " ".join(part for part in (_text(measured, "0040A30A"), "" if name == "1" else name) if part)
    return value or _code(_first(item, "0040A301")) or "no value"


def _referenced(item: Model) -> str:
    found = []
    for each in _all(item, "00081199"):
        frames = ", ".join(map(str, _values(each, "00081160")))
        found.append(_text(each, "00081155") + (f", frame {frames}" if frames else ""))
    return "; ".join(found)


def _drawn(item: Model) -> str:
    return f"{_text(item, '00700023')} ({', '.join(f'{each:g}' for each in _numbers(item, '00700022'))})"


VALUES: dict[str, Callable[[Model], str]] = {
    "TEXT": lambda item: _text(item, "0040A160"),
    "CODE": lambda item: _code(_first(item, VALUE_CODE)),
    "NUM": _number,
    "DATETIME": lambda item: _text(item, "0040A120"),
    "DATE": lambda item: _text(item, "0040A121"),
    "TIME": lambda item: _text(item, "0040A122"),
    "PNAME": lambda item: _text(item, "0040A123"),
    "UIDREF": lambda item: _text(item, "0040A124"),
    "IMAGE": _referenced,
    "COMPOSITE": _referenced,
    "WAVEFORM": _referenced,
    "SCOORD": _drawn,
    "SCOORD3D": _drawn,
    "TCOORD": lambda item: _text(item, "0040A130"),
}
"""How the value of an item is said, by Value Type; a CONTAINER has none (PS3.3 table C.17.3-7)."""


def _values(level: Model, tag: str) -> Sequence[Any]:
    values: Sequence[Any] = level.get(tag, {}).get("Value", ())
    return values


def _numbers(level: Model, tag: str) -> Iterator[float]:
    return (each for each in _values(level, tag) if isinstance(each, int | float))


def _all(level: Model, tag: str) -> Iterator[Model]:
    return (each for each in _values(level, tag) if isinstance(each, dict))


def _first(level: Model, tag: str) -> Model:
    return next(_all(level, tag), {})


def _text(level: Model, tag: str) -> str:
    """Every value as people write it, with commas between."""
    vr = level.get(tag, {}).get("vr", "")
    return ", ".join(_said(each, vr) for each in _values(level, tag) if each is not None)


def _said(value: Any, vr: str) -> str:
    if isinstance(value, dict):
        names = (value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return " = ".join(" ".join(name.replace("^", " ").split()) for name in names if name)
    text = str(value)
    if vr == "DA" and len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text
