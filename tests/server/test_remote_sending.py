"""Studies of an archive elsewhere sent on: fetched one by one, proven where they go, resumed, cut off."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx
import pytest
from pydicom import dcmread

from app.desk import LocalArchive
from app.sendings import Uploads
from core.dicom.ports import Sent
from core.dicom.refs import FileRef, Found, Header
from core.errors import NotFound, Unreachable
from core.media.samples import ct_slice, part10
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_listing import Listing, list_images
from core.net.v3_client import V3Client
from core.settings import Settings
from core.upload.control import Control
from core.upload.job import UploadJob
from core.upload.ledger import Ledger
from core.upload.nouns import JobState
from core.upload.picks import Order, Pick, RemoteArchive
from core.upload.remote_files import RemoteFiles, find_remote
from core.upload.runner import run
from core.upload.saved import Destinations, SavedDestination
from tests.core.remote_studies import ANNE, BERT, files
from tests.core.upload_fakes import QUICK, FakeDestination, Store, finish
from tests.server.conftest import serving
from ui.archive.remote_sending import order_of

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
T = TypeVar("T")
ANOTHER = part10(ct_slice(ANNE, instance=99, size=16))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("elsewhere") / "data", no_auth=True) as served:
        address = f"{served.url}/dicom-web"
        for data in files():
            store(address, data)
        yield address


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "client.db")) as ledger:
        yield ledger


def store(address: str, data: bytes) -> None:
    headers = {"content-type": "application/dicom"}
    httpx.post(f"{address}/studies", content=data, headers=headers, trust_env=False).raise_for_status()


def drive(work: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def listing(address: str, *uids: str) -> Listing:
    with closing(DicomWebClient(address)) as client:
        return drive(list_images(client, uids))


def job_of(ledger: Ledger, address: str, *uids: str) -> UploadJob:
    order = order_of("Hospital", listing(address, *uids))
    picks = [Pick.of(each.study) for each in order.picked]
    return ledger.create(Order((), "fake", picks, origin=RemoteArchive("Hospital", f"stow:{address}")))


def by_uid() -> dict[str, bytes]:
    return {str(dcmread(io.BytesIO(data)).SOPInstanceUID): data for data in files()}


def test_several_studies_come_into_another_archive_byte_for_byte(
    there: str, ledger: Ledger, tmp_path: Path
) -> None:
    archive = LocalArchive(tmp_path / "data", Settings())  # never started: the destination is another one
    with closing(DicomWebClient(there)) as client:
        steps: list[tuple[int, int]] = []
        work = list_images(client, [ANNE.uid, BERT.uid])
        try:
            while True:
                steps.append(next(work))
        except StopIteration as end:
            found = end.value
    assert steps[0] == (0, 0) and steps[-1] == (3, 4) and found.missing == 0
    url = there.removesuffix("/dicom-web")
    saved = Destinations(ledger.database)
    saved.save(SavedDestination("Hospital", f"stow:{there}"))
    saved.save(SavedDestination("Here", f"v3:{url}", namespace="ours"))
    order = replace(order_of("Hospital", found), destination="Here")
    assert len(order.picked) == 2 and not order.from_disc and not order.archived
    job = Uploads(ledger, archive).begin(order)
    assert "MÜLLER, Änne" in job.whose and "BRAUN, Bert" in job.whose
    assert (job.images, job.where, job.sources) == (10, "Here", ())
    receipt = drive(job.run())
    assert receipt.complete and receipt.safe_to_eject  # all checked by content
    assert [study.verified for study in receipt.studies] == [9, 1]
    with V3Client(url) as client:
        for uid, data in by_uid().items():
            study_uid = str(dcmread(io.BytesIO(data)).StudyInstanceUID)
            with client.payload("ours", study_uid, uid, "*") as pieces:
                assert b"".join(pieces) == data
    past = Uploads(ledger, archive).ended(5)[0]
    assert past.receipt is not None and past.receipt.studies == receipt.studies
    # the same again: what is there is compared by content, nothing is stored twice
    again = drive(Uploads(ledger, archive).begin(order).run())
    assert again.complete and [study.already_there for study in again.studies] == [9, 1]


class Counted(RemoteFiles):
    """Which files were asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url, None)
        self.asked: list[str] = []

    def open(self, ref: FileRef) -> BinaryIO:
        self.asked.append(ref.path.rpartition("/")[2])
        return super().open(ref)


def test_a_sending_that_was_cut_goes_on_and_fetches_nothing_twice(there: str, ledger: Ledger) -> None:
    kept, job = Store(), job_of(ledger, there, ANNE.uid)
    known: dict[str, Header] = {}

    class Remembering(FakeDestination):
        def send(self, header: Header, data: BinaryIO, size: int) -> Sent:
            known[header.sop_instance_uid] = header
            return super().send(header, data, size)

    def broken_off(_uid: str) -> None:
        if len(kept.stored) >= 4:
            raise Unreachable("fake:1 is gone.")

    with closing(Counted(there)) as source:
        work = run(job, Remembering(kept, before=broken_off), opener=source.open, pace=QUICK, origin=source)
        for step in work:
            if step.sent >= 4 and step.note:
                assert step.bytes_total == 0 and 0 < step.share < 1
                work.close()
        assert job.state is JobState.OPEN and len(kept.stored) >= 4
    before = set(kept.stored)
    with closing(Counted(there)) as source:
        again = ledger.open_job(job.id)
        assert again.remote == RemoteArchive("Hospital", f"stow:{there}") and again.sources == ()
        seen: list[Any] = []
        receipt = finish(run(again, Remembering(kept), opener=source.open, pace=QUICK), seen)
        assert not before & set(source.asked)
    assert receipt.complete and seen[-1].share == 1.0
    assert {uid: data for (_, uid), data in kept.images.items()} == {
        uid: data for uid, data in by_uid().items() if uid in kept.stored
    }
    assert len(kept.stored) == 9 == len(set(kept.stored))
    for header in known.values():  # what a list does not say is read from the object itself
        assert header.transfer_syntax_uid and header.sop_class_uid and header.rows


