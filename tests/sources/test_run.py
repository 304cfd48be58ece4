"""A task sends codes, bits and values, and nothing that the question does not need."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridleway.errors import Gap
from bridleway.model.flow import CodeColumn, KeyColumn, Task
from bridleway.model.question import Case, Column, Compare, Literal
from bridleway.sources import compile as compiling
from bridleway.sources.connect import Source
from bridleway.sources.run import run

from .conftest import FACTS, ROWS, TENURES

_KEY = KeyColumn("person", "nhs_number", "nhs-number")


def _codes(source: Source, code: CodeColumn) -> Counter[int]:
    task = Task("council", "housing", "register", "housing", (_KEY,), codes=(code,))
    counted: Counter[int] = Counter()
    for rows in run(source, FACTS, task):
        assert rows.codes["c0"].dtype == np.int16
        counted.update(rows.codes["c0"].tolist())
    return counted


def _expected(name: str, domain: tuple[Any, ...]) -> Counter[int]:
    places = {(type(v), v): i for i, v in enumerate(domain)}
    return Counter(places.get((type(row[name]), row[name]), -1) for row in ROWS)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("tenure", TENURES),
        ("tenure", (*TENURES, None)),
        ("tenure", (None,)),
        ("tenure", (*TENURES, "a'b", "x" * 99, None)),
        ("tenure", (*TENURES, "odd\x1fone", None)),
        ("tenure", (*TENURES, "odd\x1f\x1e\x1dtext")),
        ("rooms", (1, 2, 3, None)),
        ("rooms", (1, 2**40, 3)),
        ("disabled", (True, False)),
        ("disabled", (False, None)),
    ],
)
def test_a_code_is_the_position_in_the_public_domain(
    source: Source, name: str, domain: tuple[Any, ...]
) -> None:
    """Values outside the domain are -1; missing values head a group only if declared."""
    expected = _expected(name, domain)
    if source.untyped and None in domain and name == "tenure":
        empty = sum(row["tenure"] == "" for row in ROWS)  # an empty field is missing
        expected[domain.index(None)] += empty
        expected[-1] -= empty
    assert _codes(source, CodeColumn("c0", Column("housing", name), domain)) == +expected


def test_an_empty_text_heads_a_group_of_its_own(source: Source) -> None:
    """Also as the only value; where an empty field is missing, it is none."""
    empty = sum(row["tenure"] == "" for row in ROWS)
    for domain in (("",), ("rent", "", "own")):
        found = _codes(source, CodeColumn("c0", Column("housing", "tenure"), domain))
        assert found[domain.index("")] == (0 if source.untyped else empty)


def test_a_date_heads_groups_as_its_iso_text(source: Source) -> None:
    """A date column's domain is written YYYY-MM-DD."""
    found = _codes(source, CodeColumn("c0", Column("housing", "moved"), ("2020-02-29", None)))
    days = Counter(str(row["moved"]) for row in ROWS)
    assert found[0] == days["2020-02-29"] and found[1] == days["None"]


def test_a_long_domain_is_encoded_outside_the_engine(source: Source) -> None:
    """Ten thousand values work as well as three."""
    domain = (*(f"x{i}" for i in range(10_000)), "rent")
    found = _codes(source, CodeColumn("c0", Column("housing", "tenure"), domain))
    assert found[10_000] == sum(row["tenure"] == "rent" for row in ROWS)


def test_a_case_over_constants_makes_bands(source: Source) -> None:
    """A CASE is coded in the engine; no ELSE means missing."""
    small = Compare("<", Column("housing", "rooms"), Literal(2))
    large = Compare(">=", Column("housing", "rooms"), Literal(2))
    case = Case(((small, Literal("small")), (large, Literal("large"))))
    found = _codes(source, CodeColumn("c0", case, ("small", "large", None)))
    rooms = [row["rooms"] for row in ROWS]
    assert found == {
        0: sum(r is not None and r < 2 for r in rooms),  # type: ignore[operator]
        1: sum(r is not None and r >= 2 for r in rooms),  # type: ignore[operator]
        2: rooms.count(None),
    }


def test_only_the_columns_of_the_task_are_read(source: Source) -> None:
    """The generated SELECT names no column that the task does not."""
    task = Task("council", "housing", "register", "housing", (_KEY,))
    query = compiling.compile_task(source, FACTS, task).query
    assert "nhs_number" in query.sql
    assert not any(name in query.sql for name in FACTS.columns if name != "nhs_number")


def test_a_task_without_columns_still_counts_rows(source: Source) -> None:
    """Rows are counted even if nothing of them is needed."""
    task = Task("council", "housing", "register", "housing", ())
    assert sum(rows.n for rows in run(source, FACTS, task)) == len(ROWS)


def test_33_organisations_compile_once(source: Source) -> None:
    """Node and source are no part of a plan's shape."""
    code = CodeColumn("c0", Column("housing", "tenure"), TENURES)
    made = {
        id(
            compiling.compile_task(
                source,
                replace(FACTS, node=f"n{i}"),
                Task(f"n{i}", f"s{i}", "register", "housing", (_KEY,), codes=(code,)),
            )
        )
        for i in range(33)
    }
    assert len(made) == 1


def test_equal_looking_constants_compile_apart(source: Source) -> None:
    """1 and TRUE are equal to Python; a plan for one is never used for the other."""
    compared = [
        Compare("=", Column("housing", "rooms"), Literal(1)),
        Compare("=", Column("housing", "disabled"), Literal(True)),
    ]
    queries = {
        compiling.compile_task(
            source,
            FACTS,
            Task("council", "housing", "register", "housing", (_KEY,), filters=(predicate,)),
        ).query.sql
        for predicate in compared
    }
    assert len(queries) == 2
    with pytest.raises(Gap, match="different types"):
        wrong = Compare("=", Column("housing", "rooms"), Literal(True))
        list(run(source, FACTS, Task("c", "h", "register", "housing", (_KEY,), filters=(wrong,))))


def test_a_column_that_the_source_lost_is_a_gap(source: Source) -> None:
    """The error names the column and the source, and what to do."""
    key = KeyColumn("person", "gone", "nhs-number")
    with pytest.raises(Gap) as caught:
        list(run(source, FACTS, Task("council", "housing", "register", "housing", (key,))))
    assert "'gone'" in caught.value.sentence and caught.value.where == "council.housing"
    assert caught.value.remedy
