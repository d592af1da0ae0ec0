"""DICOMweb beside Orthanc and its DICOMweb plugin: `python -m tests.benchmarks.bench_dicomweb [--rounds 5]`.

Both hold the same objects: a CT study of 600 slices (525 KB each) in four series, and many small studies. The
client is raw sockets, one thread. Only one of the two works at a time: ours, theirs, theirs, ours; a row's
figure is the median of the ratios of its rounds. `--only WORD` measures rows with that word in their names.
Needs the Debian packages orthanc and orthanc-dicomweb. Everything lies in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.media.samples import UID_ROOT, SampleStudy, ct_slice, part10
from tests.benchmarks.bench_study_reads import wait_until_settled
from tests.benchmarks.bench_upload import filmjacket, orthanc
from tests.benchmarks.light_client import exchange, get, request_of

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
CONNECTIONS = 4
BIG = UID_ROOT + "8000"
PER_SERIES, SERIES = 150, 4
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
JSON = "application/dicom+json"


def objects(small_studies: int) -> list[bytes]:
    """The CT study, then the small ones with several images each."""
    ds = ct_slice(SampleStudy("bench"), size=512)
    found = []
    for number in range(PER_SERIES * SERIES):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = BIG, f"{BIG}.{number // PER_SERIES + 1}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = image_uid(number)
        ds.SeriesNumber, ds.InstanceNumber = number // PER_SERIES + 1, number % PER_SERIES + 1
        found.append(part10(ds))
    small = ct_slice(SampleStudy("bench"), size=8)
    for study in range(small_studies):
        uid = f"{UID_ROOT}81.{study}"
        small.StudyInstanceUID, small.SeriesInstanceUID = uid, f"{uid}.1"
        small.PatientName, small.PatientID = f"Family{study % 977}^Given{study}", f"B{study:05}"
        small.StudyDate, small.AccessionNumber = (
            f"20{study % 24:02}0{study % 9 + 1}1{study % 10}",
            f"A{study}",
        )
        for image in range(20):
            small.SOPInstanceUID = small.file_meta.MediaStorageSOPInstanceUID = f"{uid}.1.{image}"
            small.InstanceNumber = image + 1
            found.append(part10(small))
    return found


def image_uid(number: int) -> str:
    """Of a slice of the CT study."""
    return f"{BIG}.{number // PER_SERIES + 1}.{number % PER_SERIES + 1}"


def place(number: int) -> str:
    """Its address below the base."""
    return f"/studies/{BIG}/series/{BIG}.{number // PER_SERIES + 1}/instances/{image_uid(number)}"


def bodies(found: Sequence[bytes], together: int) -> list[bytes]:
    """Bodies of STOW-RS, *together* objects each."""
    made = []
    for at in range(0, len(found), together):
        parts = [
            b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + each for each in found[at : at + together]
        ]
        made.append(b"".join([*parts, b"\r\n--b--\r\n"]))
    return made


def stow(peer: str, found: Sequence[bytes], together: int = 20) -> float:
    """Seconds to store them all."""
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    requests = [
        request_of("POST", peer, "/dicom-web/studies", {"Content-Type": kind, "Accept": JSON}, body)
        for body in bodies(found, together)
    ]
    return exchange(peer, requests, CONNECTIONS).seconds


@dataclass(frozen=True)
class Row:
    """A row of the table: milliseconds that *work* takes at a peer; ours must be *wanted* times better."""

    name: str
    wanted: float
    work: Callable[[str], float]


def asked(path: str, accept: str, times: int = 20) -> Callable[[str], float]:
    """The median time of one request over a kept connection."""

    def work(peer: str) -> float:
        return 1000 * statistics.median(get(peer, ["/dicom-web" + path] * times, 1, accept).each_s)

    return work


def each_of(ending: str, accept: str) -> Callable[[str], float]:
    """The same, another object each time."""

    def work(peer: str) -> float:
        paths = [f"/dicom-web{place(n)}{ending}" for n in range(0, 600, 7)]
        return 1000 * statistics.median(get(peer, paths, 1, accept).each_s)

    return work


def rendered(start: int) -> Callable[[str], float]:
    """Milliseconds a picture, four under way; windows of their own, so that nothing kept can serve."""
    count = iter(range(start, start + 1_000_000))

    def work(peer: str) -> float:
        width = 300 + next(count)
        paths = [f"/dicom-web{place(n)}/rendered?window=40,{width},linear" for n in range(0, 300, 2)]
        answers = get(peer, paths, CONNECTIONS, "image/jpeg")
        return 1000 * answers.seconds / len(paths)

    return work


def rows() -> list[Row]:
    """What the figures are about."""
    study = f"{UID_ROOT}81.7"
    return [
        Row("WADO-RS of two series, 300 slices", 1.5, both_series),
        Row("one instance", 2.0, each_of("", DICOM)),
        Row("one frame", 1.25, each_of("/frames/1", OCTETS)),
        Row("metadata of a 150-slice series", 10, asked(f"/studies/{BIG}/series/{BIG}.1/metadata", JSON, 5)),
        Row("rendered frames", 2.5, rendered(0)),
        Row("QIDO by UID", 1, asked(f"/studies?StudyInstanceUID={study}", JSON)),
        Row("QIDO name prefix", 2, asked("/studies?PatientName=Family12*&limit=25", JSON)),
        Row("QIDO any-position wildcard", 2, asked("/studies?PatientName=*iven12*&limit=25", JSON)),
        Row("QIDO date range", 5, asked("/studies?StudyDate=20100101-20141231&limit=100", JSON)),
        Row("QIDO all studies limit 100", 10, asked("/studies?limit=100", JSON, 5)),
        Row("QIDO instances of a series", 10, asked(f"/studies/{BIG}/series/{BIG}.1/instances", JSON, 5)),
    ]


def both_series(peer: str) -> float:
    """Milliseconds for two series, which are 300 slices, one after the other."""
    paths = [f"/dicom-web/studies/{BIG}/series/{BIG}.{number}" for number in (1, 2)]
    return 1000 * get(peer, paths, 1, DICOM).seconds


def measure(ours: str, theirs: str, chosen: Sequence[Row], rounds: int) -> None:
    """Rounds by turns, then what they gave for each row."""
    for row in chosen:
        for peer in (ours, theirs):
            row.work(peer)
        told(row.name, row.wanted, [turn(row.work, ours, theirs) for _ in range(rounds)])


def turn(work: Callable[[str], float], ours: str, theirs: str) -> tuple[float, float]:
    """One round in the order ours, theirs, theirs, ours: what the machine does beside falls on both alike."""
    first, second, third, last = (work(peer) for peer in (ours, theirs, theirs, ours))
    return (first + last) / 2, (second + third) / 2


def turns(ours: str, theirs: str, number: int) -> tuple[str, str]:
    """Who is first in round *number* of what cannot be done twice."""
    return (ours, theirs) if number % 2 == 0 else (theirs, ours)


def told(name: str, wanted: float, rounds: Sequence[tuple[float, float]]) -> None:
    """One line."""
    ratio = statistics.median(theirs / ours for ours, theirs in rounds)
    ours, theirs = (statistics.median(each) for each in zip(*rounds, strict=True))
    print(
        f"{name:32} {ours:9.2f} ms, Orthanc {theirs:9.2f} ms: {ratio:6.2f}x, wanted {wanted:g}x, "
        f"{'met' if ratio >= wanted else 'NOT MET'}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", type=int, default=170)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    chosen = [row for row in rows() if options.only in row.name]
    found = objects(options.small)
    slices, small = found[: PER_SERIES * SERIES], found[PER_SERIES * SERIES :]
    stored: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as running:
        folder = Path(temporary)
        rounds = options.rounds if options.only in "STOW" else 1
        for number in range(rounds):
            with ExitStack() as passing:
                kept = running if number == rounds - 1 else passing
                ours = kept.enter_context(filmjacket(folder / f"a{number}")).removeprefix("http://")
                theirs = kept.enter_context(orthanc(folder / f"o{number}", [PLUGIN]))
                took = {peer: 1000 * stow(peer, slices) for peer in turns(ours, theirs, number)}
                stored.append((took[ours], took[theirs]))
        if rounds > 1:
            told("STOW of 600 slices", 1.5, stored)
        for peer in (ours, theirs):
            stow(peer, small)
        wait_until_settled(ours)
        measure(ours, theirs, chosen, options.rounds)


if __name__ == "__main__":
    main()
