"""One study of a PACS on its way into the archive: what there is, what is missing of it, and how it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from core.archive.archive import Archive
from core.archive.nouns import StoreResult
from core.errors import KnownError, NotFound, Unreachable
from core.net.dimse import statuses
from core.net.dimse.asking import Stopped, context_for, wish
from core.net.dimse.association import Association, Message
from core.net.dimse.pacs import ImageThere, Pacs
from core.net.dimse.requestor import Peer, associate
from core.net.dimse.retrieving import (
    SILENCE_S,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    Counts,
    Ended,
    Retrieval,
    wishes_to_get,
)
from core.net.own_addresses import addresses
from server.dimse.admission import Caller
from server.dimse.door import Door
from server.dimse.statuses import Status
from server.dimse.storing import Storing

TELL_EVERY_S = 0.2
UIDS_AT_ONCE = 100
"""Of one request at IMAGE level (PS3.4 C.4.2.1.4.1: a list of UIDs)."""
USUAL_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{each}"
    for each in (
        "2", "4", "7", "1", "1.1", "1.2", "6.1", "3.1", "12.1", "12.2", "20", "128", "2.1", "4.1", "88.11",
        "88.22", "88.33", "88.67", "11.1", "104.1", "66.4", "481.1", "481.2", "481.3", "481.5", "1.3",
        "77.1.4",
    )
)  # fmt: skip
"""What is proposed for a C-GET if a PACS does not say of which SOP classes its objects are."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: *here* of *total* objects, 0 while nobody knows; *apart*: kept apart as in conflict."""

    total: int = 0
    here: int = 0
    failed: int = 0
    apart: int = 0
    method: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. Nothing is missing if *why* is empty; *remedy* says what to do about it."""

    progress: Progress
    why: str = ""
    remedy: str = ""
    stopped: bool = False


class NotThisWay(KnownError):
    """The PACS does not give objects in this way."""


@dataclass(slots=True)
class _Tally:
    """What is known of a study while it is fetched."""

    listed: Mapping[str, Sequence[ImageThere]]
    here: set[str] = field(default_factory=set)
    apart: set[str] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)
    """Objects the archive did not take, by status."""
    all: frozenset[str] = field(init=False)
    """Every SOP Instance UID the PACS lists."""

    def __post_init__(self) -> None:
        self.all = frozenset(image.sop_instance_uid for some in self.listed.values() for image in some)

    @property
    def missing(self) -> frozenset[str]:
        return self.all - self.here


class Fetch:
    """Brings one study here; make one for each try."""

    def __init__(
        self,
        archive: Archive,
        door: Door,
        peer: Peer,
        namespace: str,
        *,
        heard: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._archive, self._door, self._peer, self._namespace = archive, door, peer, namespace
        self._heard, self._stopped = heard, stopped
        self._caller = Caller(peer.called, peer.calling, namespace, peer.host)
        self._storing = Storing(archive, self._kept)
        self._study_uid = ""
        self._told = 0.0
        self._tally = _Tally({})
        self._method = ""

    def run(self, study_uid: str) -> Outcome:
        """Fetch what is missing; what is here already is not fetched again. Raises KnownError."""
        self._study_uid = study_uid
        self._tally = _Tally(self._listed())
        self._look()
        if not self._tally.listed:
            raise NotFound(
                "study", f"{self._peer.called} does not have this study any more.", "Search again."
            )
        self._tell()
        why: KnownError | None = None
        for way in (self._get, self._move):
            if self._stopped() or self._all_here():
                break
            before = len(self._tally.here)
            try:
                why = way()
            except NotThisWay as error:
                why = _both(why, error)
            except Stopped:
                break
            except KnownError as error:
                why = error
            self._look()
            self._tell()
            if isinstance(why, Unreachable) and len(self._tally.here) > before:
                break  # it broke off half way: another way would not do better now
            if why is None and not self._tally.all:
                break  # nobody knows how many there are; the PACS says that was all
        return self._outcome(why)

    def _listed(self) -> Mapping[str, Sequence[ImageThere]]:
        """Every object by series; no objects if the PACS does not list any. Raises KnownError."""
        pacs = Pacs(self._peer, self._stopped)
        try:
            return pacs.images(self._study_uid)
        except (Unreachable, Stopped):
            raise
        except KnownError:  # some have no IMAGE level
            return {each.uid: () for each in pacs.series(self._study_uid)}

    def _all_here(self) -> bool:
        return bool(self._tally.all) and not self._tally.missing

    def _look(self) -> None:
        """Ask the archive what it holds of the study."""
        try:
            series = self._archive.study(self._namespace, self._study_uid).series
        except NotFound:
            series = ()
        images = [image for each in series for image in each.images]
        self._tally.here = {image.sop_instance_uid for image in images}
        self._tally.apart = {image.sop_instance_uid for image in images if image.conflict}

    def _progress(self, more: int = 0) -> Progress:
        tally = self._tally
        total = len(tally.all)
        here = len(tally.here & tally.all) if total else len(tally.here)
        here = min(here + more, total) if total else here + more
        return Progress(total, here, sum(tally.refused.values()), len(tally.apart), self._method)

    def _tell(self, more: int = 0, *, seldom: bool = False) -> None:
        now = time.monotonic()
        if not seldom or now - self._told > TELL_EVERY_S:
            self._told = now
            self._heard(self._progress(more))

    def _outcome(self, why: KnownError | None) -> Outcome:
        progress = self._progress()
        if self._all_here() or (not self._tally.all and why is None):
            return Outcome(progress)
        if self._stopped():
            return Outcome(progress, stopped=True)
        if Status.OUT_OF_RESOURCES in self._tally.refused:
            return Outcome(progress, "The archive could not write.", "Free space on its disk, then retry.")
        if why is None or progress.here:
            left = progress.total - progress.here
            said = f"{left} of {progress.total} images did not come." if left > 0 else "Not all images came."
            more = f" {why.message}" if why is not None else ""
            return Outcome(progress, said + more, why.remedy if why else "Retry: only these are fetched.")
        return Outcome(progress, why.message, why.remedy)

    # C-GET

    def _get(self) -> KnownError | None:
        """Over an association of ours; what was wrong, if anything. Raises NotThisWay, KnownError."""
        classes = [each.sop_class_uid for some in self._tally.listed.values() for each in some]
        known = [each for each in dict.fromkeys(classes) if each]
        wanted = known if known and all(classes) else [*known, *USUAL_CLASSES]
        wishes, roles = wishes_to_get(wanted)
        association = associate(self._peer, wishes, roles=roles)
        with closing(association):
            context = context_for(association, STUDY_ROOT_GET)
            if context is None:
                association.release()
                raise NotThisWay(f"{self._peer.called} does not offer C-GET.")
            self._method = "C-GET"
            ended = []
            for level, keys in self._plan():
                work = Retrieval(
                    association, context, hear=self._got, stopped=self._stopped, silence_s=SILENCE_S
                )
                ended.append(work.get(level, keys, self._keep))
                if self._stopped():
                    break
            association.release()
        return _wrong(self._peer.called, ended)

    def _keep(self, association: Association, message: Message) -> None:
        """Nobody asked for another patient's study: what is not of this one is refused."""
        status = self._storing.store(association, message, self._caller, self._study_uid)
        if status != Status.SUCCESS:
            self._tally.refused[status] = self._tally.refused.get(status, 0) + 1
        self._tell(seldom=True)

    def _kept(self, caller: Caller, result: StoreResult) -> None:
        self._tally.here.add(result.sop_uid)
        self._door.traffic.received(caller, result)

    def _got(self, _counts: Counts) -> None:
        """What comes is counted here, whatever the PACS counts."""
        self._tell(seldom=True)

    # C-MOVE

    def _move(self) -> KnownError | None:
        """By an association of the PACS to our door; what was wrong. Raises NotThisWay, KnownError."""
        if not self._door.port:
            raise NotThisWay(
                "It cannot send to us either: the DICOM port of this archive is off.",
                f"Switch the DICOM port on, and have the administrator of {self._peer.called} enter us.",
            )
        association = associate(self._peer, [wish(STUDY_ROOT_MOVE)])
        with closing(association):
            context = context_for(association, STUDY_ROOT_MOVE)
            own = association.own_address
            if context is None:
                raise NotThisWay("It does not offer C-MOVE either.", "Ask its administrator.")
            if not self._door.reachable_from(own):
                raise NotThisWay(
                    "It cannot send to us either: the DICOM port here is open to this machine only.",
                    "Have the archive listen on the network (dimse.host).",
                )
            self._method = "C-MOVE"
            began = time.time()
            ended = []
            for level, keys in self._plan():
                work = Retrieval(
                    association, context, hear=self._moved, stopped=self._stopped, silence_s=SILENCE_S
                )
                ended.append(work.move(level, keys, self._door.ae_title))
                self._look()
                if self._stopped() or ended[-1].status == statuses.MOVE_DESTINATION_UNKNOWN:
                    break
            association.release()
        if any(each.status == statuses.MOVE_DESTINATION_UNKNOWN for each in ended):
            return self._unknown(own)
        return self._turned_away(began) or _wrong(self._peer.called, ended)

    def _moved(self, counts: Counts) -> None:
        self._tell(counts.completed + counts.warnings, seldom=True)

    def _unknown(self, own_address: str) -> KnownError:
        """What the administrator of the PACS must enter."""
        where = self._door.where
        address = own_address or (addresses(where.host)[0] if where is not None else "")
        return Unreachable(
            f"{self._peer.called} does not know where to send: it has no AE title {self._door.ae_title}.",
            f"Have its administrator enter us as a destination: AE title {self._door.ae_title}, "
            f"address {address}, port {self._door.port}.",
        )

    def _turned_away(self, began: float) -> KnownError | None:
        """Whether our own door did not let the PACS in since *began*."""
        self._look()
        refusals = (each for each in self._door.traffic.refusals() if each.time >= began)
        if self._all_here() or not any(each.calling == self._peer.called for each in refusals):
            return None
        return KnownError(
            f"Our DICOM door turned {self._peer.called} away when it came to send.",
            f"Allow {self._peer.called} in the status of the DICOM door, then retry.",
        )

    def _plan(self) -> Iterator[tuple[str, dict[str, str]]]:
        """What to ask for, so that little comes that is here: the study, else series, else single objects."""
        study = {"StudyInstanceUID": self._study_uid}
        missing = self._tally.missing
        if not self._tally.all or missing == self._tally.all:
            yield "STUDY", study
            return
        for series_uid, images in self._tally.listed.items():
            uids = [each.sop_instance_uid for each in images]
            left = [uid for uid in uids if uid in missing]
            if left and len(left) == len(uids):
                yield "SERIES", {**study, "SeriesInstanceUID": series_uid}
                continue
            for start in range(0, len(left), UIDS_AT_ONCE):
                some = "\\".join(left[start : start + UIDS_AT_ONCE])
                yield "IMAGE", {**study, "SeriesInstanceUID": series_uid, "SOPInstanceUID": some}


def _wrong(title: str, ended: Sequence[Ended]) -> KnownError | None:
    """The first that did not end well."""
    bad = next((each for each in ended if not each.done), None)
    if bad is None:
        return None
    failed = sum(each.counts.failed for each in ended)
    count = f" ({failed} failed)" if failed else ""
    return KnownError(f"{title} did not send everything{count}: {statuses.words_of(bad.status)}.", "Retry.")


def _both(first: KnownError | None, second: KnownError) -> KnownError:
    if first is None:
        return second
    return KnownError(f"{first.message} {second.message}", second.remedy or first.remedy)
