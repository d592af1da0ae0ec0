"""Compares real files with what a DICOMweb archive shows of them: every picture, of one frame or many."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from core.dicom.header import read_header
from core.dicom.model_values import text
from core.dicom.refs import Found
from core.errors import KnownError, NotRenderable
from core.imaging.apart import open_image
from core.imaging.attributes import ImageAttributes
from core.imaging.image import Frame, ImageObject
from core.net.dicomweb_client import DICOM, STUDIES, DicomWebClient
from core.net.dicomweb_records import STUDY_UID
from core.net.dicomweb_source import DicomWebSource
from core.net.dicomweb_study import DicomWebStudy
from core.net.related import Part, RelatedBody

LARGEST = 12 << 20
MOST_FRAMES = 3
EACH = 4  # so many files of one frame are passed over


def chosen(folder: Path) -> Iterator[bytes]:
    """All files of many frames, and some others."""
    passed = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.stat().st_size > LARGEST:
            continue
        data = path.read_bytes()
        try:
            frames = read_header(io.BytesIO(data)).number_of_frames
        except KnownError:
            continue
        passed += frames <= 1
        if frames > 1 or passed % EACH == 0:
            yield data


def store(client: DicomWebClient, folder: Path) -> set[bytes]:
    """What the archive took, as bytes."""
    taken = set()
    for data in chosen(folder):
        try:
            with closing(RelatedBody([Part(DICOM, data)])) as body:
                answer = client.store(body, DICOM)
        except KnownError:
            continue
        if answer.stored:
            taken.add(data)
    return taken


def pictures(image: ImageObject) -> list[Frame | str]:
    """The first frames and the last; why not, where there is no picture."""
    count = image.frame_count
    found: list[Frame | str] = []
    for index in sorted({*range(min(count, MOST_FRAMES)), count - 1}):
        try:
            found.append(image.frame(index))
        except KnownError as error:
            found.append(error.message)
    return found


def compare(url: str, folder: Path) -> tuple[int, int]:
    """How many pictures are the same, and how many objects gave their frames apart."""
    apart = compared = 0
    with closing(DicomWebClient(url)) as client:
        taken = store(client, folder)
        studies = [text(each, STUDY_UID) for each in client.search_all(STUDIES, [], STUDY_UID)]
        for uid in studies:
            with DicomWebSource(DicomWebStudy(client, uid)) as source:
                for found in source.headers():
                    assert isinstance(found, Found)
                    with source.whole(found.ref) as file:
                        data = file.read()
                    assert data in taken, found
                    try:
                        own = ImageObject.open(data)
                    except KnownError:
                        continue  # a report, or damaged
                    try:
                        stream = source.open(found.ref)
                    except NotRenderable:
                        assert "video" in str(pictures(own)[0]), found
                        continue
                    with stream:
                        image = open_image(stream)
                        apart += type(image) is not ImageObject
                        for here, there in zip(pictures(own), pictures(image), strict=True):
                            compared += 1
                            check(found, here, there)
                    with source.open_header(found.ref) as stream:
                        assert place(own.attributes) == place(open_image(stream).attributes), found
    return compared, apart


def place(at: ImageAttributes) -> tuple[object, ...]:
    """What the order of slices is found from."""
    return at.position, at.orientation, at.spacing, at.frame_of_reference_uid, at.instance_number


def check(found: Found, here: Frame | str, there: Frame | str) -> None:
    """The same picture, or none for the same reason."""
    if isinstance(here, str) or isinstance(there, str):
        assert here == there, found
        return
    assert np.array_equal(here.pixels, there.pixels), found
    assert here.photometric == there.photometric, found
    if not here.is_colour:
        corner = here.pixels[:8, :8]
        shown = [each.grey.modality.apply(corner) for each in (here, there)]
        assert np.array_equal(*shown), found
        assert len(here.grey.vois) == len(there.grey.vois), found
    assert here.attributes.spacing == there.attributes.spacing, found
    assert [each.plane.tobytes() for each in here.overlays] == [
        each.plane.tobytes() for each in there.overlays
    ], found
