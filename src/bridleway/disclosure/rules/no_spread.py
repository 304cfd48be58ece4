"""A spread of nothing tells everybody's value: a variance or deviation of 0 is withheld."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridleway.disclosure.table import Table
from bridleway.model.policy import Rules

STAGE = 35
LOOKS_OUTSIDE = False
NAME = "no spread"
ADVICE = "Ask for the mean of broader groups, in which values differ."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.dominance:
        return ""
    return "Variances and deviations of cells in which everybody has the same value are withheld."


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide cells whose variance or deviation is zero."""
    if not table.rules.dominance:
        return set()
    spreads = [n for n, f in table.functions.items() if f.startswith(("var", "stddev"))]
    return {
        i
        for i, cell in enumerate(table.cells)
        if any(_equal(cell.numbers, name) for name in spreads)
    }


def _equal(numbers: Mapping[str, int], name: str) -> bool:
    count = numbers[f"{name}.n"]
    return count > 0 and count * numbers[f"{name}.sumsq"] == numbers[f"{name}.sum"] ** 2
