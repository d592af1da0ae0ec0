"""Attachments are kept like images: name, type, bytes, versions, and nothing of a failed one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.archive.archive import Archive
from core.errors import BadInput, NotFound, StorageFault
from core.media.samples import SampleStudy
from tests.core.archive_help import NS, Failing, attach, files_in, store, tiny


@pytest.fixture
def files() -> Failing:
    """The file system under the archive."""
    return Failing()


@pytest.fixture
def archive(tmp_path: Path, files: Failing) -> Iterator[Archive]:
    """An empty archive."""
    archive = Archive.open(tmp_path, files=files, settle_after_s=60)
    yield archive
    archive.close()


def test_attachments_come_back_with_name_and_type(archive: Archive, study: SampleStudy) -> None:
    store(archive, tiny(study))
    first = attach(archive, study.uid, b"%PDF-1", "Befund Müller.pdf").result(30)
    second = attach(archive, study.uid, b"", "empty").result(30)
    assert first.version == base64.urlsafe_b64encode(hashlib.sha256(b"%PDF-1").digest()[:20]).decode().rstrip(
        "="
    )
    found = archive.attachment(NS, study.uid, first.guid, first.version)
    assert found.attachment == first
    assert (first.name, first.content_type, first.uploaded_by, first.bytes) == (
        "Befund Müller.pdf",
        "application/pdf",
        "Rita",
        6,
    )
    with found.open() as file:
        assert file.read() == b"%PDF-1"
    assert archive.attachment(NS, study.uid, first.guid, "*").attachment == first
    assert archive.latest_attachment(NS, study.uid).attachment == second
    assert archive.schema(NS, study.uid).attachments == (first, second)
    assert archive.study_tags(NS, study.uid).attachment_count == 2
    for guid, version in (("nothing", "*"), (first.guid, second.version)):
        with pytest.raises(NotFound, match="Attachment"):
            archive.attachment(NS, study.uid, guid, version)
    assert archive.check().ok


def test_attachments_need_a_study_and_a_sane_name(
    archive: Archive, tmp_path: Path, study: SampleStudy
) -> None:
    assert isinstance(attach(archive, study.uid, b"x").exception(30), NotFound)
    store(archive, tiny(study))
    with pytest.raises(NotFound):
        archive.latest_attachment(NS, study.uid)
    assert isinstance(attach(archive, study.uid, b"x", "a\nb").exception(30), BadInput)
    assert len(files_in(tmp_path)) == 1


@pytest.mark.parametrize("step", ["sync", "rename", "sync_folder"])
def test_a_failing_disk_keeps_no_attachment(
    archive: Archive, files: Failing, tmp_path: Path, study: SampleStudy, step: str
) -> None:
    store(archive, tiny(study))
    files.fail = step
    assert isinstance(attach(archive, study.uid, b"x").exception(30), StorageFault)
    assert len(files_in(tmp_path)) == 1
    assert archive.study_tags(NS, study.uid).attachment_count == 0
