"""The client that adds files, into a real archive: progress, stopping, refusals that name the file."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from core.errors import KnownError, SourceFault
from core.net.adding import Adding, AddProgress, Naming, Stopped, of_entry, of_study
from core.net.credentials import Credentials
from core.net.v3_client import V3Client
from tests.plain_files import every_kind, mp4
from tests.server.conftest import NAMESPACE, PASSWORDS, STUDY, Served, Stored
from tests.server.test_attach import OF_NAMESPACE, counted, entry, state

R = TypeVar("R")
PDF = every_kind()["report.pdf"]
PLACE = of_study(NAMESPACE, STUDY.uid)


@pytest.fixture
def archive(served: Served) -> Iterator[V3Client]:
    with V3Client(served.url, Credentials("staff", PASSWORDS["staff"])) as client:
        yield client


def finish(work: Generator[AddProgress, None, R], steps: list[AddProgress] | None = None) -> R:
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # a generator's return value has no type here
        if steps is not None:
            steps.append(step)


def written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def images(served: Served) -> int:
    with served.client() as client:
        return counted(client, f"{OF_NAMESPACE}/studies/{STUDY.uid}")


def test_files_arrive_with_their_title(
    served: Served, stored: Stored, archive: V3Client, tmp_path: Path
) -> None:
    before, steps = images(served), list[AddProgress]()
    files = written(
        tmp_path, {'Bericht "ä".pdf' if n == "report.pdf" else n: d for n, d in every_kind().items()}
    )
    added = finish(Adding(lambda: archive, PLACE, files, Naming("Mitgebracht", True)).run(), steps)
    assert added.study_uid == STUDY.uid and len(added.stored) == 6 and added.failed == 0
    assert images(served) == before + 6
    total = sum(path.stat().st_size for path in files)
    assert steps[-1] == AddProgress(total, total, 6, steps[-1].seconds_left) and steps[-1].storing
    detail = archive.study_detail(NAMESPACE, STUDY.uid)
    assert sum(series.description == "Mitgebracht" for series in detail.series) == 3


def test_an_entry_is_a_place_too(served: Served, archive: V3Client, tmp_path: Path) -> None:
    with served.client() as client:
        uid, study_uid = entry(client)
        place = of_entry("default", uid)
        added = finish(Adding(lambda: archive, place, written(tmp_path, every_kind()), Naming()).run())
        assert added.study_uid == study_uid and state(client, uid) == "SCHEDULED"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"good.pdf": PDF, "bad.mp4": mp4()[:-9]}, "bad.mp4: The video is cut off or damaged."),
        ({"only.pdf": PDF[:-40]}, "only.pdf: The PDF is cut off: its end is missing."),
    ],
)
def test_a_refusal_names_the_file(
    stored: Stored, archive: V3Client, tmp_path: Path, files: dict[str, bytes], sentence: str
) -> None:
    before = archive.study_detail(NAMESPACE, STUDY.uid)
    with pytest.raises(KnownError) as caught:
        finish(Adding(lambda: archive, PLACE, written(tmp_path, files), Naming()).run())
    assert caught.value.message == sentence
    assert archive.study_detail(NAMESPACE, STUDY.uid).series == before.series


def test_what_the_archive_does_not_have(archive: V3Client, tmp_path: Path) -> None:
    files = written(tmp_path, {"a.pdf": PDF})
    with pytest.raises(KnownError, match="wasn't found"):
        finish(Adding(lambda: archive, of_study(NAMESPACE, "1.2.3"), files, Naming()).run())
    with pytest.raises(SourceFault, match=r"gone\.pdf"):
        finish(Adding(lambda: archive, PLACE, [tmp_path / "gone.pdf"], Naming()).run())


def test_stopping_adds_nothing(served: Served, stored: Stored, archive: V3Client, tmp_path: Path) -> None:
    before = images(served)
    film = tmp_path / "film.mp4"
    film.write_bytes(mp4(media_bytes=64 << 20))
    adding = Adding(lambda: archive, PLACE, [film], Naming())
    first = threading.Event()
    content = adding._content

    def slowly(path: Path, size: int) -> Iterator[bytes]:
        for piece in content(path, size):
            yield piece
            if not first.is_set():
                first.set()
                assert adding.stop()

    adding._content = slowly  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        finish(adding.run())
    assert first.is_set() and images(served) == before
    assert not list((served.data / "archive" / "incoming").iterdir())


def test_what_was_sent_whole_cannot_be_stopped(
    served: Served, stored: Stored, archive: V3Client, tmp_path: Path
) -> None:
    adding = Adding(lambda: archive, PLACE, written(tmp_path, {"a.pdf": PDF}), Naming())
    assert len(finish(adding.run()).stored) == 1
    assert not adding.stop()


def test_giving_the_generator_up_leaves_no_thread(
    served: Served, stored: Stored, archive: V3Client, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(mp4(media_bytes=64 << 20))
    work = Adding(lambda: archive, PLACE, [film], Naming()).run()
    next(work)
    work.close()
    assert not [each for each in threading.enumerate() if each.name == "adding"]