def test_what_the_archive_no_longer_has_is_named_and_the_rest_arrives(
    there: str, tmp_path: Path, ledger: Ledger
) -> None:
    job = job_of(ledger, there, BERT.uid)
    kept = Store()

    class Lacking(RemoteFiles):
        def open(self, ref: FileRef) -> BinaryIO:
            return super().open(FileRef(f"{ref.path}.9"))

    with closing(Lacking(there, None)) as source:
        receipt = finish(run(job, FakeDestination(kept), opener=source.open, pace=QUICK))
    assert not receipt.complete and not kept.stored
    (failure,) = receipt.studies[0].failed
    assert failure.reason == "The image is no longer in the archive." and failure.sop_uid
    assert ledger.open_job(job.id).state is JobState.FAILED
    with closing(RemoteFiles(there, None)) as source:  # tried again when it has it again
        receipt = finish(run(ledger.open_job(job.id), FakeDestination(kept), opener=source.open, pace=QUICK))
    assert receipt.complete and len(kept.stored) == 1


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (lambda own: ANOTHER, "The archive sent another image than it lists."),
        (lambda own: b"<html>Please sign in</html>", "The archive sent something that is no image."),
        (lambda own: own[:-100], "The archive sent an image that is cut off."),
    ],
)
def test_an_object_that_is_not_what_was_asked_for_goes_nowhere(
    there: str, ledger: Ledger, sent: Any, reason: str
) -> None:
    (own,) = (data for data in by_uid().values() if dcmread(io.BytesIO(data)).StudyInstanceUID == BERT.uid)
    kept = Store()
    receipt = finish(
        run(
            job_of(ledger, there, BERT.uid),
            FakeDestination(kept),
            opener=lambda _ref: io.BytesIO(sent(own)),
            pace=QUICK,
        )
    )
    assert [each.reason for each in receipt.studies[0].failed] == [reason]
    assert not kept.stored and not receipt.complete


def test_an_archive_that_hangs_is_let_go_of_at_once(there: str, ledger: Ledger) -> None:
    job = job_of(ledger, there, BERT.uid)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        heard = threading.Event()
        held: list[socket.socket] = []

        def listen() -> None:
            held.append(silent.accept()[0])
            held[0].recv(1)
            heard.set()

        thread = threading.Thread(target=listen)
        thread.start()
        control = Control()
        with closing(RemoteFiles(f"http://127.0.0.1:{port}/dicom-web", None)) as source:
            work = run(job, FakeDestination(Store()), control, opener=source.open, pace=QUICK, origin=source)
            while not heard.is_set():
                next(work)
            control.cancel()
            receipt = finish(work)  # would take the minutes of a time limit
        thread.join()
        held[0].close()
    assert receipt.cancelled and not receipt.complete


def test_an_archive_that_is_away_is_waited_for(there: str, ledger: Ledger) -> None:
    job, kept = job_of(ledger, there, BERT.uid), Store()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with closing(RemoteFiles(f"http://127.0.0.1:{port}", None)) as gone, pytest.raises(Unreachable):
        finish(
            run(
                job, FakeDestination(kept), opener=gone.open, origin=gone, pace=replace(QUICK, patience_s=0.1)
            )
        )
    assert ledger.open_job(job.id).state is JobState.OPEN and not kept.stored


def test_an_archive_is_found_again_under_another_name(ledger: Ledger) -> None:
    saved = Destinations(ledger.database)
    archive = RemoteArchive("Hospital", "stow:http://host:80/rs")
    assert RemoteArchive.parse(str(archive)) == archive and RemoteArchive.parse("/media/disc") is None
    assert find_remote(archive, saved, {}).target.address == "http://host:80/rs"
    saved.save(SavedDestination("Clinic", "stow:http://host:80/rs"))
    saved.save(SavedDestination("Hospital", "stow:http://other:80/rs"))
    assert find_remote(archive, saved, {}).label == "Clinic"
    saved.save(SavedDestination("Hospital", "stow:http://host:80/rs"))
    assert find_remote(archive, saved, {}).label == "Hospital"


def test_images_that_are_counted_but_not_listed_are_told(there: str) -> None:
    found = listing(there, ANNE.uid)
    assert len(found.images) == 9 and all(isinstance(each, Found) and not each.size for each in found.images)
    order = order_of("Hospital", Listing(found.images, 3))
    assert order.scan.missing == 3  # type: ignore[union-attr]  # it is of an archive elsewhere
    with pytest.raises(NotFound):
        order_of("Hospital", Listing((), 0))
    with pytest.raises(NotFound):
        listing(there, "1.2.3.4")
