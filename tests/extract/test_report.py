"""What the report says beyond risk: why, who is missing, how far, and whether it can be predicted."""

from __future__ import annotations

import csv
import itertools
import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bridleway.extract.absent import absent
from bridleway.extract.distances import by_column, by_pair
from bridleway.extract.few import told
from bridleway.extract.measure import class_of
from bridleway.extract.reasons import reasons
from bridleway.extract.recipe import read_recipe
from bridleway.extract.solve import Solution, solve
from bridleway.extract.table import ROWS
from tests.extract.arx import hierarchy_of
from tests.extract.test_make import ADULT, QUASI, adult, extract, people

Row = tuple[Any, ...]
TREE = {"tree": {"all": {"north": ["n1", "n2", "n3"], "south": ["s1", "s2"]}}}
AGES = {"tree": {"any": {"young": ["1", "2"], "old": ["3", "4", "5"]}}}


def solved(rows: list[Row], names: tuple[str, ...], body: dict[str, Any]) -> Solution:
    """Return what is released of rows, all text."""
    found = Counter(rows)
    columns = {
        name: [row[at] for row in found] for at, name in enumerate(names)
    } | {ROWS: list(found.values())}  # fmt: skip
    return solve(read_recipe(body), pa.table(columns))


def random_table(seed: int, recoding: str, **more: Any) -> tuple[list[Row], Solution]:
    """Return 300 rows of area, age and illness, and what is released of them."""
    draw = random.Random(seed)
    rows: list[Row] = [
        (
            draw.choices(["n1", "n2", "n3", "s1", "s2"], [40, 20, 3, 30, 2])[0],
            draw.choices("12345", [30, 30, 20, 4, 1])[0],
            draw.choices("xyz", [5, 3, 1])[0],
        )
        for _ in range(300)
    ]
    body = {
        "columns": {
            "area": {"class": "quasi-identifier", "hierarchy": TREE},
            "age": {"class": "quasi-identifier", "hierarchy": AGES},
            "illness": {"class": "sensitive", "l": 2},
        },
        "k": 5, "suppression": 0.1, "recoding": recoding, **more,
    }  # fmt: skip
    return rows, solved(rows, ("area", "age", "illness"), body)


def released(solution: Solution) -> list[tuple[Row, Row, Row, int]]:
    """Return per combination that leaves: values before, labels, their leaves' numbers, rows."""
    groups = solution.encoded.groups
    made = []
    for at in range(len(groups)):
        if not solution.kept[at]:
            continue
        before, labels, below = [], [], []
        for column, one in enumerate(solution.hierarchies):
            leaf, level = int(solution.leaves[column][at]), int(solution.levels[at, column])
            before.append(one.leaves[leaf])
            labels.append((level, one.label(level, leaf)))
            below.append(frozenset(
                name for n, name in enumerate(one.leaves) if one.codes[level][n] == one.codes[level][leaf]
            ))  # fmt: skip
        value = list(solution.encoded.sensitive["illness"])[
            int(groups.layout.extra_values(groups.words, 0)[at])
        ]
        made.append(
            (tuple(before), (*labels, value), (*below, frozenset([value])), int(groups.counts[at]))
        )
    return made


def spread(parts: list[tuple[Row, Row, Row, int]], columns: tuple[int, ...]) -> dict[Row, float]:
    """Return the released distribution over original values, each label in equal parts."""
    made: dict[Row, float] = defaultdict(float)
    for _, _, below, rows in parts:
        cells = list(itertools.product(*(below[column] for column in columns)))
        for cell in cells:
            made[cell] += rows / len(cells)
    total = sum(made.values())
    return {cell: n / total for cell, n in made.items()}


