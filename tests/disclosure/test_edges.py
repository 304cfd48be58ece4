"""The edges of each rule: switched off, empty, tied, told before, not to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.disclosure import noise, rounding
from bridleway.disclosure.bounds import Knowledge
from bridleway.disclosure.clear import Last, clear
from bridleway.disclosure.rules import differencing, dominance, held, homogeneity, secondary
from bridleway.disclosure.rules.smallest_group import few_outside, hide, measures_with_few
from bridleway.disclosure.statuses import overall, statuses
from bridleway.disclosure.table import MeasureFacts, Outside, Sensitivity, Table
from bridleway.disclosure.words import rules_in_words, what_you_can_do
from bridleway.model.flow import ALL, Cell, Cleared, Combined
from bridleway.model.policy import Rules
from bridleway.model.question import Column, Group, Measure, Order, Question

K10 = Rules()
OFF = Rules(
    dominance=False, homogeneity=False, secondary=False, hold=False, together=False,
    complement=False,
)  # fmt: skip
PEOPLE = Measure("count_people", "people")


def cell(people: int, *key: Any, **numbers: int) -> Cell:
    """Return a cell of so many people, all of its base."""
    return Cell(key, {"people": people, "base": people, "rows": people, **numbers})


def summed(amounts: list[int], *key: Any, name: str = "m") -> Cell:
    """Return a cell in which each person brings one amount to the measure `m`."""
    sizes = sorted(map(abs, amounts), reverse=True)
    top = [*sizes, 0, 0][:2]
    made = {
        "n": len(amounts), "sum": sum(amounts), "abs": sum(sizes), "top": top[0], "top2": top[1],
        "top_n": sum(top), "people": sum(s > 0 for s in sizes),
        "sumsq": sum(a * a for a in amounts),
    }  # fmt: skip
    return cell(len(amounts), *key, **{f"{name}.{word}": value for word, value in made.items()})


def table(
    *cells: Cell,
    rules: Rules = K10,
    functions: Mapping[str, str] | None = None,
    facts: MeasureFacts | None = None,
    sensitivity: Sensitivity | None = None,
    **more: Any,
) -> Table:
    """Return a table that the question shows whole."""
    functions = functions or {"people": "count_people"}
    return Table(
        cells, (True,) * len(cells), rules, functions,
        {name: facts or MeasureFacts() for name in functions}, sensitivity or Sensitivity(), **more,
    )  # fmt: skip


def released(made: Table, **more: Any) -> Cleared:
    """Return what disclosure control makes of a table."""
    width = len(made.cells[0].key)
    question = Question(
        table="t",
        measures=tuple(Measure(f, n, Column("t", n)) for n, f in made.functions.items()),
        groups=tuple(Group(f"g{i}", Column("t", f"g{i}")) for i in range(width)),
        **more.pop("asking", {}),
    )
    return clear(
        Combined(made.cells, made.asked, {}), question, made.rules, made.measures,
        made.sensitivity, more.pop("last", None), [made.outside] if made.outside else [],
    )  # fmt: skip


def outside(
    cells: list[list[int]],
    earlier: list[list[int]],
    low: list[int],
    high: list[int],
    untold: bool = False,
) -> Outside:
    """Return what earlier answers tell, blocks written as 0 and 1."""
    blocks = len(cells[0]) if cells else 0
    return Outside(
        np.array(cells, dtype=bool).reshape(-1, blocks),
        np.array(earlier, dtype=bool).reshape(-1, blocks),
        np.array(low), np.array(high), untold,
    )  # fmt: skip


# -- rules that are off


@pytest.mark.parametrize("rule", [differencing, dominance, held, homogeneity, secondary])
def test_a_rule_that_is_off_hides_nothing_and_says_nothing(rule: ModuleType) -> None:
    """Also where it would have hidden something."""
    made = replace(
        table(
            summed([9_000, 1, 1], "a"), summed([1] * 40, "b"),
            functions={"m": "sum"}, sensitivity=Sensitivity(True, (True,)),
            last={("a",): None}, outside=outside([[1], [1]], [[1]], [3], [3]),
        ),
        rules=OFF,
    )  # fmt: skip
    assert rule.hide(made, {0}) == set()
    assert rule.words(OFF) == "" and rule.words(K10) != ""
    assert rule.words(K10) in rules_in_words(K10) and rule.ADVICE in what_you_can_do(K10)
    assert rule.ADVICE not in what_you_can_do(OFF)


def test_noise_is_told_where_it_is_added() -> None:
    """An answer says that its figures were moved."""
    moved = set(rules_in_words(replace(K10, cell_key=True))) - set(rules_in_words(K10))
    assert len(moved) == 1


def test_without_protected_complements_few_people_may_be_left_out() -> None:
    """`complement: false` looks at cells alone."""
    one = Cell((), {"people": 20, "base": 25, "rows": 20})
    assert hide(table(one), ()) == {0}
    assert hide(table(one, rules=replace(K10, complement=False)), ()) == set()


# -- smallest group


@pytest.mark.parametrize(
    ("function", "sensitive", "conditional", "contributors", "hidden"),
    [
        ("proportion", False, False, 25, True),  # 5 of 30 have it not
        ("proportion", False, False, 30, False),
        ("proportion", True, False, 30, True),  # nobody is without a sensitive thing
        ("proportion", True, False, 20, False),
        ("sum", False, True, 25, True),
        ("sum", False, True, 30, False),
        ("sum", False, False, 25, False),
    ],
)
def test_the_people_outside_a_measure_are_protected(
    function: str, sensitive: bool, conditional: bool, contributors: int, hidden: bool
) -> None:
    """Shares, and sums under a condition, tell about the rest of the cell as well."""
    facts = MeasureFacts(sensitive=sensitive, conditional=conditional)
    made = table(
        cell(30, **{"m.people": contributors}), functions={"m": function}, facts=facts
    )  # fmt: skip
    assert (hide(made, ()) == {0}) is hidden
    assert few_outside(made, made.cells[0]) is hidden
    assert measures_with_few(made, made.cells[0]) == []


def test_each_measure_with_few_contributors_is_named() -> None:
    """The cell itself stands first, without a name."""
    made = table(
        cell(9, **{"a.people": 3, "b.people": 12}), functions={"n": "count_rows", "a": "sum", "b": "sum"}
    )  # fmt: skip
    assert measures_with_few(made, made.cells[0]) == ["", "a"]


# -- dominance


@pytest.mark.parametrize(
    ("few", "hidden"), [(8_999, False), (9_000, True), (9_001, True)]
)  # of 10,000
def test_a_share_of_exactly_the_limit_is_dominated(few: int, hidden: bool) -> None:
    """(n, k): 90 % or more, as SACRO has it."""
    first = few // 2
    rest = 10_000 - few
    amounts = [first, few - first, *[rest // 10 + (i < rest % 10) for i in range(10)]]
    made = table(summed(amounts), functions={"m": "sum"}, rules=replace(K10, dominance_p_percent=1))
    assert (dominance.hide(made, ()) == {0}) is hidden


@pytest.mark.parametrize(("rest", "hidden"), [(99, True), (100, False), (101, False)])
def test_the_largest_may_be_told_to_exactly_p_percent(rest: int, hidden: bool) -> None:
    """p %: less than 10 % of the largest is left to hide it."""
    made = {"m.abs": 2_000 + rest, "m.top": 1_000, "m.top2": 1_000, "m.top_n": 2_000}
    assert dominance.tells_the_largest(made, "m", K10) is hidden
    del made["m.top2"]  # the n largest together give the second
    assert dominance.tells_the_largest(made, "m", K10) is hidden


def test_nobody_dominates_nothing() -> None:
    """A sum of zeros has no largest contributor; it has too few contributors instead."""
    made = table(summed([0] * 20), functions={"m": "sum"})
    assert dominance.hide(made, ()) == set() and hide(made, ()) == {0}


@given(st.lists(st.integers(-500, 500), min_size=1, max_size=12), st.integers(2, 40))
def test_dominance_does_not_depend_on_the_unit(amounts: list[int], scale: int) -> None:
    """Pounds or pence, debts or credits: the same cells."""
    made = [
        dominance.dominated(summed(list(values)).numbers, "m", K10)
        for values in (amounts, [scale * a for a in amounts], [-a for a in amounts])
    ]
    assert len(set(made)) == 1


# -- homogeneity


@pytest.mark.parametrize(
    ("people", "base", "hidden"), [(0, 40, True), (40, 40, True), (20, 40, False), (0, 0, False)]
)
def test_all_or_none_of_a_base_with_something_sensitive_is_withheld(
    people: int, base: int, hidden: bool
) -> None:
    """An empty base tells nothing about anybody."""
    made = table(
        Cell((), {"people": people, "base": base, "rows": people}), sensitivity=Sensitivity(True)
    )
    assert (homogeneity.hide(made, ()) == {0}) is hidden


def test_a_sensitive_group_hides_slices_with_one_value_and_leaves_margins() -> None:
    """Everybody of row 0 is in one column: that row is hidden, its margin is not."""
    made = table(
        cell(30, 0, "ill"), cell(0, 0, "well"), cell(20, 1, "ill"), cell(20, 1, "well"),
        cell(30, 0, ALL), sensitivity=Sensitivity(False, (False, True)),
    )  # fmt: skip
    assert made.sensitive and not table(cell(5)).sensitive
    assert homogeneity.hide(made, ()) == {0, 1}


# -- held


@pytest.mark.parametrize(("changed", "holds"), [(0, True), (1, True), (9, True), (10, False)])
def test_a_cell_in_which_a_few_changed_keeps_its_last_figure(changed: int, holds: bool) -> None:
    """Fewer than k people hold a cell: the same words as before, although the count moved."""
    made = table(cell(40, "a", changed=changed), cell(60, "b", changed=0))
    last = Last({("a",): {"people": 30}, ("b",): {"people": 60}}, {})
    cleared = released(made, last=last)
    assert cleared.cells[0].values == {"people": 30 if holds else 40}
    assert cleared.cells[1].values == {"people": 60}
    assert cleared.held == ((0, 1) if holds else (1,))
    if holds:
        assert cleared.cells[0].people is None
        assert cleared.statuses[0].findings[0] == ("held", "")


def test_a_held_cell_that_was_withheld_stays_withheld() -> None:
    """Whether a few people lifted it over the threshold is not told."""
    made = table(cell(11, "a", changed=2), cell(60, "b"))
    cleared = released(made, last=Last({("a",): None}, {}))
    assert cleared.cells[0].values is None


@pytest.mark.parametrize(
    ("now", "kept"), [(1_004, True), (1_008, True), (1_012, True), (1_013, False), (1_016, False)]
)
def test_side_figures_that_moved_a_little_are_held(now: int, kept: bool) -> None:
    """People matched and the like change only with k people or more."""
    cells = (cell(40, changed=0),)
    question = Question(table="t", measures=(PEOPLE,), groups=())
    facts = {"people": MeasureFacts()}
    told = [
        clear(
            Combined(cells, (True,), {"matched": now, "new": 50}), question, rules, facts,
            Sensitivity(), Last({(): {"people": 40}}, {"matched": 1_000}),
        ).figures
        for rules in (K10, replace(K10, hold=False))
    ]  # fmt: skip
    exact = rounding.count(now, K10)
    assert told[0] == {"matched": 1_000 if kept else exact, "new": 50}
    assert told[1]["matched"] == exact


# -- differencing


@pytest.mark.parametrize(
    ("mine", "theirs", "low", "high", "people", "hidden"),
    [
        ([1, 1], [1, 0], 20, 24, 33, True),  # 9 at the least are in mine alone
        ([1, 1], [1, 0], 20, 24, 34, False),
        ([1, 0], [1, 1], 40, 44, 31, True),
        ([1, 0], [1, 1], 40, 44, 30, False),
        ([1, 0], [1, 0], 20, 24, 22, False),  # the same people
        ([1, 1, 0], [0, 1, 1], 20, 24, 22, False),  # each has people of its own
        ([1, 0], [0, 1], 20, 24, 22, False),  # nobody in common
        ([1, 1], [0, 0], 20, 24, 22, False),  # the earlier one counts nobody here
    ],
)
def test_a_cell_near_to_an_earlier_answer_is_hidden(
    mine: list[int], theirs: list[int], low: int, high: int, people: int, hidden: bool
) -> None:
    """One lies in the other, and fewer than k people are between them."""
    made = table(cell(people, "a"), outside=outside([mine], [theirs], [low], [high]))
    assert (differencing.hide(made, ()) == {0}) is hidden
    assert differencing.hide(made, {0}) == set()


def test_what_was_withheld_earlier_cannot_be_subtracted() -> None:
    """A withheld figure has no number to be near to."""
    made = table(cell(20, "a"), outside=outside([[1, 1]], [[1, 0]], [-1], [-1]))
    assert differencing.hide(made, ()) == set()


def test_questions_that_cannot_be_compared_show_nothing() -> None:
    """Too complex to compare: every cell is withheld, never an error."""
    made = table(cell(50, "a"), cell(60, "b"), outside=outside([[1], [1]], [], [], [], True))
    assert differencing.hide(made, ()) == {0, 1}
    assert differencing.base_too_near(made, 110)
    assert secondary.hide(made, {0, 1}) == set()


# -- bounds


def test_a_set_without_limit_has_none() -> None:
    """Blocks that no known figure counts can hold any number; no block holds fewer than none."""
    nothing = Knowledge(np.zeros((0, 2), dtype=bool), np.array([]), np.array([]))
    assert nothing.interval(np.array([True, False])) == (0.0, np.inf)
    assert nothing.interval(np.array([False, False])) == (0.0, 0.0)


def test_contradicting_figures_tell_nothing() -> None:
    """Two answers about other people: no interval is made of them."""
    flags = np.array([[True], [True]])
    torn = Knowledge(flags, np.array([5, 9]), np.array([5, 9]))
    assert torn.interval(np.array([True])) == (0.0, np.inf)


def test_a_difference_of_two_figures_is_found() -> None:
    """20 in both blocks and 12 to 14 in one leave 6 to 8 in the other."""
    known = Knowledge(
        np.array([[True, True], [True, False]]), np.array([20, 12]), np.array([20, 14])
    )
    assert known.interval(np.array([False, True])) == (6.0, 8.0)
    assert known.interval(np.array([True, True])) == (20.0, 20.0)


# -- secondary suppression


def test_a_hidden_single_figure_needs_no_other() -> None:
    """Without groups and earlier answers there is nothing to compute from."""
    assert secondary.hide(table(cell(3)), {0}) == set()
    assert secondary.hide(Table((), (), K10, {}, {}, Sensitivity()), {0}) == set()


def test_a_hidden_total_is_protected_by_a_part() -> None:
    """One group column, every part shown: the hidden total is their sum, so a part goes too."""
    made = table(cell(20, "a"), cell(30, "b"), cell(50, ALL))
    assert secondary.hide(made, {2}) == {0}


def test_an_earlier_total_gives_a_hidden_cell_away() -> None:
    """An answer that counted both cells together is a margin: another cell is hidden."""
    cells = (cell(5, "a"), cell(40, "b"))
    assert secondary.hide(table(*cells), {0}) == set()
    both = outside([[1, 0], [0, 1]], [[1, 1]], [43], [47])
    assert secondary.hide(table(*cells, outside=both), {0}) == {1}


def test_what_earlier_answers_gave_away_is_not_protected_for_nothing() -> None:
    """A hidden cell that an earlier answer told already hides no other cell."""
    told = outside([[1, 0], [0, 1]], [[1, 0], [1, 1]], [5, 45], [5, 45])
    made = table(cell(5, "a"), cell(40, "b"), outside=told)
    assert secondary.hide(made, {0}) == set()


def test_what_was_withheld_earlier_stays_hidden() -> None:
    """A cell that would give away what an earlier answer withheld is withheld with it."""
    told = outside([[1, 0], [0, 1]], [[1, 1], [1, 0]], [45, -1], [45, -1])
    made = table(cell(15, "a"), cell(30, "b"), outside=told)
    assert secondary.hide(made, set()) != set()
    apart = table(cell(15, "a"), outside=outside([[0, 1]], [[1, 0]], [-1], [-1]))
    assert secondary.hide(apart, set()) == set()


def test_a_margin_that_gives_an_earlier_cell_away_hides_nothing_that_would_not_help() -> None:
    """Known totals tell the withheld figure anyway: no shown cell of others is spoilt for it."""
    told = outside([[0, 1], [1, 0]], [[1, 0]], [-1], [-1])
    made = replace(table(cell(15, "a"), cell(12, "b"), outside=told), asked=(True, False))
    assert secondary.hide(made, set()) == set()


def test_a_hidden_grand_total_takes_more_with_it() -> None:
    """Two group columns, only the total hidden: the rows alone would give it back."""
    made = table(
        cell(20, 0, 0), cell(30, 0, 1), cell(40, 1, 0), cell(50, 1, 1),
        cell(50, 0, ALL), cell(90, 1, ALL), cell(60, ALL, 0), cell(80, ALL, 1), cell(140, ALL, ALL),
        sensitivity=Sensitivity(False, (False, False)),
    )  # fmt: skip
    more = secondary.hide(made, {8})
    shown = set(range(8)) - more
    assert more and not {0, 1, 2, 3} <= shown and not {4, 5} <= shown and not {6, 7} <= shown


# -- rounding and noise


def test_a_figure_that_was_released_bounds_what_it_was_of() -> None:
    """`possible_people` holds every number that is released as this one, and few others."""
    for rules in (K10, replace(K10, cell_key=True), replace(K10, rounding_counts=1)):
        for number in range(10, 80):
            for key in (0, 7, 131, 255):
                shown = rounding.people(number, key, rules)
                low, high = rounding.possible_people(shown, rules)
                assert low <= number <= high
                assert high - low < rules.rounding_counts + 2 * noise.MOST


def test_noise_is_small_fair_and_the_same_for_the_same_people() -> None:
    """Within 3 either way, mean zero, and never below nobody."""
    assert sum(noise.TABLE) == 0 and max(map(abs, noise.TABLE)) == noise.MOST
    for key in range(256):
        assert noise.of_count(100, key) == noise.of_count(100, key + 256) == noise.TABLE[key]
        assert noise.of_count(1, key) >= -1
        assert abs(noise.share(key)) <= 1


FUNCTIONS = ("sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop")


def _one(function: str, amounts: list[int], rules: Rules, key: int | None = None) -> Any:
    numbers = dict(summed(amounts).numbers) | ({} if key is None else {"key": key})
    return rounding.released("m", function, numbers, MeasureFacts(scale=1), rules)


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        ("sum", "24"), ("avg", "2.4"), ("var_samp", "1.5"), ("var_pop", "1.3"),
        ("stddev_samp", "1.2"), ("stddev_pop", "1.1"),
    ],
)  # fmt: skip
def test_magnitudes_are_rounded_in_their_own_unit(function: str, shown: str) -> None:
    """Ten values of 0.6 to 4.2, in tenths: the figures of a pocket calculator."""
    amounts = [6, 10, 14, 18, 22, 26, 30, 34, 38, 42]
    assert _one(function, amounts, K10) == shown


@pytest.mark.parametrize("function", FUNCTIONS)
def test_noise_moves_magnitudes_by_no_more_than_it_says(function: str) -> None:
    """A sum by the largest contribution at most, a variance by its own standard error."""
    amounts = [100 + 7 * i for i in range(30)]
    rules = replace(K10, cell_key=True, sum_significant_digits=12, rounding_counts=1)
    plain = Decimal(_one(function, amounts, replace(rules, cell_key=False)))
    moved = [Decimal(_one(function, amounts, rules, key)) for key in range(256)]
    assert len(set(moved)) > 1
    most = {"sum": Decimal("30.3"), "avg": plain / 5}.get(function, plain * Decimal("0.27"))
    assert all(abs(one - plain) <= most for one in moved)
    assert _one(function, amounts, rules, 9) == _one(function, amounts, rules, 9)


@pytest.mark.parametrize(
    ("function", "amounts"), [("avg", []), ("var_samp", [3]), ("var_pop", []), ("stddev_samp", [])]
)
def test_what_is_not_defined_is_null(function: str, amounts: list[int]) -> None:
    """A mean of nothing and a variance of one value: null, never an error."""
    assert _one(function, amounts, K10) is None


def test_a_share_comes_from_protected_parts_and_never_passes_one() -> None:
    """13 of 12 can come of rounding and noise; a share stays a share."""
    numbers = {"people": 12, "rows": 12, "m.people": 13}
    facts = MeasureFacts()
    assert rounding.released("m", "proportion", numbers, facts, K10) == "1"
    assert rounding.released("m", "proportion", {**numbers, "people": 40}, facts, K10) == "0.375"
    assert rounding.released("m", "count_rows", {**numbers, "rows": 23}, facts, K10) == 25
    assert rounding.significant(Decimal(0), K10) == 0 and rounding.text(Decimal("0")) == "0"


# -- order


def test_order_by_a_group_that_mixes_text_and_numbers() -> None:
    """Numbers stand before text, text by the alphabet; a withheld cell keeps its place by group."""
    made = table(cell(20, "b"), cell(30, 2), cell(3, "a"), cell(40, 1), rules=OFF)
    by_group = released(made, asking={"order_by": (Order("g0", False),)})
    assert [c.key[0] for c in by_group.cells] == [1, 2, "a", "b"]


def test_order_by_a_measure_that_is_null() -> None:
    """Undefined values come after defined ones and before withheld cells."""
    cells = (summed([5] * 12, "x"), summed([7] * 12, "y"), summed([1] * 3, "z"))
    cells = (cells[0], Cell(("n",), {**cells[1].numbers, "m.n": 0}), cells[1], cells[2])
    made = table(*cells, functions={"m": "avg"}, rules=OFF)
    cleared = released(made, asking={"order_by": (Order("m", False),)})
    assert [c.key[0] for c in cleared.cells] == ["x", "y", "n", "z"]


# -- statuses


def test_a_cell_tells_every_rule_that_it_fails() -> None:
    """Not only the first: three people, one of whom has nearly all."""
    cleared = released(
        table(summed([9_000, 1, 1], "a"), summed([30 + i for i in range(20)], "b"),
              summed([30 + i for i in range(25)], "c"), functions={"m": "sum"})
    )  # fmt: skip
    found = {one.key: (one.status, one.findings) for one in cleared.statuses}
    assert found[("a",)] == (
        "fail", (("threshold", ""), ("threshold", "m"), ("nk-rule", "m"), ("p-ratio", "m"))
    )  # fmt: skip
    assert found[("b",)] == found[("c",)] == ("pass", ())
    assert overall(cleared.statuses) == "fail"


def test_a_cell_can_fail_one_half_of_dominance() -> None:
    """Many hold the rest, so the two largest have no 90 %: the second still tells the first."""
    amounts = [1_000, 400, *[2] * 49]
    (found,) = released(
        table(
            summed(amounts),
            functions={"m": "sum"},
            rules=replace(K10, dominance_n_share_percent=99),
        )
    ).statuses
    assert found.findings == (("p-ratio", "m"),)


def test_a_cell_that_protects_another_says_so() -> None:
    """Withheld for the sake of others: a failure with the rule's own name."""
    cleared = released(table(cell(5, "a"), cell(40, "b"), cell(60, "c"), cell(105, ALL)))
    assert cleared.statuses[1].findings == (("secondary suppression", ""),)
    assert cleared.statuses[1].status == "fail"


