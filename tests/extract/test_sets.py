"""Sets of items: k^m-anonymity against its definition, and end to end."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import Fault, UsageError
from bridleway.extract import make as make_module
from bridleway.extract.hierarchy import Hierarchy, hierarchy
from bridleway.extract.itemsets import GONE, Names, Record, Scope
from bridleway.extract.make import Made, make
from bridleway.extract.recipe import read_recipe
from tests.extract.source import opened_source

slow = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ITEMS = ["a1", "a2", "b1", "b2", "b3", "c"]
FOOD = hierarchy("items", [[i, i[0].upper(), "*"] for i in ITEMS])
FLAT = hierarchy("items", [[i, "*"] for i in ITEMS])
TWISTED = hierarchy("items", [["a", "b", "*"], ["c", "b", "*"], ["b", "d", "*"], ["e", None, None]])


def rarest(sets: list[tuple[frozenset[Any], Any]], m: int) -> dict[frozenset[Any], int]:
    """Return how many people have each combination of up to m items."""
    people: dict[frozenset[Any], set[Any]] = defaultdict(set)
    for items, owner in sets:
        for size in range(1, m + 1):
            for combination in itertools.combinations(sorted(items), size):
                people[frozenset(combination)].add(owner)
    return {combination: len(owners) for combination, owners in people.items()}


@pytest.mark.parametrize("entities", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize("tree", [FOOD, FLAT, TWISTED], ids=["tree", "flat", "names repeat"])
@slow(max_examples=120)
@given(data=st.data(), k=st.integers(1, 4), m=st.integers(1, 3))
def test_no_combination_is_too_rare(
    entities: bool, tree: Hierarchy, data: st.DataObject, k: int, m: int
) -> None:
    """Counted with plain code; every item is called by one of its own names, or gone."""
    leaves = st.frozensets(st.integers(0, len(tree.leaves) - 1), max_size=4)
    drawn = data.draw(st.lists(st.tuples(leaves, st.integers(0, 5)), max_size=12))
    records = [
        Record(tuple(sorted(items)), owner if entities else -1, 1 if entities else owner + 1)
        for items, owner in drawn
    ]
    names = Names(tree, ";")
    scope = Scope(records, names, k, m)
    told = scope.run()
    after: list[tuple[frozenset[Any], Any]] = []
    before: list[tuple[frozenset[Any], Any]] = []
    for place, (record, called) in enumerate(zip(records, scope.called, strict=True)):
        owners = [record.owner] if entities else [(place, n) for n in range(record.rows)]
        mine = [tree.leaves[leaf] for leaf in record.leaves]
        assert called == tuple(
            sorted({names.name(leaf, scope.levels[leaf]) for leaf in record.leaves} - {GONE})
        )
        after += [(frozenset(called), owner) for owner in owners]
        before += [(frozenset(mine), owner) for owner in owners]
    assert all(n >= k for n in rarest(after, m).values())
    wanted = sum(n < k for n in rarest(before, m).values())
    if tree is not TWISTED:  # there an item without a name is not counted before either
        assert told.rare == wanted
    if not told.rare:
        assert told.generalised == told.suppressed == 0 or tree is TWISTED
        assert set(scope.levels.values()) <= {0}
    assert told.items == sum(len(items) for items, _ in before)
    assert told.generalised + told.suppressed <= told.items
    assert told.suppressed - 1e-9 <= told.lost <= told.items + 1e-9


def test_the_cheaper_way_is_taken() -> None:
    """Two rare kinds of one food take its name; a single rare one among many goes."""
    kinds = [Record((0,), -1, 2), Record((1,), -1, 2), Record((2,), -1, 50)]
    scope = Scope(kinds, Names(FOOD, ";"), 3, 1)
    assert (scope.run().suppressed, scope.levels) == (0, {0: 1, 1: 1, 2: 0})
    single = [Record((0,), -1, 90), Record((1,), -1, 2)]
    scope = Scope(single, Names(FOOD, ";"), 3, 1)
    told = scope.run()
    assert (told.suppressed, told.generalised, scope.levels[0]) == (2, 0, 0)
    assert told.lost == 2


# -- end to end

TREE = {"tree": {"drink": ["tea", "beer"], "food": {"fruit": ["fig", "kiwi"], "x": ["ham"]}}}


def table(folder: Path, rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> Path:
    """Write a small table."""
    path = folder / "table.parquet"
    columns = zip(*rows, strict=True)
    pq.write_table(pa.table({n: list(c) for n, c in zip(names, columns, strict=True)}), path)
    return path


def extract(
    source: Path, body: dict[str, Any], target: Path, form: str = "parquet"
) -> tuple[Made, list[dict[str, Any]]]:
    """Make an extract; return it and its rows."""
    with opened_source(source) as (held, run):
        made = make(held, read_recipe(body), run, target, form)
    if form == "csv":
        read = pa_csv.read_csv(made.data)
    elif form == "arrow":
        read = pa.ipc.open_file(made.data).read_all()
    else:
        read = pq.read_table(made.data)
    return made, read.to_pylist()


def body(**items: Any) -> dict[str, Any]:
    """Return a recipe of an area and a set."""
    return {
        "k": 2, "suppression": 0,
        "columns": {"area": "quasi-identifier", "bought": {"class": "set", **items}},
    }  # fmt: skip


ROWS = [
    ("n", "tea; beer;tea"), ("n", "beer;tea"), ("n", "tea;fig"), ("n", "tea;kiwi"), ("n", None),
    ("s", "ham"), ("s", "ham;"), ("s", "fig"), ("s", "beer;fig"),
]  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_sets_leave_protected_by_class(tmp_path: Path, form: str) -> None:
    """Items are sorted, named once, generalised or gone; a missing set is an empty one."""
    source = table(tmp_path, ROWS, ("area", "bought"))
    made, rows = extract(source, body(hierarchy=TREE), tmp_path / "out", form)
    found = Counter((row["area"], row["bought"] or "") for row in rows)
    assert found == {
        ("n", "beer;tea"): 2, ("n", "fruit;tea"): 2, ("n", ""): 1,
        ("s", "ham"): 2, ("s", "fig"): 2,
    }  # fmt: skip
    told = made.report["sets"]
    # 13, 2 and 1; counts of people who may not be in the file are told in twos.
    assert (told["items"], told["generalised"], told["suppressed"]) == (14, 2, "fewer than 2")
    # fig, kiwi, {tea, fig}, {tea, kiwi} in the north; beer, {beer, fig} in the south.
    assert told["rare"] == 6
    assert told["loss"] == round((2 * (2 / 5 - 1 / 5) / (1 - 1 / 5) + 1) / 13, 3)
    column = json.loads((made.folder / "contract.json").read_text())["columns"][1]
    assert (column["class"], column["m"], column["within"]) == ("set", 2, "class")


def test_items_may_be_counted_within_the_table(tmp_path: Path) -> None:
    """Beer is in three rows of the table, and in one of the south."""
    source = table(tmp_path, ROWS, ("area", "bought"))
    made, rows = extract(source, body(hierarchy=TREE, within="table", m=1), tmp_path / "out")
    assert Counter(row["bought"] for row in rows)["beer;fruit"] == 1  # of the south
    assert made.report["sets"]["rare"] == "fewer than 2"  # kiwi: fig and kiwi leave as fruit


def test_lists_are_sets(tmp_path: Path) -> None:
    """A column of lists leaves as text."""
    rows = [("n", ["tea", "beer"]), ("n", ["beer", "tea", None]), ("n", []), ("n", ["fig"])]
    source = table(tmp_path, rows, ("area", "bought"))
    _, found = extract(source, body(separator="|"), tmp_path / "out")
    assert Counter(row["bought"] for row in found) == {"beer|tea": 2, "": 2}


def test_repeated_rows_of_a_person_are_one(tmp_path: Path) -> None:
    """Two rows of one person do not make an item frequent."""
    rows = [("n", "tea", "1"), ("n", "tea", "1"), ("n", "fig", "1"), ("n", "fig", "2")]
    source = table(tmp_path, rows, ("area", "bought", "who"))
    told = body()
    told["columns"]["who"] = "entity"
    _, found = extract(source, told, tmp_path / "out")
    assert Counter(row["bought"] for row in found) == {"": 2, "fig": 2}


def test_sets_stand_beside_local_recoding_and_suppression(tmp_path: Path) -> None:
    """Only rows that leave count."""
    source = table(tmp_path, [*ROWS, ("w", "beer;ham")], ("area", "bought"))
    _, rows = extract(source, {**body(), "suppression": 0.1}, tmp_path / "out")
    assert {row["area"] for row in rows} == {"n", "s"}
    _, rows = extract(source, {**body(), "recoding": "local"}, tmp_path / "local")
    sets = defaultdict(list)
    for n, row in enumerate(rows):
        sets[row["area"]].append((frozenset(row["bought"].split(";")) - {""}, n))
    assert len(rows) == 10
    assert all(n >= 2 for part in sets.values() for n in rarest(part, 2).values())


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_a_file_with_a_rare_combination_never_becomes_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Each item is frequent, and one pair is not: found by SQL in the file."""
    source = table(tmp_path, [("n", "tea;beer")] * 4, ("area", "bought"))
    real = make_module.write_rows

    def spoil(sink: Any, schema: pa.Schema, batches: Any, form: str) -> int:
        list(batches)
        sets = ["tea;beer", "tea", "beer", ""]
        return real(
            sink, schema, pa.table({"area": ["n"] * 4, "bought": sets}, schema=schema).to_batches(),
            form,
        )  # fmt: skip

    monkeypatch.setattr(make_module, "write_rows", spoil)
    with pytest.raises(Fault) as caught:
        extract(source, body(), tmp_path / "out", form)
    assert caught.value.code == "extract-check"
    assert not (tmp_path / "out").exists()
    extract(source, body(m=1), tmp_path / "one", form)


