"""Dominance on sums: the (n, k) rule and the p % rule (Handbook on SDC, section 4.2).

(n, k): the n largest contributors hold k % of the cell or more (the Handbook says more than k %;
SACRO counts a tie, and the stricter of the two is taken). p %: the second largest could estimate
the largest to within p %: total - largest - second < p % of the largest. Both look at absolute
contributions per person, so that negative values do not hide a large one. Federated
cells bring upper bounds of the largest, which makes the same formulas conservative.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridleway.disclosure.table import Table
from bridleway.model.policy import Rules

STAGE = 30
LOOKS_OUTSIDE = False
NAME = "dominance"
ADVICE = "Ask for counts instead of sums, or for sums over larger groups."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.dominance:
        return ""
    return (
        f"Sums that {rules.dominance_n} people make up by "
        f"{rules.dominance_n_share_percent} % or more, or that tell the largest to within "
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
    return held_by_few(numbers, name, rules) or tells_the_largest(numbers, name, rules)


def held_by_few(numbers: Mapping[str, int], name: str, rules: Rules) -> bool:
    """Tell whether the n largest contributors hold too much of a measure: the (n, k) rule."""
    total, few = numbers[f"{name}.abs"], numbers[f"{name}.top_n"]
    return total > 0 and 100 * few >= rules.dominance_n_share_percent * total


def tells_the_largest(numbers: Mapping[str, int], name: str, rules: Rules) -> bool:
    """Tell whether the second largest contributor knows the largest too nearly: the p % rule."""
    total, largest = numbers[f"{name}.abs"], numbers[f"{name}.top"]
    second = numbers.get(f"{name}.top2", max(0, numbers[f"{name}.top_n"] - largest))
    rest = total - largest - second
    return total > 0 and 100 * rest < rules.dominance_p_percent * largest
