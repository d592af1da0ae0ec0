"""What the gateway answers: commands and the SOP classes they come with."""

from __future__ import annotations

from collections.abc import Mapping

from core.archive.archive import Archive
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Field, response
from core.settings import DimseSettings
from server.dimse.admission import Caller
from server.dimse.contexts import VERIFICATION, Supported
from server.dimse.session import MOST_IDENTIFIER_BYTES, Service, echo
from server.dimse.statuses import Status
from server.dimse.storing import Storing


def supported_of(chosen: DimseSettings) -> Supported:
    """What is accepted when an association is negotiated."""
    return Supported(
        (VERIFICATION,),
        private_sop_classes=chosen.private_sop_classes,
        private_transfer_syntaxes=chosen.private_transfer_syntaxes,
        pdu_bytes=chosen.pdu_bytes,
    )


def services_of(archive: Archive, supported: Supported) -> Mapping[int, Service]:
    """Who answers which command."""
    storing = Storing(archive)

    def store(association: Association, message: Message, caller: Caller) -> None:
        if supported.is_storage(message.context.abstract_syntax):
            storing.store(association, message, caller)
        else:
            _not_here(association, message)

    return {Field.C_ECHO: echo, Field.C_STORE: store}


def _not_here(association: Association, message: Message) -> None:
    """The command does not belong to the SOP class of its presentation context."""
    association.whole_data_set(message, MOST_IDENTIFIER_BYTES)
    association.send(message.context.id, response(message.command, Status.SOP_CLASS_NOT_SUPPORTED))
