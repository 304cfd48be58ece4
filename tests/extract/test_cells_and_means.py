"""Blanked cells and averaged quasi-identifiers: what leaves is anonymous, and less is lost."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import Refused, UsageError
from bridleway.extract.recipe import read_recipe
from bridleway.extract.report import report_on
from bridleway.extract.tables import anonymise
from tests.extract.test_changes import extract
from tests.extract.test_make import ADULT, QUASI, adult
from tests.extract.test_make import extract as extract_file

SLOW = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TREE = {"tree": {"any": {"n": ["n1", "n2"], "s": ["s1", "s2", "s3"]}}}
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["n1", "n2", "s1", "s2", "s3"]), st.sampled_from("FM"),
        st.none() | st.integers(20, 60), st.sampled_from(["flu", "gout", "none"]),
        st.integers(0, 30),
    ),
    min_size=1, max_size=60,
)  # fmt: skip
NAMES = ("area", "sex", "age", "s", "who")


def table_of(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    made = {name: pa.array(column) for name, column in columns.items()}
    made["age"] = made["age"].cast(pa.int64())
    return pa.table(made)


def body(**changes: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "area": {"class": "quasi-identifier", "hierarchy": TREE},
        "sex": "quasi-identifier",
        "age": {"class": "quasi-identifier", "microaggregate": True},
        "s": {"class": "sensitive", "l": 2},
        "who": "plain",
    }
    return {"columns": columns, "k": 3, "suppression": 0.3, **changes}


def classes(out: pa.Table, keys: tuple[str, ...]) -> dict[Any, list[dict[str, Any]]]:
    made: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in out.to_pylist():
        made[tuple(row[key] for key in keys)].append(row)
    return made


def counter() -> Any:
    number = iter(range(10**6))
    return lambda: f"out{next(number)}"


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("entity", [False, True])
def test_means_stand_in_classes_that_meet_the_recipe(
    tmp_path: Path, recoding: str, entity: bool
) -> None:
    """k people and l values in each; the sum of ages of a class of the others is kept."""
    name = counter()

    @given(PEOPLE)
    @SLOW
    def law(rows: list[tuple[Any, ...]]) -> None:
        told = body(recoding=recoding)
        told["columns"]["who"] = "entity" if entity else "plain"
        table = table_of(rows)
        try:
            made = extract(tmp_path, table, told, name=name())
        except Refused:
            return
        out = pq.read_table(made.data)
        assert out.schema.field("age").type == pa.int64()
        found = classes(out, ("area", "sex", "age"))
        for members in found.values():
            assert len(members) >= 3
            assert len({row["s"] for row in members}) >= 2
        assert made.report["after"]["risk"]["classes"] == len(found)
        assert report_on(made.folder)["differs"] == []
        assert made.report["after"]["risk"]["smallest"] >= 3
        if made.report["rows"]["left_out"]:
            return
        if None not in table["age"].to_pylist():
            before, after = sum(table["age"].to_pylist()), sum(out["age"].to_pylist())
            assert abs(before - after) <= len(rows) / 2

    law()


def test_ages_are_grouped_within_their_class(tmp_path: Path) -> None:
    """By hand: two areas, ages in groups of three, rounded to whole years."""
    ages = {"n": [20, 21, 24, 60, 61, 62], "s": [30, 30, 30, 31, 90]}
    rows = [(area, age) for area, found in ages.items() for age in found]
    table = pa.table({"area": [a for a, _ in rows], "age": [n for _, n in rows]})
    told = {
        "columns": {
            "area": "quasi-identifier",
            "age": {"class": "quasi-identifier", "microaggregate": True},
        },
        "k": 3, "suppression": 0,
    }  # fmt: skip
    made = extract(tmp_path, table, told)
    out = pq.read_table(made.data)
    assert Counter(zip(out["area"].to_pylist(), out["age"].to_pylist(), strict=True)) == {
        ("n", 22): 3, ("n", 61): 3, ("s", 42): 5,
    }  # fmt: skip
    lost, whole = 4 + 1 + 4 + 1 + 0 + 1 + 3 * 144 + 121 + 2304, 24343 - 459**2 / 11
    told_of = made.report["microaggregated"]["age"]["variance_kept"]
    assert told_of == pytest.approx(1 - lost / whole)
    contract = json.loads((made.folder / "contract.json").read_text())
    assert contract["columns"][1] == {
        "name": "age", "type": "int64", "class": "quasi-identifier", "microaggregated": True,
        "leaves": 9, "highest_level": 1,
    }  # fmt: skip


def test_a_group_of_one_value_takes_its_whole_class_along(tmp_path: Path) -> None:
    """Averaged by threes, the young would all have one illness: so all are averaged."""
    rows = [(20, "flu")] * 3 + [(60, "flu"), (60, "gout"), (60, "none")]
    table = pa.table({"age": [a for a, _ in rows], "s": [s for _, s in rows]})
    told = {
        "columns": {
            "age": {"class": "quasi-identifier", "microaggregate": True},
            "s": {"class": "sensitive", "l": 2},
        },
        "k": 3, "suppression": 0,
    }  # fmt: skip
    out = pq.read_table(extract(tmp_path, table, told).data)
    assert set(out["age"].to_pylist()) == {40}
    told["columns"]["s"] = "plain"  # type: ignore[index]
    out = pq.read_table(extract(tmp_path, table, told, name="plain").data)
    assert set(out["age"].to_pylist()) == {20, 60}


def test_blanked_cells_keep_rows_and_the_recipe_holds(tmp_path: Path) -> None:
    """Whatever the table: no fewer rows than without, every class in order, cells counted."""
    name = counter()

    @given(PEOPLE)
    @SLOW
    def law(rows: list[tuple[Any, ...]]) -> None:
        told = body()
        told["columns"] |= {"age": {"class": "quasi-identifier",
                                    "hierarchy": {"numbers": {"widths": [10]}}}}  # fmt: skip
        table = table_of(rows)
        try:
            kept = extract(tmp_path, table, told, name=name())
        except Refused:
            return
        cells = extract(tmp_path, table, {**told, "suppress": "cells"}, name=name())
        out = pq.read_table(cells.data)
        assert cells.report["rows"]["after"] >= kept.report["rows"]["after"]
        assert cells.report["utility"]["score"] <= kept.report["utility"]["score"] + 1e-9
        for members in classes(out, ("area", "sex", "age")).values():
            assert len(members) >= 3
            assert len({row["s"] for row in members}) >= 2
        assert report_on(cells.folder)["differs"] == []
        # What is not blanked is what full-domain generalisation says.
        usual = {n: set(pq.read_table(kept.data)[n].to_pylist()) for n in ("area", "sex", "age")}
        for column, blanks in cells.report["cells_suppressed"].items():
            values = Counter(out[column].to_pylist())
            if "*" not in usual[column]:
                assert values["*"] == blanks

    law()


def test_only_what_must_be_is_blanked(tmp_path: Path) -> None:
    """Three alone in their sex by area: their area goes, their sex stays."""
    rows = [("n1", "F")] * 6 + [("s1", "F")] * 6 + [("n1", "M")] * 2 + [("s1", "M")]
    table = pa.table({"area": [a for a, _ in rows], "sex": [s for _, s in rows]})
    told: dict[str, Any] = {
        "columns": {
            "area": {"class": "quasi-identifier", "level": 0},
            "sex": {"class": "quasi-identifier", "level": 0},
        },
        "k": 3, "suppression": 0.5,
    }  # fmt: skip
    assert extract(tmp_path, table, told, name="rows").report["rows"]["left_out"] == 3
    made = extract(tmp_path, table, {**told, "suppress": "cells"})
    out = pq.read_table(made.data)
    assert Counter(zip(out["area"].to_pylist(), out["sex"].to_pylist(), strict=True)) == {
        ("n1", "F"): 6, ("s1", "F"): 6, ("*", "M"): 3,
    }  # fmt: skip
    assert made.report["cells_suppressed"] == {"area": 3, "sex": 0}
    assert made.report["rows"]["left_out"] == 0
    contract = json.loads((made.folder / "contract.json").read_text())
    assert contract["suppress"] == "cells" and contract["columns"][0]["levels"] == [0, 1]


def test_what_cannot_stand_is_left_out(tmp_path: Path) -> None:
    """Two rows are no class of three, blanked or not."""
    table = pa.table({"area": ["a"] * 5 + ["b"] * 2})
    told: dict[str, Any] = {
        "columns": {"area": {"class": "quasi-identifier", "level": 0}},
        "k": 3, "suppression": 0.5, "suppress": "cells",
    }  # fmt: skip
    made = extract(tmp_path, table, told)
    assert made.report["rows"]["after"] == 5
    assert made.report["cells_suppressed"] == {"area": 0}


def test_adult_keeps_its_rows(tmp_path: Path) -> None:
    """Thirty thousand rows: nobody is left out, and less is lost than with rows left out."""
    rows = extract_file(ADULT, adult(), tmp_path / "rows")
    cells = extract_file(ADULT, adult(suppress="cells"), tmp_path / "cells")
    assert rows.report["rows"]["left_out"] > 1000
    assert cells.report["rows"]["left_out"] == 0
    assert cells.report["utility"]["score"] < rows.report["utility"]["score"] - 0.02
    blanked = sum(cells.report["cells_suppressed"].values())
    assert blanked < len(QUASI) * rows.report["rows"]["left_out"] / 2


def test_adult_keeps_its_ages(tmp_path: Path) -> None:
    """Averaged within the classes of the others: most of the variance of age is left."""
    told = adult()
    told["columns"]["age"] = {"class": "quasi-identifier", "microaggregate": True}
    made = extract_file(ADULT, told, tmp_path / "out")
    assert made.report["microaggregated"]["age"]["variance_kept"] > 0.9
    assert made.report["after"]["risk"]["smallest"] >= 5


@pytest.mark.parametrize(
    "changes",
    [
        {"suppress": "cells", "recoding": "local"},
        {"suppress": "columns"},
        {"columns": {"a": {"class": "quasi-identifier", "microaggregate": "yes"}}},
        {"columns": {"a": {"class": "quasi-identifier", "microaggregate": True, "level": 1}}},
        {"columns": {"a": {"class": "plain", "microaggregate": True}}},
    ],
)
def test_what_cannot_be_read(changes: dict[str, Any]) -> None:
    """One sentence, its place, a remedy."""
    with pytest.raises(UsageError) as caught:
        read_recipe({"columns": {"a": "quasi-identifier"}, **changes})
    assert caught.value.remedy and caught.value.where


def test_text_cannot_be_averaged(tmp_path: Path) -> None:
    """One sentence, and no value in it."""
    table = pa.table({"age": ["young"] * 9})
    told = {"columns": {"age": {"class": "quasi-identifier", "microaggregate": True}}, "k": 3}
    with pytest.raises(UsageError, match="no number") as caught:
        extract(tmp_path, table, told)
    assert "young" not in str(caught.value)


def test_many_columns_are_averaged_together(tmp_path: Path) -> None:
    """MDAV over two columns, with no other quasi-identifier."""
    rng = random.Random(5)
    table = pa.table(
        {"x": [rng.gauss(0, 1) for _ in range(500)], "y": [rng.randrange(90) for _ in range(500)]}
    )
    told = {
        "columns": {n: {"class": "quasi-identifier", "microaggregate": True} for n in "xy"},
        "k": 5,
    }
    made = extract(tmp_path, table, told)
    sizes = made.report["after"]["risk"]["sizes"]
    assert sum(size * number for size, number in sizes) == 500
    assert all(5 <= size <= 9 for size, _ in sizes)


def test_a_population_is_not_compared_with_blanks_or_means(tmp_path: Path) -> None:
    """What its people would be released as is not known: said once, and nothing is written."""
    table = table_of([("n1", "F", 30, "flu", 1)] * 9)
    for changes in ({}, {"suppress": "cells"}):
        told = body(**changes)
        if changes:
            told["columns"]["age"] = "quasi-identifier"
        with pytest.raises(UsageError, match="population"):
            anonymise(table, told, tmp_path / "out", population=table)
        assert not (tmp_path / "out").exists()


def test_sets_are_protected_within_classes_of_means_and_blanks(tmp_path: Path) -> None:
    """k people for every pair of items, in the classes as they leave."""
    rng = random.Random(2)
    rows = [
        {"area": rng.choice("ns"), "sex": rng.choice("FFFFFFFFM"), "age": rng.randrange(20, 60),
         "drugs": ";".join(sorted(rng.sample("abcd", 2)))}
        for _ in range(200)
    ]  # fmt: skip
    told: dict[str, Any] = {
        "columns": {
            "area": {"class": "quasi-identifier", "level": 0},
            "sex": {"class": "quasi-identifier", "level": 0},
            "age": {"class": "quasi-identifier", "microaggregate": True},
            "drugs": {"class": "set", "m": 2},
        },
        "k": 4, "suppression": 0.3, "suppress": "cells",
    }  # fmt: skip
    made = anonymise(pa.Table.from_pylist(rows), told, tmp_path / "out")
    out = pq.read_table(made.data)
    assert out.num_rows == 200
    for members in classes(out, ("area", "sex", "age")).values():
        assert len(members) >= 4
        sets = [set(filter(None, row["drugs"].split(";"))) for row in members]
        for items in sets:
            for some in itertools.chain(*(itertools.combinations(items, n) for n in (1, 2))):
                assert sum(set(some) <= other for other in sets) >= 4
