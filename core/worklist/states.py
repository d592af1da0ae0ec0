"""The states of a procedure step and what each of them lets happen: PS3.4 table CC.1.1-2 as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


FINAL = frozenset({State.COMPLETED, State.CANCELED})


class Act(StrEnum):
    """An event of the table: what somebody asks of a step that is there."""

    START = "N-ACTION to IN PROGRESS"
    COMPLETE = "N-ACTION to COMPLETED"
    CANCEL = "N-ACTION to CANCELED"
    REQUEST_CANCEL = "N-ACTION to request cancel"
    SET = "N-SET"


class Status(StrEnum):
    """What the table answers, by the code of PS3.4 CC.2; *DONE* lets it happen."""

    DONE = "0000"
    NO_LONGER = "C300"  # may no longer be updated
    WRONG_LOCK = "C301"  # the transaction UID is not the one it was claimed with
    ALREADY_IN_PROGRESS = "C302"
    NOT_READY = "C304"  # the final state requirements are not met
    ALREADY_CANCELED = "B304"
    ALREADY_COMPLETED = "B306"
    NOT_IN_PROGRESS = "C310"
    COMPLETED_BEFORE = "C311"  # cannot be canceled: it is completed
    UNWANTED = "C303"  # may only become SCHEDULED by being created


TABLE: Mapping[tuple[State, Act, bool], Status] = {
    # state, what is asked, whether with the transaction UID it was claimed with
    (State.SCHEDULED, Act.START, True): Status.DONE,  # the UID given claims it
    (State.SCHEDULED, Act.COMPLETE, True): Status.NOT_IN_PROGRESS,
    (State.SCHEDULED, Act.CANCEL, True): Status.NOT_IN_PROGRESS,
    (State.SCHEDULED, Act.REQUEST_CANCEL, True): Status.DONE,
    (State.SCHEDULED, Act.REQUEST_CANCEL, False): Status.DONE,
    (State.SCHEDULED, Act.SET, True): Status.DONE,
    (State.IN_PROGRESS, Act.START, True): Status.ALREADY_IN_PROGRESS,
    (State.IN_PROGRESS, Act.COMPLETE, True): Status.DONE,
    (State.IN_PROGRESS, Act.CANCEL, True): Status.DONE,
    (State.IN_PROGRESS, Act.REQUEST_CANCEL, True): Status.DONE,
    (State.IN_PROGRESS, Act.REQUEST_CANCEL, False): Status.DONE,
    (State.IN_PROGRESS, Act.SET, True): Status.DONE,
    (State.COMPLETED, Act.START, True): Status.NO_LONGER,
    (State.COMPLETED, Act.COMPLETE, True): Status.ALREADY_COMPLETED,
    (State.COMPLETED, Act.CANCEL, True): Status.NO_LONGER,
    (State.COMPLETED, Act.REQUEST_CANCEL, True): Status.COMPLETED_BEFORE,
    (State.COMPLETED, Act.REQUEST_CANCEL, False): Status.COMPLETED_BEFORE,
    (State.COMPLETED, Act.SET, True): Status.NO_LONGER,
    (State.CANCELED, Act.START, True): Status.NO_LONGER,
    (State.CANCELED, Act.COMPLETE, True): Status.NO_LONGER,
    (State.CANCELED, Act.CANCEL, True): Status.ALREADY_CANCELED,
    (State.CANCELED, Act.REQUEST_CANCEL, True): Status.ALREADY_CANCELED,
    (State.CANCELED, Act.REQUEST_CANCEL, False): Status.ALREADY_CANCELED,
    (State.CANCELED, Act.SET, True): Status.NO_LONGER,
}
"""Everything that is not here is refused with WRONG_LOCK."""

ACTS: Mapping[State, Act] = {
    State.IN_PROGRESS: Act.START,
    State.COMPLETED: Act.COMPLETE,
    State.CANCELED: Act.CANCEL,
}
"""What brings a step into a state; SCHEDULED it becomes by being created only."""


def status_of(state: State, act: Act, *, locked_rightly: bool) -> Status:
    """What the table says."""
    return TABLE.get((state, act, locked_rightly), Status.WRONG_LOCK)
