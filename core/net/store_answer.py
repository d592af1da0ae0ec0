"""What an archive answers to STOW-RS: the Store Instances Response Module (PS3.18 I.2), JSON or XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from core.dicom.json_model import Model
from core.dicom.model_values import items, number, text
from core.dicom.native_reader import read_xml
from core.errors import BadInput, Conflict, KnownError, StorageFault, Unsupported
from core.net.answers import Answer, known_error

TOLD = frozenset({200, 202, 409})
"""Statuses whose body says what became of each object."""
STUDY_URL, FAILED, REFERENCED, REASON, SOP_UID = "00081190", "00081198", "00081199", "00081197", "00081155"
OTHER_FAILURES = "0008119A"
"""Of objects whose UIDs are not known."""
DUPLICATE = 0x0111
FAILURES: tuple[tuple[range, type[KnownError], str], ...] = (
    (range(0x0111, 0x0112), Conflict, "it holds another object under this SOP Instance UID"),
    (range(0x0122, 0x0123), Unsupported, "it does not take this kind of object"),
    (range(0x0124, 0x0125), BadInput, "the account may not store it"),
    (range(0xA700, 0xA800), StorageFault, "its disk is full or failing"),
    (range(0xA900, 0xAA00), Conflict, "it belongs elsewhere, or is not of the kind it says"),
    (range(0xC000, 0xD000), BadInput, "it could not make sense of it"),
)
"""Failure reasons (PS3.4 table B.2-1, PS3.7 annex C); any other may pass when it is sent again."""


@dataclass(frozen=True, slots=True)
class NotStored:
    """One object the archive did not keep; *sop_uid* "" and *reason* None where it gives none."""

    sop_uid: str
    reason: int | None

    @property
    def code(self) -> str:
        """The reason as it is looked up."""
        return "no reason given" if self.reason is None else f"0x{self.reason:04X}"

    def error(self, peer: str) -> KnownError:
        """What it means to whoever sent the object."""
        for codes, kind, words in FAILURES:
            if self.reason in codes:
                return kind(f"{peer} did not store it: {words} (reason {self.code}).")
        return KnownError(f"{peer} did not store it (reason {self.code}).", "Try again.")


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What became of the objects of one request.

    *stored*: address (or "") by SOP Instance UID; *study_url*: where all of them are, if in one study.
    """

    stored: Mapping[str, str]
    failed: tuple[NotStored, ...] = ()
    study_url: str = ""
    warning: str = ""


def read_answer(answer: Answer, peer: str) -> StoreAnswer:
    """What *answer* says of each object. Raises KnownError where it says nothing of any."""
    if answer.status not in TOLD:
        raise known_error(answer, peer)
    model = _model(answer, peer)
    stored = {text(each, SOP_UID): text(each, STUDY_URL) for each in items(model, REFERENCED)}
    stored.pop("", None)
    told = (*items(model, FAILED), *items(model, OTHER_FAILURES))
    failed = tuple(NotStored(text(each, SOP_UID), number(each, REASON)) for each in told)
    return StoreAnswer(stored, failed, text(model, STUDY_URL), answer.headers.get("warning", ""))


def _model(answer: Answer, peer: str) -> Model:
    if "xml" in answer.headers.get("content-type", ""):
        return read_xml(answer.content)
    try:
        model = json.loads(answer.content)
    except ValueError:
        model = None
    if isinstance(model, list) and len(model) == 1:
        model = model[0]
    if isinstance(model, dict):
        return model
    if answer.status == 409:
        raise known_error(answer, peer)
    raise KnownError(
        f"{peer} answered with something else than the result of storing.",
        "Check that the address is that of an archive that speaks STOW-RS.",
    )
