"""What is said of the rules in force, word for word."""

from __future__ import annotations

import random
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest

from bridleway.disclosure.rules import differencing, secondary
from bridleway.disclosure.statuses import ACRO_CHECKS, REVIEW
from bridleway.disclosure.table import Table
from bridleway.disclosure.words import rules_in_order, rules_in_words, what_you_can_do
from bridleway.model.flow import Cleared
from bridleway.model.policy import Rules
from tests.disclosure.test_acro import ours
from tests.disclosure.test_edges import FUNCTIONS, OFF, _one, cell, outside, table
from tests.disclosure.test_rules import _clear, _question, _table
from tests.support.recorded import entry_is_recorded, is_recorded

SAID = Path(__file__).parent / "said" / "rules.json"
CASES = {
    "usual": Rules(),
    "least": OFF,
    "noise": replace(Rules(), cell_key=True),
    "other numbers": replace(
        Rules(), smallest_group=12, dominance_n=3, rounding_counts=10, sum_significant_digits=2,
        rows_per_person=4,
    ),
    "only dominance": replace(OFF, dominance=True),
    "only homogeneity": replace(OFF, homogeneity=True),
    "only secondary": replace(OFF, secondary=True),
    "only held": replace(OFF, hold=True),
    "only complements": replace(OFF, complement=True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_rules_in_force_are_said_and_what_an_asker_can_do(name: str) -> None:
    rules = CASES[name]
    entry_is_recorded(SAID, name, [rules_in_words(rules), what_you_can_do(rules)])


# -- whole tables, to the cell


def _lines(cleared: Cleared) -> list[str]:
    """Return what is shown of each cell, and which rule withheld the others."""
    reasons = dict(cleared.reasons)
    states = {one.key: one for one in cleared.statuses}
    return [
        f"{cell.key}: {cell.values or reasons[cell.key]}; {states[cell.key].status} "
        f"{sorted(states[cell.key].findings)}"
        for cell in cleared.cells
    ]


def test_made_up_tables_of_sums_keep_the_cells_that_may_be_shown() -> None:
    """Each with its rule, where margins are known and not shown."""
    told = [f"-- {seed}\n" + "\n".join(_lines(ours(seed)[2])) for seed in range(40)]
    is_recorded(SAID.with_name("tables.txt"), "\n".join(told) + "\n")


def test_made_up_tables_of_counts_keep_the_cells_that_may_be_shown() -> None:
    """With margins of every kind, over two and three groups, a sensitive predicate or none."""
    told = []
    for seed in range(36):
        draw = random.Random(seed)
        shape = (3, 4) if seed % 3 else (2, 3, 2)
        sizes = [draw.choice((0, 3, 9, 10, 12, 25, 60)) for _ in range(prod(shape))]
        counts = np.array(sizes).reshape(shape)
        base = counts + np.array([draw.choice((0, 4, 10, 40)) for _ in sizes]).reshape(shape)
        margins = ("none", "rollup", "cube")[seed // 3 % 3]
        question = _question(len(shape), margins=margins)
        made = _clear(
            _table(counts, margins, base), question, replace(Rules(), together=False),
            sensitive=bool(seed % 2),
        )  # fmt: skip
        told.append(f"-- {seed}: {margins} {sizes}\n" + "\n".join(_lines(made)))
    is_recorded(SAID.with_name("counts.txt"), "\n".join(told) + "\n")


def test_rules_have_a_name_a_place_and_a_view() -> None:
    """The name goes to the sealed log; the order matters; some look at earlier answers."""
    assert [(rule.NAME, rule.LOOKS_OUTSIDE) for rule in rules_in_order()] == [
        ("held", False), ("smallest group", False), ("dominance", False),
        ("no spread", False), ("homogeneity", False), ("differencing", True),
        ("secondary suppression", True),
    ]  # fmt: skip


def test_the_words_shared_with_acro() -> None:
    """They stand on a page that readers of ACRO's output use."""
    assert ACRO_CHECKS == {
        "threshold": "MinimumThresholdCheck",
        "zero": "PresenceOfZeroCheck",
        "nk-rule": "NKCheck",
        "p-ratio": "PPercentCheck",
        "all-values-are-same": "AllSameValuesCheck",
        "negative": "NKCheck, PPercentCheck (review)",
        "missing": "MissingCheck",
    }
    assert REVIEW == ("all-values-are-same", "negative", "missing")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_noise_of_magnitudes_is_the_same_for_the_same_people(function: str) -> None:
    """To the digit: answers of last year and of today must not differ by a changed table."""
    rules = replace(Rules(), cell_key=True, sum_significant_digits=6)
    amounts = [100 + 7 * i for i in range(30)]
    told = [[_one(function, amounts, rules, key) for key in range(0, 256, 5)],
            _one(function, amounts, replace(rules, cell_key=False)),
            _one(function, amounts, rules)]  # fmt: skip
    entry_is_recorded(SAID.with_name("noise.json"), function, told)


def _beside_earlier_answers(seed: int) -> tuple[Table, set[int]]:
    """Return a table beside made-up earlier answers over the same blocks, and what is hidden."""
    draw = random.Random(seed)
    blocks = draw.randint(3, 6)
    people = [draw.choice((0, 2, 6, 10, 15, 40)) for _ in range(blocks)]

    def some() -> list[int]:
        return [int(draw.random() < 0.5) for _ in range(blocks)]

    def size(flags: list[int]) -> int:
        return sum(n for n, flag in zip(people, flags, strict=True) if flag)

    cells = [some() for _ in range(draw.randint(1, 4))]
    earlier = [some() for _ in range(draw.randint(1, 4))]
    known = [-1 if size(e) < 10 else size(e) for e in earlier]
    out = outside(cells, earlier, [max(k - 2, -1) if k >= 0 else -1 for k in known],
                  [k + 2 if k >= 0 else -1 for k in known])  # fmt: skip
    out = replace(
        out,
        same=np.array([draw.random() < 0.8 for _ in earlier]),
        declared=np.array([draw.random() < 0.8 for _ in range(blocks)]) if seed % 2 else None,
        twins=(lambda one, other: (one + other) % 2 == 0) if seed % 3 else None,
    )
    made = table(*(cell(size(flags), f"c{i}") for i, flags in enumerate(cells)), outside=out)
    made = replace(made, asked=tuple(draw.random() < 0.9 for _ in cells))
    return made, {i for i, flags in enumerate(cells) if size(flags) < 10}


def test_made_up_earlier_answers_hide_what_they_hide_and_no_more() -> None:
    """By differences first, then by what totals would give away."""
    told = []
    for seed in range(160):
        made, few = _beside_earlier_answers(seed)
        near = differencing.hide(made, few)
        further = secondary.hide(made, few | near)
        told.append(f"{seed}: few {sorted(few)}, near {sorted(near)}, further {sorted(further)}")
    is_recorded(SAID.with_name("earlier.txt"), "\n".join(told) + "\n")