def original(rows: list[Row], columns: tuple[int, ...]) -> dict[Row, float]:
    """Return the distribution that was there."""
    found = Counter(tuple(row[column] for column in columns) for row in rows)
    return {cell: n / len(rows) for cell, n in found.items()}


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_of_their_definition(seed: int, recoding: str) -> None:
    """Of every column and every pair, row by row; what is left out counts too."""
    rows, solution = random_table(seed, recoding)
    parts = released(solution)
    for at, told_of in enumerate(by_column(solution).values()):
        p, q = original(rows, (at,)), spread(parts, (at,))
        cells = {*p, *q}
        half = sum(abs(p.get(c, 0) - q.get(c, 0)) for c in cells) / 2
        alike = sum(math.sqrt(p.get(c, 0) * q.get(c, 0)) for c in cells)
        assert told_of["total_variation"] == pytest.approx(half, abs=1e-4)
        assert told_of["hellinger"] == pytest.approx(math.sqrt(max(0, 1 - alike)), abs=1e-4)
    found = by_pair(solution)
    assert found["not_compared"] == 0
    assert len(found["pairs"]) == 3
    names = ["area", "age", "illness"]
    for one in found["pairs"]:
        columns = tuple(names.index(name) for name in one["columns"])
        p, q = original(rows, columns), spread(parts, columns)
        half = sum(abs(p.get(c, 0) - q.get(c, 0)) for c in {*p, *q}) / 2
        assert one["total_variation"] == pytest.approx(half, abs=1e-4)


def test_pairs_of_long_columns_are_compared_coarsely_and_in_bounds(tmp_path: Path) -> None:
    """A column of many values is taken at a level that has few; the distance is no larger."""
    draw = random.Random(1)
    rows = [(str(draw.randrange(1000)), draw.choice("ab")) for _ in range(5000)]
    body = {
        "columns": {
            "n": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [10, 100, 500]}}},
            "c": {"class": "quasi-identifier"},
        },
        "suppression": 0,
    }  # fmt: skip
    solution = solved(rows, ("n", "c"), body)
    (pair,) = by_pair(solution)["pairs"]
    assert 0 <= pair["total_variation"] <= 1
    assert pair["total_variation"] < by_column(solution)["n"]["total_variation"] + 0.2


def failing(rows: list[Row], levels: tuple[int, ...], k: int) -> int:
    """Count rows of Adult in classes of fewer than k, plainly."""
    known = [hierarchy_of("adult", name.replace("_", "-")) for name in QUASI]
    label = [
        {leaf: one.label(level, n) for n, leaf in enumerate(one.leaves)}
        for one, level in zip(known, levels, strict=True)
    ]
    sizes = Counter(tuple(label[n][row[n]] for n in range(len(QUASI))) for row in rows)
    return sum(n for n in sizes.values() if n < k)


def test_why_a_column_is_not_finer_is_really_so(tmp_path: Path) -> None:
    """Each finer neighbour counted once more, by hand; the sentence has its numbers."""
    body = adult(suppression=0.02)
    body["columns"]["occupation"] = {"class": "sensitive", "t": 1}
    report = extract(ADULT, body, tmp_path / "out").report
    with ADULT.open() as file:
        rows = [tuple(row[: len(QUASI)]) for row in csv.reader(file, delimiter=";")][1:]
    levels = tuple(report["columns"][name]["levels"][0] for name in QUASI)
    limit, kinds = int(0.02 * len(rows)), set()
    for at, name in enumerate(QUASI):
        why = report["columns"][name]["why"]
        if not levels[at]:
            assert why == {"rule": "untouched", "sentence": "It leaves as it is."}
            continue
        out = failing(rows, (*levels[:at], levels[at] - 1, *levels[at + 1 :]), 5)
        assert why["left_out"] == told(out, 5)
        assert (why["rule"] == "too-many-left-out") == (out > limit)
        if out > limit:
            assert f"about {told(out, 5):,} rows" in why["sentence"]
            assert "in groups of fewer than 5 rows; at most 2 % of" in why["sentence"]
        else:
            assert why["rule"] == "loses-more"
            assert why["loss"] >= round(report["utility"]["score"], 4)
        kinds.add(why["rule"])
    assert "too-many-left-out" in kinds


