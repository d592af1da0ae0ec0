"""Which presentation contexts are accepted, and in which transfer syntax (PS3.8 7.1.1.13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.dicom.syntaxes import (
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE_UID,
    TRANSFER_SYNTAXES,
)
from core.net.dimse.negotiation import Acceptance, Answer, Answered, Proposal, Proposed, Roles

VERIFICATION = "1.2.840.10008.1.1"
MESSAGE_SYNTAXES = (EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID)
"""Of services whose data sets are read and written here, the one that keeps VRs first."""
STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
PLAIN_BEST_LAST = (EXPLICIT_BIG_UID, IMPLICIT_LITTLE_UID, EXPLICIT_LITTLE_UID)


class Supported:
    """What the gateway speaks: services by SOP class, storage of every class in every syntax."""

    def __init__(
        self,
        services: Iterable[str],
        *,
        private_sop_classes: Iterable[str] = (),
        private_transfer_syntaxes: Iterable[str] = (),
        extended: Mapping[str, bytes] | None = None,
        pdu_bytes: int,
    ) -> None:
        """*services* beside storage; *extended*: what of their options is offered (PS3.4 C.5)."""
        from pynetdicom.sop_class import _STORAGE_CLASSES

        self._services = frozenset(services)
        self._storage = frozenset({*map(str, _STORAGE_CLASSES.values()), *private_sop_classes})
        self._syntaxes = frozenset({*TRANSFER_SYNTAXES, *private_transfer_syntaxes})
        self._extended = extended or {}
        self._pdu_bytes = pdu_bytes

    def answer(self, proposal: Proposal) -> Acceptance:
        """What of a proposal is taken."""
        proposed = {each.abstract_syntax for each in proposal.contexts}
        granted = {uid: self._roles(uid, wanted) for uid, wanted in proposal.roles.items()}
        return Acceptance(  # a role that is not answered is not granted
            [self._answered(each) for each in proposal.contexts],
            self._pdu_bytes,
            {uid: roles for uid, roles in granted.items() if uid in proposed and (roles.scu or roles.scp)},
            {
                uid: bytes(a & b for a, b in zip(asked, self._extended[uid], strict=False))
                for uid, asked in proposal.extended.items()
                if uid in self._extended and uid in proposed
            },
        )

    def is_storage(self, sop_class_uid: str) -> bool:
        """Whether objects of this class are stored: those of PS3.6, newer ones, and private ones as set."""
        return sop_class_uid in self._storage or (
            sop_class_uid.startswith(STORAGE_ROOT) and sop_class_uid not in self._services
        )

    def _roles(self, uid: str, wanted: Roles) -> Roles:
        """A requestor may be SCP of storage (C-GET) only, and SCU of whatever it likes."""
        return Roles(wanted.scu, wanted.scp and self.is_storage(uid))

    def _answered(self, wanted: Proposed) -> Answered:
        if wanted.abstract_syntax in self._services:
            choice = next((each for each in MESSAGE_SYNTAXES if each in wanted.transfer_syntaxes), "")
        elif self.is_storage(wanted.abstract_syntax):
            choice = self._of_storage(wanted.transfer_syntaxes)
        else:
            return Answered(wanted.id, Answer.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        if not choice:
            return Answered(wanted.id, Answer.TRANSFER_SYNTAXES_NOT_SUPPORTED)
        return Answered(wanted.id, Answer.ACCEPTED, choice)

    def _of_storage(self, proposed: tuple[str, ...]) -> str:
        """The first proposed that is known; of the uncompressed ones that which keeps most of a data set."""
        known = [each for each in proposed if each in self._syntaxes]
        if not known:
            return ""
        if known[0] in PLAIN_BEST_LAST:
            return max((each for each in known if each in PLAIN_BEST_LAST), key=PLAIN_BEST_LAST.index)
        return known[0]
