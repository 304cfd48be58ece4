"""Minimum distinct people per cell, and per complement (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bridleway.disclosure.table import Table
from bridleway.model.flow import Cell
from bridleway.model.plan import branch_name
from bridleway.model.policy import Rules

STAGE = 20
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
    return {i for i, cell in enumerate(table.cells) if any(_too_few(table, cell))}


def _too_few(table: Table, cell: Cell) -> Iterator[bool]:
    rules, numbers = table.rules, cell.numbers
    k = threshold(rules)
    people = numbers["people"]
    yield people < k
    if rules.complement and table.sensitivity.predicate:
        yield numbers["base"] - people < k
    elif rules.complement:
        yield 0 < numbers["base"] - people < k
    for name, function in table.functions.items():
        facts = table.measures[name]
        contributors = numbers.get(f"{name}.people")
        if contributors is None:
            continue
        rest = people - contributors
        yield contributors < k
        if function == "proportion" and facts.sensitive:
            yield rules.complement and rest < k
        elif function == "proportion" or facts.conditional:
            yield rules.complement and 0 < rest < k
        for number in range(facts.branches):
            branch = numbers.get(branch_name(name, number), people)
            yield 0 < branch < k
            yield rules.complement and 0 < people - branch < k
