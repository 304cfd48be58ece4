"""Held cells: answers of one question on two data versions must not differ by a few people.

Where fewer than k people of a cell came, went or differ since the version that was last released,
the cell keeps what was last released of it, shown or withheld. So whoever knows all changes but
one person's learns nothing from asking again (ATTACKS A09). It comes before all other rules:
whether a cell falls below the threshold by a few people is itself such a change. A cell in which
nobody changed keeps its state too: else a change in its neighbour could hide it, or show it.
"""

from __future__ import annotations

from collections.abc import Collection

from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.disclosure.table import Table
from bridleway.model.policy import Rules

STAGE = 10
LOOKS_OUTSIDE = False
NAME = "held"
ADVICE = "Ask again when more people of the withheld groups have changed."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.hold:
        return ""
    return (
        f"A cell in which fewer than {threshold(rules)} people changed since the data version "
        "that was last released keeps its last released figures."
    )


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hold cells in which few people changed, or none."""
    if not table.rules.hold or table.last is None:
        return set()
    k = threshold(table.rules)
    return {i for i, cell in enumerate(table.cells) if cell.numbers.get("changed", 0) < k}


def still_shown(table: Table) -> set[int]:
    """Return the held cells that keep figures which were shown."""
    last = table.last or {}
    return {i for i in hide(table, ()) if last.get(table.cells[i].key) is not None}