def test_items_that_look_like_formulas_are_counted_as_one(tmp_path: Path) -> None:
    """In a CSV the cell is quoted, the item is not another one."""
    rows = [("n", "=a;b")] * 2 + [("n", "+c;=a")] * 2 + [("n", "%;=a")] * 2
    source = table(tmp_path, rows, ("area", "bought"))
    _, found = extract(source, body(), tmp_path / "out", "csv")
    assert all(row["bought"].startswith(("'", "%")) for row in found)


@pytest.mark.parametrize(
    "items",
    [{"m": 0}, {"within": "rows"}, {"separator": ""}, {"hierarchy": "nowhere"}, {"l": 2}],
)
def test_a_set_that_cannot_be_read_is_said_once(items: dict[str, Any]) -> None:
    """One sentence, its place, a remedy."""
    with pytest.raises(UsageError) as caught:
        read_recipe(body(**items))
    assert caught.value.sentence and caught.value.remedy and caught.value.where


def test_two_sets_are_refused() -> None:
    """Combinations over both would not be looked at."""
    told = body()
    told["columns"]["more"] = "set"
    with pytest.raises(UsageError, match="Two columns are sets"):
        read_recipe(told)


def test_names_of_items_hold_no_separator(tmp_path: Path) -> None:
    """They would be read as two."""
    source = table(tmp_path, ROWS, ("area", "bought"))
    tree = {"tree": {"any": {"hot;cold": ["tea", "beer"], "food": ["fig", "kiwi", "ham"]}}}
    with pytest.raises(UsageError, match="separator"):
        extract(source, body(hierarchy=tree), tmp_path / "out")
    with pytest.raises(UsageError, match="not list"):
        extract(source, body(hierarchy={"tree": {"any": ["tea"]}}), tmp_path / "out")


