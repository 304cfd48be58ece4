"""Differencing: a released cell and an earlier answer must not differ by a few people.

An earlier answer over the same joined people on the same data version counts sets that contain
a cell or lie within it. What the two differ by could then be computed: it is at least k people,
or nobody by the questions' texts alone, or the cell is hidden (ATTACKS A01, A08, A10). Earlier
figures were rounded, so the difference is taken at its smallest.
"""

from __future__ import annotations

from collections.abc import Collection

from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.table import Outside, Table
from bridleway.model.policy import Rules

STAGE = 45
NAME = "differencing"
ADVICE = "Another answer over nearly the same people is out already: ask for clearly other groups."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.together:
        return ""
    return (
        f"Cells that differ from an earlier answer by fewer than {threshold(rules)} people are "
        "withheld."
    )


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide cells that are too near to an earlier answer's."""
    outside = table.outside
    if outside is None or not table.rules.together:
        return set()
    if outside.untold:
        return set(range(len(table.cells)))
    k = threshold(table.rules)
    return {
        i
        for i, cell in enumerate(table.cells)
        if i not in hidden and _too_near(outside, i, cell.numbers["people"], k)
    }


def _too_near(outside: Outside, place: int, people: int, k: int) -> bool:
    mine = outside.cells[place]
    for theirs, low, high in zip(outside.earlier, outside.low, outside.high, strict=True):
        if low < 0:
            continue
        more, less = bool((mine & ~theirs).any()), bool((theirs & ~mine).any())
        if more and not less and (mine & theirs).any() and people - high < k:
            return True
        if less and not more and low - people < k:
            return True
    return False
