"""Every image of some studies of a DICOMweb archive, listed series by series, before they are fetched."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from core.dicom.refs import Found
from core.net.dicomweb_client import DicomWebClient
from core.net.dicomweb_study import DicomWebStudy

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of all studies; *missing*: how many more the archive counts than it lists."""

    images: tuple[Found, ...]
    missing: int


def list_images(
    client: DicomWebClient, study_uids: Sequence[str]
) -> Generator[tuple[int, int], None, Listing]:
    """Asks for every series; yields how many were listed, of how many. Raises KnownError."""
    studies = [DicomWebStudy(client, uid) for uid in study_uids]
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="listing")
    try:
        details = [pool.submit(study.detail) for study in studies]
        yield 0, 0
        asked: list[tuple[int, Future[list[Found]]]] = []
        for study, detail in zip(studies, details, strict=True):
            for series in detail.result().series:
                said = study.count(series.series_uid)
                asked.append((said, pool.submit(study.listed, series.series_uid)))
        images: list[Found] = []
        missing = 0
        for number, (said, answer) in enumerate(asked):
            yield number, len(asked)
            found = answer.result()
            images += found
            missing += max(0, said - len(found))
        return Listing(tuple(images), missing)
    finally:
        pool.shutdown(cancel_futures=True)
