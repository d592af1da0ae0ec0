"""DCMTK and Orthanc as the PACS elsewhere: searched, fetched from by C-GET and C-MOVE; their worklists."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from core.imaging.transcode import transcode
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10
from core.net.dimse.pacs import EntriesWanted, Pacs
from core.net.dimse.requestor import Peer
from core.net.study_search import Wanted
from server.dimse.door import Door, Where
from server.dimse.fetching import Fetch, Outcome
from tests.dimse.gateways import Running, gateway
from tests.dimse.test_store import data_set_of
from tests.interop import orthanc
from tests.interop.test_dimse_peers import receiver

pytestmark = pytest.mark.interop

OURS = "DESK"
MUELLER = SampleStudy(
    "pacs peers", SamplePatient("Müller^Änne", "PP1", "19700102", "F"), accession_number="PPA1"
)
OTHER = SampleStudy("pacs peers other", SamplePatient("Other^Otto", "PP2", "", "M"), accession_number="PPA2")
JPEG, J2K = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"
SLICES = 6


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two studies; of the first one slice is JPEG 2000."""
    found = {}
    for study in (MUELLER, OTHER):
        for number in range(1, SLICES + 1):
            data = part10(ct_slice(study, instance=number, size=64))
            if study is MUELLER and number == SLICES:
                data = transcode(data, J2K)
            found[f"{study.seed}-{number}.dcm"] = data
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("here"), ae_titles={OURS: "default"}) as found:
        yield found


def fetch(here: Running, peer: Peer, study: SampleStudy, *, door_open: bool) -> Outcome:
    door = Door(OURS)
    door.traffic = here.gateway.traffic
    if door_open:
        door.open(Where("127.0.0.1", here.port, tls=False, known_only=False), here.admission)
    got = Fetch(here.archive, door, peer, "default", heard=lambda _progress: None, stopped=lambda: False)
    return got.run(study.uid)


