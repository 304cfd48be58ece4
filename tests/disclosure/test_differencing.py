"""What earlier answers and a new one could tell together is withheld, and nothing more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridleway.disclosure.clear import MATCHED, Last, clear
from bridleway.disclosure.rules import differencing, homogeneity
from bridleway.disclosure.rules.smallest_group import hide as hide_few
from bridleway.disclosure.table import MeasureFacts, Outside, Sensitivity, Table
from bridleway.model.flow import ALL, Cell, Cleared, Combined
from bridleway.model.question import Column, Group, Measure, Question
from tests.disclosure.test_edges import K10, OFF, cell, outside, table

APART = replace(K10, together=False)


def told(
    cells: list[list[int]], earlier: list[list[int]], known: list[tuple[int, int]], **more: Any
) -> Outside:
    """Return what earlier answers tell: blocks as 0 and 1, what is known as (low, high)."""
    made = outside(cells, earlier, [low for low, _ in known], [high for _, high in known])
    as_flags = {
        name: np.array(value, dtype=bool)
        for name, value in more.items()
        if name in ("base", "declared", "same")
    }
    return replace(made, **{**more, **as_flags})


def hidden(
    people: list[int], out: Outside | None, asked: list[bool] | None = None, **more: Any
) -> set[int]:
    """Return the cells that are withheld for being too near to an earlier answer."""
    cells = [cell(number, f"c{i}") for i, number in enumerate(people)]
    made = table(*cells, outside=out, **more)
    return differencing.hide(replace(made, asked=tuple(asked or [True] * len(people))), ())


# -- pairs of figures


def test_it_is_said_where_it_is_done() -> None:
    """Only where questions are weighed together."""
    assert differencing.words(APART) == ""
    assert differencing.words(replace(K10, smallest_group=12)) == (
        "Cells that differ from an earlier answer by fewer than 12 people are withheld."
    )


def test_a_rule_that_is_off_hides_nothing() -> None:
    """Not even where the questions cannot be compared."""
    out = replace(told([[1, 1]], [[1, 0]], [(20, 24)]), untold=True)
    assert hidden([22], out, rules=APART) == set()
    assert hidden([22], out) == {0}


def test_without_earlier_answers_nothing_is_near() -> None:
    assert hidden([22], None) == set()
    assert hidden([22], told([[1, 1]], [], [])) == set()


def test_the_same_people_of_another_data_version_are_not_the_same() -> None:
    """Nobody knows who has come and gone since: figures that may be equal are withheld."""
    today = told([[1, 0]], [[1, 0]], [(20, 24)])
    assert hidden([22], today) == set()
    before = told([[1, 0]], [[1, 0]], [(20, 24)], same=[False])
    assert hidden([22], before) == {0}
    assert hidden([33], before) == {0}  # 9 more than the most there were
    assert hidden([34], before) == set()
    assert hidden([11], before) == {0}
    assert hidden([10], before) == set()


def test_undeclared_values_are_taken_for_nobody_too() -> None:
    """Beside them two cells are of the same people, so their difference tells of the others."""
    out = told([[1, 1, 0]], [[1, 0, 1]], [(20, 24)], declared=[True, False, False])
    assert hidden([22], out) == {0}
    assert hidden([34], out) == set()
    assert hidden([22], replace(out, declared=None)) == set()


@pytest.mark.parametrize(
    ("declared", "low", "high", "people", "near"),
    [
        ([1, 1, 0], 20, 24, 33, True),
        ([1, 1, 0], 20, 24, 34, False),
        ([1, 0, 1], 40, 44, 31, True),
        ([1, 0, 1], 40, 44, 30, False),
        ([0, 1, 0], 20, 24, 33, False),  # beside them they have nobody in common
    ],
)
def test_cells_that_lie_in_each_other_beside_undeclared_values_are_compared(
    declared: list[int], low: int, high: int, people: int, near: bool
) -> None:
    """An attacker may know that nobody has such a value."""
    out = told([[1, 1, 0]], [[1, 0, 1]], [(low, high)], declared=declared)
    assert (hidden([people], out) == {0}) is near
    assert hidden([people], out, asked=[False]) == set()


def test_two_ways_to_cut_the_same_columns_are_compared() -> None:
    """A group with a person, and the same group with somebody else, count nearly the same."""
    asked: list[tuple[int, int]] = []

    def twins(one: int, other: int) -> bool:
        asked.append((one, other))
        return (one, other) == (1, 2)

    out = told(
        [[1, 1, 0], [1, 1, 0]], [[0, 1, 1], [0, 0, 1], [0, 1, 1]], [(-1, -1), (20, 24), (20, 24)],
        twins=twins,
    )  # fmt: skip
    assert hidden([22, 22], out) == {1}
    assert sorted(asked) == [(0, 2), (1, 2)]  # the first was withheld, the second has nobody here
    assert hidden([34, 34], out) == set()
    assert hidden([22, 22], out, asked=[True, False]) == set()
    assert hidden([22, 22], replace(out, twins=None)) == set()


def test_a_condition_inside_a_measure_is_a_figure_of_its_cell() -> None:
    """Whoever it sorts out could be told by subtraction, too."""
    flags = np.array([True, True])
    out = told([[1, 1], [0, 1]], [[1, 0]], [(20, 24)], parts=((1, "m.people", flags),))
    cells = (cell(300, "a"), cell(200, "b", **{"m.people": 30}))
    assert differencing.hide(table(*cells, outside=out), ()) == {1}
    far = (cell(300, "a"), cell(200, "b", **{"m.people": 40}))
    assert differencing.hide(table(*far, outside=out), ()) == set()
    assert differencing.hide(table(*cells, outside=out), {1}) == set()


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [(30, 39, True), (39, 30, True), (30, 40, False), (0, 5, False), (5, 0, False), (30, 30, True)],
)
def test_conditions_of_one_cell_that_sort_out_nearly_the_same_are_withheld(
    one: int, other: int, near: bool
) -> None:
    """Nobody in one of them, and there is nothing to subtract."""
    made = table(
        cell(100, "a", **{"m.a": one, "m.b": other}), cell(100, "b", **{"m.a": one}),
        rivals=(("m.a", "m.b"),),
    )  # fmt: skip
    assert differencing.hide(made, ()) == ({0} if near else set())


# -- margins that stay unsaid


MARGIN = [[1, 0, 0], [0, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("people", "more", "asked", "expected"),
    [
        ([30, 20, 50], {}, [True, True, False], {1, 2}),  # its smallest cell goes with it
        ([20, 20, 50], {}, [True, True, False], {0, 2}),
        ([30, 20, 50], {}, [True, True, True], {2}),  # withheld by itself
        ([30, 20, 50], {"declared": [1, 1, 0]}, [True, True, False], {2}),
        ([30, 20, 50], {"same": [False]}, [True, True, False], {2}),
        ([30, 20, 50], {}, [False, False, False], {2}),
    ],
)
def test_a_margin_that_is_too_near_is_no_sum_of_what_is_shown(
    people: list[int], more: dict[str, Any], asked: list[bool], expected: set[int]
) -> None:
    """Nobody asked for it, but its cells add up to it."""
    out = told(MARGIN, [[1, 1, 1]], [(52, 55)], **more)
    assert hidden(people, out, asked=asked) == expected


def test_a_margin_of_which_a_cell_is_hidden_already_needs_no_other() -> None:
    cells = [cell(n, f"c{i}") for i, n in enumerate((30, 20, 50))]
    made = table(*cells, outside=told(MARGIN, [[1, 1, 1]], [(52, 55)]))
    made = replace(made, asked=(True, True, False))
    assert differencing.hide(made, {0}) == {2}


# -- several figures together


@pytest.mark.parametrize(
    ("third", "found"),
    [
        ((110, 110), True),  # 60 + 58 - 110 = 2 x 4 people
        ((98, 98), False),  # ten
        ((105, 115), True),
        ((90, 115), False),  # anything from 1 to 14
    ],
)
def test_three_figures_that_isolate_few_people_do_not_stand_together(
    third: tuple[int, int], found: bool
) -> None:
    """A and B, A and C, B and C: twice A is what the first two have more than the third."""
    out = told([[1, 1, 0]], [[1, 0, 1], [0, 1, 1]], [(58, 58), third])
    assert hidden([60], out) == ({0} if found else set())


def test_a_set_that_was_a_figure_itself_is_protected_as_one() -> None:
    """Half of A and B and of B and C, less A and C, is B, which was released: 8 to 12 people."""
    a, b, c = [1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]
    ab, bc, ac = ([x | y for x, y in zip(p, q, strict=True)] for p, q in ((a, b), (b, c), (a, c)))
    released = told([ab], [bc, ac, b], [(110, 110), (200, 200), (8, 12)])
    assert hidden([110], released) == set()
    untold_b = told([ab], [bc, ac, b], [(108, 110), (200, 202), (-1, -1)])
    assert hidden([110], untold_b) == {0}


def test_what_is_not_shown_isolates_nobody() -> None:
    """A cell that is unsaid, hidden or empty by its text; an earlier one that was withheld."""
    known = [(58, 58), (110, 110)]
    out = told([[1, 1, 0]], [[1, 0, 1], [0, 1, 1]], known)
    assert hidden([60], out, asked=[False]) == set()
    assert differencing.hide(table(cell(60, "a"), outside=out), {0}) == set()
    assert hidden([60], replace(out, same=np.array([True, False]))) == set()
    assert hidden([60], told([[0, 0, 0]], [[1, 0, 1], [0, 1, 1]], known)) == set()
    assert hidden([60], told([[1, 1, 0]], [[1, 0, 1], [0, 1, 1]], [(58, 58), (-1, -1)])) == set()


def test_only_the_cells_that_take_part_are_withheld() -> None:
    """Another cell of the same answer has nothing to do with it."""
    out = told(
        [[0, 0, 0, 1], [1, 1, 0, 0]], [[1, 0, 1, 0], [0, 1, 1, 0]], [(58, 58), (110, 110)]
    )  # fmt: skip
    assert hidden([500, 60], out) == {1}


def test_people_whose_values_nobody_declared_are_not_isolated() -> None:
    """They are in no group that anybody may ask for."""
    out = told(
        [[1, 1, 0]], [[1, 0, 1], [0, 1, 1]], [(58, 58), (110, 110)], declared=[False, True, True]
    )  # fmt: skip
    assert hidden([60], out) == set()


# -- the people matched


@pytest.mark.parametrize(("people", "near"), [(33, True), (34, False)])
def test_the_people_matched_are_a_figure_too(people: int, near: bool) -> None:
    """It is shown beside every answer."""
    out = told([[1, 0]], [[1, 0]], [(20, 24)], base=[1, 1])
    assert differencing.base_too_near(table(cell(20, "a"), outside=out), people) is near
    quiet = table(cell(20, "a"), outside=out, rules=APART)
    assert differencing.base_too_near(quiet, people) is False
    unknown = table(cell(20, "a"), outside=replace(out, base=None))
    assert differencing.base_too_near(unknown, people) is False
    assert differencing.base_too_near(table(cell(20, "a")), people) is False


def test_the_people_matched_stand_after_cells_and_parts() -> None:
    """As their twins are asked for."""
    asked: list[tuple[int, int]] = []
    out = told(
        [[1, 0, 0]], [[0, 1, 1]], [(20, 24)], base=[1, 1, 0],
        parts=((0, "m", np.array([True, False, False])),),
        twins=lambda one, other: bool(asked.append((one, other))) or True,
    )  # fmt: skip
    assert differencing.base_too_near(table(cell(20, "a"), outside=out), 22)
    assert asked == [(2, 0)]


# -- through the whole of disclosure control

GROUPED = Question(
    table="t",
    measures=(Measure("count_people", "people"),),
    groups=(Group("g", Column("t", "g")),),
)


def cleared(people: list[int], outsides: list[Outside], figures: dict[str, int]) -> Cleared:
    """Return what leaves of cells of so many people, with only differencing in force."""
    cells = tuple(cell(n, f"c{i}") for i, n in enumerate(people))
    rules = replace(OFF, together=True)
    return clear(
        Combined(cells, (True,) * len(cells), figures), GROUPED, rules,
        {"people": MeasureFacts()}, Sensitivity(), outsides=outsides,
    )  # fmt: skip


def test_every_group_of_earlier_answers_is_looked_at() -> None:
    """What any of them could tell is withheld, until none asks for more."""
    cells = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1]]
    one = told(cells, [[1, 0, 0, 0]], [(20, 24)])
    other = told(cells, [[0, 0, 1, 0]], [(20, 24)])
    made = cleared([30, 30, 90], [one, other], {})
    assert [c.values for c in made.cells] == [None, None, {"people": 90}]
    assert [reason for _, reason in made.reasons] == ["differencing", "differencing"]
    alone = cleared([30, 30, 90], [other], {})
    assert [c.values for c in alone.cells] == [{"people": 30}, None, {"people": 90}]


def test_people_matched_that_nearly_repeat_an_earlier_answer_are_withheld() -> None:
    """Whichever group of earlier answers tells."""
    far = told([[1, 0]], [[0, 1]], [(20, 24)], base=[1, 0])
    near = told([[1, 0]], [[1, 0]], [(90, 94)], base=[1, 1])
    figures = {MATCHED: 100, "rows": 130}
    assert cleared([50], [far], figures).figures == {MATCHED: 100, "rows": 130}
    assert cleared([50], [far, near], figures).figures == {MATCHED: "withheld", "rows": 130}
    assert cleared([50], [near], {"rows": 130}).figures == {"rows": 130}


def test_the_people_of_parts_are_known_as_they_were_rounded() -> None:
    """What later answers are held to: a proportion's people, and each condition of a sum."""
    numbers = {
        "share.people": 42, "s.branch0": 33, "s.branch1": 28, "s.sum": 100, "s.n": 60,
        "s.abs": 100, "s.top": 2, "s.top2": 2, "s.top_n": 4, "s.people": 60,
    }  # fmt: skip
    question = Question(
        table="t",
        measures=(
            Measure("proportion", "share", Column("t", "x")),  # type: ignore[arg-type]
            Measure("sum", "s", Column("t", "y")),
        ),
    )
    measures = {"share": MeasureFacts(), "s": MeasureFacts(branches=2)}
    combined = Combined((cell(61, **numbers),), (True,), {})
    (made,) = clear(combined, question, OFF, measures, Sensitivity()).cells
    assert made.people == 60
    assert made.parts == {"share.people": 40, "s.branch0": 35, "s.branch1": 30}


