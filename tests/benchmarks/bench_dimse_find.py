"""C-FIND beside Orthanc: `python -m tests.benchmarks.bench_dimse_find [--rounds 15] [--keep FOLDER]`.

Both hold the same 20,000 studies, twenty a day, one tiny image each, which storescu sends. One bare client
asks both in turns, over one association each that is kept, what a viewer's list shows; it only counts the
answers, whose number must be the same. Needs the Debian packages orthanc and dcmtk. `--keep` fills the
archives there, or uses what was filled. Orthanc runs with TCP_NODELAY=1, in its favour.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import update

from core.archive.schema import studies
from core.db.database import Database
from core.media.samples import UID_ROOT, SampleStudy, ct_slice, part10
from core.net.dimse.command import DATA_SET, Element, Field, encode
from core.net.dimse.negotiation import Proposal, Proposed, request
from tests.benchmarks.bench_dimse import AET, IMPLICIT, PEERS, STUDY_ROOT_FIND, store, told

STUDIES, A_DAY = 20_000, 20
FIRST_DAY = date(2022, 1, 3)
MODALITIES = ("CT", "MR", "US", "DX", "CR")
STATUS = struct.pack("<HHL", 0, Element.STATUS, 2)
PENDING = 0xFF00
STUDY_UID, STUDY_DATE, PATIENT_NAME, PATIENT_ID = 0x0020000D, 0x00080020, 0x00100010, 0x00100020
MODALITIES_IN_STUDY = 0x00080061
SHOWN = (STUDY_DATE, 0x00080030, 0x00080050, 0x00081030, PATIENT_NAME, PATIENT_ID, 0x00100030, 0x00100040,
         STUDY_UID)  # fmt: skip
"""What a list of studies shows: date, time, accession number, description, patient, UID."""


def day(number: int) -> str:
    """The date of study *number*."""
    return (FIRST_DAY + timedelta(days=number // A_DAY)).strftime("%Y%m%d")


def study_uid(number: int) -> str:
    """Its UID."""
    return f"{UID_ROOT}91.{number}"


QUERIES: Mapping[str, tuple[Mapping[int, str], int]] = {
    "C-FIND all studies": ({}, STUDIES),
    "C-FIND by Patient ID": ({PATIENT_ID: "P10000"}, 1),
    "C-FIND by Study Instance UID": ({STUDY_UID: study_uid(12_345)}, 1),
    "C-FIND by the start of a name": ({PATIENT_NAME: "Family12*"}, 231),
    "C-FIND by 30 days": ({STUDY_DATE: f"{day(8000)}-{day(8599)}"}, 600),
    "C-FIND all of a day": ({STUDY_DATE: day(8000)}, A_DAY),
    "C-FIND by modality and day": ({STUDY_DATE: day(8000), MODALITIES_IN_STUDY: "CT"}, 4),
    "C-FIND by modality and 30 days": (
        {STUDY_DATE: f"{day(8000)}-{day(8599)}", MODALITIES_IN_STUDY: "MR"}, 120,
    ),
}  # fmt: skip
"""Keys, and how many match."""


def write_studies(folder: Path, count: int) -> None:
    """*count* studies of one image, in four folders."""
    ds = ct_slice(SampleStudy("find"), size=8)
    for number in range(count):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid(number), f"{study_uid(number)}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study_uid(number)}.1.1"
        ds.PatientID, ds.PatientName = f"P{number}", f"Family{number % 977}^Given{number}"
        ds.StudyDate, ds.StudyTime = day(number), f"{8 + number % A_DAY // 2:02}{number % 60:02}00"
        ds.AccessionNumber, ds.Modality = f"A{number}", MODALITIES[number % len(MODALITIES)]
        place = folder / str(number % 4)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}").write_bytes(part10(ds))


def settle(data: Path) -> None:
    """Say that every study of our archive has settled: minutes of work beside the figures."""
    with closing(Database(data / "archive" / "archive.db")) as database:
        database.write(lambda connection: connection.execute(update(studies).values(settled=True))).result()


class Asker:
    """One association that only counts what it gets; close it when done."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        proposed = (Proposed(1, STUDY_ROOT_FIND, (IMPLICIT,)),)
        self._socket.sendall(request(Proposal("BENCH", AET, proposed, 128 << 10)))
        self._buffer = bytearray()
        kind, _ = self._pdu(0)
        if kind != 2:
            raise RuntimeError("no association")
        self._buffer.clear()

    def find(self, keys: Mapping[int, str]) -> tuple[float, int]:
        """Milliseconds from the question to the last answer, and how many there were."""
        texts = sorted(({0x00080052: "STUDY"} | dict.fromkeys(SHOWN, "") | dict(keys)).items())
        data = b"".join(_element(tag, text) for tag, text in texts)
        command = encode({
            Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_FIND, Element.COMMAND_FIELD: Field.C_FIND,
            Element.MESSAGE_ID: 1, Element.PRIORITY: 0, Element.DATA_SET_TYPE: DATA_SET,
        })  # fmt: skip
        began = time.perf_counter()
        self._socket.sendall(_pdata(3, command) + _pdata(2, data))
        count = 0
        while self._status() == PENDING:
            count += 1
        return 1000 * (time.perf_counter() - began), count

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _status(self) -> int:
        """Of the next command; data sets are passed over."""
        while True:
            at = 0
            while len(self._buffer) - at >= 12:
                length = int.from_bytes(self._buffer[at + 2 : at + 6], "big")
                if len(self._buffer) - at < 6 + length:
                    break
                control, start = self._buffer[at + 11], at
                at += 6 + length
                if control & 1:
                    found = self._buffer.index(STATUS, start) + len(STATUS)
                    status = int.from_bytes(self._buffer[found : found + 2], "little")
                    del self._buffer[:at]
                    return status
            del self._buffer[:at]
            self._more()

    def _pdu(self, at: int) -> tuple[int, int]:
        """Type of the PDU that begins at *at*, and where it ends."""
        while len(self._buffer) < at + 6 or len(self._buffer) < (
            end := at + 6 + int.from_bytes(self._buffer[at + 2 : at + 6], "big")
        ):
            self._more()
        return self._buffer[at], end

    def _more(self) -> None:
        came = self._socket.recv(1 << 18)
        if not came:
            raise RuntimeError("the peer has left")
        self._buffer += came


