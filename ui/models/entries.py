"""An entry of the worklist in words: whose it is, what is to be done, in what a disc's patient differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from core.dicom.tree import folded
from ui.models.people import clock_time, iso_date
from ui.models.study_view import PatientText
from ui.models.worklist_table import DAY, TIME

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow


def _tr(text: str) -> str:
    return QCoreApplication.translate("Entries", text)


def patient_of(entry: EntryRow) -> PatientText:
    """Whose entry it is."""
    said = entry.said
    return PatientText(said("PatientName"), said("PatientID"), said("PatientBirthDate"), said("PatientSex"))


def what_of(entry: EntryRow) -> str:
    """`CT Abdomen · CT · 2026-02-11 09:30 · Acc 998877`."""
    said = entry.said
    start = f"{iso_date(said(DAY))} {clock_time(said(TIME))}".strip()
    accession = _tr("Acc {n}").format(n=said("AccessionNumber")) if said("AccessionNumber") else ""
    parts = (said("ScheduledProcedureStepDescription"), said("Modality"), start, accession)
    return " · ".join(part for part in parts if part)


def differences(entry: PatientText, disc: PatientText) -> Sequence[str]:
    """In what a disc's patient differs from that of an entry, a sentence each; none: they are the same.

    What only one of them says is a difference too: nobody knows whether it is the same.
    """
    found = []
    if not _same_name(entry.name, disc.name):
        found.append(_tr("The names differ."))
    if entry.patient_id.strip().casefold() != disc.patient_id.strip().casefold():
        found.append(
            _tr("The patient IDs differ.") if disc.patient_id.strip() else _tr("The disc has no ID.")
        )
    born, said = iso_date(entry.birth_date), iso_date(disc.birth_date)
    if not born or not said:
        only = _tr("The disc has no birth date.") if born else _tr("The entry has no birth date.")
        found.append(only)
    elif born != said:
        found.append(_tr("The birth dates differ."))
    if entry.sex and disc.sex and entry.sex != disc.sex:
        found.append(_tr("The sex differs."))
    return found


def _same_name(one: str, other: str) -> bool:
    """Whether a component group of one is a group of the other, without case, accents and punctuation."""
    groups, others = ({folded(group) for group in name.split("=")} - {""} for name in (one, other))
    return bool(groups & others)