@pytest.mark.parametrize(
    ("amounts", "rows", "note"),
    [
        ([5] * 20, 20, "all-values-are-same"),
        ([-5] * 20, 20, "all-values-are-same"),
        ([5 + i for i in range(20)], 22, "missing"),
        ([-50 + i for i in range(20)], 20, "negative"),
        ([5] * 20, 22, "missing"),
    ],
)
def test_a_shown_cell_may_ask_for_a_look(amounts: list[int], rows: int, note: str) -> None:
    """Equal, negative and missing values withhold nothing; controllers are told."""
    one = summed(amounts)
    made = table(Cell((), {**one.numbers, "rows": rows}), functions={"m": "sum"})
    (found,) = statuses(made, {})
    assert found.status == "review" and (note, "m") in found.findings
    assert overall((found,)) == "review" and overall(()) == "pass"
    assert released(made).cells[0].values is not None


def test_few_people_outside_and_nobody_inside_are_findings() -> None:
    """Zero and complement are told apart from a small count."""
    made = Cell((), {"people": 0, "base": 5, "rows": 0})
    (found,) = released(table(made, sensitivity=Sensitivity(True))).statuses
    assert {("threshold", ""), ("zero", ""), ("complement", ""), ("homogeneity", "")} == set(
        found.findings
    )


