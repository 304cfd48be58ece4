"""Homogeneity: a cell must not tell that everybody, or nobody, has a sensitive value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from bridleway.disclosure.table import Table
from bridleway.model.flow import ALL, Cell
from bridleway.model.plan import branch_name
from bridleway.model.policy import Rules

STAGE = 40
LOOKS_OUTSIDE = False
NAME = "homogeneity"
ADVICE = "Ask for broader groups, in which sensitive values differ between people."


def words(rules: Rules) -> str:
    """Say the rule."""
    if not rules.homogeneity:
        return ""
    return "Cells that would tell that all or none of a group have a sensitive value are withheld."


def hide(table: Table, hidden: Collection[int]) -> set[int]:
    """Hide slices where one sensitive group value, or a sensitive predicate, holds everybody."""
    if not table.rules.homogeneity:
        return set()
    made: set[int] = set()
    if table.sensitivity.predicate:
        made |= {
            i
            for i, cell in enumerate(table.cells)
            if cell.numbers["base"] > 0 and cell.numbers["people"] in (0, cell.numbers["base"])
        }
    for position, sensitive in enumerate(table.sensitivity.groups):
        if sensitive:
            made |= _uniform_slices(table, position)
    made |= {i for i, cell in enumerate(table.cells) if _uniform_values(table, cell)}
    return made


def _uniform_values(table: Table, cell: Cell) -> bool:
    """Tell whether a sum tells that all people of a cell are alike in a sensitive column.

    They are where all or none are in one branch of a condition, or all have the lowest or all
    the highest value.
    """
    for name, facts in table.measures.items():
        total, rows = cell.numbers.get(f"{name}.sum"), cell.numbers.get(f"{name}.n", 0)
        if not facts.sensitive or total is None or rows == 0:
            continue
        if facts.low < facts.high and total in (rows * facts.low, rows * facts.high):
            return True
        people = cell.numbers["people"]
        if any(
            cell.numbers.get(branch_name(name, n)) in (0, people) for n in range(facts.branches)
        ):
            return True
    return False


def _uniform_slices(table: Table, position: int) -> set[int]:
    slices: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for i, cell in enumerate(table.cells):
        if cell.key[position] is not ALL:
            slices[(*cell.key[:position], *cell.key[position + 1 :])].append(i)
    made: set[int] = set()
    for members in slices.values():
        held = [i for i in members if table.cells[i].numbers["people"] > 0]
        if len(held) == 1:
            made |= set(members)
    return made
