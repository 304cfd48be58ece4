"""Each rule hides what it must, in its stage; what is released is rounded and safe."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from bridleway.disclosure.clear import MeasureFacts, Sensitivity, clear, protect_figures
from bridleway.disclosure.words import rules_in_words, what_you_can_do
from bridleway.errors import Refused
from bridleway.model.flow import ALL, Cell, Cleared, Combined
from bridleway.model.policy import Rules
from bridleway.model.question import Column, Group, Measure, Order, Question

K10 = Rules()
PEOPLE = Measure("count_people", "people")


def _question(groups: int, *measures: Measure, **more: Any) -> Question:
    made = tuple(Group(f"g{i}", Column("t", f"g{i}")) for i in range(groups))
    return Question(table="t", measures=measures or (PEOPLE,), groups=made, **more)


def _table(
    counts: np.ndarray[Any, Any], margins: str, base: np.ndarray[Any, Any] | None = None
) -> Combined:
    """Return every cell of the CUBE over the counts."""
    sizes = counts.shape
    cells, asked = [], []
    for kept in product((True, False), repeat=len(sizes)):
        show = all(kept) or margins == "cube"
        show |= margins == "rollup" and list(kept) == sorted(kept, reverse=True)
        for key in product(*(range(n) if k else [ALL] for n, k in zip(sizes, kept, strict=True))):
            at = tuple(slice(None) if v is ALL else v for v in key)
            people = int(counts[at].sum())
            whole = people if base is None else int(base[at].sum())
            cells.append(Cell(key, {"people": people, "base": whole, "rows": people}))
            asked.append(show)
    return Combined(tuple(cells), tuple(asked), {})


def _clear(
    combined: Combined,
    question: Question,
    rules: Rules = K10,
    *,
    sensitive: bool = False,
    **facts: MeasureFacts,
) -> Cleared:
    measures = {m.name: facts.get(m.name, MeasureFacts()) for m in question.measures}
    return clear(
        combined, question, rules, measures, Sensitivity(sensitive, (False,) * len(question.groups))
    )


def _shown(cleared: Cleared) -> dict[Any, Any]:
    return {c.key: c.values for c in cleared.cells}


@pytest.mark.parametrize(
    ("people", "shown"), [(0, None), (1, None), (9, None), (10, 10), (12, 10), (13, 15)]
)
def test_fewer_than_k_people_are_withheld_all_alike(people: int, shown: int | None) -> None:
    """0 to k-1 look the same (ATTACKS A15); others are rounded to 5, half up."""
    made = _clear(
        _table(np.array([people, 60]), "none"), _question(1), replace(K10, secondary=False)
    )
    assert _shown(made)[(0,)] == (None if shown is None else {"people": shown})


@pytest.mark.parametrize(("base", "shown"), [(30, True), (29, False), (20, False), (40, True)])
def test_a_sensitive_predicate_needs_k_people_outside_it_too(base: int, shown: bool) -> None:
    """The complement of a sensitive cell is protected (ATTACKS A04, A22)."""
    table = _table(np.array([20]), "none", np.array([base]))
    assert (_shown(_clear(table, _question(1), sensitive=True))[(0,)] is not None) is shown


@pytest.mark.parametrize(("base", "shown"), [(20, True), (25, False), (30, True)])
def test_a_plain_predicate_may_hold_everybody_but_not_nearly_everybody(
    base: int, shown: bool
) -> None:
    """Without a sensitive column the complement is 0 or at least k."""
    table = _table(np.array([20]), "none", np.array([base]))
    assert (_shown(_clear(table, _question(1)))[(0,)] is not None) is shown


def test_the_stages_have_an_order_that_matters() -> None:
    """Suppress below 10, then round to 5: an 8 is hidden, not released as 10."""
    made = _clear(_table(np.array([8, 50]), "none"), _question(1), replace(K10, secondary=False))
    assert _shown(made)[(0,)] is None


def _sum_cell(amounts: list[int]) -> Cell:
    top = sorted(map(abs, amounts), reverse=True)
    return Cell((), {
        "people": len(amounts), "base": len(amounts), "rows": len(amounts), "total.sum": sum(amounts),
        "total.n": len(amounts), "total.abs": sum(top), "total.people": sum(a != 0 for a in amounts),
        "total.top": top[0], "total.top2": top[1], "total.top_n": top[0] + top[1],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [
        ([100] * 12, True),
        ([10_000, *[1] * 11], False),  # one firm is nearly all (A12)
        ([5000, 4900, *[10] * 12], False),  # two are
        ([-10_000, *[1] * 11], False),  # negative values count by size
        ([1000, 10, *[9] * 10], False),  # p %: the second tells the first to within 10 %
    ],
)
def test_a_dominated_sum_is_withheld(amounts: list[int], shown: bool) -> None:
    """(n, k) with n = 2 and 90 %, and p % with p = 10."""
    question = _question(0, PEOPLE, Measure("sum", "total", Column("t", "x")))
    made = _clear(Combined((_sum_cell(amounts),), (True,), {}), question)
    assert (made.cells[0].values is not None) is shown


def test_a_sum_to_which_few_contribute_is_withheld() -> None:
    """Zeros and missing values are no contributors (A20)."""
    question = _question(0, PEOPLE, Measure("sum", "total", Column("t", "x")))
    cell = _sum_cell([100] * 9 + [0] * 20)
    assert _clear(Combined((cell,), (True,), {}), question).cells[0].values is None


def test_everybody_in_one_sensitive_group_is_withheld() -> None:
    """GROUP BY a sensitive column: 12 of 12 with the disease tell about each (A22)."""
    counts = np.array([[12, 0], [40, 30]])
    question = _question(2)
    made = clear(
        _table(counts, "none"), question, replace(K10, secondary=False), {"people": MeasureFacts()},
        Sensitivity(False, (False, True)),
    )  # fmt: skip
    shown = _shown(made)
    assert shown[(0, 0)] is None and shown[(0, 1)] is None
    assert shown[(1, 0)] and shown[(1, 1)]


def test_rounded_margins_and_ratios_come_from_protected_parts() -> None:
    """The mean is the rounded sum by the rounded count (A18)."""
    question = _question(
        0,
        PEOPLE,
        Measure("sum", "total", Column("t", "x")),
        Measure("avg", "mean", Column("t", "x")),
    )
    cell = _sum_cell([12_345 + n for n in range(13)])
    numbers = dict(cell.numbers) | {
        k.replace("total", "mean"): v for k, v in cell.numbers.items() if "total" in k
    }
    made = _clear(
        Combined((Cell((), numbers),), (True,), {}), question,
        total=MeasureFacts(scale=2), mean=MeasureFacts(scale=2),
    )  # fmt: skip
    assert made.cells[0].values == {"people": 15, "total": "1610", "mean": "107"}


def test_order_and_limit_see_released_values_only() -> None:
    """A hidden cell is not ranked among the shown (A14)."""
    table = _table(np.array([40, 3, 90, 60]), "none")
    question = _question(1, order_by=(Order("people", True),), limit=3)
    made = _clear(table, question, replace(K10, secondary=False))
    assert [c.key[0] for c in made.cells] == [2, 3, 0]


def test_too_many_cells_are_refused() -> None:
    """The cap is a rule, not a matter of memory."""
    with pytest.raises(Refused):
        _clear(_table(np.array([20, 20]), "none"), _question(1), replace(K10, most_cells=2))


def test_side_figures_are_protected_and_small_ones_read_alike() -> None:
    """No figure below k leaves, 0 included."""
    made = protect_figures({"a": 0, "b": 9, "c": 10, "d": 1013}, K10)
    assert made == {"a": "fewer than 10", "b": "fewer than 10", "c": 10, "d": 1015}


def test_rules_and_advice_are_said_once_and_tell_nothing_of_a_cell() -> None:
    """The same words whatever was hidden."""
    assert any("fewer than 10" in line for line in rules_in_words(K10))
    assert len(what_you_can_do(K10)) >= 3


TABLES = st.one_of(
    st.lists(st.integers(0, 40), min_size=2, max_size=6).map(np.array),
    st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=2, max_size=4).map(
        np.array
    ),
)


def _interval(combined: Combined, hidden: set[Any], target: Any) -> float:
    """Return how wide the attacker's interval for a hidden cell is, by a linear programme."""
    finest = [c for c in combined.cells if ALL not in c.key]
    place = {c.key: n for n, c in enumerate(finest)}

    def row(key: Any) -> list[float]:
        return [
            float(all(a == b for a, b in zip(other, key, strict=True) if b is not ALL))
            for other in place
        ]

    known = [c for c in combined.cells if c.key not in hidden]
    a, b = [row(c.key) for c in known], [float(c.numbers["people"]) for c in known]
    goal = np.array(row(target))
    ends = []
    for sign in (1, -1):
        solved = linprog(sign * goal, A_eq=a or None, b_eq=b or None, bounds=(0, None))
        ends.append(float("inf") if solved.status == 3 else sign * solved.fun)
    return float(abs(ends[1] - ends[0]))


