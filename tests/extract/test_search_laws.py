"""The search against looking at everything, for every privacy model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.extract import models
from bridleway.extract.hierarchy import Hierarchy, hierarchy
from bridleway.extract.models import Model
from bridleway.extract.search import Search
from bridleway.extract.table import ROWS, Encoded, encode
from tests.extract import plainly
from tests.extract.plainly import Data, Fails

VALUES = ("a", "b", "c", "d")


@st.composite
def trees(draw: st.DrawFn, name: str) -> Hierarchy:
    """A hierarchy of few leaves whose levels join neighbours."""
    leaves = draw(st.integers(1, 6))
    rows = [[f"{name}{leaf}"] for leaf in range(leaves)]
    parts = list(range(leaves))
    for level in range(draw(st.integers(0, 2))):
        joins = draw(st.lists(st.booleans(), min_size=len(set(parts)), max_size=len(set(parts))))
        names = np.cumsum([0, *(not j for j in joins[1:])]) if joins else []
        parts = [int(names[part]) for part in parts]
        for leaf in range(leaves):
            rows[leaf].append(f"{name}.{level}.{parts[leaf]}")
    return hierarchy(name, rows)


@st.composite
def tables(draw: st.DrawFn) -> Data:
    """A table of few rows with repeated people."""
    hierarchies = tuple(draw(trees(name)) for name in "xyz"[: draw(st.integers(1, 3))])
    row = st.tuples(
        *(st.integers(0, len(h.leaves) - 1) for h in hierarchies),
        st.sampled_from(VALUES),
        st.integers(0, 9),
    )
    return Data(tuple(draw(st.lists(row, min_size=1, max_size=24))), hierarchies)


def encoded(data: Data, entities: bool) -> Encoded:
    """Encode a table as the engine would count it."""
    names = [h.column for h in data.hierarchies]
    columns: dict[str, Any] = {
        name: [h.leaves[row[i]] for row in data.rows]
        for i, (name, h) in enumerate(zip(names, data.hierarchies, strict=True))
    }
    columns["s"] = [row[-2] for row in data.rows]
    if entities:
        columns["who"] = [f"{row[-1]}" for row in data.rows]
    whole = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    counted = whole.group_by(whole.column_names).aggregate([([], "count_all")])
    counted = counted.rename_columns([*whole.column_names, ROWS])
    return encode(counted, data.hierarchies, ("s",), "who" if entities else None)


# name -> (the model, given the encoded table), (whether a class fails, as defined)
MODELS: dict[str, tuple[Callable[[Encoded], list[Model]], Callable[[bool], Fails]]] = {
    "k": (lambda _: [], lambda _: lambda rows, every: False),
    "distinct l": (
        lambda _: [models.DistinctL(0, 2)],
        lambda _: lambda rows, every: len({row[-2] for row in rows}) < 2,
    ),
    "entropy l": (
        lambda _: [models.EntropyL(0, 1.8)],
        lambda e: lambda rows, every: plainly.entropy_l(rows, 1.8, e),
    ),
    "recursive (c,l)": (
        lambda _: [models.RecursiveCL(0, 2.0, 2)],
        lambda e: lambda rows, every: plainly.recursive(rows, 2.0, 2, e),
    ),
    "t, equal": (
        lambda t: [models.TCloseness(0, 0.35, t.distribution("s"))],
        lambda e: lambda rows, every: plainly.equal_distance(rows, every, e) > 0.35 + 1e-9,
    ),
    "t, ordered": (
        lambda t: [models.TCloseness(0, 0.25, t.distribution("s"), "ordered")],
        lambda e: lambda rows, every: plainly.ordered_distance(rows, every, e) > 0.25 + 1e-9,
    ),
    "beta": (
        lambda t: [models.BetaLikeness(0, 1.0, t.distribution("s"))],
        lambda e: lambda rows, every: plainly.beta(rows, every, 1.0, False, e),
    ),
    "enhanced beta": (
        lambda t: [models.BetaLikeness(0, 1.0, t.distribution("s"), enhanced=True)],
        lambda e: lambda rows, every: plainly.beta(rows, every, 1.0, True, e),
    ),
    "l and t": (
        lambda t: [models.DistinctL(0, 2), models.TCloseness(0, 0.35, t.distribution("s"))],
        lambda e: (
            lambda rows, every: (
                len({row[-2] for row in rows}) < 2
                or plainly.equal_distance(rows, every, e) > 0.35 + 1e-9
            )
        ),
    ),
}
slow = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("entities", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize("name", MODELS)
@slow(max_examples=60)
@given(data=tables())
def test_the_search_finds_what_looking_at_everything_finds(
    name: str, entities: bool, data: Data
) -> None:
    """For every k and every limit: the least loss of all nodes."""
    make, fails = MODELS[name]
    table = encoded(data, entities)
    ks = (1, 2, 3, 5)
    found = Search(table.groups, make(table), ks=ks, unit=table.unit).run()
    for k in ks:
        everything = plainly.told(data, k, fails(entities), entities)
        for limit in range(len(data.rows) + 1):
            wanted = min((s for r, s in everything.values() if r <= limit), default=None)
            best = found.best(k, limit)
            if wanted is None:
                assert best is None
                continue
            assert best is not None
            assert best.score == pytest.approx(wanted, abs=1e-9)
            rows, loss = everything[best.node]
            assert (rows, loss) == (best.suppressed, pytest.approx(best.score, abs=1e-9))


@slow(max_examples=60)
@given(data=tables(), limits=st.lists(st.integers(0, 24), min_size=1, max_size=3))
def test_asking_for_some_limits_gives_the_same(data: Data, limits: list[int]) -> None:
    """Fewer limits let the search prune more, and change nothing that was asked for."""
    table = encoded(data, False)
    whole = Search(table.groups, ks=(2,), unit=table.unit).run()
    some = Search(table.groups, ks=(2,), limits=limits, unit=table.unit).run()
    for limit in limits:
        one, other = whole.best(2, limit), some.best(2, limit)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.score == pytest.approx(other.score, abs=1e-9)


@pytest.mark.parametrize("name", ["k", "distinct l"])
@slow(max_examples=60)
@given(data=tables())
def test_what_is_declared_monotone_is(name: str, data: Data) -> None:
    """A coarser generalisation never suppresses more."""
    table = encoded(data, False)
    assert all(model.monotone for model in MODELS[name][0](table))
    everything = plainly.told(data, 2, MODELS[name][1](False), False)
    for one, other in itertools.permutations(everything, 2):
        if all(a <= b for a, b in zip(one, other, strict=True)):
            assert everything[one][0] >= everything[other][0]


def test_entropy_is_not_monotone() -> None:
    """Two classes that may leave can merge into one that may not: why it prunes nothing."""
    fine = [("x", "a"), ("x", "b")] * 3 + [("y", "a")] * 9 + [("y", "b")] * 9
    assert not plainly.entropy_l([(v, s, 0) for v, s in fine if v == "x"], 1.8, False)
    one = [("x", "a", 0)] * 3 + [("x", "b", 0)] * 3
    bad = [("y", "a", 0)] * 60
    assert plainly.entropy_l(bad, 1.8, False)
    assert plainly.entropy_l(one + bad, 1.8, False)