def test_a_held_cell_is_known_as_it_was() -> None:
    """Its people and parts are those of the release that it repeats; nothing of withheld ones."""
    held = cell(61, "c0", changed=3)
    last = Last(
        {("c0",): {"people": 55}}, {}, {("c0",): {"": 55, "s.branch0": 20, "s.branch1": None}}
    )
    made = clear(
        Combined((held,), (True,), {}), GROUPED, replace(OFF, hold=True),
        {"people": MeasureFacts()}, Sensitivity(), last,
    )  # fmt: skip
    (only,) = made.cells
    assert (only.values, only.people, only.parts) == ({"people": 55}, 55, {"s.branch0": 20})
    assert made.held == (0,)


# -- all alike, or few outside


def summing(facts: MeasureFacts, **numbers: int) -> Table:
    """Return one cell of 40 people with a sum."""
    named = {f"s.{name}": number for name, number in numbers.items()}
    return table(cell(40, "a", **named), functions={"s": "sum"}, facts=facts)


@pytest.mark.parametrize(
    ("facts", "numbers", "alike"),
    [
        (MeasureFacts(low=0, high=5, sensitive=True), {"sum": 200, "n": 40}, True),  # all highest
        (MeasureFacts(low=0, high=5, sensitive=True), {"sum": 0, "n": 40}, True),  # all lowest
        (MeasureFacts(low=1, high=5, sensitive=True), {"sum": 41, "n": 40}, False),
        (MeasureFacts(low=0, high=5, sensitive=False), {"sum": 200, "n": 40}, False),
        (MeasureFacts(low=0, high=5, sensitive=True), {"sum": 0, "n": 0}, False),  # nobody
        (MeasureFacts(low=5, high=5, sensitive=True), {"sum": 200, "n": 40}, False),  # by declaration
        (MeasureFacts(high=5, sensitive=True, branches=1), {"sum": 9, "n": 40, "branch0": 40}, True),
        (MeasureFacts(high=5, sensitive=True, branches=1), {"sum": 9, "n": 40, "branch0": 0}, True),
        (MeasureFacts(high=5, sensitive=True, branches=1), {"sum": 9, "n": 40, "branch0": 39}, False),
        (MeasureFacts(high=5, sensitive=True, branches=2),
         {"sum": 9, "n": 40, "branch0": 20, "branch1": 0}, True),
        (MeasureFacts(high=5, sensitive=True), {"n": 40}, False),
    ],
)  # fmt: skip
def test_a_sum_that_tells_that_all_are_alike_is_withheld(
    facts: MeasureFacts, numbers: dict[str, int], alike: bool
) -> None:
    """All have the lowest or the highest value, or all or none meet a condition."""
    assert homogeneity.hide(summing(facts, **numbers), ()) == ({0} if alike else set())


