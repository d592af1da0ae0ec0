"""The window's ports over the real thing: scan, send to the local archive, find it there, go on later."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.desk import DEFAULT_NAMESPACE, LocalArchive, SavedDestinations, SettingsFile
from app.sendings import Uploads
from core.errors import BadInput, KnownError, NotFound, Unreachable
from core.media.samples import SampleStudy, pdf_report, write_ct_series
from core.net.dicomweb_search import Wanted, search
from core.scan.result import Scan
from core.scan.scanner import Scanner
from core.settings import Settings
from core.upload.ledger import Ledger
from ui.archive.calls import Calls
from ui.services import ArchiveState, DestinationText, Order, Picked

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

Result = TypeVar("Result")


def drive(work: Generator[Any, None, Result]) -> Result:
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


@pytest.fixture
def study(request: pytest.FixtureRequest) -> SampleStudy:
    """One a test: they share archives."""
    return SampleStudy(seed=request.node.name)


@pytest.fixture
def scan(tmp_path: Path, study: SampleStudy) -> Scan:
    write_ct_series(study, tmp_path / "disc", 6, size=32)
    return drive(Scanner([tmp_path / "disc"]).run())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "client.db")) as ledger:
        yield ledger


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[LocalArchive]:
    """A local archive that has never run."""
    archive = LocalArchive(tmp_path / "data", Settings())
    yield archive
    archive.stop()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalArchive]:
    """A local archive the tests share; it starts when the first needs it."""
    archive = LocalArchive(tmp_path_factory.mktemp("local") / "data", Settings())
    yield archive
    archive.stop()


def order(scan: Scan, destination: str = "archive", pdf: Path | None = None) -> Order:
    patient, study = next(iter(scan.tree.studies()))
    files = {study.study_instance_uid: (pdf,)} if pdf else {}
    return Order(scan, (Picked(patient, study),), files, destination)


def test_from_the_disc_into_the_local_archive(
    scan: Scan, ledger: Ledger, fresh: LocalArchive, tmp_path: Path, study: SampleStudy
) -> None:
    archive = fresh
    pdf = tmp_path / "letter.pdf"
    pdf.write_bytes(pdf_report(["A letter"]))
    assert archive.state is ArchiveState.OFF and archive.where == ""
    with pytest.raises(Unreachable):
        archive.client()
    job = Uploads(ledger, archive).begin(order(scan, pdf=pdf))
    assert job.images == 6 and study.patient.patient_id in job.whose and study.description in job.what
    receipt = drive(job.run())
    assert receipt.complete and archive.state is ArchiveState.RUNNING
    assert archive.where.startswith("FILMJACKET @ 127.0.0.1:")
    client = archive.client()
    assert client is archive.client()
    found = client.study_detail(DEFAULT_NAMESPACE, study.uid)
    assert sum(len(series.images) for series in found.series) == 6
    assert [each.name for each in found.attachments] == ["letter.pdf"]
    archive.stop()
    assert archive.state is ArchiveState.OFF


def test_an_unfinished_job_goes_on_from_the_ledger_alone(
    scan: Scan, ledger: Ledger, archive: LocalArchive
) -> None:
    uploads = Uploads(ledger, archive)
    first = uploads.begin(order(scan))
    assert [job.id for job in uploads.unfinished()] == [first.id]
    left = Uploads(ledger, archive).unfinished()[0]
    assert (left.where, left.images, left.whose) == ("archive", 6, first.whose)
    left.cancel()
    left.pause()
    left.resume()
    assert drive(left.run()).complete
    assert not uploads.unfinished()
    again = uploads.begin(order(scan))
    again.forget()
    assert not uploads.unfinished()


def test_saved_destinations(ledger: Ledger, archive: LocalArchive, scan: Scan) -> None:
    archive.start()
    url, _ = archive.door()
    saved = SavedDestinations(ledger, archive)
    saved.save(DestinationText("Hospital", f"v3:{url}"), None)
    assert [each.name for each in saved.all()] == ["Hospital"] and not saved.all()[0].has_secret
    assert "Filmjacket" in saved.test(DestinationText("here", "archive"), None)
    with pytest.raises(KnownError):
        saved.test(DestinationText("Hospital", f"v3:{url}", "nobody"), "wrong password")
    with pytest.raises(KnownError, match="No password is kept"):
        saved.test(DestinationText("Hospital", f"v3:{url}", "nobody"), None)
    with pytest.raises(BadInput):
        saved.save(DestinationText("Other", "share:http://localhost:1/share/x"), None)
    job = Uploads(ledger, archive).begin(order(scan, "Hospital"))
    assert job.where == "Hospital"
    with pytest.raises(KnownError):  # it has no login there
        drive(job.run())
    assert Uploads(ledger, archive).unfinished()[0].where == "Hospital"
    saved.remove("Hospital")
    assert Uploads(ledger, archive).unfinished()[0].where == f"v3:{url}"
    with pytest.raises(NotFound):
        Uploads(ledger, archive).begin(order(scan, "Hospital"))


def test_settings_reach_the_running_archive(fresh: LocalArchive, tmp_path: Path) -> None:
    archive = fresh
    settings = SettingsFile(tmp_path / "data")
    settings.on_change = archive.changed
    archive.start()
    now = settings.now
    settings.save(replace(now, serve=replace(now.serve, ae_title="CLINIC")))
    assert SettingsFile(tmp_path / "data").now.serve.ae_title == "CLINIC"
    archive.stop()
    archive.start()
    assert archive.where.startswith("CLINIC @ ") and archive.client().status().ae_title == "CLINIC"


def test_the_window_gets_everything_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qapp: object
) -> None:
    from app.commands import desktop
    from ui import application
    from ui.services import Services

    seen: list[tuple[Services, list[Path]]] = []

    def open_window(app: object, services: Services, paths: list[Path], **_: object) -> int:
        seen.append((services, paths))
        services.jobs.shutdown()
        services.tasks.shutdown()
        return 0

    monkeypatch.setenv("FILMJACKET_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(application, "create", lambda: qapp)
    monkeypatch.setattr(application, "run", open_window)
    assert desktop.run(tmp_path) == 0
    services, paths = seen[0]
    assert paths == [tmp_path] and services.archive.state is ArchiveState.OFF
    assert services.destinations is not None and services.settings.now == Settings()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalArchive, str]]:
    """Another archive with its own accounts, and its password."""
    data = tmp_path_factory.mktemp("elsewhere") / "data"
    other = LocalArchive(data, Settings())
    other.start()
    yield other, (data / "initial-admin-password").read_text("utf-8").split()[-1]
    other.stop()


@pytest.fixture
def elsewhere(other: tuple[LocalArchive, str], monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    """That archive; the environment holds its password."""
    monkeypatch.setenv("FILMJACKET_LOGIN", "admin")
    monkeypatch.setenv("FILMJACKET_PASSWORD", other[1])
    return other[0]


@pytest.fixture
def archives(archive: LocalArchive, elsewhere: LocalArchive) -> tuple[LocalArchive, LocalArchive]:
    """Ours and the other one."""
    return archive, elsewhere


def test_a_study_of_the_archive_is_sent_on_and_a_restart_goes_on(
    scan: Scan,
    ledger: Ledger,
    archives: tuple[LocalArchive, LocalArchive],
    tmp_path: Path,
    study: SampleStudy,
) -> None:
    archive, elsewhere = archives
    pdf = tmp_path / "letter.pdf"
    pdf.write_bytes(pdf_report(["A letter"]))
    drive(Uploads(ledger, archive).begin(order(scan, pdf=pdf)).run())
    shutil.rmtree(tmp_path / "disc")
    pdf.unlink()
    sending = Calls(archive).order(DEFAULT_NAMESPACE, study.uid)
    assert sending.archived and sending.picked[0].images == 6
    assert [path.name for path in sending.attachments[study.uid]] == ["letter.pdf"]
    url, _ = elsewhere.door()
    first = Uploads(ledger, archive).begin(replace(sending, destination=f"v3:{url}"))
    assert not first.sources and study.patient.patient_id in first.whose
    stopped = first.run()
    next(stopped)
    stopped.close()  # killed on its way
    archive.stop()

    left = Uploads(ledger, archive).unfinished()
    assert [(job.images, list(job.sources)) for job in left] == [(6, [])]
    receipt = drive(left[0].run())  # starts the archive it reads from by itself
    assert receipt.complete and receipt.studies[0].verified_by == "digest"
    there = elsewhere.client().study_detail(DEFAULT_NAMESPACE, study.uid)
    here = archive.client().study_detail(DEFAULT_NAMESPACE, study.uid)
    versions = [{i.image_uid: i.version for s in each.series for i in s.images} for each in (here, there)]
    assert versions[0] == versions[1] and len(versions[0]) == 6
    assert [each.name for each in there.attachments] == ["letter.pdf"]
    assert not Uploads(ledger, archive).unfinished()


def test_copies_of_attachments_go_when_no_job_needs_them(
    scan: Scan, ledger: Ledger, archive: LocalArchive, tmp_path: Path, study: SampleStudy
) -> None:
    pdf = tmp_path / "letter.pdf"
    pdf.write_bytes(pdf_report(["A letter"]))
    uploads = Uploads(ledger, archive)
    drive(uploads.begin(order(scan, pdf=pdf)).run())
    sending = Calls(archive).order(DEFAULT_NAMESPACE, study.uid)
    job = uploads.begin(replace(sending, destination="archive"))
    copies = [path for path in (tmp_path / "outgoing").rglob("*") if path.is_file()]
    assert [path.name for path in copies] == ["letter.pdf"]
    assert (tmp_path / "outgoing").stat().st_mode & 0o777 == 0o700
    for folder in (tmp_path / "outgoing").iterdir():
        os.utime(folder, (1, 1))
    uploads.unfinished()
    assert copies[0].is_file()  # the job waits for it
    job.forget()
    uploads.unfinished()
    assert not any((tmp_path / "outgoing").iterdir())


def test_a_saved_dicomweb_archive_gets_a_study(
    scan: Scan,
    ledger: Ledger,
    archives: tuple[LocalArchive, LocalArchive],
    tmp_path: Path,
    study: SampleStudy,
) -> None:
    archive, elsewhere = archives
    pdf = tmp_path / "letter.pdf"
    pdf.write_bytes(pdf_report(["A letter"]))
    saved = SavedDestinations(ledger, archive)
    there = DestinationText("Hospital", f"stow:{elsewhere.door()[0]}/dicom-web")
    saved.save(there, None)
    assert "DICOMweb" in saved.test(there, None)
    saved.save(DestinationText("Other", "v3:http://localhost:1"), None)
    assert saved.remotes() == ["Hospital"] and saved.remote("Hospital") is saved.remote("hospital")
    receipt = drive(Uploads(ledger, archive).begin(order(scan, "Hospital", pdf=pdf)).run())
    assert receipt.complete and receipt.studies[0].verified_by == "uid" and receipt.destination == "Hospital"
    found = elsewhere.client().study_detail(DEFAULT_NAMESPACE, study.uid)
    assert found.study.patient_id == study.patient.patient_id
    assert sum(len(series.images) for series in found.series) == 7
    found_there = search(saved.remote("Hospital"), Wanted()).rows
    (row,) = [each for each in found_there if each.study_uid == study.uid]
    assert (row.patient_id, row.images) == (study.patient.patient_id, 7)
    saved.hang_up()


def test_an_image_that_left_the_archive_fails_alone(
    scan: Scan, ledger: Ledger, archive: LocalArchive, elsewhere: LocalArchive, study: SampleStudy
) -> None:
    drive(Uploads(ledger, archive).begin(order(scan)).run())
    sending = Calls(archive).order(DEFAULT_NAMESPACE, study.uid)
    url, _ = elsewhere.door()
    job = Uploads(ledger, archive).begin(replace(sending, destination=f"v3:{url}"))
    archive.client().delete_study(DEFAULT_NAMESPACE, study.uid)
    receipt = drive(job.run())
    assert not receipt.complete and len(receipt.studies[0].failed) == 6
    with pytest.raises(NotFound):
        Calls(archive).order(DEFAULT_NAMESPACE, study.uid)
