"""What the archive says of a study: averages, overlays, tags, and how it settles."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.archive import Archive
from core.archive.nouns import Outcome, State, StudyFilter
from core.archive.phi import LAST, PHI, Weighed, average
from core.archive.schema import overlays
from core.errors import BadInput, NotFound, NotRenderable
from core.media.samples import SampleStudy, ct_slice, uid
from tests.core.archive_help import NS, attach, send, sop, store, tiny

NAMES = st.sampled_from([None, "", "Ada", "Bea", "Cyd"])


@settings(max_examples=200, deadline=None)
@given(images=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 6)), NAMES), min_size=1, max_size=9))
def test_the_average_is_the_most_frequent_value(images: list[tuple[int | None, str | None]]) -> None:
    sets = [
        Weighed({} if name is None else {"(0010,0010)": name}, 1, LAST if number is None else number)
        for number, name in images
    ]
    said = [(LAST if number is None else number, name) for number, name in images if name is not None]
    real = [one for one in said if one[1]] or said
    found = average(sets)
    if not real:
        assert found == {}
        return
    counts = Counter(name for _, name in real)
    best = [name for name in counts if counts[name] == max(counts.values())]
    lowest = {name: min(number for number, other in real if other == name) for name in best}
    assert found["(0010,0010)"] == min(best, key=lambda name: (lowest[name], name))


def test_phi_tags_and_transfer_attributes(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    try:
        names = ["B^B", "A^A", "A^A", "B^B", "C^C"]  # a tie: the lowest number decides
        for n, name in enumerate(names, 1):
            store(
                archive, tiny(study, instance=n, PatientName=name, PatientAge="044Y", PatientAddress="Road 1")
            )
        attach(archive, study.uid, b"x").result(30)
        phi = archive.study_phi(NS, study.uid)
        assert list(phi) == sorted(phi)
        assert set(phi) <= set(PHI)
        assert phi["(0010,0010)"] == "B^B"
        assert (phi["(0010,1010)"], phi["(0010,1040)"], phi["(0008,0050)"]) == ("044Y", "Road 1", "A1001")
        assert archive.image_phi(NS, study.uid, sop(study, 1, 2))["(0010,0010)"] == "A^A"
        tags = archive.study_tags(NS, study.uid)
        assert tags.tags["(0008,0060)"] == "CT"
        assert tags.tags.items() >= phi.items()
        assert (tags.image_count, tags.attachment_count) == (5, 1)
        assert tags.size == sum(i.bytes for s in archive.schema(NS, study.uid).series for i in s.images)
        store(archive, tiny(study, instance=6, sop_class="1.2.840.10008.5.1.4.1.1.7"))
        assert archive.transfer_attributes(NS, study.uid) == {
            "(0002,0010)": ["1.2.840.10008.1.2.1"],
            "(0002,0002)": ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"],
        }
    finally:
        archive.close()


def test_overlays_lie_on_top(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path)
    try:
        store(archive, tiny(study))

        def lay(namespace: str, tags: dict[str, str]) -> None:
            row = {"study_id": 1, "phi_namespace": namespace, "tags": json.dumps(tags)}
            archive.db.write(lambda c: c.execute(overlays.insert(), row) and None).result()

        lay("partner", {"(0010,0010)": "Other^Name", "(0012,0001)": "extra"})
        assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "Probe^Paula"
        seen = archive.study_phi(NS, study.uid, "partner")
        assert (seen["(0010,0010)"], seen["(0012,0001)"], seen["(0010,0020)"]) == (
            "Other^Name",
            "extra",
            "SAMPLE-1",
        )
        assert archive.image_phi(NS, study.uid, sop(study), "*", "partner")["(0010,0010)"] == "Other^Name"
        assert archive.study_tags(NS, study.uid, "partner").tags["(0012,0001)"] == "extra"
        lay(NS, {"(0010,0010)": "Own^Overlay"})
        assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "Own^Overlay"
        assert archive.study_phi(NS, study.uid, "unknown")["(0010,0010)"] == "Own^Overlay"
        assert archive.study_phi(NS, study.uid, "partner")["(0010,0010)"] == "Other^Name"
    finally:
        archive.close()


class Pictures:
    """A thumbnailer that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fail = False
        self.made = threading.Event()

    def thumbnail(self, file: Path, frame: int, box: int) -> bytes:
        self.asked.append((frame, box))
        self.made.set()
        if self.fail:
            raise NotRenderable("no picture")
        return b"JPEG of " + file.read_bytes()[132:140]


