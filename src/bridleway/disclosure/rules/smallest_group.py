"""Minimum distinct people per cell, and per complement (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bridleway.disclosure.table import Table
from bridleway.model.flow import Cell
from bridleway.model.plan import branch_name
from bridleway.model.policy import Rules

STAGE = 20
LOOKS_OUTSIDE = False
NAME = "smallest group"
ADVICE = "Ask for larger groups: wider areas, fewer or broader categories."


def words(rules: Rules) -> str:
    """Say the rule."""
    rest = (
        " The people left out of a cell are protected in the same way." if rules.complement else ""
    )
    return f"Cells with fewer than {threshold(rules)} distinct people are withheld.{rest}"


def threshold(rules: Rules) -> int:
    """Return the fewest people of a released cell; no released count may round to zero."""
    return max(rules.smallest_group, (rules.rounding_counts + 1) // 2)


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide cells with too few people in the cell, in a measure of it, or outside it."""
    return {
        i
        for i, cell in enumerate(table.cells)
        if measures_with_few(table, cell) or few_outside(table, cell)
    }


def measures_with_few(table: Table, cell: Cell) -> list[str]:
    """Return the measures with too few contributors, "" first where the cell has too few people."""
    k = threshold(table.rules)
    return [""] * (cell.numbers["people"] < k) + [
        name
        for name in table.functions
        if cell.numbers.get(f"{name}.people", k) < k
        or any(0 < branch < k for branch in _branches(table, cell, name))
    ]


def _branches(table: Table, cell: Cell, name: str) -> list[int]:
    """Return the people of each branch of a measure over conditions."""
    numbers = (branch_name(name, n) for n in range(table.measures[name].branches))
    return [cell.numbers[number] for number in numbers if number in cell.numbers]


def few_outside(table: Table, cell: Cell) -> bool:
    """Tell whether the people outside a cell, or outside a measure of it, are too few."""
    return table.rules.complement and any(_few_outside(table, cell))


def _few_outside(table: Table, cell: Cell) -> Iterator[bool]:
    k, numbers = threshold(table.rules), cell.numbers
    people, base = numbers["people"], numbers["base"]
    yield base - people < k if table.sensitivity.predicate else 0 < base - people < k
    for name, function in table.functions.items():
        facts = table.measures[name]
        contributors = numbers.get(f"{name}.people")
        if contributors is None:
            continue
        rest = people - contributors
        if function == "proportion" and facts.sensitive:
            yield rest < k
        elif function == "proportion" or facts.conditional:
            yield 0 < rest < k
        for branch in _branches(table, cell, name):
            yield 0 < people - branch < k
