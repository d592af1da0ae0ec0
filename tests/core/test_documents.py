"""Documents: our rows behave as TinyDB over its memory storage does, for every operation and any query."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinydb import Query, TinyDB, where
from tinydb.operations import add, delete, increment
from tinydb.storages import MemoryStorage
from tinydb.table import Document

from core.db.database import Database
from core.documents import Documents
from core.documents.compile import compiled
from tests.repeats import times


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database file."""
    database = Database.open(tmp_path / "test.db")
    yield database
    database.close()


@pytest.fixture(params=["memory", "rows"])
def tiny(request: pytest.FixtureRequest, database: Database) -> TinyDB:
    """TinyDB over its own memory storage, and ours: one contract."""
    return TinyDB(storage=MemoryStorage) if request.param == "memory" else Documents(database)


PEOPLE = [
    {"name": "Ada", "age": 36, "tags": ["x", "y"], "home": {"city": "London"}},
    {"name": "Bo", "age": 25, "tags": [], "home": {"city": "Göteborg"}, "left": None},
    {"name": "Cy", "age": 36, "flag": True},
    {"name": "Dee"},
]
WHO = Query()


@pytest.fixture
def people(tiny: TinyDB) -> Any:
    """A table with a few people."""
    table = tiny.table("people")
    table.insert_multiple(PEOPLE)
    return table


def names(found: list[Any]) -> list[str]:
    return [one["name"] for one in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (WHO.name == "Ada", ["Ada"]),
        (WHO.age == 36, ["Ada", "Cy"]),
        (WHO.age != 36, ["Bo"]),
        (WHO.flag == 1, ["Cy"]),
        (WHO.flag == True, ["Cy"]),  # noqa: E712
        (WHO.left == None, ["Bo"]),  # noqa: E711
        (WHO.left != None, []),  # noqa: E711
        (WHO.age < 30, ["Bo"]),
        (WHO.age >= 36, ["Ada", "Cy"]),
        (WHO.name > "B", ["Bo", "Cy", "Dee"]),
        (WHO.home.city == "Göteborg", ["Bo"]),
        (WHO.home == {"city": "London"}, ["Ada"]),
        (WHO.age.exists(), ["Ada", "Bo", "Cy"]),
        (~WHO.age.exists(), ["Dee"]),
        (~(WHO.age == 36), ["Bo", "Dee"]),
        (~(WHO.age < 30), ["Ada", "Cy", "Dee"]),
        ((WHO.age == 36) & (WHO.flag.exists()), ["Cy"]),
        ((WHO.name == "Dee") | (WHO.age == 25), ["Bo", "Dee"]),
        (WHO.name.matches("^[AB]"), ["Ada", "Bo"]),
        (WHO.name.search("e"), ["Dee"]),
        (WHO.name.test(lambda name: len(name) == 2), ["Bo", "Cy"]),
        (WHO.tags.any(["x"]), ["Ada"]),
        (WHO.tags.all(["x", "y"]), ["Ada"]),
        (WHO.name.one_of(["Bo", "Dee", "Zed"]), ["Bo", "Dee"]),
        (WHO.fragment({"age": 36, "flag": True}), ["Cy"]),
        (WHO.home.fragment({"city": "London"}), ["Ada"]),
        (WHO.noop(), ["Ada", "Bo", "Cy", "Dee"]),
        (WHO["na'me"] == "x", []),
        (where("name").map(str.lower) == "ada", ["Ada"]),
        (lambda document: document["name"] == "Bo", ["Bo"]),
    ],
)
def test_search_finds_what_tinydb_finds(people: Any, query: Any, expected: list[str]) -> None:
    assert names(people.search(query)) == expected
    assert people.count(query) == len(expected)
    assert people.contains(query) is bool(expected)
    first = people.get(query)
    assert (first["name"] if first else None) == (expected[0] if expected else None)


def test_comparing_kinds_that_have_no_order_is_an_error(people: Any) -> None:
    with pytest.raises(TypeError):
        people.search(WHO.tags < 3)


def test_documents_have_ids_and_are_found_by_them(people: Any) -> None:
    assert [one.doc_id for one in people] == [1, 2, 3, 4]
    assert people.get(doc_id=2)["name"] == "Bo"
    assert people.get(doc_id=9) is None
    assert names(people.get(doc_ids=[1, 4])) == ["Ada", "Dee"]
    assert len(people) == 4
    with pytest.raises(RuntimeError):
        people.get()


def test_an_inserted_document_may_bring_its_id(people: Any) -> None:
    assert people.insert(Document({"name": "Eve"}, doc_id=10)) == 10
    assert people.insert({"name": "Fay"}) == 11
    with pytest.raises(ValueError, match="already exists"):
        people.insert(Document({"name": "Gus"}, doc_id=10))
    assert len(people) == 6


def test_update_changes_what_matches(people: Any) -> None:
    assert people.update({"age": 40}, WHO.age == 36) == [1, 3]
    assert people.update(increment("age"), WHO.age == 40) == [1, 3]
    assert people.update(delete("age"), doc_ids=[1, 99]) == [1]
    assert people.update_multiple([({"x": 1}, WHO.name == "Bo"), (add("age", 1), WHO.name == "Cy")]) == [2, 3]
    assert [one.get("age") for one in people] == [None, 25, 42, None]
    assert people.get(doc_id=2)["x"] == 1
    assert people.update({"all": True}) == [1, 2, 3, 4]


def test_upsert_updates_or_inserts(people: Any) -> None:
    assert people.upsert({"name": "Bo", "age": 26}, WHO.name == "Bo") == [2]
    assert people.upsert({"name": "Zed"}, WHO.name == "Zed") == [5]
    assert people.upsert(Document({"name": "Ada", "age": 37}, doc_id=1)) == [1]
    assert [one.get("age") for one in people] == [37, 26, 36, None, None]
    with pytest.raises(ValueError, match="doc_id"):
        people.upsert({"name": "?"})


