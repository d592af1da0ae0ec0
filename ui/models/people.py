"""How a patient, a date and a size are written for people."""

from __future__ import annotations

import unicodedata
from datetime import date

from PySide6.QtCore import QCoreApplication, QLocale

MEGABYTE = 1_000_000


def _tr(text: str) -> str:
    return QCoreApplication.translate("People", text)


def said(sentence: str) -> str:
    """A sentence that core made, in the person's language where there is a translation of it."""
    return QCoreApplication.translate("Core", sentence) if sentence else ""


def components(name: str) -> list[str]:
    """The component groups of a person name that say something (PS3.5 6.2.1.2)."""
    return [group.rstrip("^ ") for group in name.split("=") if group.strip("^ ")]


def _group_text(group: str) -> str:
    parts = [part.strip() for part in group.split("^")] + [""] * 5
    family, given, middle, prefix, suffix = parts[:5]
    family = family.replace("ß", "ẞ").upper()
    first = " ".join(part for part in (prefix, given, middle) if part)
    text = ", ".join(part for part in (family, first) if part)
    return f"{text}, {suffix}" if suffix else text


def person_name(name: str) -> str:
    """`FAMILY, Given` of the first component group that says something; a sentence where none does."""
    groups = components(name)
    return _group_text(groups[0]) if groups else _tr("(no name)")


def all_groups(name: str) -> str:
    """Every component group, one a line: what a tooltip shows."""
    return "\n".join(_group_text(group) for group in components(name)) or _tr("(no name)")


def in_line(name: str) -> str:
    """*name* to be written beside other words: one in Arabic or Hebrew keeps its direction to itself.

    Unicode isolates (UAX #9): without them such a name turns the whole line round.
    """
    turned = any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in name)
    return f"\u2068{name}\u2069" if turned else name


def iso_date(value: str) -> str:
    """`2024-02-11` of a DICOM date; what is no date stays as written."""
    text = value.strip()
    plain = text.replace(".", "").replace("-", "")
    if len(plain) == 8 and plain.isdigit():
        return f"{plain[:4]}-{plain[4:6]}-{plain[6:]}"
    return text


def clock_time(value: str) -> str:
    """`10:15` of a DICOM time; what is no time stays as written."""
    text = value.strip().replace(":", "")
    if len(text) >= 4 and text[:4].isdigit():
        return f"{text[:2]}:{text[2:4]}"
    return value.strip()


def age_in_years(birth_date: str, today: date) -> int | None:
    """Completed years, or None where the birth date is missing or no date."""
    try:
        born = date.fromisoformat(iso_date(birth_date))
    except ValueError:
        return None
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years if 0 <= years < 150 else None


def birth_text(birth_date: str, today: date | None = None) -> str:
    """`1950-03-01 (76)`; a sentence where the birth date is missing."""
    if not birth_date.strip():
        return _tr("no birth date")
    years = age_in_years(birth_date, today or date.today())
    return iso_date(birth_date) if years is None else f"{iso_date(birth_date)} ({years})"


def id_text(patient_id: str) -> str:
    """`ID 12345`; a sentence where it is missing."""
    return _tr("ID {id}").format(id=patient_id) if patient_id.strip() else _tr("no ID")


def banner_text(name: str, sex: str, birth_date: str, patient_id: str) -> str:
    """`MÜLLER, Anna · F · 1950-03-01 (76) · ID 12345`: who this is, in one line."""
    identity = id_text(patient_id)
    who = in_line(person_name(name))
    return " · ".join(part for part in (who, sex, birth_text(birth_date), identity) if part)


def study_text(title: str, date: str) -> str:
    """`CT Abdomen 2024-02-11`; never empty, so that one line is one study."""
    return " ".join(part for part in (title or _tr("Study without a title"), iso_date(date)) if part)


def size_text(count: int) -> str:
    """Bytes as people read them: `214 MB`, `1.2 GB`; below a megabyte in kB."""
    locale = QLocale()
    if count >= 1000 * MEGABYTE:
        return _tr("{n} GB").format(n=locale.toString(count / 1e9, "f", 1))
    if count >= MEGABYTE:
        return _tr("{n} MB").format(n=locale.toString(round(count / MEGABYTE)))
    return _tr("{n} kB").format(n=locale.toString(max(1, round(count / 1000)) if count else 0))


def images_text(count: int) -> str:
    """`1 image`, `412 images`."""
    return _tr("1 image") if count == 1 else _tr("{n} images").format(n=QLocale().toString(count))


def frames_text(count: int) -> str:
    """`1 frame`, `96 frames`."""
    return _tr("1 frame") if count == 1 else _tr("{n} frames").format(n=QLocale().toString(count))
