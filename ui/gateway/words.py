"""What the DICOM door's status says to people, and the sheet for the engineer of a modality."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale

from ui.models.people import birth_text, id_text, person_name

if TYPE_CHECKING:
    from core.net.pacs_client import Arrival, Gateway, Refusal


def _tr(text: str) -> str:
    return QCoreApplication.translate("Gateway", text)


def state_text(gateway: Gateway) -> str:
    """Whether it takes associations, and whose."""
    if not gateway.running:
        return _tr("Off: no modality or PACS can send to this archive.")
    who = _tr("only from listed senders") if gateway.known_only else _tr("from everybody who can reach it")
    return _tr("Running: images are taken {who}.").format(who=who)


def sheet(gateway: Gateway) -> str:
    """What the engineer of a modality or PACS must enter, as plain text."""
    addresses = "\n".join(f"             {each}" for each in gateway.addresses).strip()
    tls = _tr("TLS 1.2 or later is needed.") if gateway.tls else _tr("No TLS.")
    lines = [
        _tr("DICOM node to send to"),
        "",
        f"AE title:    {gateway.ae_title}",
        f"{_tr('Address')}:     {addresses}",
        f"{_tr('Port')}:        {gateway.port}",
        tls,
        "",
        _tr("Services: C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET, Modality Worklist, MPPS, Storage Commitment."),
    ]
    if gateway.known_only:
        lines.append(_tr("Tell us the AE title and address of your device: only listed senders are let in."))
    return "\n".join(lines) + "\n"


def time_text(seconds: int) -> str:
    """`10:15` of today, else `2024-02-11 10:15`."""
    then = datetime.fromtimestamp(seconds)
    return f"{then:%H:%M:%S}" if then.date() == datetime.now().date() else f"{then:%Y-%m-%d %H:%M}"


def today_text(gateway: Gateway) -> str:
    """`Images received today: 412 · associations: 9 · refused: 1 · since 00:00`."""
    today, number = gateway.today, QLocale().toString
    return _tr(
        "Images received today: {images} · associations: {associations} · refused: {refused} · since {time}"
    ).format(
        time=f"{datetime.fromtimestamp(today.since):%H:%M}",
        images=number(today.received),
        associations=number(today.associations),
        refused=number(today.refused),
    )


def patient_text(one: Arrival) -> str:
    """Who it is, so that two of one name are told apart."""
    if not (one.patient_name or one.patient_id or one.patient_birth_date):
        return _tr("(deleted meanwhile)")
    return (
        f"{person_name(one.patient_name)} · {birth_text(one.patient_birth_date)} · {id_text(one.patient_id)}"
    )


def why_text(one: Refusal) -> str:
    """Why it was not let in, and what to do."""
    return {
        "calling-unknown": _tr("It is not on the list of senders. Allow it if you know the device."),
        "called-unknown": _tr("It called us {title}. Correct our AE title at the device.").format(
            title=one.called
        ),
        "too-many": _tr("Too many associations at once. It may try again."),
        "tls": _tr("It does not speak TLS as we do. Check the certificate and TLS at the device."),
    }.get(one.why, one.words)