def test_a_margin_that_nobody_asked_for_has_no_status() -> None:
    """Statuses are about what the question shows."""
    made = replace(table(cell(20, "a"), cell(20, ALL)), asked=(True, False))
    assert [one.key for one in statuses(made, {})] == [("a",)]


@pytest.mark.parametrize("function", ["stddev_samp", "var_pop"])
def test_a_spread_of_nothing_is_withheld(function: str) -> None:
    """With the mean beside it, a deviation of 0 tells everybody's value."""
    measures = (PEOPLE, Measure(function, "spread", Column("t", "x")))  # type: ignore[arg-type]
    question = Question(table="t", measures=measures, groups=())
    facts = {"people": MeasureFacts(), "spread": MeasureFacts(low=0, high=9)}
    numbers = {"people": 40, "base": 40, "rows": 40, "spread.people": 40, "spread.n": 40,
               "spread.abs": 200, "spread.sum": 200, "spread.top": 5, "spread.top2": 5,
               "spread.top_n": 10}  # fmt: skip
    for squares, shown in ((40 * 25, False), (40 * 26, True)):
        made = Combined((Cell((), {**numbers, "spread.sumsq": squares}),), (True,), {})
        told = clear(made, question, K10, facts, Sensitivity())
        assert (told.cells[0].values is not None) is shown
