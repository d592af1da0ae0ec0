"""C-FIND's short way: what rows of the catalog are written as is what their models are written as."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.archive.blobs import LocalBlobs
from core.archive.level_rows import COLUMNS, Level
from core.archive.returned import Searcher
from core.dicom.answer_rows import AnswerRows
from core.dicom.identifier import Answering, Identifier
from core.dicom.json_model import element_of
from core.media.samples import SamplePatient, SampleStudy, dataset
from server.dimse.admission import Caller
from server.dimse.finding import LEVELS, QUERY_LEVEL, wanted_of
from tests.core.archive_help import store
from tests.dimse.gateways import EXPLICIT, IMPLICIT, gateway

STUDIES = (
    SampleStudy("a", SamplePatient("Müller^Anna", "M1", "19700102", "F"), date="20240101"),
    SampleStudy("b", SamplePatient("Kim^Min=金^敏", "K1", "", "M"), date="20230101", description=""),
    SampleStudy("c", SamplePatient("Odd^Length", "O12", "19700102", "O"), date="", accession_number=""),
    SampleStudy("d", SamplePatient("", "", "", ""), date="20240101", description="A\\B"),
)
BESIDE = {0x00080061: Level.STUDY, 0x00080056: Level.STUDY, 0x00201209: Level.SERIES}
KEYS: dict[int, list[str]] = {
    0x0020000D: [STUDIES[0].uid, f"{STUDIES[0].uid}\\{STUDIES[1].uid}", "1.2"],
    0x00080020: ["20240101", "20230101-20231231", "-20240101"],
    0x00080030: ["101500", "10-11"],
    0x00080061: ["CT", "MR", "CT\\SR", "C*", "MR\\", '""'],
    0x00080060: ["CT", "MR", "M?", '""'],
    0x00100010: ["mueller*", "M*^Anna", "*=金*", "ODD^LENGTH", '""'],
    0x00100020: ["M1", "m1", "?1", "*"],
    0x00100040: ["F", "*"],
    0x00081030: ["CT*", '""'],
    0x00200011: ["1", "2"],
}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Generator[Searcher, None, None]:
    """Four studies of two series."""
    folder: Path = tmp_path_factory.mktemp("rows")
    with gateway(folder) as running:
        for study in STUDIES:
            for series, modality in (
                (1, "CT"),
                (2, "MR" if study.seed == "b" else "SR"),
                (3, "" if study.seed == "d" else "CT"),
            ):
                store(running.archive, dataset(study, series=series, modality=modality))
        yield Searcher(running.archive.db, LocalBlobs(folder / "archive"))


def both(searcher: Searcher, identifier: Identifier, syntax: str) -> tuple[list[bytes] | None, list[bytes]]:
    """The short way, None where it cannot be gone, and the long one."""
    wanted = wanted_of(identifier, Caller("CT1", "US", "default", "127.0.0.1"), patient_root=False)
    always = {"00080052": element_of("CS", [wanted.level]), "00080054": element_of("AE", ["US"])}
    writer = Answering(identifier, syntax, explicit_tags=(QUERY_LEVEL, 0x00080054))
    models = [model for _, model in searcher.each(wanted.query, wanted.fields)]
    long = [writer.data_set(model | always) for model in models]
    with searcher.listed(wanted.query, sorted(wanted.fields.tags)) as found:
        short = None if found is None else [*map(AnswerRows(writer, found.tags, always).data_set, found.rows)]
    return short, long


@given(
    level=st.sampled_from(("STUDY", "SERIES", "IMAGE")),
    asked=st.sets(st.sampled_from([*COLUMNS, *BESIDE, 0x00080005, 0x00080054])),
    keys=st.dictionaries(st.sampled_from(list(KEYS)), st.integers(0, 5), max_size=3),
    syntax=st.sampled_from((EXPLICIT, IMPLICIT)),
    charset=st.sampled_from(("", "ISO_IR 100", "ISO_IR 192")),
)
def test_both_ways_lead_to_the_same_bytes(
    searcher: Searcher, *, level: str, asked: set[int], keys: dict[int, int], syntax: str, charset: str
) -> None:
    texts = {(tag,): "" for tag in asked} | {
        (tag,): KEYS[tag][number % len(KEYS[tag])] for tag, number in keys.items()
    }
    texts[QUERY_LEVEL,] = level
    identifier = Identifier(texts, charset, {path[0]: frozenset() for path in texts})
    short, long = both(searcher, identifier, syntax)
    assert short is None or short == long
    mine = {tag: of for tag, (of, _) in COLUMNS.items()} | BESIDE
    known = all(mine.get(path[0], Level.STUDY) <= LEVELS[level] for path in texts)
    narrow = not {0x00080061, 0x00201209} & {path[0] for path in texts} or level == "STUDY"
    if known and narrow and not {'""', "C*", "MR\\"} & set(texts.values()):  # no plain lists of values
        assert short is not None, "what the catalog knows goes the short way"


@pytest.mark.parametrize("asked", [0x00200010, 0x00081111, 0x00101010])
def test_what_the_catalog_does_not_know_goes_the_long_way(searcher: Searcher, asked: int) -> None:
    identifier = Identifier({(asked,): "", (QUERY_LEVEL,): "STUDY"}, "", {asked: frozenset()})
    short, long = both(searcher, identifier, EXPLICIT)
    assert short is None and len(long) == len(STUDIES)