def send(files: dict[str, bytes], folder: Path, title: str, port: int) -> None:
    """By DCMTK's own sender, each in its transfer syntax."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
        syntax = "-xv" if str(dcmread(folder / name).file_meta.TransferSyntaxUID) == J2K else "-x="
        line = ["storescu", syntax, "-aec", title, "127.0.0.1", str(port), str(folder / name)]
        subprocess.run(line, check=True, capture_output=True)


def check_searches(peer: Peer) -> None:
    """What a clerk types finds what it should."""
    pacs = Pacs(peer)

    def found(*wanted: str) -> list[str]:
        return [row.accession_number for row in pacs.studies(Wanted(*wanted)).rows]

    assert found("müller") == found("PP1") == found("PPA1") == ["PPA1"]
    assert found("muller, aenne") == [] and found("änne müller") == ["PPA1"]
    assert (
        set(found("", MUELLER.date, MUELLER.date)) == {"PPA1", "PPA2"}
        and found("", "19990101", "19990102") == []
    )
    row = pacs.studies(Wanted("PP1")).rows[0]
    assert (row.patient_name, row.patient_birth_date) == ("Müller^Änne", "19700102")
    series = pacs.series(MUELLER.uid)
    assert [each.modality for each in series] == ["CT"]
    images = pacs.images(MUELLER.uid)
    assert sum(map(len, images.values())) == SLICES
    assert len(pacs.studies(Wanted(), most=1).rows) == 1 and pacs.studies(Wanted(), most=1).more


def check_stored(here: Running, files: dict[str, bytes], study: SampleStudy, *, same: bool = True) -> None:
    """Every object is here; with the same data set where the peer keeps it."""
    held = here.archive.held("default", study.uid)
    assert len(held) == SLICES
    for name, data in files.items():
        if same and name.startswith(f"{study.seed}-"):
            uid = str(
                dcmread(here.archive.image("default", study.uid, next(iter(held))).path).StudyInstanceUID
            )
            assert uid == study.uid
            number = int(name.removesuffix(".dcm").rpartition("-")[2])
            stored = [
                image
                for image in (here.archive.image("default", study.uid, each) for each in held)
                if dcmread(image.path, stop_before_pixels=True).InstanceNumber == number
            ]
            assert data_set_of(stored[0].path.read_bytes()) == data_set_of(data), name


def clear(here: Running, *studies: SampleStudy) -> None:
    """Nothing of these is here."""
    for study in studies:
        if here.archive.held("default", study.uid):
            here.archive.delete_study("default", study.uid, actor="test").result()


@contextmanager
def dcmqrscp(folder: Path, here: Running) -> Iterator[int]:
    port = orthanc.free_port()
    (folder / "db").mkdir(parents=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\ndesk = ({OURS}, 127.0.0.1, {here.port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {folder / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    line = [shutil.which("dcmqrscp") or "dcmqrscp", "+xv", "-xv", "-c", str(config)]
    with receiver("QRSCP", line, port):
        yield port


def test_dcmqrscp(files: dict[str, bytes], here: Running, tmp_path: Path) -> None:
    clear(here, MUELLER, OTHER)
    with dcmqrscp(tmp_path / "qr", here) as port:
        peer = Peer("QRSCP", "127.0.0.1", port, OURS)
        send(files, tmp_path, "QRSCP", port)
        check_searches(peer)
        got = fetch(here, peer, OTHER, door_open=False)
        assert (got.progress.here, got.progress.method, got.why) == (SLICES, "C-GET", "")
        part = fetch(here, peer, MUELLER, door_open=False)  # it sends in the first context of a class, or not
        assert part.progress.here == SLICES - 1 and part.why.startswith("1 of 6 images did not come.")
        both = fetch(here, peer, MUELLER, door_open=True)
        assert (both.progress.here, both.progress.method, both.why) == (SLICES, "C-MOVE", "")
        check_stored(here, files, MUELLER)
        check_stored(here, files, OTHER)


def test_orthanc(files: dict[str, bytes], here: Running, tmp_path: Path) -> None:
    clear(here, MUELLER, OTHER)
    port = orthanc.free_port()
    with orthanc.running(tmp_path, port, {"DicomModalities": {"desk": [OURS, "127.0.0.1", here.port]}}):
        peer = Peer("ORTHANC", "127.0.0.1", port, OURS)
        send(files, tmp_path, "ORTHANC", port)
        check_searches(peer)
        got = fetch(here, peer, MUELLER, door_open=False)
        assert (got.progress.here, got.progress.method, got.why) == (SLICES, "C-GET", "")
        check_stored(here, files, MUELLER)


def test_orthanc_moves_what_it_may_not_give(files: dict[str, bytes], here: Running, tmp_path: Path) -> None:
    clear(here, MUELLER, OTHER)
    port = orthanc.free_port()
    more = {
        "DicomModalities": {
            "desk": {
                "AET": OURS,
                "Host": "127.0.0.1",
                "Port": here.port,
                "AllowGet": False,
                "AllowMove": True,
            }
        },
        "DicomAlwaysAllowGet": False,
        "DicomAlwaysAllowStore": True,
    }
    with orthanc.running(tmp_path, port, more):
        peer = Peer("ORTHANC", "127.0.0.1", port, OURS)
        send(files, tmp_path, "ORTHANC", port)
        moved = fetch(here, peer, OTHER, door_open=True)
        assert (moved.progress.here, moved.progress.method, moved.why) == (SLICES, "C-MOVE", "")
        stranger = Peer("ORTHANC", "127.0.0.1", port, "STRANGER")
        refused = Fetch(
            here.archive, Door("STRANGER"), stranger, "default", heard=lambda _p: None, stopped=lambda: False
        ).run(MUELLER.uid)
        assert refused.progress.here == 0 and refused.why and refused.remedy
        check_stored(here, files, OTHER)


def entry(name: str, charset: str, number: int, day: str = "20260301") -> Dataset:
    """A file of a worklist."""
    ds, step = Dataset(), Dataset()
    ds.SpecificCharacterSet = charset
    ds.AccessionNumber, ds.PatientName, ds.PatientID = f"WL{number}", name, f"P{number}"
    ds.PatientBirthDate, ds.PatientSex = "19700102", "F"
    ds.StudyInstanceUID, ds.RequestedProcedureID = f"1.2.3.{number}", f"R{number}"
    ds.RequestedProcedureDescription = "Thorax"
    step.Modality, step.ScheduledStationAETitle = "CT", "CT1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = day, "093000"
    step.ScheduledProcedureStepDescription, step.ScheduledProcedureStepID = "Thorax", f"S{number}"
    ds.ScheduledProcedureStepSequence = [step]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
    ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    return ds


ENTRIES = (("Müller^Änne", "ISO_IR 100"), ("Jörgensen^Bo", "ISO_IR 192"), ("Plain^Paul", "ISO_IR 6"))


def write_entries(folder: Path) -> None:
    for number, (name, charset) in enumerate(ENTRIES, 1):
        entry(name, charset, number).save_as(folder / f"{number}.wl", enforce_file_format=True)


def check_worklist(peer: Peer) -> None:
    pacs = Pacs(peer)
    names = {each["PatientName"] for each in pacs.worklist(EntriesWanted("20260301", "20260301")).rows}
    assert names == {name for name, _ in ENTRIES}
    assert pacs.worklist(EntriesWanted("20260302", "20260302")).rows == ()
    assert pacs.worklist(EntriesWanted(modality="MR")).rows == ()
    plain = pacs.worklist(EntriesWanted(text="plain")).rows
    assert [each["AccessionNumber"] for each in plain] == ["WL3"]
    assert plain[0]["ScheduledStationAETitle"] == "CT1" and plain[0]["StudyInstanceUID"] == "1.2.3.3"
    assert [each["PatientID"] for each in pacs.worklist(EntriesWanted(text="müller")).rows] == ["P1"]


def test_wlmscpfs(tmp_path: Path) -> None:
    folder = tmp_path / "lists" / "WLM"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    write_entries(folder)
    port = orthanc.free_port()
    with receiver("WLM", ["wlmscpfs", "-dfp", str(tmp_path / "lists"), str(port)], port):
        check_worklist(Peer("WLM", "127.0.0.1", port, OURS))


WORKLISTS = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")


def test_orthanc_worklist(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    write_entries(folder)
    port = orthanc.free_port()
    more = {
        "Plugins": [orthanc.PLUGIN, str(WORKLISTS)],
        "Worklists": {"Enable": True, "Database": str(folder)},
        "DicomAlwaysAllowFindWorklist": True,
    }
    with orthanc.running(tmp_path, port, more):
        check_worklist(Peer("ORTHANC", "127.0.0.1", port, OURS))