def why(solution: Solution) -> dict[str, dict[str, Any]]:
    """Return the reasons of a solution."""
    return reasons(solution, class_of(solution.hierarchies, solution.leaves, solution.levels))


def test_the_rule_that_a_finer_level_breaks_is_named() -> None:
    """k of one column, l of another; a stated level; and a finer level that is only worse."""
    rows: list[Row] = (
        [("n1", "x")] * 10 + [("n2", "y")] * 10 + [("s1", "x")] * 5 + [("s1", "y")] * 5
    )
    names = ("area", "illness")
    area = {"class": "quasi-identifier", "hierarchy": TREE}
    body: dict[str, Any] = {
        "columns": {"area": area, "illness": {"class": "sensitive", "l": 2}},
        "k": 5, "suppression": 0,
    }  # fmt: skip
    found = why(solved(rows, names, body))["area"]
    assert found["rule"] == "too-many-left-out"
    assert [one["rows"] for one in found["because"]] == ["with fewer than 2 values of 'illness'"]
    assert found["sentence"] == (
        "One level finer, about 20 rows (66.7 %) would stand with fewer than 2 values of "
        "'illness'; at most 0 % of the rows may be left out."
    )
    body["columns"]["area"] = {**area, "level": 1}
    assert why(solved(rows, names, body))["area"]["rule"] == "stated"
    body["columns"]["area"] = area
    body["suppression"] = 1
    found = why(solved(rows, names, body))["area"]
    assert found["rule"] == "loses-more"
    assert "would leave out about 20 rows (66.7 %) and lose more in all" in found["sentence"]


def test_with_local_recoding_the_next_finer_level_is_asked_of_all_rows() -> None:
    """Nothing may be left out there, and the report says what would have to be."""
    rows: list[Row] = [("n1",)] * 20 + [("n2",)] * 3 + [("n3",)] * 4 + [("s1",)] * 6 + [("s2",)] * 9
    area = {"class": "quasi-identifier", "hierarchy": TREE}
    found = why(solved(rows, ("area",), {"columns": {"area": area}, "recoding": "local"}))["area"]
    assert found["rule"] == "too-many-left-out"
    assert found["left_out"] == told(7, 5)
    assert found["sentence"].endswith("; with local recoding no row may.")


def test_who_is_missing_is_named_first() -> None:
    """A group that vanished, with its share; small groups have no name."""
    rows: list[Row] = [("n1", "1")] * 200 + [("n1", "2")] * 200 + [("s1", "2")] * 100
    rows += [("s2", "3"), ("s2", "4"), ("n2", "3"), ("n3", "4")] * 2  # rare, and all over 3 and 4
    body = {
        "columns": {
            "area": {"class": "quasi-identifier", "level": 0, "hierarchy": TREE},
            "age": {"class": "quasi-identifier", "level": 0, "hierarchy": AGES},
        },
        "k": 4, "suppression": 0.1,
    }  # fmt: skip
    found = absent(solved(rows, ("area", "age"), body))
    assert found["share"] == pytest.approx(8 / 508, abs=2e-3)
    named = {(one["column"], one["value"]): one for one in found["named"]}
    assert ("area", "s2") in named and ("age", "3") in named and ("age", "4") in named
    assert named["area", "s2"]["share"] == 1
    assert [one["share"] for one in found["named"]] == sorted(
        (one["share"] for one in found["named"]), reverse=True
    )
    for group in itertools.chain(*(one["groups"] for one in found["columns"].values())):
        assert group.get("value") not in ("n2", "n3")  # two people each
        assert group["left_out"] == "fewer than 4" or group["left_out"] % 4 == 0


def test_where_few_are_missing_nothing_is_told_of_them() -> None:
    """Not which groups they were in, nor how many."""
    rows: list[Row] = [("n1",)] * 100 + [("s2",)] * 3
    area = {"class": "quasi-identifier", "level": 0, "hierarchy": TREE}
    found = absent(solved(rows, ("area",), {"columns": {"area": area}}))
    assert found == {"share": "fewer than 5", "named": [], "columns": {}}
    whole = absent(solved(rows[:100], ("area",), {"columns": {"area": area}}))
    assert whole == {"share": 0.0, "named": [], "columns": {}}