def test_sets_may_all_be_missing_or_alike(tmp_path: Path) -> None:
    """Nothing to protect ends in nothing done."""
    source = table(tmp_path, [("n", None)] * 3 + [("n", " ; ")], ("area", "bought"))
    made, rows = extract(source, body(), tmp_path / "none")
    assert [row["bought"] for row in rows] == [""] * 4
    assert (made.report["sets"]["items"], made.report["sets"]["loss"]) == (0, 0)
    source = table(tmp_path, [("n", "tea;fig")] * 3, ("area", "bought"))
    made, rows = extract(source, body(m=5), tmp_path / "alike")
    assert [row["bought"] for row in rows] == ["fig;tea"] * 3
    assert (made.report["sets"]["rare"], made.report["sets"]["generalised"]) == (0, 0)


@pytest.mark.parametrize("m", [4, 60])
def test_sets_that_are_too_large_are_said_so(tmp_path: Path, m: int) -> None:
    """Before anybody waits for them, whichever size has the most combinations."""
    large = ";".join(f"i{n}" for n in range(200 if m == 4 else 60))
    source = table(tmp_path, [("n", large)] * 2, ("area", "bought"))
    with pytest.raises(UsageError, match="too large"):
        extract(source, body(m=m), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    """The same sets leave, whatever order the engine counts them in."""
    draw = random.Random(4)
    rows = [(draw.choice("ns"), ";".join(draw.sample("abcdefgh", 3))) for _ in range(120)]
    found = []
    for n in range(3):
        draw.shuffle(rows)
        (tmp_path / f"{n}").mkdir()
        source = table(tmp_path / f"{n}", rows, ("area", "bought"))
        found.append(extract(source, {**body(), "k": 5}, tmp_path / f"out{n}")[0])
    assert len({made.data.read_bytes() for made in found}) == 1
    assert len({json.dumps(made.report) for made in found}) == 1
