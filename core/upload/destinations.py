"""From DEST to an open `Destination`: looks up saved ones, finds the credentials, connects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.errors import KnownError
from core.net.credentials import Access, Credentials
from core.net.dimse.node import parse_node
from core.net.dimse.sending import Recode
from core.net.http import Timeouts
from core.upload.destination import Destination
from core.upload.dimse import DimseDestination
from core.upload.documents import Encapsulate
from core.upload.exams import ExamsDestination, Whose
from core.upload.saved import NO_KEYRING, Destinations
from core.upload.stow import StowDestination
from core.upload.target import Target, TargetKind, WrongDestination, is_spec, parse
from core.upload.v3 import V3Destination

LocalArchive = Callable[[], tuple[str, Access]]
"""Sees that the archive in the data folder runs; gives its URL and how to sign in. Raises KnownError."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where DEST leads: *label* is what a clerk calls it, *spec* its form for the ledger."""

    label: str
    target: Target
    access: Access = None
    namespace: str = ""  # of the saved destination, "" = none saved

    @property
    def spec(self) -> str:
        """What the ledger knows it by."""
        return str(self.target)


def find(text: str, saved: Destinations, environ: Mapping[str, str]) -> Found:
    """What DEST means. Raises NotFound, WrongDestination, KnownError."""
    if is_spec(text):
        target = parse(text)
        return Found(str(target), target, from_environment(environ))
    if ":" in text:
        parse(text)  # says what is wrong with it
    destination = saved.find(text)
    target = parse(destination.spec)
    access = from_environment(environ)
    if destination.login:
        password = saved.password(destination)
        if password is not None:
            access = Credentials(destination.login, password)
        elif not isinstance(access, Credentials) or access.login != destination.login:
            raise KnownError(
                f"The password of the destination {destination.name!r} is not in the keyring.",
                f"Enter it in the settings. {NO_KEYRING}",
            )
    return Found(destination.name, target, access, destination.namespace)


def from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """Credentials of FILMJACKET_LOGIN and FILMJACKET_PASSWORD, None if neither is set."""
    login, password = environ.get("FILMJACKET_LOGIN", ""), environ.get("FILMJACKET_PASSWORD", "")
    if bool(login) != bool(password):
        raise WrongDestination("Only one of FILMJACKET_LOGIN and FILMJACKET_PASSWORD is set.", "Set both.")
    return Credentials(login, password) if login else None


@dataclass(frozen=True, slots=True)
class Means:
    """What opening a destination may need.

    *encapsulate* makes objects of documents for archives that keep nothing else, *recode* writes objects for
    peers that do not take them as they are; *ae_title* is ours.
    """

    local_archive: LocalArchive
    encapsulate: Encapsulate
    recode: Recode
    ae_title: str = "FILMJACKET"


def connect(
    found: Found,
    namespace: str,
    means: Means,
    whose: Whose = lambda _study_uid: "",
    timeouts: Timeouts | None = None,
) -> Destination:
    """An open destination; whoever asked closes it. *whose* tells of a study. Raises KnownError."""
    url, access = found.target.address, found.access
    if found.target.kind is TargetKind.DIMSE:
        peer = parse_node(url).peer(means.ae_title)
        return DimseDestination(peer, means.encapsulate, means.recode, name=found.label)
    if found.target.kind is TargetKind.STOW:
        return StowDestination(url, access, means.encapsulate, name=found.label, timeouts=timeouts)
    if found.target.kind is TargetKind.EXAMS:
        return ExamsDestination(
            url, access, means.encapsulate, whose=whose, name=found.label, timeouts=timeouts
        )
    if found.target.kind is TargetKind.ARCHIVE:
        url, access = means.local_archive()
    return V3Destination(url, access, namespace, name=found.label, timeouts=timeouts)