def test_remove_and_truncate(people: Any) -> None:
    assert people.remove(WHO.age == 36) == [1, 3]
    assert people.remove(doc_ids=[2, 77]) == [2]
    assert names(people.all()) == ["Dee"]
    assert people.insert({"name": "new"}) == 5
    with pytest.raises(RuntimeError):
        people.remove()
    people.truncate()
    assert people.all() == []
    assert people.insert({"name": "first"}) == 1


def test_tables_are_apart_and_can_be_dropped(tiny: TinyDB) -> None:
    tiny.table("one").insert({"a": 1})
    tiny.table("two").insert({"a": 2})
    tiny.insert({"a": 3})
    assert tiny.tables() == {"one", "two", "_default"}
    assert len(tiny) == 1
    tiny.drop_table("one")
    assert tiny.tables() == {"two", "_default"}
    assert tiny.table("one").all() == []
    tiny.drop_tables()
    assert tiny.tables() == set()


def test_what_is_read_can_be_changed_without_changing_what_is_kept(database: Database) -> None:
    people = Documents(database).table("people")
    people.insert(PEOPLE[0])
    people.get(doc_id=1)["home"]["city"] = "elsewhere"
    assert people.get(doc_id=1)["home"]["city"] == "London"


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([1.0, 0.5, 1 << 60]),
    st.sampled_from(["", "a", "b", "1", "é", '"', "a\u0000b", '{"b":1}', "\ud800"]),
    st.just({"b": 1}),
    st.just([1, "a"]),
)
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3), max_size=6)


def _queries() -> st.SearchStrategy[Any]:
    paths = st.sampled_from([("a",), ("b",), ("a", "b"), ("c",)])
    makers: list[Callable[[Any, Any], Any]] = [
        lambda q, v: q == v,
        lambda q, v: q != v,
        lambda q, v: q < v,
        lambda q, v: q >= v,
        lambda q, _: q.exists(),
        lambda q, v: q.one_of([v, 1]),
        lambda q, v: q.any([v]),
        lambda q, v: q.fragment({"b": v}),
    ]
    leaves = st.builds(lambda make, path, v: make(_at(path), v), st.sampled_from(makers), paths, VALUES)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
            st.builds(lambda a: ~a, inner),
        ),
        max_leaves=4,
    )


def _at(path: tuple[str, ...]) -> Any:
    query: Any = Query()
    for part in path:
        query = query[part]
    return query


def _answer(table: Any, query: Any) -> Any:
    try:
        return sorted(one.doc_id for one in table.search(query))
    except TypeError:
        return TypeError


@settings(
    max_examples=times(50, whole=150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=DOCUMENTS, query=_queries())
def test_any_query_gives_what_python_gives(database: Database, content: list[Any], query: Any) -> None:
    ours = Documents(database).table("any")
    ours.truncate()
    theirs = TinyDB(storage=MemoryStorage).table("any")
    ours.insert_multiple(content)
    theirs.insert_multiple(content)
    expected = _answer(theirs, query)
    if expected is TypeError:  # SQL may have set the incomparable documents aside already
        _answer(ours, query)
    else:
        assert _answer(ours, query) == expected


def test_queries_do_become_sql() -> None:
    text = str(compiled((WHO.login == "x") & ~(WHO.age == 3)).compile(compile_kwargs={"literal_binds": True}))
    assert """json_extract(body, '$."login"') = 'x'""" in text
    assert "NOT" in text
    assert str(compiled(WHO.name.test(bool))) == "true"


def test_an_index_serves_a_search(database: Database) -> None:
    tiny = Documents(database)
    tiny.index("people", "name")
    tiny.table("people").insert_multiple({"name": f"n{i}"} for i in range(50))
    found = compiled(WHO.name == "n7").compile(compile_kwargs={"literal_binds": True})
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN SELECT * FROM documents WHERE table_name = 'people' AND {found}"  # noqa: S608
        ).all()
    assert any("documents_people_name" in str(row) for row in plan), plan
    with pytest.raises(ValueError, match="index"):
        tiny.index("people; DROP", "name")


def test_many_writers_lose_nothing(database: Database) -> None:
    table = Documents(database).table("jobs")
    table.insert({"total": 0})
    start = threading.Barrier(4)

    def work(writer: int) -> None:
        start.wait()
        for n in range(40):
            table.insert({"writer": writer, "n": n})
            table.update(add("total", 1), WHO.total.exists())

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, writer) for writer in range(4)]:
            done.result()
    assert table.get(doc_id=1)["total"] == 160
    found = table.search(WHO.n.exists())
    assert len(found) == 160
    assert len({one.doc_id for one in found}) == 160


def test_documents_take_part_in_a_transaction(database: Database) -> None:
    table = Documents(database).table("people")

    def work(connection: Any) -> None:
        inside = Documents(database, connection).table("people")
        inside.insert({"name": "Ada"})
        assert inside.count(WHO.name == "Ada") == 1
        raise RuntimeError("undone")

    assert isinstance(database.write(work).exception(), RuntimeError)
    assert table.all() == []


def test_documents_outlive_the_process(tmp_path: Path) -> None:
    for expected in ([], [{"a": 1}]):
        database = Database.open(tmp_path / "kept.db")
        table = Documents(database).table("t")
        assert table.all() == expected
        table.insert({"a": 1})
        database.close()


def test_numbers_json_does_not_know_are_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Documents(database).table("t").insert({"x": float("nan")})
    assert len(Documents(database).table("t")) == 0
