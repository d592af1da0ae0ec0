"""What the Import page says: counts, time left, the completeness line, the sum of what is ticked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale

from core.dicom.refs import Skipped, SkipReason
from ui.messages import Kind
from ui.models.people import images_text, size_text
from ui.services import Picked

if TYPE_CHECKING:
    from core.scan.scanner import Receipt, ScanProgress

HARMLESS = frozenset({SkipReason.NOT_DICOM, SkipReason.DICOMDIR, SkipReason.DUPLICATE})
"""Reasons that do not cost an image."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Import", text)


def counted(count: int, one: str, many: str) -> str:
    """`1 file` or `1,204 files`; *one* and *many* hold `{n}`."""
    return (one if count == 1 else many).format(n=QLocale().toString(count))


def files_text(count: int) -> str:
    """`1,204 files`."""
    return counted(count, _tr("{n} file"), _tr("{n} files"))


def patients_text(count: int) -> str:
    """`3 patients`."""
    return counted(count, _tr("{n} patient"), _tr("{n} patients"))


def studies_text(count: int) -> str:
    """`2 studies`."""
    return counted(count, _tr("{n} study"), _tr("{n} studies"))


def time_text(seconds: float) -> str:
    """`18 s`, `4 min`, `2 h`."""
    if seconds < 90:
        return _tr("{n} s").format(n=max(1, round(seconds)))
    if seconds < 5400:
        return _tr("{n} min").format(n=round(seconds / 60))
    return _tr("{n} h").format(n=round(seconds / 3600))


def progress_text(step: ScanProgress | None) -> str:
    """`1,204 files read · 3 patients · 18 s left`."""
    if step is None:
        return _tr("Looking for images…")
    parts = [_tr("{files} read").format(files=files_text(step.files_read)), patients_text(step.patients)]
    if step.seconds_left is not None and step.seconds_left >= 1:
        parts.append(_tr("{time} left").format(time=time_text(step.seconds_left)))
    return " · ".join(parts)


_LOSSES = {
    SkipReason.TRUNCATED: ("{n} is cut short", "{n} are cut short"),
    SkipReason.NO_UID: ("{n} has no identity", "{n} have no identity"),
    SkipReason.UNREADABLE: ("{n} cannot be read", "{n} cannot be read"),
    SkipReason.CONFLICT: ("{n} contradicts another one", "{n} contradict others"),
    SkipReason.ENCRYPTED: ("{n} is locked with a password", "{n} are locked with a password"),
    SkipReason.TOO_DEEP: ("{n} lies too deep", "{n} lie too deep"),
}


def completeness(receipt: Receipt, skipped: Sequence[Skipped]) -> tuple[Kind, str]:
    """`212 of 212 files indexed · 14 skipped, none of them images`, or what is missing."""
    if not receipt.files:
        return Kind.WARN, _tr("There is nothing on it. Check that the disc is inserted, then read it again.")
    number = QLocale().toString
    reasons = Counter(each.reason for each in skipped)
    lost = sum(count for reason, count in reasons.items() if reason not in HARMLESS)
    parts = [
        _tr("{done} of {all} indexed").format(
            done=number(max(0, receipt.files - lost)), all=files_text(receipt.files)
        )
    ]
    for reason, (one, many) in _LOSSES.items():
        if reasons[reason]:
            parts.append(counted(reasons[reason], _tr(one), _tr(many)))
    if receipt.listed_but_missing:
        one, many = _tr("{n} listed image is not on the disc"), _tr("{n} listed images are not on the disc")
        parts.append(counted(receipt.listed_but_missing, one, many))
    copies = reasons[SkipReason.DUPLICATE]
    if copies:
        parts.append(counted(copies, _tr("{n} second copy"), _tr("{n} second copies")))
    others = reasons[SkipReason.NOT_DICOM] + reasons[SkipReason.DICOMDIR]
    if others:
        parts.append(_tr("{n} skipped, none of them images").format(n=number(others)))
    if not receipt.instances:
        parts[0] = _tr("No images among {files}").format(files=files_text(receipt.files))
    good = receipt.complete and receipt.instances > 0
    return (Kind.GOOD if good else Kind.WARN), " · ".join(parts)


def sum_text(picked: Sequence[Picked], attachments: int = 0) -> str:
    """`1 study · 412 images · 214 MB`."""
    if not picked:
        return _tr("Tick what is to be sent")
    parts = [
        studies_text(len(picked)),
        images_text(sum(p.images for p in picked)),
    ]
    if size := sum(p.bytes for p in picked):  # an archive elsewhere does not say
        parts.append(size_text(size))
    if attachments:
        parts.append(counted(attachments, _tr("{n} PDF"), _tr("{n} PDFs")))
    return " · ".join(parts)