def test_one_alike_measure_among_others_is_enough() -> None:
    made = table(
        cell(40, "a", **{"plain.sum": 7, "plain.n": 40, "s.sum": 200, "s.n": 40}),
        functions={"people": "count_people", "plain": "sum", "s": "sum"},
        facts=MeasureFacts(low=0, high=5, sensitive=True),
    )
    assert homogeneity.hide(made, ()) == {0}


@pytest.mark.parametrize(
    ("branch", "few"),
    [(0, False), (1, True), (9, True), (10, False), (20, False), (21, True), (29, True),
     (30, False)],
)  # fmt: skip
def test_the_people_outside_a_condition_are_protected(branch: int, few: bool) -> None:
    """Of 30 people, 20 meet it: ten do not; 30 do: nobody is left to tell about. So within it."""
    made = table(
        cell(30, "a", **{"s.people": 30, "s.branch0": branch, "s.sum": 5, "s.n": 30}),
        functions={"s": "sum"}, facts=MeasureFacts(high=5, branches=1),
    )  # fmt: skip
    assert hide_few(made, ()) == ({0} if few else set())


def test_a_whole_table_has_margins_of_the_whole() -> None:
    """A slice is compared beside its margins, never with them."""
    made = Table(
        (cell(30, "a", "x"), cell(0, "a", "y"), cell(30, "a", ALL)), (True,) * 3, K10,
        {"people": "count_people"}, {}, Sensitivity(False, (False, True)),
    )  # fmt: skip
    assert homogeneity.hide(made, ()) == {0, 1}
    assert Cell((), {}).key == ()
