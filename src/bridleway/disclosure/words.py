"""The rules in force and what an asker can do, as plain sentences, listed once per answer."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from bridleway import parts
from bridleway.model.policy import Rules

ROOM = "bridleway.disclosure.rules"


@cache
def rules_in_order() -> tuple[ModuleType, ...]:
    """Return the rules that hide cells, by stage."""
    found = (parts.load(ROOM, name) for name in parts.names(ROOM))
    return tuple(sorted(found, key=lambda rule: rule.STAGE))


def rules_in_words(rules: Rules) -> list[str]:
    """Say every rule in force."""
    said = [f"A person counts in COUNT(*) with at most {rules.rows_per_person} rows per cell."]
    said += [words for rule in rules_in_order() if (words := rule.words(rules))]
    if rules.cell_key:
        said.append(
            "Before rounding, counts move by up to 3 and sums by up to the largest contribution; "
            "the same people always move alike."
        )
    said.append(
        f"Counts are rounded to the nearest {rules.rounding_counts}; sums, means and shares to "
        f"{rules.sum_significant_digits} significant digits."
    )
    return said


def what_you_can_do(rules: Rules) -> list[str]:
    """Say what an asker can do about withheld cells: the same words whatever hid them."""
    return [rule.ADVICE for rule in rules_in_order() if rule.words(rules)]
