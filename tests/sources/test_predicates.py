"""Every engine gives a predicate the same meaning: SQL's, and nothing in it can fail on data."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import Gap
from bridleway.model.flow import BitColumn, KeyColumn, Task, ValueColumn
from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    Compare,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
)
from bridleway.sources.connect import Source
from bridleway.sources.run import run

from .conftest import FACTS, ROWS
from .oracle import fixed, truth

_NAME = "housing"


def column(name: str) -> Column:
    return Column(_NAME, name)


def task(**parts: Any) -> Task:
    key = KeyColumn("person", "nhs_number", "nhs-number")
    return Task("council", "housing", "register", _NAME, (key,), **parts)


_numbers = st.one_of(
    st.integers(-6, 6),
    st.sampled_from([2147483647, 2**31, -(2**40), 2**62, 10**17]),
    st.sampled_from(
        [Decimal(t) for t in ("0.005", "2.5", "-0.125", "999.999", "12.3456789", "1e15", "-7.50")]
    ),
)
_texts = st.sampled_from(
    ["rent", "own", "it's", "a_b", "100%", "back\\slash", "Ünïcode", "", "'; --"]
)
_patterns = st.sampled_from(
    ["%", "_", "r%", "%e%", "a_b", "100%", "back\\%", "%\\slash", "Ü_ï%", "'%", ""]
)
_days = st.sampled_from([date(2020, 2, 29), date(1999, 12, 31), date(2000, 1, 1)])
_ops = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
_equal = st.sampled_from(["=", "<>"])
_number_columns = st.sampled_from(["rooms", "rent", "score"]).map(column)


def _arithmetic(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    small = st.one_of(st.integers(-9, 9), st.sampled_from([Decimal("0.5"), Decimal("-1.25")]))
    leaves = st.one_of(_number_columns, small.map(Literal))
    sums = st.builds(Arithmetic, st.sampled_from(["+", "-", "*"]), leaves, leaves)
    cases = st.builds(Case, st.tuples(st.tuples(inner, leaves)), st.one_of(st.none(), leaves))
    return st.one_of(
        sums,
        cases,
        st.builds(Arithmetic, st.sampled_from(["+", "-", "*"]), sums, st.one_of(leaves, cases)),
    )


_leaves = st.one_of(
    st.builds(Compare, _ops, _number_columns, _numbers.map(Literal)),
    st.builds(Compare, _ops, _numbers.map(Literal), _number_columns),
    st.builds(Compare, _ops, st.just(column("rooms")), st.just(column("rent"))),
    st.builds(Compare, _equal, st.just(column("tenure")), _texts.map(Literal)),
    st.builds(Compare, _ops, st.just(column("moved")), _days.map(Literal)),
    st.builds(Compare, _equal, st.just(column("disabled")), st.booleans().map(Literal)),
    st.builds(
        In, _number_columns, st.lists(_numbers.map(Literal), min_size=1, max_size=4).map(tuple)
    ),
    st.builds(In, st.just(column("tenure")), st.lists(_texts.map(Literal), min_size=1).map(tuple)),
    st.builds(In, st.just(column("moved")), st.lists(_days.map(Literal), min_size=1).map(tuple)),
    st.builds(IsNull, st.sampled_from(list(FACTS.columns)).map(column)),
    st.builds(Like, st.just(column("tenure")), _patterns),
)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    computed = _arithmetic(inner)
    return st.one_of(
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Not, inner),
        st.builds(Compare, _ops, computed, st.one_of(_number_columns, computed)),
    )


predicates = st.recursive(_leaves, _grown, max_leaves=5)
computed = _arithmetic(_leaves)


def _key(row: dict[str, Any]) -> str:
    return row["nhs_number"] or ""


def _bits(source: Source, predicate: Any) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for rows in run(source, FACTS, task(bits=(BitColumn("b0", predicate),))):
        for key, bit in zip(rows.keys["person"].to_pylist(), rows.bits["b0"], strict=True):
            found.setdefault(key or "", []).append(bool(bit))
    return {key: sorted(bits) for key, bits in found.items()}


def _expected(source: Source, predicate: Any) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for row in map(lambda r: _seen(source, r), ROWS):
        found.setdefault(_key(row), []).append(truth(predicate, row, FACTS.columns) is True)
    return {key: sorted(bits) for key, bits in found.items()}


def _seen(source: Source, row: dict[str, Any]) -> dict[str, Any]:
    """What a source can know of a row: a CSV has no empty text, and no number like 1e300."""
    row = dict(row)
    if source.untyped:
        if row["tenure"] == "":
            row["tenure"] = None
        if isinstance(row["score"], float) and abs(row["score"]) > 1e12:
            row["score"] = None
    return row


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(predicate=predicates)
def test_a_predicate_means_the_same_at_every_engine(source: Source, predicate: Any) -> None:
    """A bit is true exactly where SQL's three-valued logic says true, at every kind of source."""
    assert _bits(source, predicate) == _expected(source, predicate)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(predicate=predicates)
def test_a_filter_keeps_what_is_true(source: Source, predicate: Any) -> None:
    """Rows whose predicate is false or unknown do not leave the source."""
    kept = sum(rows.n for rows in run(source, FACTS, task(filters=(predicate,))))
    assert kept == sum(truth(predicate, _seen(source, row), FACTS.columns) is True for row in ROWS)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(expression=st.one_of(_number_columns, computed))
def test_values_are_exact_fixed_point(source: Source, expression: Any) -> None:
    """A value is clamped to its bounds, rounded half away from zero, and then exact."""
    scale = 6
    wide = ValueColumn("v0", expression, scale, -(10**15), 10**15)
    found = []
    for rows in run(source, FACTS, task(values=(wide,))):
        numbers, there = rows.values["v0"]
        assert numbers.dtype == np.int64
        found += [int(n) if t else None for n, t in zip(numbers, there, strict=True)]
    expected = [fixed(expression, _seen(source, row), FACTS.columns) for row in ROWS]
    units = [None if e is None else int(e.scaleb(scale)) for e in expected]
    order = lambda items: sorted(items, key=lambda i: (i is not None, i or 0))  # noqa: E731
    assert order(found) == order(units)


def test_values_stay_within_the_tasks_bounds(source: Source) -> None:
    """A contribution bound that is narrower than the column's is kept at the source."""
    narrow = ValueColumn("v0", column("rent"), 2, 0, 1000)
    for rows in run(source, FACTS, task(values=(narrow,))):
        numbers, there = rows.values["v0"]
        assert numbers[there].min() == 0 and numbers[there].max() == 1000


def test_arithmetic_without_bounds_is_a_gap(source: Source) -> None:
    """What could overflow is not run: the remedy is to declare bounds."""
    from dataclasses import replace

    bare = replace(FACTS.columns["rent"], bounds=None)
    facts = replace(FACTS, columns={**FACTS.columns, "rent": bare})
    doubled = Arithmetic("*", column("rent"), Literal(2))
    predicate = Compare(">", doubled, Literal(5))
    with pytest.raises(Gap, match="no bounds"):
        list(run(source, facts, task(bits=(BitColumn("b0", predicate),))))


def test_arithmetic_beyond_64_bits_is_a_gap(source: Source) -> None:
    """Whether a result fits is proved from the bounds, before anything runs."""
    big = column("rent")
    for _ in range(7):
        big = Arithmetic("*", big, column("rent"))  # type: ignore[assignment]
    with pytest.raises(Gap, match="64 bits"):
        list(run(source, FACTS, task(bits=(BitColumn("b0", Compare(">", big, Literal(1))),))))
