"""Who is counted: people and households, missing values, and several sensitive columns at once."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from bridleway.errors import Refused, UsageError
from bridleway.extract.local import recode
from bridleway.extract.make import Beside, Made, make
from bridleway.extract.models import DistinctL, TCloseness
from bridleway.extract.recipe import read_recipe
from bridleway.extract.search import Search
from bridleway.extract.table import ROWS, Encoded, encode
from tests.extract import plainly
from tests.extract.plainly import Data
from tests.extract.source import opened_source
from tests.extract.test_search_laws import tables

slow = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TREE = {"tree": {"all": {"a": ["a1", "a2"], "b": ["b1", "b2"]}}}
RECODINGS = pytest.mark.parametrize("recoding", ["full-domain", "local"])


def write(folder: Path, name: str = "table", **columns: list[Any]) -> Path:
    """Write a table."""
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def extract(source: Path, body: dict[str, Any], target: Path, crowd: Path | None = None) -> Made:
    """Make an extract, perhaps beside a population."""
    with opened_source(source) as (table, run):
        if crowd is None:
            return make(table, read_recipe(body), run, target)
        with opened_source(crowd) as found:
            return make(table, read_recipe(body), run, target, beside=Beside(*found))


def recipe(**more: Any) -> dict[str, Any]:
    """Return a recipe of an area and what is said besides."""
    columns = {"area": {"class": "quasi-identifier", "hierarchy": TREE}, **more.pop("columns", {})}
    # Few rows, so local recoding gives much of them away.
    return {"columns": columns, "suppression": 0, "downcoding": 1, **more}


# -- people and households


@RECODINGS
def test_a_person_in_two_classes_that_merge_counts_once(tmp_path: Path, recoding: str) -> None:
    """{1,2,3} and {1,2,4} make four; so do they with a sensitive value each."""
    source = write(
        tmp_path, area=["a1"] * 3 + ["a2"] * 3, who=[*"123", *"124"], illness=[*"xyx", *"xyy"]
    )
    told = {"who": "entity", "illness": {"class": "sensitive", "l": 2}}
    made = extract(source, recipe(k=4, recoding=recoding, columns=told), tmp_path / "four")
    assert set(pq.read_table(made.data)["area"].to_pylist()) == {"a"}
    after = made.report["after"]
    assert after["risk"]["records"] == 4
    # x is 1, 3; y is 2, 4: each person counts once for each value.
    assert after["sensitive"]["illness"]["surest"] == 0.5
    with pytest.raises(Refused):
        extract(source, recipe(k=5, recoding=recoding, columns=told), tmp_path / "five")


@RECODINGS
def test_households_are_counted_not_their_members(tmp_path: Path, recoding: str) -> None:
    """Six of one household do not hide each other; the written classes hold k households each."""
    homes = ["h1"] * 6 + ["h2", "h3", "h3"] + ["h4", "h5", "h6", "h6"] + ["h7", "h8", "h9"]
    area = ["a1"] * 6 + ["a2"] * 3 + ["b1"] * 4 + ["b2"] * 3
    source = write(tmp_path, area=area, home=homes, n=list(range(16)))
    told = {"home": "entity", "n": "plain"}
    made = extract(source, recipe(k=3, recoding=recoding, columns=told), tmp_path / "out")
    assert "home" not in pq.read_schema(made.data).names
    with duckdb.connect() as engine:
        least = engine.execute(
            f"""SELECT min(homes) FROM (
                SELECT count(DISTINCT home) AS homes
                FROM '{made.data}' AS released JOIN '{source}' AS held USING (n)
                GROUP BY released.area)"""
        ).fetchall()
    assert least == [(3,)]
    assert set(pq.read_table(made.data)["area"].to_pylist()) == (
        {"a", "b"} if recoding == "full-domain" else {"a", "b1", "b2"}
    )


# -- several sensitive columns at once


def both(data: Data, entities: bool) -> Encoded:
    """Encode a table with two sensitive columns: the value, and whose it is by thirds."""
    columns: dict[str, Any] = {
        h.column: [h.leaves[row[i]] for row in data.rows] for i, h in enumerate(data.hierarchies)
    }
    columns["s"] = [row[-2] for row in data.rows]
    columns["third"] = [str(row[-1] % 3) for row in data.rows]
    if entities:
        columns["who"] = [str(row[-1]) for row in data.rows]
    whole = pa.table({name: pa.array(c, pa.string()) for name, c in columns.items()})
    counted = whole.group_by(whole.column_names).aggregate([([], "count_all")])
    counted = counted.rename_columns([*whole.column_names, ROWS])
    return encode(counted, data.hierarchies, ("s", "third"), "who" if entities else None)


def fails(rows: plainly.Class, every: list[plainly.Row], entities: bool) -> bool:
    """Say whether a class has one value of s, or too uneven thirds."""
    thirds = [(*row[:-2], str(row[-1] % 3), row[-1]) for row in rows]
    whole = [(*row[:-2], str(row[-1] % 3), row[-1]) for row in every]
    few = len({row[-2] for row in rows}) < 2
    return few or plainly.equal_distance(thirds, whole, entities) > 0.4 + 1e-9


@pytest.mark.parametrize("entities", [False, True], ids=["rows", "people"])
@slow(max_examples=80)
@given(data=tables())
def test_every_sensitive_column_is_protected(entities: bool, data: Data) -> None:
    """l of one and t of another: the least loss of all nodes; local classes meet both."""
    table = both(data, entities)
    models = [DistinctL(0, 2), TCloseness(1, 0.4, table.distribution("third"))]
    found = Search(table.groups, models, ks=(2,), unit=table.unit).run()
    everything = plainly.told(data, 2, lambda rows, every: fails(rows, every, entities), entities)
    for limit in range(len(data.rows) + 1):
        wanted = min((s for r, s in everything.values() if r <= limit), default=None)
        best = found.best(2, limit)
        assert (best is None) == (wanted is None)
        if best is not None:
            assert best.score == pytest.approx(wanted, abs=1e-9)
    local = recode(table.groups, 2, models, table.unit)
    if local is None:
        return
    leaves = [
        table.groups.layout.leaves(table.groups.words, c) for c in range(len(data.hierarchies))
    ]
    levels = {
        combination: local.levels[part]
        for *combination_, part in zip(*(c.tolist() for c in leaves), local.part, strict=True)
        for combination in [tuple(combination_)]
    }
    classes: dict[Any, list[Any]] = defaultdict(list)
    for row in data.rows:
        at = levels[row[: len(data.hierarchies)]]
        key = tuple(plainly.label(h, row[i], int(at[i])) for i, h in enumerate(data.hierarchies))
        classes[key].append(row)
    for rows in classes.values():
        assert plainly.units(rows, entities) >= 2
        assert not fails(rows, list(data.rows), entities)


# -- missing values


@RECODINGS
def test_rows_without_a_value_may_stay_behind(tmp_path: Path, recoding: str) -> None:
    """They do not leave, are counted apart, and are no part of what is left out."""
    source = write(tmp_path, area=["a1"] * 3 + [None] * 2 + ["b1"] * 3, sex=[*"fffffmm", None])
    told = {"sex": "quasi-identifier"}
    body = recipe(k=2, recoding=recoding, columns=told)
    body["columns"]["area"]["missing"] = "leave-out"
    made = extract(source, body, tmp_path / "out")
    areas = pq.read_table(made.data)["area"].to_pylist()
    assert len(areas) == 6 and None not in areas
    assert made.report["rows"] == {"before": 6, "after": 6, "left_out": 0, "missing": 2}
    # The row without a sex leaves: there a missing value is a category.
    body["columns"]["sex"] = {"class": "quasi-identifier", "missing": "leave-out"}
    made = extract(source, body, tmp_path / "both")
    assert made.report["rows"] == {
        "before": 5,
        "after": 5,
        "left_out": 0,
        "missing": 4,
    }  # told in twos


def test_nothing_leaves_where_every_row_lacks_a_value(tmp_path: Path) -> None:
    """One clear refusal."""
    source = write(tmp_path, area=pa.array([None] * 5, pa.string()))
    body = recipe(k=2)
    body["columns"]["area"]["missing"] = "leave-out"
    with pytest.raises(Refused):
        extract(source, body, tmp_path / "out")


def test_people_without_a_value_are_no_population(tmp_path: Path) -> None:
    """Of a population too, only those with a value stand for a class."""
    source = write(tmp_path, area=["a1", None])
    crowd = write(tmp_path, "people", area=["a1", "a1", None, None, None])
    body = recipe(k=1, population={"k": 2})
    body["columns"]["area"]["missing"] = "leave-out"
    made = extract(source, body, tmp_path / "out", crowd)
    assert made.report["after"]["attackers"]["journalist"]["highest"] == 0.5
    body["population"] = {"k": 3}
    with pytest.raises(Refused):
        extract(source, body, tmp_path / "none", crowd)


@pytest.mark.parametrize("told", ["any", "wildcard", "drop-row", True])
def test_a_missing_value_is_never_a_wildcard(told: Any) -> None:
    """As one that matches every value it would protect nobody."""
    body = recipe()
    body["columns"]["area"]["missing"] = told
    with pytest.raises(UsageError, match="missing values"):
        read_recipe(body)
