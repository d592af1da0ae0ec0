"""Whether what a person wrote into a field of an entry can be kept, in their words."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QDate, QLocale

from core.errors import BadInput
from core.worklist.fields import FIELDS, LONGEST, LONGEST_NAME_GROUP, checked

FORMATS = ("yyyy-MM-dd", "yyyyMMdd", "d.M.yyyy")
"""What is read as a date in every locale."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("WorklistFields", text)


def problem(keyword: str, value: str) -> str:
    """What is wrong with *value* (as DICOM writes it), "" if nothing is."""
    if not value.strip():
        return _tr("This must be filled in.") if FIELDS[keyword].needed else ""
    try:
        checked(keyword, value)
    except BadInput:
        return _why(FIELDS[keyword].vr, value)
    return ""


def _why(vr: str, value: str) -> str:
    if not value.isprintable():
        return _tr("There are characters in it that cannot be written.")
    if "\\" in value:
        return _tr("A backslash cannot be used.")
    if vr == "PN" and any(len(group) > LONGEST_NAME_GROUP for group in value.split("=")):
        return _tr("The name is longer than {n} characters.").format(n=LONGEST_NAME_GROUP)
    if len(value) > LONGEST.get(vr, len(value)):
        return _tr("At most {n} characters.").format(n=LONGEST[vr])
    words = {
        "AE": _tr("Only letters without accents, digits and signs."),
        "CS": _tr("Only capital letters, digits and underscores."),
        "DA": _tr("This is no date."),
        "TM": _tr("This is no time of day."),
        "PN": _tr("This is no name."),
    }
    return words.get(vr, _tr("This cannot be kept."))


def read_day(text: str) -> str | None:
    """A date as a person writes it, as YYYYMMDD; "" for nothing, None for what is no date.

    As the locale writes dates, but with all four digits of the year: of a birth date two can mean two.
    """
    text = text.strip()
    if not text:
        return ""
    locale = QLocale()
    formats = (long_years(locale.dateFormat(QLocale.FormatType.ShortFormat)), *FORMATS)
    for form in formats:
        day = locale.toDate(text, form)
        if day.isValid() and day.year() >= 1800:
            return day.toString("yyyyMMdd")
    return None


def write_day(value: str) -> str:
    """A date YYYYMMDD as the locale writes it, with all digits of the year."""
    day = QDate.fromString(value, "yyyyMMdd")
    locale = QLocale()
    form = long_years(locale.dateFormat(QLocale.FormatType.ShortFormat))
    return locale.toString(day, form) if day.isValid() else value


def long_years(form: str) -> str:
    """A format of the locale with four digits for the year."""
    return form if "yyyy" in form else form.replace("yy", "yyyy")


def name_of(text: str, before: str = "") -> str:
    """`Family, Given` as a Person Name; what *before* says beyond that (middle name, titles) stays."""
    family, _, given = (part.strip() for part in text.partition(","))
    rest = before.partition("=")[0].split("^")[2:]
    return "^".join((family, given, *rest)).rstrip("^")


def name_text(value: str) -> str:
    """The first component group of a Person Name as `Family, Given`, as it is written."""
    parts = [*value.partition("=")[0].split("^"), "", ""]
    return ", ".join(part.strip() for part in parts[:2] if part.strip())