@settings(max_examples=120, deadline=None)
@given(TABLES, st.sampled_from(["none", "rollup", "cube"]))
def test_no_hidden_cell_can_be_computed(counts: np.ndarray[Any, Any], margins: str) -> None:
    """Every hidden cell's interval is at least k wide, or nothing is shown (A19)."""
    combined = _table(counts, margins)
    made = _clear(combined, _question(counts.ndim))
    shown = _shown(made)
    hidden = {key for key, values in shown.items() if values is None}
    assert {c.key for c in combined.cells if c.numbers["people"] < 10} & set(shown) <= hidden
    if not hidden or len(hidden) == len(shown):
        return
    for key in hidden:
        assert _interval(combined, hidden, key) >= 10 - 1e-6


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(1, 30), st.integers(1, 30))
def test_stricter_rules_never_release_more(
    counts: np.ndarray[Any, Any], one: int, other: int
) -> None:
    """The strictest of two thresholds hides all that either hides."""

    def hidden(k: int) -> set[Any]:
        rules = replace(K10, smallest_group=k, secondary=False)
        return {
            c.key
            for c in _clear(_table(counts, "cube"), _question(counts.ndim), rules).cells
            if c.values is None
        }

    assert hidden(one) | hidden(other) == hidden(max(one, other))


@given(
    st.builds(Rules, smallest_group=st.integers(1, 50), rounding_counts=st.integers(1, 50)),
    st.builds(
        Rules,
        smallest_group=st.integers(1, 50),
        homogeneity=st.booleans(),
        rows_per_person=st.integers(1, 20),
    ),
)
def test_the_strictest_wins(one: Rules, other: Rules) -> None:
    """Rules merge to what is at least as strict as each."""
    both = one.strictest(other)
    assert both == other.strictest(one)
    assert both.at_least_as_strict_as(one) and both.at_least_as_strict_as(other)
    assert one.looser_than(both) == () or not one.at_least_as_strict_as(both)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 200))
def test_no_released_count_rounds_to_zero(k: int, base: int, people: int) -> None:
    """A shown count is at least one rounding step."""
    rules = replace(K10, smallest_group=k, rounding_counts=base, secondary=False)
    values = _clear(_table(np.array([people]), "none"), _question(1), rules).cells[0].values
    assert values is None or values["people"] > 0