def _settled(archive: Archive) -> None:
    """Wait until the background pass has nothing to do."""
    waiting = threading.Event()
    for _ in range(600):
        if not archive.unsettled():
            return
        waiting.wait(0.02)
    raise AssertionError("the archive did not settle")


def test_a_quiet_study_settles(tmp_path: Path, study: SampleStudy) -> None:
    pictures = Pictures()
    archive = Archive.open(tmp_path, settle_after_s=0.2, thumbnailer=pictures)
    try:
        for n, name in enumerate(["A^A", "B^B", "B^B"], 1):
            store(archive, ct_slice(study, instance=n, size=8, PatientName=name))
        series_uid = uid(study.seed, 1)
        before = dict(archive.study_phi(NS, study.uid))
        _settled(archive)
        assert archive.study_phi(NS, study.uid) == before
        row = archive.study(NS, study.uid).row
        assert (row.state, row.patient_name) == (State.SETTLED, "B^B")
        assert archive.studies(StudyFilter(patient_name="b")).total == 1
        assert archive.studies(StudyFilter(patient_name="a")).total == 0
        packed = archive.series_metadata(NS, study.uid, series_uid)
        assert packed is not None
        described: list[dict[str, Any]] = json.loads(gzip.decompress(packed))
        assert [one["attributes"]["(0020,0013)"] for one in described] == ["1", "2", "3"]
        assert (archive.series_thumbnail(NS, study.uid, series_uid) or b"").startswith(b"JPEG")
        assert set(pictures.asked) == {(0, 512)}
        made = len(pictures.asked)

        store(archive, tiny(study, series=2))
        assert archive.study(NS, study.uid).row.state is State.RECEIVING
        pictures.fail = True
        _settled(archive)
        assert len(pictures.asked) == made + 1  # the first series has not changed
        assert archive.series_thumbnail(NS, study.uid, uid(study.seed, 2)) is None
        assert archive.series_metadata(NS, study.uid, uid(study.seed, 2)) is not None
        with pytest.raises(NotFound):
            archive.series_metadata(NS, "1.2.3", series_uid)
    finally:
        archive.close()


def test_the_average_is_right_before_and_after_settling(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=0.01)
    try:
        store(archive, tiny(study, PatientName="A^A"))
        _settled(archive)
        for n in (2, 3):
            store(archive, tiny(study, instance=n, PatientName="B^B"))
            assert archive.study_phi(NS, study.uid)["(0010,0010)"] == ("A^A" if n == 2 else "B^B")
        assert store(archive, tiny(study, instance=3, PatientName="A^A")).outcome is Outcome.NEW_VERSION
        assert archive.study_phi(NS, study.uid)["(0010,0010)"] == "A^A"
    finally:
        archive.close()


def test_reading_a_study_opens_no_file(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    try:
        for n in range(1, 4):
            store(archive, tiny(study, instance=n))
        for image in archive.schema(NS, study.uid).series[0].images:
            archive.image(NS, study.uid, image.sop_instance_uid).path.unlink()
        assert len(archive.schema(NS, study.uid).series[0].images) == 3
        assert archive.study_tags(NS, study.uid).image_count == 3
        assert archive.study_phi(NS, study.uid)["(0010,0020)"] == "SAMPLE-1"
        assert archive.study(NS, study.uid).row.images == 3
    finally:
        archive.close()


def test_the_representative_is_the_first_image(tmp_path: Path, study: SampleStudy) -> None:
    archive = Archive.open(tmp_path)
    try:
        for instance in (2, 1):
            store(archive, tiny(study, instance=instance))
        assert archive.representative(NS, study.uid).sop_instance_uid == sop(study, 1, 1)
    finally:
        archive.close()


def test_what_real_files_say_is_kept(tmp_path: Path, testdata: Path) -> None:
    archive = Archive.open(tmp_path, settle_after_s=600)
    try:
        kept = 0
        for path in sorted(testdata.rglob("*")):
            if not path.is_file() or path.stat().st_size > 300_000:
                continue
            future = send(archive, path.read_bytes())
            if isinstance(future.exception(30), BadInput):
                continue
            result = future.result()
            phi = archive.image_phi(NS, result.study_uid, result.sop_uid, result.version)
            assert phi.get("(0010,0010)", "") == result.attributes.get("(0010,0010)", "")
            kept += 1
        assert kept > 50
        assert archive.check().ok
    finally:
        archive.close()