def test_missing_people_are_people_not_rows() -> None:
    """Forty rows of one person are one person."""
    rows: list[Row] = [("n1", f"p{n}") for n in range(100)] + [("s2", "q")] * 40
    rows += [("s1", f"r{n}") for n in range(3)]
    area = {"class": "quasi-identifier", "level": 0, "hierarchy": TREE}
    body = {"columns": {"area": area, "who": "entity"}, "suppression": 0.5}
    found = absent(solved(rows, ("area", "who"), body))
    assert found == {"share": "fewer than 5", "named": [], "columns": {}}


def test_the_report_of_few_missing_rows_gives_none_of_them_away(tmp_path: Path) -> None:
    """Neither rows before, nor records, nor any count between 1 and k - 1, nor exact means."""
    rows = [("n1", "x")] * 60 + [("n2", "y")] * 40 + [("s2", "z")] * 3
    source = people(tmp_path, rows, ("area", "kept"))
    area = {"class": "quasi-identifier", "level": 0, "hierarchy": TREE}
    body = {"columns": {"area": area, "kept": "plain"}}
    report = extract(source, body, tmp_path / "out").report
    assert report["rows"] == {
        "before": "more than 100", "after": 100, "left_out": "fewer than 5", "missing": 0,
    }  # fmt: skip
    contract = (tmp_path / "out" / "contract.json").read_text()
    assert "103" not in contract and "more than 100" in contract
    assert "103" not in (tmp_path / "out" / "report.json").read_text()
    assert report["before"]["risk"]["records"] == 105
    assert report["before"]["risk"]["at_risk"] == "fewer than 5"
    assert all(one["before"] == 0 or one["before"] >= 5 for one in report["class_sizes"])
    assert sum(one["after"] for one in report["class_sizes"]) == 100
    for figure in report["utility"].values():
        assert figure == round(figure, 1)


def test_nor_does_the_reason_of_a_column(tmp_path: Path) -> None:
    """Losses stand in its sentence, as coarse as elsewhere."""
    rows = [(area, "1") for area in ("n1", "n2", "n3", "s1", "s2") for _ in range(20)]
    rows += [("n1", "1")] * 10 + [("s2", "5")] * 3
    source = people(tmp_path, rows, ("area", "age"))
    body = {
        "columns": {
            "area": {"class": "quasi-identifier", "hierarchy": TREE},
            "age": {"class": "quasi-identifier", "level": 0, "hierarchy": AGES},
        },
        "k": 25, "suppression": 1,
    }  # fmt: skip
    report = extract(source, body, tmp_path / "out").report
    assert report["rows"]["left_out"] == "fewer than 25"
    found = report["columns"]["area"]["why"]
    assert found["rule"] == "loses-more"
    # Of 113 rows 25 may move a mean by more than a tenth: no decimal is told.
    assert found["sentence"].endswith("lose more in all: 1 instead of 0.")
    assert (found["loss"], report["utility"]["score"]) == (1, 0)


def test_class_sizes_are_told_before_and_after(tmp_path: Path) -> None:
    """They add up to the table and to the file, but for rounding."""
    report = extract(ADULT, adult(), tmp_path / "out").report
    sizes = report["class_sizes"]
    assert sizes[0] == {
        "from": 1, "to": 1, "before": told(report["before"]["risk"]["unique"], 5), "after": 0,
    }  # fmt: skip
    assert sum(one["after"] for one in sizes) == report["rows"]["after"]
    assert abs(sum(one["before"] for one in sizes) - 30162) <= 3 * len(sizes)
    assert [one["to"] for one in sizes[:-1]] == [one["from"] - 1 for one in sizes[1:]]
