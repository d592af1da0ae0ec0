"""What a sending says of itself: its state in a word, its numbers, and the receipt's sentences."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale

from ui.importing.words import counted, studies_text, time_text
from ui.models.people import images_text, person_name, said, size_text, study_text
from ui.services import LOCAL_ARCHIVE, Order
from ui.uploads.transfers import State, Transfer

if TYPE_CHECKING:
    from core.upload.nouns import UploadReceipt


def _tr(text: str) -> str:
    return QCoreApplication.translate("Sent", text)


def destination_text(name: str) -> str:
    """What a clerk calls the destination."""
    return _tr("Local archive") if name == LOCAL_ARCHIVE else name


def whose(transfer: Transfer) -> str:
    """The patients, one a line."""
    if transfer.job is not None:
        return transfer.job.whose
    return whose_of(transfer.order) if transfer.order is not None else ""


def whose_of(order: Order) -> str:
    """Patients of an order, each once."""
    from ui.models.people import banner_text

    lines: dict[str, None] = {}
    for each in order.picked:
        who = each.patient.header
        lines[banner_text(who.patient_name, who.patient_sex, who.patient_birth_date, who.patient_id)] = None
    return "\n".join(lines)


def what_of(order: Order) -> str:
    """Studies of an order, one a line."""
    lines = []
    for each in order.picked:
        header = each.study.header
        title = header.study_description or ", ".join(each.study.modalities)
        lines.append(study_text(title, header.study_date))
    return "\n".join(lines)


def what(transfer: Transfer) -> str:
    """`CT Abdomen 2024-02-11`, or how many studies."""
    text = (
        transfer.job.what if transfer.job is not None else what_of(transfer.order) if transfer.order else ""
    )
    lines = text.splitlines()
    return lines[0] if len(lines) == 1 else studies_text(len(lines))


def where(transfer: Transfer) -> str:
    """Name of the destination."""
    if transfer.job is not None:
        return destination_text(transfer.job.where)
    return destination_text(transfer.order.destination) if transfer.order is not None else ""


def state_text(transfer: Transfer) -> str:
    """The state in a word."""
    missing = _missing(transfer)
    return {
        State.LEFT: _tr("Not finished"),
        State.PREPARING: _tr("Preparing"),
        State.SENDING: _tr("Sending"),
        State.PAUSED: _tr("Paused"),
        State.WAITING: _tr("Waiting for the network"),
        State.FAILED: counted(missing, _tr("{n} failed"), _tr("{n} failed")),
        State.BROKEN: _tr("Interrupted"),
        State.CANCELLED: _tr("Cancelled"),
        State.DONE: _tr("Done and checked"),
    }[transfer.state]


STATE_LOOK = {
    State.LEFT: ("ph.clock-counter-clockwise", "warn"),
    State.PREPARING: ("ph.spinner", "muted"),
    State.SENDING: ("ph.arrow-circle-up-fill", "primary"),
    State.PAUSED: ("ph.pause-circle-fill", "warn"),
    State.WAITING: ("ph.wifi-slash", "warn"),
    State.FAILED: ("ph.warning-fill", "bad"),
    State.BROKEN: ("ph.warning-octagon-fill", "bad"),
    State.CANCELLED: ("ph.x-circle-fill", "muted"),
    State.DONE: ("ph.check-circle-fill", "good"),
}


def _missing(transfer: Transfer) -> int:
    if transfer.receipt is not None:
        images = sum(s.expected - s.verified for s in transfer.receipt.studies)
        files = sum(s.attachments_expected - s.attachments for s in transfer.receipt.studies)
        return max(images + files, 1)
    return transfer.progress.failed if transfer.progress is not None else 0


def moment_text(seconds: float) -> str:
    """`11/29/26 10:15 AM`, as the locale writes a moment given in seconds since 1970."""
    moment = QDateTime.fromSecsSinceEpoch(int(seconds))
    return QLocale().toString(moment, QLocale.FormatType.ShortFormat)


def numbers_text(transfer: Transfer) -> str:
    """`312 of 412 · 24 MB/s · 4 s`."""
    step = transfer.progress
    given_up = transfer.state is State.CANCELLED and step is not None  # nobody asked what is there
    if transfer.receipt is not None and not given_up:
        return receipt_numbers(transfer.receipt)
    if step is None:
        count = transfer.job.images if transfer.job is not None else 0
        return images_text(count) if count else ""
    number = QLocale().toString
    parts = [_tr("{sent} of {all}").format(sent=number(step.sent), all=number(step.expected))]
    if transfer.state is State.SENDING and step.rate > 0:
        parts.append(rate_text(step.rate))
        if step.seconds_left is not None:
            parts.append(time_text(step.seconds_left))
    if step.failed:
        parts.append(counted(step.failed, _tr("{n} failed"), _tr("{n} failed")))
    return " · ".join([*parts, said(step.note)] if step.note else parts)


def rate_text(rate: float) -> str:
    """`24 MB/s`."""
    if rate >= 10_000_000:
        return _tr("{n} MB/s").format(n=QLocale().toString(round(rate / 1e6)))
    return _tr("{n} MB/s").format(n=QLocale().toString(rate / 1e6, "f", 1))


def receipt_numbers(receipt: UploadReceipt) -> str:
    """`412 of 412 · 3 were there already · 1 PDF`."""
    number = QLocale().toString
    there = sum(s.verified for s in receipt.studies)
    expected = sum(s.expected for s in receipt.studies)
    parts = [_tr("{there} of {all} images").format(there=number(there), all=number(expected))]
    before = sum(s.already_there for s in receipt.studies)
    if before:
        parts.append(counted(before, _tr("{n} was there already"), _tr("{n} were there already")))
    files = sum(s.attachments for s in receipt.studies)
    if files:
        parts.append(counted(files, _tr("{n} PDF"), _tr("{n} PDFs")))
    return " · ".join(parts)


def receipt_sentence(receipt: UploadReceipt, *, archived: bool = False) -> str:
    """`Sent 412 of 412 images to …, all checked by content. Safe to eject.`, or what is missing.

    *archived*: they came from the local archive, and nobody waits for a disc.
    """
    number = QLocale().toString
    there = sum(s.verified for s in receipt.studies)
    expected = sum(s.expected for s in receipt.studies)
    to = destination_text(receipt.destination)
    if archived and receipt.safe_to_eject:
        sentence = _tr("Sent {n} of {all} images to {to}, all checked by content.")
    elif archived and not receipt.complete:
        sentence = _tr("{n} of {all} images are at {to}. Something is still missing there.")
    elif receipt.safe_to_eject:
        sentence = _tr("Sent {n} of {all} images to {to}, all checked by content. Safe to eject.")
    elif receipt.complete:
        sentence = _tr(
            "Sent {n} of {all} images to {to}. It has each by its number, but cannot prove the content."
        )
    else:
        sentence = _tr("{n} of {all} images are at {to}. Keep the disc: something is still missing.")
    return sentence.format(n=number(there), all=number(expected), to=to)


def sentence_of(transfer: Transfer, receipt: UploadReceipt) -> str:
    """The receipt's sentence for this sending."""
    return receipt_sentence(receipt, archived=transfer.job is not None and not transfer.job.sources)


