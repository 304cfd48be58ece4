"""Dominance on sums: the (n, k) rule and the p % rule (Handbook on SDC, section 4.2).

(n, k): the n largest contributors hold more than k % of the cell. p %: the second largest could
estimate the largest to within p %: total - largest - second < p % of the largest. Both look at
absolute contributions per person, so that negative values do not hide a large one. Federated
cells bring upper bounds of the largest, which makes the same formulas conservative.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridleway.disclosure.table import Table
from bridleway.model.policy import Rules

STAGE = 30
NAME = "dominance"
ADVICE = "Ask for counts instead of sums, or for sums over larger groups."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.dominance:
        return ""
    return (
        f"Sums that {rules.dominance_n} people make up by more than "
        f"{rules.dominance_n_share_percent} %, or that tell the largest to within "
        f"{rules.dominance_p_percent} %, are withheld."
    )


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide cells in which a few people dominate a sum."""
    if not table.rules.dominance:
        return set()
    return {
        i
        for i, cell in enumerate(table.cells)
        if any(
            f"{name}.abs" in cell.numbers and dominated(cell.numbers, name, table.rules)
            for name in table.functions
        )
    }


def dominated(numbers: Mapping[str, int], name: str, rules: Rules) -> bool:
    """Tell whether a few people dominate a measure of a cell."""
    total = numbers[f"{name}.abs"]
    largest, few = numbers[f"{name}.top"], numbers[f"{name}.top_n"]
    second = numbers.get(f"{name}.top2", max(0, few - largest))
    if total == 0:
        return False
    too_much = 100 * few > rules.dominance_n_share_percent * total
    too_near = 100 * (total - largest - second) < rules.dominance_p_percent * largest
    return too_much or too_near