def _element(tag: int, text: str) -> bytes:
    raw = text.encode()
    raw += (b"\0" if tag == STUDY_UID else b" ") * (len(raw) % 2)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(raw)) + raw


def _pdata(control: int, data: bytes) -> bytes:
    return struct.pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, 1, control) + data


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    os.environ["TCP_NODELAY"] = "1"  # of DCMTK, in Orthanc: else answers wait for acknowledgements
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        base = options.keep or Path(temporary)
        filled = base / "filled"
        if not filled.exists():
            write_studies(base / "studies", STUDIES)
            for name, start in PEERS.items():
                with start(base / name) as port:
                    rate = store(port, base / "studies", 4, nodelay=True)
                print(f"{name}: filled at {rate:.0f} a second", flush=True)
            settle(base / "ours")
            filled.touch()
        ports = {name: stack.enter_context(start(base / name)) for name, start in PEERS.items()}
        askers = {name: stack.enter_context(closing(Asker(port))) for name, port in ports.items()}
        for name, (keys, count) in QUERIES.items():
            times: dict[str, list[float]] = {peer: [] for peer in PEERS}
            for number in range(options.rounds + 1):
                for peer in PEERS if number % 2 else reversed(PEERS):
                    took, found = askers[peer].find(keys)
                    if found != count:
                        raise RuntimeError(f"{peer} gives {found} answers to {name}, not {count}")
                    times[peer].append(took)
            told(name, 5.0, *(statistics.median(times[peer][1:]) for peer in PEERS), "ms")


if __name__ == "__main__":
    main()