def receipt_page(transfer: Transfer) -> str:
    """The receipt as a text a person files: whose, what, where, counts, and each image that is missing."""
    receipt = transfer.receipt
    if receipt is None:
        return ""
    names = dict(zip((s.study_uid for s in receipt.studies), _lines(transfer), strict=False))
    lines = [_tr("Filmjacket receipt"), "", whose(transfer), "", sentence_of(transfer, receipt), ""]
    for study in receipt.studies:
        lines.append(names.get(study.study_uid, study.study_uid))
        checked = _tr("checked by content") if study.verified_by == "digest" else _tr("checked by number")
        lines.append(
            "  "
            + _tr("expected {e}, sent {s}, there before {b}, {checked} {v}, attachments {a}").format(
                e=study.expected,
                s=study.sent,
                b=study.already_there,
                checked=checked,
                v=study.verified,
                a=study.attachments,
            )
        )
        lines += [f"  {_tr('missing')}: {each.path}: {said(each.reason)}" for each in study.failed]
    return "\n".join([*lines, ""])


def _lines(transfer: Transfer) -> list[str]:
    text = (
        transfer.job.what if transfer.job is not None else what_of(transfer.order) if transfer.order else ""
    )
    return text.splitlines()


def sending_text(count: int, rate: float, waiting: int = 0) -> str:
    """The status bar: `2 sending · 24 MB/s · 1 waiting for the network`."""
    parts = [_tr("{n} sending").format(n=count), rate_text(rate) if rate > 0 else ""] if count else []
    if waiting:
        parts.append(_tr("{n} waiting for the network").format(n=waiting))
    return " · ".join(part for part in parts if part)


def trouble_text(receipt: UploadReceipt) -> str:
    """Why most of it is missing: `12 × The file is no longer on the source.`; "" if nothing is."""
    reasons = Counter(said(each.reason) for study in receipt.studies for each in study.failed if each.reason)
    return " · ".join(f"{QLocale().toString(count)} × {reason}" for reason, count in reasons.most_common(2))


def free_text(count: int) -> str:
    """The status bar: `412 GB free`."""
    return _tr("{size} free").format(size=size_text(count))


def left_sentence(transfer: Transfer) -> str:
    """The offer at the start: whose upload was not finished."""
    names = ", ".join(line.split(" · ")[0] for line in whose(transfer).splitlines())
    return _tr("The upload of {who} to {to} was not finished.").format(
        who=names or person_name(""), to=where(transfer)
    )
