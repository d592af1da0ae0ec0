"""Queries by any attribute: every answer equals what a plain loop over the data sets gives."""

from __future__ import annotations

import random
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from core.archive import narrowing
from core.archive.archive import Archive
from core.archive.blobs import LocalBlobs
from core.archive.level_rows import Level
from core.archive.matching_keys import key_of, path_of
from core.archive.query import Query
from core.archive.returned import Fields, Searcher
from core.errors import BadInput
from core.media.samples import SamplePatient, SampleStudy
from tests.core.archive_help import NS, store, tiny
from tests.repeats import times

NAMES = [
    "Müller^Änne",
    "MULLER^Otto",
    "Smith^John^Q",
    "Smithers^Al",
    "Yamada^Tarou=山田^太郎",
    "",
    "O'Neil^Ann-Marie",
]
IDS = ["P-100", "p-100", "P-1", "9", "J/1", "A B"]
DATES = ["20200101", "20200102", "20210315", "20211231", ""]
TIMES = ["101500", "1015", "235959.5", "000000", ""]
MODALITIES = ["CT", "MR", "US"]
PARTS = ["ABDOMEN", "CHEST", ""]
PROTOCOLS = ["Thorax 1", "Thorax*", "abd?", ""]
POSITIONS = ["1.50", "-2", "3"]
LEVELS = {Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID", Level.IMAGE: "SOPInstanceUID"}


@dataclass
class Filled:
    """An archive, what is in it, and who answers."""

    archive: Archive
    searcher: Searcher
    objects: list[Dataset]


@pytest.fixture(scope="module", params=[0.05, 600.0, 601.0], ids=["settled", "unsettled", "full"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Random studies, of which the headers of images differ."""
    data = tmp_path_factory.mktemp("filled")
    draw = random.Random(7)
    archive = Archive.open(data, settle_after_s=request.param)
    objects = []
    for number in range(24):
        person = SamplePatient(draw.choice(NAMES), draw.choice(IDS))
        study = SampleStudy(
            f"query {number}", person, draw.choice(DATES), draw.choice(PROTOCOLS), f"A{number % 5}"
        )
        at = draw.choice(TIMES)
        for series in range(1, draw.randint(2, 4)):
            modality = draw.choice(MODALITIES)
            for instance in range(1, draw.randint(2, 5)):
                ds = tiny(study, series=series, instance=instance, modality=modality, StudyTime=at)
                ds.ProtocolName = draw.choice(PROTOCOLS)
                ds.BodyPartExamined = draw.choice(PARTS)
                ds.SliceLocation = draw.choice(POSITIONS)
                ds.AcquisitionDate, ds.AcquisitionTime = draw.choice(DATES), draw.choice(TIMES)
                ds.AcquisitionDateTime = draw.choice(DATES) and draw.choice(DATES[:4]) + draw.choice(
                    ["", "1015", "101500.25"]
                )
                ds.ImageType = ["ORIGINAL", draw.choice(["PRIMARY", "SECONDARY"])]
                ds.RequestAttributesSequence = [_request(draw) for _ in range(draw.choice([0, 1, 1, 2]))]
                objects.append(ds)
                store(archive, ds)
    while request.param < 1 and archive.unsettled():
        time.sleep(0.02)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == 601.0:  # as if so many studies fitted that they are tried in the answer's order
            patch.setattr(narrowing, "MANY", 2)
        yield Filled(archive, Searcher(archive.db, LocalBlobs(data / "archive")), objects)
    archive.close()


def _request(draw: random.Random) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = draw.choice(["S1", "S2", ""])
    item.RequestedProcedureID = draw.choice(["R1", "R2", ""])
    return item


def _has(ds: Dataset, name: str) -> list[str]:
    value = ds.get(name, None)
    if value is None or value == "":
        return []
    return (
        [str(each) for each in value]
        if isinstance(value, Sequence) and not isinstance(value, str)
        else [str(value)]
    )


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).casefold()


def _wild(wanted: str, value: str) -> bool:
    if not wanted:
        return not value
    if wanted[0] == "*":
        return any(_wild(wanted[1:], value[n:]) for n in range(len(value) + 1))
    return bool(value) and wanted[0] in ("?", value[0]) and _wild(wanted[1:], value[1:])


def _person(wanted: str, value: str) -> bool:
    for group in _plain(value).split("="):
        asked, there = _plain(wanted).split("^"), group.split("^")
        there += [""] * len(asked)
        by_component = all(not a or _wild(a, t) for a, t in zip(asked, there, strict=False))
        if group and (by_component or _wild(_plain(wanted), group)):
            return True
    return False


def _moment(text: str, *, last: bool, day: bool) -> str:
    filler = ("99991231" if day else "") + "235959999999" if last else ("00000101" if day else "") + "0" * 12
    digits = text.replace(".", "")
    return digits + filler[len(digits) :]


def _between(wanted: str, value: str, *, day: bool) -> bool:
    first, dash, last = wanted.partition("-")
    last = last if dash else first
    there = _moment(value, last=False, day=day)
    return (not first or _moment(first, last=False, day=day) <= there) and (
        not last or there <= _moment(last, last=True, day=day)
    )


def _matches(ds: Dataset, name: str, wanted: str) -> bool:
    values = _has(ds, name)
    if not wanted.strip("*"):
        return True
    if wanted == '""':
        return not values
    if name == "PatientName":
        return any(_person(wanted, value) for value in values)
    if name.endswith(("Date", "Time")):
        return any(
            _between(wanted, value, day=not name.endswith("nTime") and not name.endswith("yTime"))
            for value in values
        )
    if name == "SliceLocation":
        return any(float(value) == float(wanted) for value in values)
    parts = wanted.split("\\")
    wild = not name.endswith("UID")
    return any(_wild(part, value) if wild else part == value for part in parts for value in values)


def _all_match(ds: Dataset, wanted: dict[str, str]) -> bool:
    """Of a sequence one item must match all that is wanted of it."""
    inside = {name.partition(".")[2]: value for name, value in wanted.items() if "." in name}
    flat = [(name, value) for name, value in wanted.items() if "." not in name]
    items = ds.RequestAttributesSequence or [Dataset()]
    nested = any(all(_matches(item, *each) for each in inside.items()) for item in items)
    return nested and all(_matches(ds, *each) for each in flat)


def _wildcards(values: Sequence[str]) -> st.SearchStrategy[str]:
    def spoil(value: str, at: int, sign: str) -> str:
        at = min(at, len(value))
        return value[:at] + sign + value[at + (sign == "?") :]

    some = st.sampled_from([value for value in values if value])
    spoilt = st.builds(spoil, some, st.integers(0, 8), st.sampled_from(["*", "?"]))
    inside = st.builds(
        lambda value, a, b: f"*{value[a : a + b]}*", some, st.integers(0, 5), st.integers(1, 3)
    )
    return st.one_of(some, some.map(lambda v: v[:3] + "*"), spoilt, inside, st.sampled_from(["", "*", '""']))


def _ranges(values: Sequence[str]) -> st.SearchStrategy[str]:
    some = st.sampled_from([value for value in values if value])
    both = st.builds(lambda a, b: f"{a}-{b}", some, some)
    return st.one_of(some, some.map(lambda v: v + "-"), some.map(lambda v: "-" + v), both, st.just('""'))


def _keys() -> st.SearchStrategy[dict[str, str]]:
    names = [
        *NAMES,
        "smith",
        "SMITH^J*",
        "mul*^*",
        "^otto",
        "*n*",
        "müller",
        "o*",
        "山田",
        "*arou",
        "o'*^ann*",
    ]
    uids = [str(tiny(SampleStudy(f"query {number}"), series=1).SeriesInstanceUID) for number in range(24)]
    return st.fixed_dictionaries(
        {},
        optional={
            "PatientName": _wildcards([name for name in names if "=" not in name]),
            "PatientID": _wildcards(IDS),
            "AccessionNumber": _wildcards(["A1", "A4", "A1\\A2"]),
            "StudyDate": _ranges(DATES),
            "StudyDescription": _wildcards(["Thorax 1", "abd"]),
            "Modality": _wildcards(["CT", "MR", "CT\\US"]),
            "SeriesNumber": st.sampled_from(["1", "2", "7"]),
            "SeriesInstanceUID": st.sampled_from(uids) | st.just("\\".join(uids[:9])),
            "ProtocolName": _wildcards(["Thorax 1", "abd"]),
            "BodyPartExamined": _wildcards(PARTS),
            "SliceLocation": st.sampled_from(["1.5", "-2.0", "4"]),
            "AcquisitionDate": _ranges(DATES),
            "AcquisitionDateTime": _ranges(["2020", "20200101", "202103151015"]),
            "ImageType": _wildcards(["ORIGINAL", "PRIMARY"]),
            "RequestAttributesSequence.ScheduledProcedureStepID": _wildcards(["S1", "S2"]),
            "RequestAttributesSequence.RequestedProcedureID": _wildcards(["R1", "R2"]),
        },
    )


def _parsed(wanted: dict[str, str]) -> list[Any]:
    keys = [key_of(name, path_of(name) or (), value) for name, value in wanted.items()]
    return [key for key in keys if key is not None]


@settings(
    max_examples=times(15, whole=30), database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(wanted=_keys(), level=st.sampled_from(list(Level)))
def test_an_answer_is_what_a_loop_over_the_objects_gives(
    filled: Filled, wanted: dict[str, str], level: Level
) -> None:
    query = Query(level, NS, keys=_parsed(wanted), limit=1000)
    found = filled.searcher.answers(query, Fields())
    objects = [ds for ds in filled.objects if _all_match(ds, wanted)]
    expected = {str(ds[LEVELS[level]].value) for ds in objects}
    uids = [each[-1] for each, _ in found.models]
    assert len(uids) == len(set(uids)) and set(uids) == expected, wanted
    assert filled.searcher.count(query) == len(expected)


def test_studies_by_the_modalities_of_their_series(filled: Filled) -> None:
    for text in ("CT", "CT\\MR", "MR\\", "C*", "XX"):
        parts = [each for each in text.split("\\") if each]
        objects = [ds for ds in filled.objects if any(_wild(each, ds.Modality) for each in parts)]
        expected = {str(ds.StudyInstanceUID) for ds in objects}
        keys = _parsed({"ModalitiesInStudy": text})
        found: list[str] = []
        for offset in range(0, 24, 5):
            page = filled.searcher.answers(
                Query(Level.STUDY, NS, keys=keys, limit=5, offset=offset), Fields()
            )
            found += [uids[0] for uids, _ in page.models]
            assert page.more == (len(expected) > offset + 5)
        assert len(found) == len(expected) and set(found) == expected, text
        assert filled.searcher.count(Query(Level.STUDY, NS, keys=keys)) == len(expected)


def test_pages_make_the_whole(filled: Filled) -> None:
    for keys in ([], _parsed({"PatientName": "*n*"})):
        for level in Level:
            whole = filled.searcher.answers(Query(level, NS, keys=keys, limit=1000), Fields())
            pages, more, offset = list[Any](), True, 0
            while more:
                page = filled.searcher.answers(Query(level, NS, keys=keys, limit=7, offset=offset), Fields())
                pages, more, offset = [*pages, *page.models], page.more, offset + 7
            assert pages == whole.models and not whole.more and len(pages) > 7


@pytest.mark.parametrize("tag", [0x00080020, 0x00100020, 0x0020000D])
def test_sorted_as_asked(filled: Filled, tag: int) -> None:
    for turned in (False, True):
        query = Query(Level.STUDY, NS, order=[(tag, turned)], limit=1000)
        models = [model for _, model in filled.searcher.answers(query, Fields()).models]
        values = [model[f"{tag:08X}"].get("Value", [""])[0] for model in models]
        assert values == sorted(values, reverse=turned) and len(values) == 24
    with pytest.raises(BadInput, match="00180015"):
        filled.searcher.answers(Query(Level.STUDY, NS, order=[(0x00180015, False)]), Fields())


def test_a_date_and_its_time_are_one_moment(filled: Filled) -> None:
    wanted = {"StudyDate": "20200101-20200102", "StudyTime": "1015-1015"}
    found = filled.searcher.answers(Query(Level.STUDY, NS, keys=_parsed(wanted), limit=1000), Fields())
    expected = {
        str(ds.StudyInstanceUID)
        for ds in filled.objects
        if ds.StudyDate
        and ds.StudyTime
        and "20200101101500000000"
        <= ds.StudyDate + _moment(ds.StudyTime, last=False, day=False)
        <= "20200102101559999999"
    }
    assert {uids[0] for uids, _ in found.models} == expected and expected


def test_answers_say_what_the_objects_say(filled: Filled) -> None:
    fields = Fields(frozenset({0x00180015, 0x00080008, 0x00400275}))
    by_uid = {str(ds.SOPInstanceUID): ds for ds in filled.objects}
    for (study, series, image), model in filled.searcher.answers(
        Query(Level.IMAGE, NS, limit=1000), fields
    ).models:
        ds = by_uid[image]
        assert (study, series) == (ds.StudyInstanceUID, ds.SeriesInstanceUID)
        for keyword in ("PatientID", "StudyDate", "Modality", "SOPClassUID", "BodyPartExamined", "StudyID"):
            values = model[f"{int(ds[keyword].tag):08X}"].get("Value", [""])
            assert values == [str(ds[keyword].value)], keyword
        assert model["00080008"]["Value"] == list(ds.ImageType) and model["00200013"]["Value"] == [
            ds.InstanceNumber
        ]
        assert len(model["00400275"].get("Value", [])) == len(ds.RequestAttributesSequence)
    studies = filled.searcher.answers(Query(Level.STUDY, NS, limit=1000), Fields(everything=True)).models
    for (uid,), model in studies:
        mine = [ds for ds in filled.objects if ds.StudyInstanceUID == uid]
        assert model["00080061"]["Value"] == sorted({ds.Modality for ds in mine})
        assert model["00201208"]["Value"] == [len(mine)]
        assert model["00201206"]["Value"] == [len({ds.SeriesInstanceUID for ds in mine})]
        assert model["00080005"]["Value"] == ["ISO_IR 192"] and "00080018" not in model


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("Muler", {"Müller^Änne", "MULLER^Otto"}),
        ("john smth", {"Smith^John^Q"}),
        ("smi", {"Smith^John^Q", "Smithers^Al"}),
    ],
)
def test_forgiving_of_typing_errors(filled: Filled, wanted: str, names: set[str]) -> None:
    key = key_of("PatientName", (0x00100010,), wanted, fuzzy=True)
    assert key is not None
    found = filled.searcher.answers(Query(Level.STUDY, NS, keys=[key], limit=1000), Fields())
    expected = {str(ds.StudyInstanceUID) for ds in filled.objects if str(ds.PatientName) in names}
    assert {uids[0] for uids, _ in found.models} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("StudyDate", bad) for bad in ("2020", "-", "20201301", "20200101-x", "2020-01-01", "x" * 5000)),
        *(("StudyTime", bad) for bad in ("25", "1", "10:15", "--")),
        ("AcquisitionDateTime", "yesterday"),
        ("SeriesNumber", "one"),
        ("PatientName", "a*" * 500),
        ("ProtocolName", "a*" * 5000),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(BadInput, match=name):
        key_of(name, path_of(name) or (), value)


def test_offsets_of_date_times_count_where_both_have_them() -> None:
    key = key_of("k", (0x0008002A,), "20200101120000+0000-20200101130000+0000")
    assert key is not None
    for value, inside in {
        "20200101133000+0100": True,
        "20200101123000-0500": False,
        "20200101123000": True,
        "20200101140000": False,
    }.items():
        assert key.matches(lambda path, value=value: [value]) == inside, value  # type: ignore[misc] # bound now


@pytest.mark.parametrize("wanted", ["2020-2021", "20200101-2021", "202001011200-20211231"])
def test_a_year_that_ends_a_range_is_no_offset(wanted: str) -> None:
    key = key_of("k", (0x0008002A,), wanted)
    assert key is not None
    assert key.matches(lambda path: ["20210630093000"])
    assert not key.matches(lambda path: ["20191231093000"])
    assert not key.matches(lambda path: ["20220101093000"])


def test_many_wildcards_take_no_longer_than_few() -> None:
    key = key_of("k", (0x00081030,), "*a" * 500 + "b")
    assert key is not None and not key.matches(lambda path: ["a" * 100_000])
    assert key.matches(lambda path: ["xa" * 600 + "ab"])


def test_names_of_attributes() -> None:
    assert path_of("PatientName") == path_of("00100010") == (0x00100010,)
    assert path_of("00400275.ScheduledProcedureStepID") == (0x00400275, 0x00400009)
    assert path_of("Nonsense") is None
    for bad in ("0010", "0010001G", "", "00100010."):
        with pytest.raises(BadInput):
            path_of(bad)
